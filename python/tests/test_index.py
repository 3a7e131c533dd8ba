# SPDX-License-Identifier: Apache-2.0
"""v[...] and v[...] = x, beside nested lists that are sliced the slow way."""
import ctypes
import itertools
import random
import sys

import machine
import pytest

import ndbuf

SHAPE = (4, 3, 5)
ITEMS = [[[100 * i + 10 * j + k for k in range(SHAPE[2])] for j in range(SHAPE[1])] for i in range(SHAPE[0])]


def view_of_items(device="cpu"):
    view = ndbuf.empty(SHAPE, "h")
    for i, j, k in itertools.product(*map(range, SHAPE)):
        view[i, j, k] = ITEMS[i][j][k]
    return view.to(device)


def select(items, keys):
    """What a tuple of ints and slices, one for each axis, selects from nested lists."""
    if not keys:
        return items
    if isinstance(keys[0], slice):
        return [select(item, keys[1:]) for item in items[keys[0]]]
    return select(items[keys[0]], keys[1:])


def complete(keys, ndim):
    """Keys without '...', one for each axis."""
    full = slice(None)
    if ... in keys:
        place = keys.index(...)
        return keys[:place] + (full,) * (ndim - len(keys) + 1) + keys[place + 1:]
    return keys + (full,) * (ndim - len(keys))


def random_key(choices, extent):
    if choices.random() < 0.4:
        return choices.randrange(-extent, extent)
    bound = lambda: choices.choice([None, choices.randint(-2 * extent, 2 * extent), sys.maxsize, -sys.maxsize - 1])
    return slice(bound(), bound(), choices.choice([None, 1, 2, 3, -1, -2, -3, 7, -7, sys.maxsize, -sys.maxsize]))


@machine.on_every_device
def test_random_keys_select_what_lists_do(device):
    seed = random.randrange(2 ** 32)
    choices = random.Random(seed)
    view = view_of_items(device)
    for _ in range(300 if device == "cpu" else 40):
        keys = tuple(random_key(choices, extent) for extent in SHAPE[:choices.randint(0, 3)])
        if choices.random() < 0.3:
            keys += (...,) + tuple(random_key(choices, extent) for extent in SHAPE[choices.randint(len(keys), 3):])
        expected = select(ITEMS, complete(keys, 3))
        try:
            chosen = view[keys] if len(keys) != 1 else view[keys[0]]
            found = chosen.tolist() if isinstance(chosen, ndbuf.View) else chosen
            assert found == expected
        except Exception as error:
            raise AssertionError(f"seed {seed}, keys {keys}") from error


def test_ints_for_all_axes_give_an_item_and_dots_give_a_view():
    view = view_of_items()
    assert view[1, 2, 3] == 123 and type(view[1, 2, 3]) is int
    assert view[1, 2, 3, ...].shape == () and view[1, 2, 3, ...].tolist() == 123
    assert view[-1, -1, -1] == 324


def test_none_is_a_new_axis():
    view = view_of_items()
    assert view[None].shape == (1, 4, 3, 5)
    assert view[..., None].shape == (4, 3, 5, 1)
    assert view[0, None, :, None].shape == (1, 3, 1, 5)
    assert view[None, 0, 0, 0].shape == (1,)


def test_whatever_has_index_is_an_index():
    class Two:
        def __index__(self):
            return 2

    assert view_of_items()[Two(), 1].tolist() == ITEMS[2][1]
    assert view_of_items()[0:Two()].tolist() == ITEMS[0:2]


@pytest.mark.parametrize("key, error", [
    (4, IndexError), (-5, IndexError), (2 ** 70, IndexError), ((0, 3), IndexError), ((0, 0, 0, 0), IndexError),
    ((..., ...), IndexError), ("x", IndexError), (slice(None, None, 0), ValueError), (1.0, TypeError),
    (slice(1.0), TypeError), (True, TypeError), ([0, 1], TypeError), (b"x", TypeError), ("x\0y", ValueError),
])
def test_bad_keys_are_refused_for_reading_and_writing(key, error):
    view = view_of_items()
    with pytest.raises(error):
        view[key]
    with pytest.raises(error):
        view[key] = 1
    assert view.tolist() == ITEMS


def test_an_exception_of_an_index_goes_through():
    class Bad:
        def __index__(self):
            raise RuntimeError("not an index")

    for key in (Bad(), slice(Bad(), None), (0, Bad())):
        with pytest.raises(RuntimeError, match="not an index"):
            view_of_items()[key]


def test_views_are_iterated_over_along_their_first_axis():
    view = view_of_items()
    assert [part.tolist() for part in view] == ITEMS
    assert [part.tolist() for part in reversed(view)] == ITEMS[::-1]
    assert list(view[0, 0]) == ITEMS[0][0] and 3 in view[0, 0]
    assert list(view[:0]) == []


def test_the_sequence_protocol_counts_once_from_the_end():
    get = ctypes.pythonapi.PySequence_GetItem
    get.restype, get.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.c_ssize_t]
    view = ndbuf.view(bytearray(range(4)))
    assert [get(view, index) for index in range(-4, 4)] == [0, 1, 2, 3] * 2
    for index in (-9, -8, -5, 4):
        with pytest.raises(IndexError):
            get(view, index)


def test_a_view_without_axes_cannot_be_iterated_over():
    view = ndbuf.full((), 5, "d")
    for use in (iter, list):
        with pytest.raises(TypeError, match="0-d"):
            use(view)
    view.release()
    with pytest.raises(ValueError, match="released"):
        iter(view)


# -- fields --


