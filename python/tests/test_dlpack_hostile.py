# SPDX-License-Identifier: Apache-2.0
"""Producers of DLPack that do what they must not: an error each time, the tensor deleted once, nothing leaked."""
import threading

import dlpack_peer
import pytest
from dlpack_peer import CPU, FLOAT, INT, Consumer, Producer
from leak_check import assert_no_leak

import ndbuf

MEMORY = bytearray(range(64))
NOTHING = dlpack_peer.alive

# What is wrong, as arguments of Producer, and what the error is.
BAD_TENSORS = {
    "a later major version": (dict(version=(2, 0)), BufferError),
    "a major version that never was": (dict(version=(0, 9)), BufferError),
    "a flag of a later version": (dict(flags=1 << 3), BufferError),
    "the highest flag": (dict(flags=1 << 63), BufferError),
    "negative ndim": (dict(ndim=-1), ValueError),
    "ndim of 65": (dict(extents=(1,) * 65, steps=(1,) * 65), ValueError),
    "ndim of 2^31 - 1": (dict(ndim=2 ** 31 - 1), ValueError),
    "no shape": (dict(extents=None, ndim=2), ValueError),
    "no data": (dict(memory=None), ValueError),
    "a negative extent": (dict(extents=(2, -3)), ValueError),
    "the least extent": (dict(extents=(-2 ** 63, 1)), ValueError),
    "more than 2^63 items": (dict(extents=(2 ** 32, 2 ** 32), steps=(0, 0)), (ValueError, BufferError)),
    "more than 2^63 bytes": (dict(extents=(2 ** 61, 2)), (ValueError, BufferError)),
    "strides beyond 63 bits": (dict(steps=(2 ** 62, 1)), (ValueError, BufferError)),
    "the least stride": (dict(steps=(-2 ** 63, 1)), (ValueError, BufferError)),
    "shape times strides beyond 63 bits": (dict(extents=(5, 5), steps=(2 ** 60 - 1,) * 2), (ValueError, BufferError)),
    "an offset of 2^63": (dict(offset=2 ** 63), (ValueError, BufferError)),
    "an offset past the address space": (dict(offset=2 ** 63 - 8), (ValueError, BufferError)),
    "items before address 0": (dict(steps=(-2 ** 60, 1)), (ValueError, BufferError)),
    "no bits": (dict(bits=0), (ValueError, BufferError)),
    "no lanes": (dict(lanes=0), (ValueError, BufferError)),
    "several lanes": (dict(lanes=4), BufferError),
    "an unknown type": (dict(code=99), BufferError),
    "integers of 7 bits": (dict(bits=7), BufferError),
    "floats of 8 bits": (dict(code=FLOAT, bits=8), BufferError),
    "opaque handles": (dict(code=dlpack_peer.HANDLE, bits=64), BufferError),
    "an unknown device type": (dict(device=(99, 0)), BufferError),
    "a negative device type": (dict(device=(-1, 0)), BufferError),
    "a device that is not here": (dict(device=(2, 77)), (BufferError, RuntimeError)),
}


def bad_producer(arguments, versioned):
    whole = dict(memory=MEMORY, extents=(2, 3), steps=(3, 1), versioned=versioned)
    return Producer(**{**whole, **arguments})


# Tensors from before 1.0 have neither version nor flags.
KINDS = [(what, versioned) for what, (arguments, _) in BAD_TENSORS.items() for versioned in (True, False)
         if versioned or not arguments.keys() & {"version", "flags"}]


@pytest.mark.parametrize("what, versioned", KINDS)
def test_a_bad_tensor_is_an_error_and_is_deleted_once(what, versioned):
    arguments, error = BAD_TENSORS[what]
    producer = bad_producer(arguments, versioned)

    def exchange():
        with pytest.raises(error):
            ndbuf.view(producer)
        assert not NOTHING

    exchange()
    assert_no_leak(exchange, producer, times=600)


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])
def test_a_good_tensor_is_read_and_deleted_once_by_its_last_user(versioned):
    producer = Producer(MEMORY, (2, 3), (1, 2), offset=4, versioned=versioned)
    view = ndbuf.view(producer)
    part = view[1:]
    expected = memoryview(MEMORY).cast("i")
    assert view.tolist() == [[expected[1 + i + 2 * k] for k in range(3)] for i in range(2)]
    del view
    assert len(NOTHING) == 1
    assert part.tolist() == [[expected[2], expected[4], expected[6]]]
    del part
    assert not NOTHING
    assert_no_leak(lambda: ndbuf.view(producer), producer, times=2000)


