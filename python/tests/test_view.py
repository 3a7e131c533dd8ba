# SPDX-License-Identifier: Apache-2.0
"""A View: what it says about itself, how its shape changes, how long it and its memory live."""
import gc
import mmap
import pydoc
import sys
import threading
import weakref

import machine
import pytest

import ndbuf


def numbers(count=24):
    """`count` ints of 4 bytes, 0, 1, 2 ... in a bytearray."""
    return bytearray(b"".join(k.to_bytes(4, sys.byteorder) for k in range(count)))


def view_of_numbers(*shape):
    count = 1
    for extent in shape:
        count *= extent
    return ndbuf.view(numbers(count)).cast("i").reshape(shape)


# -- what it says about itself --


def test_facts_of_a_packed_view():
    view = view_of_numbers(2, 3, 4)
    assert view.format == ("<i" if sys.byteorder == "little" else ">i")
    assert (view.itemsize, view.ndim, view.nbytes) == (4, 3, 96)
    assert (view.shape, view.strides, view.suboffsets) == ((2, 3, 4), (48, 16, 4), ())
    assert (view.device, view.readonly, view.released) == ("cpu", False, False)
    assert (view.c_contiguous, view.f_contiguous, view.contiguous) == (True, False, True)


def test_facts_of_a_view_with_strides():
    view = view_of_numbers(4, 6)[::-1, ::2]
    assert (view.shape, view.strides, view.nbytes) == ((4, 3), (-24, 8), 48)
    assert (view.c_contiguous, view.f_contiguous, view.contiguous) == (False, False, False)


def test_a_transposed_view_is_contiguous_the_other_way():
    view = view_of_numbers(4, 6).T
    assert (view.shape, view.strides) == ((6, 4), (4, 24))
    assert (view.c_contiguous, view.f_contiguous, view.contiguous) == (False, True, True)


def test_a_view_of_no_axes_has_one_item():
    view = ndbuf.full((), 7, "h")
    assert (view.shape, view.strides, view.ndim, view.nbytes) == ((), (), 0, 2)
    assert view[()] == view.tolist() == 7
    with pytest.raises(TypeError, match="0-d"):
        len(view)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (0, 2 ** 40)])
def test_a_view_without_items_is_contiguous_both_ways(shape):
    view = ndbuf.empty(shape, "d")
    assert (view.shape, view.nbytes, view.c_contiguous, view.f_contiguous) == (shape, 0, True, True)
    assert view.tobytes() == b""


def test_repr_names_what_matters():
    view = ndbuf.view(bytes(8)).cast("=i")
    assert repr(view) == "<ndbuf.View shape=(2,) format='<i' device='cpu' readonly>"
    view.release()
    assert repr(view) == "<ndbuf.View, released>"


def test_len_is_the_first_extent_and_a_view_can_be_walked_through():
    view = view_of_numbers(3, 2)
    assert len(view) == 3
    assert [row.tolist() for row in view] == [[0, 1], [2, 3], [4, 5]]
    assert list(view[1]) == [2, 3]


def test_a_format_with_names_that_are_no_utf_8_survives():
    format = "T{<i:\udcff\udcfe:}"
    view = ndbuf.zeros(2, format)
    assert view.format == format
    assert view["\udcff\udcfe"].tolist() == [0, 0]


def test_a_view_cannot_be_made_by_its_type():
    with pytest.raises(TypeError, match="cannot create"):
        ndbuf.View()


def test_every_public_name_has_a_docstring():
    without = [name for name in ndbuf.__all__ if not pydoc.getdoc(getattr(ndbuf, name))]
    for type_ in (ndbuf.View, ndbuf.Queue):
        without += [name for name in vars(type_) if not pydoc.getdoc(vars(type_)[name])
                    and name not in ("__doc__", "__module__", "__weakref__", "__hash__", "__dlpack_c_exchange_api__")]
    assert without == []


# -- devices --


