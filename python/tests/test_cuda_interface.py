# SPDX-License-Identifier: Apache-2.0
"""CUDA memory of others, and ours in others' hands: on a GPU, or on the simulator, where NDBUF_CUDART names it."""
import ctypes
import gc
import weakref

import dlpack_peer
import pytest
from cuda_peer import (CUDA, CUDA_HOST, CUDA_MANAGED, LEGACY, PER_THREAD, ByDlpack, ByInterface, Memory, Runtime,
                       read_interface)
from leak_check import assert_no_leak
from machine import DEVICES

import ndbuf

if "cuda:0" not in DEVICES:
    pytest.skip("no CUDA device: " + str(ndbuf.backends()["cuda"]), allow_module_level=True)
runtime = Runtime()
if runtime.library is None:
    pytest.skip("no CUDA runtime to load beside ndbuf's: NDBUF_TEST_CUDART may name one", allow_module_level=True)

VALUES = list(range(100, 160))
MEMORY = Memory(runtime, VALUES)  # for those that only read


@pytest.fixture(autouse=True)
def nothing_undefined():
    before = len(runtime.violations())
    yield
    gc.collect()
    assert runtime.violations()[before:] == []
    assert not dlpack_peer.alive


def expected(shape, strides, offset=0):
    """Nested lists of VALUES; strides in items."""
    if not shape:
        return VALUES[offset]
    return [expected(shape[1:], strides[1:], offset + i * strides[0]) for i in range(shape[0])]


def flat(nested):
    return [item for part in nested for item in flat(part)] if isinstance(nested, list) else [nested]


# Shape, strides in items, offset in items.
LAYOUTS = {
    "contiguous": ((5, 12), (12, 1), 0),
    "an offset": ((4, 12), (12, 1), 12),
    "steps": ((3, 4), (24, 3), 1),
    "axes exchanged": ((12, 5), (1, 12), 0),
    "negative strides": ((5, 6), (-12, -2), 59),
    "zero strides": ((3, 4), (0, 1), 7),
    "no axes": ((), (), 9),
    "one item": ((1, 1), (1, 1), 59),
    "no items": ((3, 0), (1, 1), 0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [CUDA, CUDA_HOST, CUDA_MANAGED], ids=["device", "pinned", "managed"])
def test_memory_by_cuda_array_interface_is_read_where_it_lies(kind, layout):
    shape, strides, offset = LAYOUTS[layout]
    memory = Memory(runtime, VALUES, kind)
    view = ndbuf.view(ByInterface(memory, shape, tuple(4 * stride for stride in strides), offset))
    names = {CUDA: "cuda:0", CUDA_HOST: "cuda_host:0", CUDA_MANAGED: "cuda_managed:0"}
    assert (view.device, view.shape, view.readonly) == (names[kind], shape, False)
    assert view.tolist() == expected(shape, strides, offset)
    assert view.to("cpu").tolist() == expected(shape, strides, offset)
    assert view._address == memory.pointer + 4 * offset or 0 in shape


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "negative strides"])
def test_memory_by_dlpack_is_read_where_it_lies(layout):
    shape, strides, offset = LAYOUTS[layout]
    with runtime.stream() as stream:
        producer = ByDlpack(Memory(runtime, VALUES), shape, strides, stream, offset)
        view = ndbuf.view(producer)
        assert (view.device, view.tolist()) == ("cuda:0", expected(shape, strides, offset))
        del view
        del producer


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_consumer_of_cuda_array_interface_finds_the_items(layout):
    shape, strides, offset = LAYOUTS[layout]
    memory = Memory(runtime, VALUES)
    view = ndbuf.view(ByInterface(memory, shape, tuple(4 * stride for stride in strides), offset))
    interface = view.__cuda_array_interface__
    assert (interface["version"], interface["typestr"], interface["shape"]) == (3, "<i4", shape)
    assert interface.get("stream") != 0
    assert read_interface(runtime, interface) == flat(expected(shape, strides, offset))
    if 0 in shape:
        assert interface["data"][0] == 0


def test_new_memory_goes_out_and_comes_back():
    view = ndbuf.zeros((3, 4), "<i", "cuda:0")
    view[1, ::2] = 7
    assert view.__cuda_array_interface__["strides"] is None
    assert read_interface(runtime, view.__cuda_array_interface__) == [0, 0, 0, 0, 7, 0, 7, 0, 0, 0, 0, 0]
    runtime.write(view.__cuda_array_interface__["data"][0] + 4, (9).to_bytes(4, "little"))
    assert view[0].tolist() == [0, 9, 0, 0]
    part = view.T[1:, ::-1]
    assert read_interface(runtime, part.__cuda_array_interface__) == flat(part.tolist())