def test_the_consumer_says_which_version_it_reads_and_takes_an_older_one():
    producer = Producer(MEMORY, (2,), (1,), versioned=False)
    ndbuf.view(producer)
    assert list(producer.calls) == [{"max_version": (1, 3)}]


def test_a_later_minor_version_is_read():
    assert ndbuf.view(Producer(MEMORY, (2,), (1,), code=dlpack_peer.UINT, bits=8, version=(1, 99))).tolist() == [0, 1]
    assert not NOTHING


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])
def test_a_tensor_without_deleter_is_read_and_has_nothing_to_delete(versioned):
    producer = Producer(MEMORY, (3,), (1,), code=dlpack_peer.UINT, bits=8, versioned=versioned, has_deleter=False)
    view = ndbuf.view(producer)
    assert view.tolist() == [0, 1, 2]
    del view
    assert len(NOTHING) == 1
    NOTHING.clear()


@pytest.mark.parametrize("kind", [dict(versioned=False), dict(version=(1, 0)), dict(version=(1, 1))],
                         ids=["legacy", "1.0", "1.1"])
def test_before_version_1_2_strides_of_null_are_those_of_a_compact_tensor(kind):
    view = ndbuf.view(Producer(MEMORY, (2, 3), None, code=dlpack_peer.UINT, bits=8, **kind))
    assert view.strides == (3, 1)
    assert view.tolist() == [[0, 1, 2], [3, 4, 5]]
    del view
    assert not NOTHING


def test_a_tensor_without_axes_needs_neither_shape_nor_strides():
    view = ndbuf.view(Producer(MEMORY, None, None, code=dlpack_peer.UINT, bits=8, offset=5))
    assert (view.shape, view.tolist()) == ((), 5)


def test_misaligned_data_is_read_and_written_right():
    memory = bytearray(MEMORY)
    view = ndbuf.view(Producer(memory, (3,), (2,), code=INT, bits=32, offset=1))
    assert view.tolist() == [int.from_bytes(memory[1 + 8 * k:5 + 8 * k], "little") for k in range(3)]
    view[1] = 0x01020304
    assert memory[9:13] == b"\4\3\2\1"
    assert view.copy().tolist() == view.tolist()


def test_a_legacy_tensor_of_a_producer_that_knows_version_1_cannot_be_written_to():
    memory = bytearray(MEMORY)
    view = ndbuf.view(Producer(memory, (3,), (1,), code=dlpack_peer.UINT, bits=8, versioned=False))
    assert view.readonly
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 9
    with pytest.raises(TypeError, match="read-only"):
        ndbuf.copy(view, bytes(3))
    assert memory == MEMORY
    del view
    assert not NOTHING


def test_a_read_only_tensor_cannot_be_written_to():
    view = ndbuf.view(Producer(MEMORY, (3,), (1,), flags=dlpack_peer.READ_ONLY))
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    with pytest.raises(BufferError):
        view.__dlpack__()  # a tensor from before 1.0 could not say so


def test_strides_of_extents_of_one_and_of_empty_tensors_may_be_anything():
    view = ndbuf.view(Producer(MEMORY, (1, 3), (2 ** 63 - 1, 1), code=dlpack_peer.UINT, bits=8))
    assert view.tolist() == [[0, 1, 2]]
    assert ndbuf.view(Producer(None, (0, 3), (2 ** 63 - 1, -2 ** 63))).tolist() == []
    del view
    assert not NOTHING


# -- the methods --


class Odd:
    """A producer of which one method does something else."""

    def __init__(self, dlpack=None, device=lambda: CPU):
        self.dlpack, self.device = dlpack, device

    def __dlpack__(self, **keywords):
        return self.dlpack()

    def __dlpack_device__(self):
        return self.device()


def raiser(error):
    def call():
        raise error
    return call


class OddError(Exception):
    """Nothing that ndbuf knows."""


@pytest.mark.parametrize("kind", [OddError, BufferError, MemoryError, KeyboardInterrupt, TypeError, AttributeError])
@pytest.mark.parametrize("method", ["dlpack", "device"])
def test_what_a_producer_raises_is_what_the_consumer_raises(method, kind):
    error = kind("mine")
    producer = Odd(**{method: raiser(error)})

    def exchange():
        with pytest.raises(kind) as caught:
            ndbuf.view(producer)
        assert str(caught.value) == "mine"
        error.__traceback__ = None

    exchange()
    assert_no_leak(exchange, times=600)