def test_the_host_is_a_device_and_every_other_one_says_what_it_is():
    found = ndbuf.devices()
    assert found[0].name == "cpu" and found[0].host_accessible
    assert all(device.description for device in found)
    assert len({device.name for device in found}) == len(found)


def test_each_backend_has_a_device_or_a_reason():
    with_devices = {device.name.split(":")[0] for device in ndbuf.devices()}
    for name, reason in ndbuf.backends().items():
        assert (name in with_devices) == (reason is None), (name, reason)


@machine.on_every_device
def test_new_memory_is_where_it_was_asked_for(device):
    view = ndbuf.zeros((2, 3), "h", device)
    assert view.device == device and view.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert ndbuf.full(2, 1.5, "d", device=device).tolist() == [1.5, 1.5]
    assert ndbuf.empty((5, 0), "d", device).shape == (5, 0)


@machine.on_every_device
def test_a_device_can_be_given_by_dlpacks_numbers(device):
    tag = ndbuf.empty(1, device=device).__dlpack_device__()
    assert ndbuf.empty(1, device=tag).device == device


# -- shapes --


def test_permute_takes_axes_one_by_one_or_together_and_negative_ones():
    view = view_of_numbers(2, 3, 4)
    assert view.permute(2, 0, 1).shape == view.permute((2, 0, 1)).shape == view.permute(-1, 0, 1).shape == (4, 2, 3)
    assert view.permute(2, 0, 1).strides == (4, 48, 16)
    assert view.T.strides == (4, 16, 48)


@pytest.mark.parametrize("axes, error", [((0, 1), ValueError), ((0, 0, 1), ValueError), ((0, 1, 3), IndexError),
                                         ((0, 1, -4), IndexError), ((0, 1, "2"), TypeError)])
def test_permute_refuses_what_is_no_permutation(axes, error):
    with pytest.raises(error):
        view_of_numbers(2, 3, 4).permute(*axes)


def test_reshape_completes_one_extent():
    view = view_of_numbers(4, 6)
    assert view.reshape((3, -1)).shape == (3, 8)
    assert view.reshape(-1).tolist() == list(range(24))
    assert view.T.reshape((12, 2), order="F").strides == (4, 48)


@pytest.mark.parametrize("shape", [(5, 5), (-1, -1), (-1, 5), (-2, 12), (2 ** 40, 2 ** 40, -1), (0, -1),
                                   (2, -2 ** 63, 2), (-1, -2 ** 63, 2), (3, -2 ** 62, 4, -1)])
def test_reshape_refuses_what_does_not_fit(shape):
    with pytest.raises(ValueError):
        view_of_numbers(4, 6).reshape(shape)


def test_reshape_never_copies():
    with pytest.raises(BufferError):
        view_of_numbers(4, 6).T.reshape(24)
    with pytest.raises(ValueError, match="order"):
        view_of_numbers(4, 6).reshape(24, order="A")


class Shape:
    def __iter__(self):
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError("of its own")])
def test_what_a_shape_raises_comes_through(error):
    shape = Shape()
    shape.error = error
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        ndbuf.empty(shape)
    shape.error = TypeError("of its own")
    with pytest.raises(TypeError, match="shape must be an int or a sequence of ints"):
        ndbuf.empty(shape)


def test_cast_reads_the_same_bytes():
    view = view_of_numbers(2, 2)
    assert view.cast("B").shape == (2, 8)
    assert view.cast("<H", (8,)).tolist() == [0, 0, 1, 0, 2, 0, 3, 0]
    view.cast("B")[0, 0] = 9
    assert view[0, 0] == 9
    with pytest.raises(ValueError):
        view.cast("3s")
    with pytest.raises(BufferError):
        view[:, ::-1].cast("B")


def test_broadcast_is_read_only_where_an_item_has_two_indices():
    view = view_of_numbers(3)
    assert view.broadcast_to((2, 3)).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert view.broadcast_to((2, 3)).readonly and not view.broadcast_to((1, 3)).readonly
    with pytest.raises(ValueError):
        view.broadcast_to((2, 4))