def test_what_is_read_only_says_so_both_ways():
    memory = Memory(runtime, VALUES)
    view = ndbuf.view(ByInterface(memory, (5,), readonly=True))
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    assert view.__cuda_array_interface__["data"] == (memory.pointer, True)
    assert ndbuf.view(ByInterface(memory, (5,))).toreadonly().__cuda_array_interface__["data"][1] is True


# -- order --


def test_reading_waits_for_the_stream_of_the_interface():
    memory = Memory(runtime, VALUES)
    with runtime.stream() as stream:
        for value in range(1, 4):
            runtime.fill_later(memory.pointer, value, memory.nbytes, stream)
            view = ndbuf.view(ByInterface(memory, (60,), stream=stream))
            assert view[59] == value * 0x01010101
        runtime.fill_later(memory.pointer, 9, memory.nbytes, stream)
        target = ndbuf.zeros(60, "<i")
        ndbuf.copy(target, ByInterface(memory, (60,), stream=stream))
        assert target.tolist() == [0x09090909] * 60
        del view


@pytest.mark.parametrize("stream", [LEGACY, PER_THREAD], ids=["legacy", "per thread"])
def test_the_default_streams_have_numbers(stream):
    memory = Memory(runtime, VALUES)
    runtime.fill_later(memory.pointer, 5, memory.nbytes, stream)
    assert ndbuf.view(ByInterface(memory, (60,), stream=stream))[30] == 0x05050505
    tensor = dlpack_peer.Consumer(ndbuf.zeros(4, "<i", "cuda:0").__dlpack__(stream=stream))
    tensor.delete()
    runtime.synchronize(stream)


def test_reading_waits_for_the_producer_of_a_tensor():
    with runtime.stream() as stream:
        memory = Memory(runtime, VALUES)
        for value in range(1, 4):
            runtime.fill_later(memory.pointer, value, memory.nbytes, stream)
            producer = ByDlpack(memory, (60,), (1,), stream)
            assert ndbuf.view(producer)[59] == value * 0x01010101
            asked, = producer.asked
            assert asked not in (None, 0, -1)
            del producer
        del memory


def test_a_consumer_that_names_its_stream_reads_behind_what_is_still_to_come():
    with runtime.stream() as stream, runtime.stream() as other:
        memory = Memory(runtime, VALUES)
        runtime.fill_later(memory.pointer, 3, memory.nbytes, other)
        view = ndbuf.view(ByInterface(memory, (60,), stream=other))
        tensor = dlpack_peer.Consumer(view.__dlpack__(stream=stream, max_version=(1, 0)))
        pinned = Memory(runtime, VALUES, CUDA_HOST)
        runtime.copy_later(pinned.pointer, tensor.address, 240, stream)
        runtime.synchronize(stream)
        assert ctypes.string_at(pinned.pointer, 240) == b"\3" * 240
        tensor.delete()
        del view, memory, pinned


def test_a_consumer_that_names_no_stream_finds_the_work_done():
    with runtime.stream() as other:
        memory = Memory(runtime, VALUES)
        for take in (lambda view: view.__cuda_array_interface__["data"][0],
                     lambda view: dlpack_peer.Consumer(view.__dlpack__(max_version=(1, 0)))):
            runtime.fill_later(memory.pointer, 4, memory.nbytes, other)
            view = ndbuf.view(ByInterface(memory, (60,), stream=other))
            taken = take(view)
            with runtime.stream() as stream:  # which waits for nobody
                pinned = Memory(runtime, VALUES, CUDA_HOST)
                runtime.copy_later(pinned.pointer, memory.pointer, 240, stream)
                runtime.synchronize(stream)
                assert ctypes.string_at(pinned.pointer, 240) == b"\4" * 240
            if isinstance(taken, dlpack_peer.Consumer):
                taken.delete()
            del view, taken
        del memory, pinned


def test_a_copy_in_a_stream_of_the_callers_own():
    with runtime.stream() as stream:
        source, target = Memory(runtime, VALUES), Memory(runtime, [0] * 60)
        runtime.fill_later(source.pointer, 6, source.nbytes, stream)
        ndbuf.copy(ByInterface(target, (30,), (8,)), ByInterface(source, (30,), (-8,), 59), stream=stream)
        runtime.fill_later(source.pointer, 1, source.nbytes, stream)  # behind the copy
        runtime.synchronize(stream)
        assert ndbuf.view(ByInterface(target, (60,))).tolist() == [0x06060606, 0] * 30
        del source, target