@pytest.mark.parametrize("result", [None, 5, "dltensor", [1, 2], object(), MEMORY], ids=lambda it: type(it).__name__)
def test_something_else_than_a_capsule_is_an_error(result):
    with pytest.raises(BufferError, match="capsule"):
        ndbuf.view(Odd(lambda: result))


@pytest.mark.parametrize("name", [b"", b"dltensor2", b"DLTENSOR", b"used_dltensor", b"used_dltensor_versioned",
                                  b"arrow_array"])
def test_a_capsule_of_another_name_is_an_error_and_is_left_alone(name):
    producer = Producer(MEMORY, (2,), (1,), name=name)
    with pytest.raises(BufferError, match="capsule"):
        ndbuf.view(producer)
    assert len(NOTHING) == 1
    NOTHING.clear()


@pytest.mark.parametrize("device", [None, 5, (), (1,), (1, 0, 0), ("cpu", 0), (1.0, 0), (2 ** 31, 0), (1, -2 ** 31 - 1),
                                    (2 ** 70, 0), (None, None)], ids=repr)
def test_a_device_that_is_no_pair_of_small_ints_is_an_error(device):
    producer = Producer(MEMORY, (2,), (1,))
    producer.device = device
    with pytest.raises((BufferError, TypeError, OverflowError)):
        ndbuf.view(producer)
    assert not producer.calls


def test_a_tensor_on_another_device_than_its_producer_says_is_refused():
    producer = Producer(MEMORY, (2,), (1,), device=(13, 0))  # managed memory, which the host could touch
    producer.device = CPU
    with pytest.raises((BufferError, RuntimeError, ValueError)):  # ValueError: CUDA does not know the address
        ndbuf.view(producer)
    assert not NOTHING


@pytest.mark.parametrize("said", [0, 3])
def test_the_number_of_a_host_means_nothing(said):
    """JAX has several devices on the host, and writes their numbers into its tensors."""
    producer = Producer(MEMORY, (2,), (1,), device=(1, 3))
    producer.device = (1, said)
    view = ndbuf.view(producer)
    assert view.device == "cpu"
    assert view.shape == (2,)


def test_an_object_with_only_one_of_the_two_methods_is_an_error():
    class WithoutDevice:
        def __dlpack__(self, **keywords):
            raise AssertionError("must not be called")

    with pytest.raises((AttributeError, TypeError, BufferError)):
        ndbuf.view(WithoutDevice())


def test_a_producer_from_before_max_version_is_called_without_it():
    class Old(Producer):
        def __dlpack__(self, stream=None):
            return super().__dlpack__(stream=stream)

    old = Old(MEMORY, (2,), (1,), code=dlpack_peer.UINT, bits=8, versioned=False)
    view = ndbuf.view(old)
    assert view.tolist() == [0, 1] and not view.readonly
    assert list(old.calls) == [{"stream": None}]
    del view
    assert not NOTHING


@pytest.mark.parametrize("versioned", [True, False], ids=["versioned", "legacy"])
def test_a_capsule_is_consumed_once(versioned):
    producer = Producer(MEMORY, (2,), (1,), versioned=versioned)
    capsule = producer.capsule()
    first = ndbuf.view(Odd(lambda: capsule))
    with pytest.raises(BufferError, match="consumed"):
        ndbuf.view(Odd(lambda: capsule))
    assert len(NOTHING) == 1
    del first
    assert not NOTHING


def test_a_capsule_whose_tensor_was_refused_is_consumed_all_the_same():
    producer = Producer(MEMORY, (2,), (1,), code=99)
    capsule = producer.capsule()
    for _ in range(2):
        with pytest.raises(BufferError):
            ndbuf.view(Odd(lambda: capsule))
        assert not NOTHING


def test_the_tensor_is_deleted_from_whichever_thread_is_last():
    deleters = []
    view = ndbuf.view(Producer(MEMORY, (2,), (1,)))
    held = [view]
    del view
    thread = threading.Thread(target=lambda: (held.clear(), deleters.append(threading.current_thread())))
    thread.start()
    thread.join()
    assert deleters == [thread]
    assert not NOTHING


# -- consumers --


def test_a_capsule_that_nobody_consumes_gives_its_memory_back():
    view = ndbuf.view(MEMORY)
    assert_no_leak(lambda: (view.__dlpack__(max_version=(1, 0)), view.__dlpack__()), view, MEMORY, times=3000)


