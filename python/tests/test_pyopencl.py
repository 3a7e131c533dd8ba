# SPDX-License-Identifier: Apache-2.0
"""PyOpenCL's arrays and buffers, which lie in a context of their own."""
import gc

import pytest

import ndbuf

numpy = pytest.importorskip("numpy")
cl = pytest.importorskip("pyopencl", reason="PyOpenCL is not installed here")
cl_array = pytest.importorskip("pyopencl.array")
cl_tools = pytest.importorskip("pyopencl.tools")

if not any(device.name.startswith("opencl") for device in ndbuf.devices()):
    pytest.skip("no OpenCL device", allow_module_level=True)

CONTEXT = cl.Context(dev_type=cl.device_type.ALL)
ITEMS = numpy.arange(48, dtype="f4").reshape(6, 8)


@pytest.fixture
def queue():
    queue = cl.CommandQueue(CONTEXT)
    yield queue
    queue.finish()


CUTS = {"whole": ..., "rows": slice(1, 5), "columns": (slice(None), slice(1, 7, 2)),
        "every second": (slice(None, None, 2), slice(2, None, 3)), "backwards": slice(None, None, -1),
        "none": slice(0, 0)}


@pytest.mark.parametrize("cut", CUTS)
def test_an_array_is_viewed_where_it_lies(queue, cut):
    array = cl_array.to_device(queue, ITEMS)[CUTS[cut]]
    view = ndbuf.from_pyopencl(array)
    assert view.device.startswith("opencl:") and view.shape == array.shape and view.format == "<f"
    assert view.tolist() == ITEMS[CUTS[cut]].tolist()
    assert view.nbytes == 0 or view.strides == array.strides
    ndbuf.copy(view, -ITEMS[CUTS[cut]])
    expected = ITEMS.copy()
    expected[CUTS[cut]] *= -1
    if view.nbytes > 0:
        whole = cl_array.Array(queue, ITEMS.shape, "f4", data=array.base_data)
        assert (whole.get() == expected).all()


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "f8", "c8", [("a", "u1"), ("b", "<f8")], "(2,)f4"])
def test_every_type_of_item(queue, dtype):
    items = numpy.zeros(5, dtype)
    array = cl_array.Array(queue, items.shape, items.dtype)
    array.set(numpy.frombuffer(bytes(range(items.nbytes)), items.dtype).reshape(items.shape))
    view = ndbuf.from_pyopencl(array)
    assert view.shape == items.shape and view.itemsize == items.dtype.itemsize
    assert view.tobytes() == bytes(range(items.nbytes))
    assert numpy.asarray(view.to("cpu")).dtype == items.dtype


def test_copies_between_contexts_and_within_one(queue):
    source, target = cl_array.to_device(queue, ITEMS), cl_array.zeros(queue, (8, 6), "f8")
    ndbuf.copy(ndbuf.from_pyopencl(target).T, ndbuf.from_pyopencl(source), casting="safe")
    assert (target.get() == ITEMS.T).all()
    there = ndbuf.view(ITEMS).to("opencl:0")
    ndbuf.copy(ndbuf.from_pyopencl(target), there.T, casting="safe")
    ndbuf.copy(there, ndbuf.from_pyopencl(source)[::-1])
    assert (target.get() == ITEMS.T).all() and there.tolist() == ITEMS[::-1].tolist()


@pytest.mark.parametrize("properties", [0, "out of order"])
def test_work_under_way_comes_first(properties):
    kind = cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE if properties else 0
    queue = cl.CommandQueue(CONTEXT, properties=kind)
    program = cl.Program(CONTEXT, "kernel void slow(global uint *p) { uint x = 1; for (int i = 0; i < 50000000; i++) "
                                  "x = x * 1664525 + 1013904223; p[0] = x; }").build()
    buffer = cl.Buffer(CONTEXT, cl.mem_flags.READ_WRITE, 4)
    cl.enqueue_fill_buffer(queue, buffer, numpy.uint32(0), 0, 4).wait()
    program.slow(queue, (1,), None, buffer)
    view = ndbuf.from_pyopencl(buffer, queue).cast("<I")
    found = view.tolist()
    queue.finish()
    assert found == ndbuf.from_pyopencl(buffer).cast("<I").tolist() and found != [0]


def test_memory_lives_as_long_as_its_views(queue):
    view = ndbuf.from_pyopencl(cl_array.to_device(queue, ITEMS))
    gc.collect()
    assert view[1:].tolist() == ITEMS[1:].tolist()


def test_pools_and_parts_of_buffers(queue):
    pool = cl_tools.MemoryPool(cl_tools.ImmediateAllocator(queue))
    array = cl_array.to_device(queue, ITEMS, allocator=pool)
    assert ndbuf.from_pyopencl(array).tolist() == ITEMS.tolist()
    numbers = numpy.arange(4096, dtype="u2")
    buffer = cl.Buffer(CONTEXT, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=numbers)
    part = buffer.get_sub_region(1024, 16)
    assert ndbuf.from_pyopencl(part).tobytes() == numbers[512:520].tobytes()
    assert ndbuf.from_pyopencl(buffer).shape == (8192,)


def test_a_queue_of_pyopencl_orders_copies(queue):
    array = cl_array.zeros(queue, ITEMS.shape, "f4")
    view = ndbuf.from_pyopencl(array)
    ndbuf.copy(view, ITEMS, stream=queue)
    assert ((array + 1).get() == ITEMS + 1).all()


def test_what_is_no_buffer_is_refused(queue):
    with pytest.raises(TypeError, match="from_pyopencl takes"):
        ndbuf.from_pyopencl(ITEMS)
    pixels = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.UNSIGNED_INT8)
    image = cl.create_image(CONTEXT, cl.mem_flags.READ_WRITE, pixels, shape=(8, 8))
    with pytest.raises(TypeError, match="from_pyopencl takes"):
        ndbuf.from_pyopencl(image)
    svm = cl_array.zeros(queue, 3, "f4", allocator=cl_tools.SVMAllocator(CONTEXT, queue=queue))
    with pytest.raises(BufferError, match="shared virtual memory"):
        ndbuf.from_pyopencl(svm)
    array = cl_array.zeros(queue, (4, 4), "f4")
    longer = cl_array.Array(queue, (4, 4), "f4", data=array.base_data, offset=8)
    with pytest.raises((ValueError, BufferError)):
        ndbuf.from_pyopencl(longer)