def test_fields_by_name_and_by_path():
    view = ndbuf.zeros((2, 2), "T{<i:id:T{<f:x:<f:y:}:pos:(3)<H:rgb:}")
    view[0, 1] = (7, (1.5, 2.5), (1, 2, 3))
    assert view["id"].tolist() == [[0, 7], [0, 0]]
    assert view["pos.y"].tolist() == view["pos"]["y"].tolist() == [[0.0, 2.5], [0.0, 0.0]]
    assert view["rgb"].shape == (2, 2, 3) and view["rgb"][0, 1].tolist() == [1, 2, 3]
    assert view[0, 1] == (7, (1.5, 2.5), [1, 2, 3])
    assert view["id", 0, 1] == view[0, 1, "id"] == 7
    view["pos.x"] = 4
    assert view["pos"].tolist() == [[(4.0, 0.0), (4.0, 2.5)], [(4.0, 0.0), (4.0, 0.0)]]
    with pytest.raises(IndexError, match="no field"):
        view["pos.z"]


def test_records_in_arrays_nest():
    view = ndbuf.zeros(1, "T{(2)T{<h:a:<b:b:}:r:<i:n:}")
    view[0] = ([(1, 2), (3, 4)], 5)
    assert view.tolist() == [([(1, 2), (3, 4)], 5)]
    assert view["r.b"].tolist() == [[2, 4]]


# -- assignment --


@machine.on_every_device
def test_an_item_a_row_and_everything_can_be_set(device):
    view = view_of_items(device)
    view[0, 0, 0] = -1
    view[1] = 7
    view[2, :, ::-2] = ndbuf.view(b"\1\2\3")
    expected = [[list(row) for row in plane] for plane in ITEMS]
    expected[0][0][0] = -1
    expected[1] = [[7] * 5] * 3
    for row in expected[2]:
        row[4], row[2], row[0] = 1, 2, 3
    assert view.tolist() == expected
    view[...] = 0
    assert view.tolist() == [[[0] * 5] * 3] * 4


def test_assignment_broadcasts_and_converts_within_a_kind():
    view = ndbuf.zeros((2, 3), "f")
    view[...] = ndbuf.full(3, 1.5, "d")
    assert view.tolist() == [[1.5] * 3] * 2
    with pytest.raises(ValueError):
        view[...] = ndbuf.zeros(2, "f")
    whole = ndbuf.zeros((2, 3), "i")
    with pytest.raises(TypeError, match="same_kind"):
        whole[...] = view


def test_axes_of_one_item_before_those_of_the_destination_count_for_nothing():
    view = ndbuf.zeros((2, 3), "i")
    view[...] = ndbuf.full((1, 1, 1, 3), 5, "i")
    assert view.tolist() == [[5] * 3] * 2
    view[1, 2] = ndbuf.full((1, 1), 7, "i")
    assert view.tolist() == [[5] * 3, [5, 5, 7]]
    with pytest.raises(ValueError):
        view[...] = ndbuf.zeros((2, 1, 3), "i")


def test_what_has_memory_is_assigned_as_an_array_though_it_passes_for_a_number():
    class Tensor:
        def __init__(self, view):
            self.view = view

        def __dlpack__(self, **keywords):
            return self.view.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.view.__dlpack_device__()

        def __float__(self):
            return 9.0

    view = ndbuf.zeros((2, 2), "f")
    view[1] = Tensor(ndbuf.full(2, 3, "f"))
    view[0, 0] = Tensor(ndbuf.full((), 4, "f"))
    assert view.tolist() == [[4.0, 0.0], [3.0, 3.0]]


def test_overlapping_assignment_reads_first():
    view = ndbuf.view(bytearray(range(8)))
    view[1:] = view[:-1]
    assert view.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    view[...] = view[::-1]
    assert view.tolist() == [6, 5, 4, 3, 2, 1, 0, 0]


def test_bytes_are_assigned_to_bytes_as_a_bytearray_is():
    view = ndbuf.view(bytearray(5))
    view[0:3] = b"abc"
    view[:2:-1] = b"de"
    assert view.tobytes() == b"abced"
    view[...] = b"x"
    assert view.tobytes() == b"xxxxx"
    with pytest.raises(ValueError):
        view[0:3] = b"abcd"
    with pytest.raises(TypeError):
        view[0] = b"a"
    strings = ndbuf.zeros(2, "3s")
    strings[:] = b"abc"
    assert strings.tolist() == [b"abc", b"abc"]


def test_an_integer_is_assigned_by_its_value_also_if_it_is_an_array_without_axes():
    class Scalar(ctypes.c_int64):
        shape = ()

        def __index__(self):
            return self.value

    view = ndbuf.zeros(4, "B")
    view[0], view[1:3] = Scalar(5), Scalar(6)
    assert view.tolist() == [5, 6, 6, 0]
    with pytest.raises(OverflowError):
        view[0] = Scalar(256)
    Scalar.shape = (1,)
    with pytest.raises(TypeError, match="same_kind"):
        view[:] = Scalar(5)


@pytest.mark.parametrize("value, error", [
    (2 ** 15, OverflowError), (-2 ** 15 - 1, OverflowError), (2 ** 200, OverflowError), (-2 ** 200, OverflowError),
    (1.5, TypeError), ("1", TypeError), (b"1", TypeError), (1j, TypeError), ((1, 2), ValueError), ((), ValueError),
    ([1], TypeError), (None, TypeError), ({}, TypeError), (object(), TypeError),
])
def test_values_that_are_no_such_item_are_refused_and_nothing_is_changed(value, error):
    view = ndbuf.full(3, 5, "h")
    with pytest.raises(error):
        view[:2] = value
    assert view.tolist() == [5, 5, 5]


def test_read_only_views_and_deletion_are_refused():
    view = ndbuf.view(bytes(4))
    with pytest.raises(TypeError, match="read-only"):
        view[0] = 1
    with pytest.raises(TypeError, match="deleted"):
        del view[0]