def test_a_consumer_may_delete_late_and_in_another_thread():
    memory = bytearray(range(8))
    view = ndbuf.view(memory)
    tensor = Consumer(view.__dlpack__(max_version=(1, 0)))
    del view
    with pytest.raises(BufferError):
        memory.append(1)  # which cannot move what is shared
    thread = threading.Thread(target=tensor.delete)
    thread.start()
    thread.join()
    memory.append(1)


def test_a_consumer_finds_version_type_and_strides():
    view = ndbuf.view(MEMORY).cast("h").reshape((4, 8))[1:, ::2]
    tensor = Consumer(view.__dlpack__(max_version=(1, 0)))
    assert (tensor.name, tensor.version, tensor.flags) == (b"dltensor_versioned", (1, 3), 0)
    assert (tensor.dtype, tensor.shape, tensor.strides, tensor.device) == ((INT, 16, 1), (3, 4), (8, 2), CPU)
    assert tensor.address == view._address
    tensor.delete()
    tensor = Consumer(view.__dlpack__())
    assert (tensor.name, tensor.shape, tensor.strides) == (b"dltensor", (3, 4), (8, 2))
    tensor.delete()


def test_strides_are_written_for_every_tensor_and_data_is_null_without_items():
    tensor = Consumer(ndbuf.zeros((0, 3), "f").__dlpack__(max_version=(1, 2)))
    assert (tensor.data, tensor.strides) == (None, (3, 1))
    tensor.delete()


def test_a_copy_is_made_on_request_and_says_so():
    view = ndbuf.view(bytearray(MEMORY))[::2]
    tensor = Consumer(view.__dlpack__(max_version=(1, 0), copy=True))
    assert tensor.flags & dlpack_peer.IS_COPIED
    assert tensor.address != view._address
    tensor.delete()
    tensor = Consumer(view.__dlpack__(max_version=(1, 0), copy=False))
    assert (tensor.flags, tensor.address) == (0, view._address)
    tensor.delete()


@pytest.mark.parametrize("take", [lambda view: view, lambda view: view[1:]])
def test_what_shares_a_copy_is_none(take):
    view = take(ndbuf.view(Producer(bytearray(MEMORY), (3,), (1,), flags=dlpack_peer.IS_COPIED)))
    tensor = Consumer(view.__dlpack__(max_version=(1, 0)))
    assert (tensor.flags, tensor.address) == (0, view._address)  # else the consumer were the only one who has it
    tensor.delete()


@pytest.mark.parametrize("keywords, error", [
    (dict(stream=1), ValueError), (dict(stream="x"), TypeError), (dict(stream=-2), ValueError),
    (dict(max_version=1), TypeError), (dict(max_version=(1, 0, 0)), TypeError),
    (dict(max_version=("1", "0")), TypeError), (dict(dl_device=(2, 0, 0)), TypeError),
    (dict(dl_device=5), TypeError), (dict(dl_device=(99, 0)), BufferError),
    (dict(dl_device=(-1, 0)), (TypeError, BufferError)), (dict(unknown=1), TypeError)], ids=repr)
def test_arguments_that_make_no_sense_are_errors(keywords, error):
    view = ndbuf.view(MEMORY)

    def exchange():
        with pytest.raises(error):
            view.__dlpack__(**keywords)

    exchange()
    assert_no_leak(exchange, view, times=600)


def test_an_argument_cannot_release_the_view_while_it_is_used():
    view = ndbuf.view(bytearray(8))

    class Releasing:
        def __index__(self):
            view.release()
            return 1

    with pytest.raises(BufferError, match="in use"):
        view.__dlpack__(max_version=(Releasing(), 0))
    view.release()
    with pytest.raises(ValueError, match="released"):
        view.__dlpack__()


@pytest.mark.parametrize("view", [ndbuf.view(MEMORY)[::-1], ndbuf.view(MEMORY).reshape((8, 8))[:, 5::-2]],
                         ids=["one axis", "two axes"])
def test_negative_strides_are_refused_since_pytorch_ends_the_process_over_them(view):
    for keywords in (dict(), dict(max_version=(1, 3)), dict(copy=False), dict(copy=None)):
        with pytest.raises(BufferError, match="negative"):
            view.__dlpack__(**keywords)
    tensor = Consumer(view.__dlpack__(copy=True))
    assert all(step > 0 for step in tensor.strides)
    tensor.delete()


def test_a_negative_stride_over_a_single_item_is_none():
    tensor = Consumer(ndbuf.view(MEMORY)[:1][::-1].__dlpack__())
    assert (tensor.shape, tensor.strides) == ((1,), (1,))
    tensor.delete()