# -- DLPack out --


def test_a_tensor_of_device_memory_says_where_it_is():
    view = ndbuf.zeros((3, 4), "<f", "cuda:0")
    assert view.__dlpack_device__() == (CUDA, 0)
    tensor = dlpack_peer.Consumer(view[1:, ::2].__dlpack__(max_version=(1, 3)))
    assert (tensor.device, tensor.shape, tensor.strides, tensor.dtype) == ((CUDA, 0), (2, 2), (4, 2),
                                                                          (dlpack_peer.FLOAT, 32, 1))
    assert tensor.address == view._address + 16
    tensor.delete()


def test_a_tensor_on_the_host_is_a_copy():
    view = ndbuf.view(ByInterface(Memory(runtime, VALUES), (5, 12)))
    tensor = dlpack_peer.Consumer(view[:, 3].__dlpack__(max_version=(1, 0), dl_device=(1, 0)))
    assert (tensor.device, tensor.flags & dlpack_peer.IS_COPIED) == (dlpack_peer.CPU, dlpack_peer.IS_COPIED)
    array = (ctypes.c_int32 * 5).from_address(tensor.address)
    assert list(array) == [103, 115, 127, 139, 151]
    tensor.delete()
    with pytest.raises(BufferError):
        view.__dlpack__(dl_device=(1, 0), copy=False)


def test_the_other_device_gets_a_copy():
    if "cuda:1" not in DEVICES:
        pytest.skip("one CUDA device only")
    view = ndbuf.view(ByInterface(Memory(runtime, VALUES), (5, 12)))
    there = view.to("cuda:1")
    assert (there.device, there.tolist()) == ("cuda:1", view.tolist())
    tensor = dlpack_peer.Consumer(view.__dlpack__(max_version=(1, 0), dl_device=(CUDA, 1)))
    assert tensor.device == (CUDA, 1)
    tensor.delete()


@pytest.mark.parametrize("stream", [0, -2, "1", 1.5], ids=repr)
def test_streams_that_are_none_are_refused(stream):
    view = ndbuf.zeros(4, "i", "cuda:0")
    with pytest.raises((ValueError, TypeError)):
        view.__dlpack__(stream=stream)


# -- what the host must not touch --


def test_the_host_is_refused_with_advice():
    view = ndbuf.zeros((3, 4), "i", "cuda:0")
    for take in (memoryview, bytes, lambda view: view.__array__(), lambda view: b"".join([view])):
        with pytest.raises((BufferError, TypeError), match="cpu|bytes-like"):
            take(view)
    with pytest.raises(AttributeError, match="cpu"):
        view.__array_interface__
    numpy = pytest.importorskip("numpy")
    with pytest.raises(BufferError, match="cpu"):
        numpy.asarray(view)
    assert numpy.asarray(view.to("cpu")).tolist() == [[0] * 4] * 3


def test_pinned_and_managed_memory_is_the_hosts_too():
    for name in ("cuda_host:0", "cuda_managed:0"):
        view = ndbuf.zeros((3, 4), "i", name)
        memoryview(view)[1, 2] = 5
        assert view.tolist() == [[0] * 4, [0, 0, 5, 0], [0] * 4]
        assert read_interface(runtime, view.__cuda_array_interface__) == flat(view.tolist())
        assert view.__array_interface__["data"][0] == view._address


# -- lifetime --


def test_the_owner_stays_until_the_last_view_and_copy_is_done():
    memory = Memory(runtime, VALUES)
    end = weakref.ref(memory)
    view = ndbuf.view(ByInterface(memory, (60,)))
    part = view[1:]
    del memory, view
    gc.collect()
    assert end() is not None
    queue = ndbuf.Queue("cuda:0")
    target = ndbuf.zeros(59, "<i", "cuda:0")
    ndbuf.copy(target, part, stream=queue)
    del part
    queue.wait()
    assert target.tolist() == VALUES[1:]
    del queue
    gc.collect()
    assert end() is None


def test_a_tensor_outlives_its_view():
    view = ndbuf.full(4, 5, "<i", "cuda:0")
    tensor = dlpack_peer.Consumer(view.__dlpack__(max_version=(1, 0)))
    del view
    assert runtime.read(tensor.address, 16) == b"\5\0\0\0" * 4
    tensor.delete()