def test_a_read_only_view_of_writable_memory():
    memory = bytearray(4)
    view = ndbuf.view(memory).toreadonly()
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1
    assert ndbuf.view(view).readonly and memoryview(view).readonly and memory == bytes(4)


# -- life --


def test_a_view_of_a_view_is_another_one():
    view = view_of_numbers(3)
    other = ndbuf.view(view)
    assert other is not view
    view.release()
    assert other.tolist() == [0, 1, 2]


def test_a_view_keeps_the_object_alive_and_lets_go_of_it():
    class Bytes(bytearray):
        pass

    memory = Bytes(8)
    gone = weakref.ref(memory)
    view = ndbuf.view(memory)
    part = view[2:]
    del memory, view
    assert gone() is not None and part.tolist() == [0] * 6
    del part
    assert gone() is None


def test_memory_cannot_be_resized_while_it_is_viewed():
    memory = bytearray(8)
    view = ndbuf.view(memory)
    with pytest.raises(BufferError):
        memory.append(1)
    view.release()
    memory.append(1)


def test_a_mapping_can_be_closed_after_release():
    memory = mmap.mmap(-1, 4096)
    view = ndbuf.view(memory)
    with pytest.raises(BufferError):
        memory.close()
    view.release()
    memory.close()


def test_a_released_view_refuses_everything_but_release():
    view = view_of_numbers(3)
    view.release()
    view.release()
    assert view.released
    for use in (lambda: view.shape, lambda: view[0], lambda: len(view), view.tolist, view.tobytes, view.copy,
                lambda: view.T, lambda: view.to("cpu"), lambda: ndbuf.view(view), lambda: ndbuf.copy(view, view),
                view.__dlpack__, view.__dlpack_device__, view.__enter__, lambda: view.__array_interface__,
                lambda: memoryview(view), lambda: view.explain("cpu"), view._fields, view.__arrow_c_array__):
        with pytest.raises(ValueError, match="released"):
            use()
    with pytest.raises(ValueError, match="released"):
        view[0] = 1


def test_a_view_in_a_with_statement_is_released_at_its_end():
    memory = bytearray(8)
    with ndbuf.view(memory) as view:
        view[0] = 1
    memory.clear()
    with pytest.raises(KeyError):
        with ndbuf.view(memory) as view:
            raise KeyError
    assert view.released


def test_an_exported_view_cannot_be_released():
    view = view_of_numbers(3)
    exported = memoryview(view)
    with pytest.raises(BufferError, match="1 exported"):
        view.release()
    exported.release()
    view.release()


@machine.on_every_device
def test_a_slice_outlives_what_it_was_sliced_from(device):
    view = view_of_numbers(4, 6).to(device, copy=True)
    part = view[1:3, ::2]
    view.release()
    gc.collect()
    assert part.tolist() == [[6, 8, 10], [12, 14, 16]]


def test_views_have_weak_references():
    view = view_of_numbers(3)
    seen = []
    reference = weakref.ref(view, lambda _: seen.append(True))
    assert reference() is view
    del view
    assert seen == [True] and reference() is None


def test_a_view_is_released_in_one_thread_while_others_use_it():
    """Each use sees the view whole, or is told that it is released."""
    unexpected = []

    def use(view, start):
        start.wait()
        try:
            while True:
                if view[::-1].tolist() != [3, 2, 1, 0] or view.shape != (4,):
                    unexpected.append("a torn view")
        except ValueError as error:
            if "released" not in str(error):
                unexpected.append(error)

    for _ in range(20):
        view = view_of_numbers(4)
        start = threading.Barrier(4)
        threads = [threading.Thread(target=use, args=(view, start)) for _ in range(3)]
        for thread in threads:
            thread.start()
        start.wait()
        while not view.released:
            try:
                view.release()
            except BufferError:
                pass
        for thread in threads:
            thread.join()
    assert unexpected == []
