# SPDX-License-Identifier: Apache-2.0
"""A producer and a consumer of CUDA memory that share no code with ndbuf: the runtime, or its simulator, by ctypes.

NDBUF_CUDART names the runtime, as it does for ndbuf; else NDBUF_TEST_CUDART, or libcudart.so of the system.
"""
import contextlib
import ctypes
import os
import struct

import dlpack_peer

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2
NON_BLOCKING = 1
LEGACY, PER_THREAD = 1, 2  # streams
CUDA, CUDA_HOST, CUDA_MANAGED = 2, 3, 13  # device types of DLPack


class Runtime:
    """The functions of the runtime that are needed here; their failures are exceptions."""

    def __init__(self):
        names = [os.environ.get("NDBUF_CUDART"), os.environ.get("NDBUF_TEST_CUDART"), "libcudart.so.13", "libcudart.so"]
        self.library = None
        for name in filter(None, names):
            with contextlib.suppress(OSError):
                self.library = ctypes.CDLL(name)
                break
        self.is_simulated = hasattr(self.library, "cudasim_nviolations")

    def call(self, name, *arguments):
        status = getattr(self.library, name)(*arguments)
        if status != 0:
            raise RuntimeError("%s: error %d" % (name, status))

    def get(self, name, *arguments):
        """The same for one that writes a pointer to its first argument."""
        pointer = ctypes.c_void_p()
        self.call(name, ctypes.byref(pointer), *arguments)
        return pointer.value

    def allocate(self, nbytes, kind=CUDA):
        if kind == CUDA_HOST:
            return self.get("cudaHostAlloc", ctypes.c_size_t(nbytes), ctypes.c_uint(0))
        if kind == CUDA_MANAGED:
            return self.get("cudaMallocManaged", ctypes.c_size_t(nbytes), ctypes.c_uint(1))
        return self.get("cudaMalloc", ctypes.c_size_t(nbytes))

    def free(self, pointer, kind=CUDA):
        self.call("cudaFreeHost" if kind == CUDA_HOST else "cudaFree", ctypes.c_void_p(pointer))

    def write(self, pointer, data):
        self.call("cudaMemcpy", ctypes.c_void_p(pointer), bytes(data), ctypes.c_size_t(len(data)), HOST_TO_DEVICE)
        self.call("cudaDeviceSynchronize")  # the copy itself may return with the bytes still on their way

    def read(self, pointer, nbytes):
        data = ctypes.create_string_buffer(nbytes)
        self.call("cudaMemcpy", data, ctypes.c_void_p(pointer), ctypes.c_size_t(nbytes), DEVICE_TO_HOST)
        return data.raw

    @contextlib.contextmanager
    def stream(self):
        handle = self.get("cudaStreamCreateWithFlags", ctypes.c_uint(NON_BLOCKING))
        try:
            yield handle
        finally:
            self.call("cudaStreamSynchronize", ctypes.c_void_p(handle))
            self.call("cudaStreamDestroy", ctypes.c_void_p(handle))

    def fill_later(self, pointer, value, nbytes, stream):
        """Sets bytes in the order of a stream."""
        self.call("cudaMemsetAsync", ctypes.c_void_p(pointer), value, ctypes.c_size_t(nbytes), ctypes.c_void_p(stream))

    def copy_later(self, target, source, nbytes, stream):
        """Copies to pinned memory in the order of a stream."""
        self.call("cudaMemcpyAsync", ctypes.c_void_p(target), ctypes.c_void_p(source), ctypes.c_size_t(nbytes),
                  DEVICE_TO_HOST, ctypes.c_void_p(stream))

    def synchronize(self, stream):
        self.call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def order(self, later, earlier):
        """What is given to stream `later` from now on waits for what `earlier` has."""
        event = self.get("cudaEventCreateWithFlags", ctypes.c_uint(2))
        self.call("cudaEventRecord", ctypes.c_void_p(event), ctypes.c_void_p(earlier))
        self.call("cudaStreamWaitEvent", ctypes.c_void_p(later), ctypes.c_void_p(event), ctypes.c_uint(0))
        self.call("cudaEventDestroy", ctypes.c_void_p(event))

    def violations(self):
        """What the simulator found that real CUDA leaves undefined."""
        if not self.is_simulated:
            return []
        self.library.cudasim_nviolations.restype = ctypes.c_int64
        self.library.cudasim_violation.restype = ctypes.c_char_p
        return [self.library.cudasim_violation(ctypes.c_int64(i)).decode()
                for i in range(self.library.cudasim_nviolations())]


class Memory:
    """Memory of 32-bit integers, written by `values`, that is freed with its last user."""

    def __init__(self, runtime, values, kind=CUDA):
        self.runtime, self.kind, self.nbytes = runtime, kind, 4 * len(values)
        self.pointer = runtime.allocate(max(self.nbytes, 4), kind)
        data = struct.pack("%di" % len(values), *values)
        if kind == CUDA:
            runtime.write(self.pointer, data)
        else:
            ctypes.memmove(self.pointer, data, len(data))

    def __del__(self):
        self.runtime.free(self.pointer, self.kind)


class ByInterface:
    """An object with __cuda_array_interface__ alone. `offset` in items, `strides` in bytes."""

    def __init__(self, memory, shape, strides=None, offset=0, readonly=False, **more):
        self.memory = memory
        self.__cuda_array_interface__ = {"version": 3, "shape": shape, "typestr": "<i4", "strides": strides,
                                         "data": (memory.pointer + 4 * offset, readonly), **more}


class ByDlpack:
    """An object with __dlpack__ alone, whose memory is ready in the order of a stream of its own."""

    def __init__(self, memory, shape, steps, stream, offset=0, kind=CUDA, number=0):
        self.memory, self.stream, self.asked = memory, stream, []
        self.producer = dlpack_peer.Producer(None, shape, steps, address=memory.pointer, offset=4 * offset,
                                             device=(kind, number))

    def __dlpack_device__(self):
        return self.producer.device

    def __dlpack__(self, stream=None, max_version=None):
        self.asked.append(stream)
        if stream not in (None, -1):
            self.memory.runtime.order(stream, self.stream)
        return self.producer.capsule()


def read_interface(runtime, interface):
    """The items that a __cuda_array_interface__ of 32-bit integers tells of, in its order, read one by one."""
    pointer, shape = interface["data"][0], interface["shape"]
    strides = interface["strides"]
    if strides is None:
        strides = [4] * len(shape)
        for axis in range(len(shape) - 1, 0, -1):
            strides[axis - 1] = strides[axis] * shape[axis]
    offsets = [0]
    for extent, stride in zip(shape, strides):
        offsets = [offset + i * stride for offset in offsets for i in range(extent)]
    return [struct.unpack("i", runtime.read(pointer + offset, 4))[0] for offset in offsets]
