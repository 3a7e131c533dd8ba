# SPDX-License-Identifier: Apache-2.0
"""PyOpenCL's arrays and buffers without a copy."""
import functools
from typing import TYPE_CHECKING, Any, Union

from . import _ndbuf
from ._array_interface import format_of_item
from ._ndbuf import View

if TYPE_CHECKING:
    import pyopencl
    import pyopencl.array

# An open device keeps its context, so that its handle stays as it is. To open one anew takes the kernels again.
_device = functools.lru_cache(maxsize=4)(_ndbuf._opencl_device)


def from_pyopencl(array: Union["pyopencl.array.Array", "pyopencl.MemoryObject"],
                  queue: "pyopencl.CommandQueue | None" = None) -> View:
    """A View of the memory of a pyopencl.array.Array, strided as that is, or of the bytes of a pyopencl.Buffer.

    Nothing is copied, and what is written to the View is in the array. The View keeps the memory. What the array's
    events and its queue, or the one that is given, have to do by now is waited for. The View's device is the one of
    that number, but in PyOpenCL's context.

    Shared virtual memory is refused with BufferError.
    """
    import pyopencl
    import pyopencl.array
    memory: Any
    shape: Any
    context: Any
    nbytes: Any
    if isinstance(array, pyopencl.array.Array):
        memory, queue, events = array.base_data, queue or array.queue, list(array.events)
        text = format_of_item({"typestr": array.dtype.str, "descr": array.dtype.descr})
        shape, strides, offset = array.shape, array.strides, array.offset
    elif isinstance(array, pyopencl.MemoryObjectHolder) and not isinstance(array, pyopencl.Image):
        memory, events, text = array, [], "B"
        shape, strides, offset = array.get_info(pyopencl.mem_info.SIZE), None, 0
    else:
        raise TypeError("from_pyopencl takes a pyopencl.array.Array or a pyopencl.Buffer, not %r" % type(array))
    if memory is not None and not isinstance(memory, pyopencl.MemoryObjectHolder):
        raise BufferError("the array lies in shared virtual memory (%s), which is no buffer" % type(memory).__name__)
    if queue is not None:
        events.append(pyopencl.enqueue_marker(queue))
    for event in events:
        event.wait()
    if memory is None:  # nor are there items
        context, handle, nbytes = array.context, 0, 0
    else:
        context, nbytes = memory.get_info(pyopencl.mem_info.CONTEXT), memory.get_info(pyopencl.mem_info.SIZE)
        handle = memory.int_ptr
    device = context.devices[0] if queue is None else queue.device
    return _ndbuf._from_opencl(memory, _device(context.int_ptr, device.int_ptr), handle, nbytes,
                               text, shape, strides, offset)