# -- hostile producers --

HOST = (ctypes.c_int32 * 60)()
BAD = {
    "the ambiguous stream": dict(stream=0),
    "a stream of text": dict(stream="1"),
    "no address": dict(data=(0, False)),
    "memory of the host": dict(data=(ctypes.addressof(HOST), False)),
    "more than is allocated": dict(shape=(1 << 40,)),
    "strides past the end": dict(shape=(2,), strides=(1 << 42,)),
    "strides before the start": dict(shape=(2,), strides=(-(1 << 42),)),
    "data of one entry": dict(data=(5,)),
    "a mask": dict(mask=object()),
    "a negative extent": dict(shape=(-1,)),
}


@pytest.mark.parametrize("what", BAD)
def test_an_interface_that_lies_is_an_error(what):
    owner = ByInterface(Memory(runtime, VALUES), (60,))
    owner.__cuda_array_interface__.update(BAD[what])

    def exchange():
        with pytest.raises((BufferError, ValueError, TypeError, RuntimeError)):
            ndbuf.view(owner)

    exchange()
    assert_no_leak(exchange, owner, times=300)


BAD_TENSORS = {
    "no such device": dict(device=(CUDA, 77)),
    "memory of the host": dict(address=ctypes.addressof(HOST)),
    "no memory": dict(address=None),
    "more than is allocated": dict(extents=(1 << 40,)),
    "before what is allocated": dict(extents=(2,), steps=(-(1 << 40),)),
    "an offset past the end": dict(offset=1 << 42),
}


@pytest.mark.parametrize("what", BAD_TENSORS)
def test_a_tensor_that_lies_is_an_error_and_is_deleted_once(what):
    memory = Memory(runtime, VALUES)
    arguments = dict(extents=(60,), steps=(1,), address=memory.pointer, device=(CUDA, 0))
    producer = dlpack_peer.Producer(None, **{**arguments, **BAD_TENSORS[what]})

    def exchange():
        with pytest.raises((BufferError, ValueError, RuntimeError)):
            ndbuf.view(producer)
        assert not dlpack_peer.alive

    exchange()
    assert_no_leak(exchange, producer, times=300)


@pytest.mark.parametrize("kind", [CUDA_HOST, CUDA_MANAGED], ids=["pinned", "managed"])
def test_the_number_of_pinned_and_managed_memory_means_nothing(kind):
    """CuPy gives that of the current device."""
    memory = Memory(runtime, VALUES, kind)
    producer = dlpack_peer.Producer(None, (60,), (1,), address=memory.pointer, device=(kind, 1))
    producer.device = (kind, 1)
    assert ndbuf.view(producer).tolist() == VALUES


def test_a_tensor_on_another_device_than_its_producer_says_is_refused():
    """Nobody would have ordered its work."""
    producer = dlpack_peer.Producer(None, (60,), (1,), address=MEMORY.pointer, device=(CUDA, 0))
    producer.device = dlpack_peer.CPU
    with pytest.raises(BufferError):
        ndbuf.view(producer)


# -- leaks --

OWNER = ByInterface(MEMORY, (5, 12))
VIEW = ndbuf.zeros((5, 12), "<i", "cuda:0")
EXCHANGES = {
    "view by __cuda_array_interface__": lambda: ndbuf.view(OWNER),
    "view with a stream": lambda: ndbuf.view(ByInterface(MEMORY, (5, 12), stream=LEGACY)),
    "__cuda_array_interface__": lambda: VIEW.__cuda_array_interface__,
    "__dlpack__": lambda: VIEW.__dlpack__(max_version=(1, 0)),
    "__dlpack__ in a stream": lambda: dlpack_peer.Consumer(VIEW.__dlpack__(stream=LEGACY)).delete(),
    "view by __dlpack__": lambda: ndbuf.view(dlpack_peer.Producer(None, (60,), (1,), address=MEMORY.pointer,
                                                                  device=(CUDA, 0))),
    "copy": lambda: ndbuf.copy(VIEW[:, ::2], ndbuf.view(OWNER)[:, 1::2]),
    "copies": lambda: VIEW.to("cpu").to("cuda:0"),
}


@pytest.mark.parametrize("what", EXCHANGES)
def test_ten_thousand_exchanges_leave_nothing_behind(what):
    assert_no_leak(EXCHANGES[what], OWNER, VIEW, times=10000 if "cop" not in what else 2000)
