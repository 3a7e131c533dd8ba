# SPDX-License-Identifier: Apache-2.0
"""Arrow's arrays and buffers, by PyArrow."""
import gc

import pytest
from leak_check import assert_no_leak

import ndbuf

pyarrow = pytest.importorskip("pyarrow")

TYPES = {"int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q", "uint8": "<B", "uint16": "<H", "uint32": "<I",
         "uint64": "<Q", "float16": "<e", "float32": "<f", "float64": "<d"}


@pytest.mark.parametrize("name", TYPES)
def test_arrays_of_numbers_are_seen_and_read_only(name):
    array = pyarrow.array([0, 1, 2, 3, 4, 5]).cast(getattr(pyarrow, name)())
    view = ndbuf.view(array)
    assert (view.format, view.readonly, view.tolist()) == (TYPES[name], True, [0, 1, 2, 3, 4, 5])
    assert ndbuf.view(array[2:5]).tolist() == [2, 3, 4]
    with pytest.raises(TypeError):
        view[0] = 1


def test_arrays_with_missing_values_and_of_other_kinds_are_refused():
    for array in (pyarrow.array([1, None, 3]), pyarrow.array(["a", "b"]), pyarrow.array([[1], [2, 3]])):
        with pytest.raises((BufferError, TypeError, ValueError)):
            ndbuf.view(array)


def test_buffers_go_both_ways():
    view = ndbuf.view(pyarrow.py_buffer(b"abcd"))
    assert (view.readonly, view.tobytes()) == (True, b"abcd")
    memory = bytearray(b"abcd")
    buffer = pyarrow.py_buffer(ndbuf.view(memory)[1:])
    assert buffer.is_mutable
    memory[2] = 120
    assert buffer.to_pybytes() == b"bxd"
    array = pyarrow.Array.from_buffers(pyarrow.int16(), 2, [None, pyarrow.py_buffer(ndbuf.full(2, 258, "<h"))])
    assert array.to_pylist() == [258, 258]


def test_an_array_outlives_its_owner_and_is_let_go():
    gc.collect()
    before = pyarrow.total_allocated_bytes()
    array = pyarrow.array(range(1000))
    with_array = pyarrow.total_allocated_bytes()
    assert with_array >= before + 8000
    view = ndbuf.view(array)[990:]
    del array
    assert view.tolist() == list(range(990, 1000))
    assert pyarrow.total_allocated_bytes() >= with_array  # and what PyArrow allocates for the exchange
    del view
    assert pyarrow.total_allocated_bytes() == before


def test_ten_thousand_exchanges_leave_nothing_behind():
    array = pyarrow.array(range(10))
    view = ndbuf.zeros(10, "<q")
    assert_no_leak(lambda: (ndbuf.view(array), pyarrow.py_buffer(view)), array, view)
