# SPDX-License-Identifier: Apache-2.0
"""10,000 exchanges of each kind leave nothing behind, neither memory nor references."""
import gc
import itertools
import weakref

import pytest
from leak_check import IS_SANITIZED, assert_no_leak, find_leak
from machine import IS_FREE_THREADED

import ndbuf

pytestmark = pytest.mark.skipif(IS_FREE_THREADED, reason="what is counted leaves out mimalloc's memory")
numpy = pytest.importorskip("numpy")


@pytest.mark.skipif(IS_SANITIZED, reason="leaks are not looked for under the address sanitizer")
def test_a_leak_is_found():
    kept = []
    assert "Python blocks" in find_leak(lambda: kept.append(ndbuf.view(b"abc")), times=1000)
    kept = []
    assert "malloc bytes" in find_leak(lambda: kept.append(bytearray(1000)), times=1000)
    references, owner = [], object()
    with pytest.raises(AssertionError, match="reference counts"):
        assert_no_leak(lambda: references.append(owner), owner, times=10)


ARRAY = numpy.arange(24, dtype="f4").reshape(4, 6)
VIEW = ndbuf.view(ARRAY)
RECORDS = numpy.zeros(3, [("a", "<i4"), ("b", ">f8", (2, 2)), ("c", [("x", "u1"), ("y", "S3")])])
RECORDS_VIEW = ndbuf.view(RECORDS)


class ByInterface:
    __array_interface__ = ARRAY.__array_interface__


class ByStruct:
    def __init__(self):
        self.__array_struct__ = ARRAY.__array_struct__


class ByDlpack:
    __dlpack__ = staticmethod(ARRAY.__dlpack__)
    __dlpack_device__ = staticmethod(ARRAY.__dlpack_device__)


def fail(error, function, *arguments):
    with pytest.raises(error):
        function(*arguments)


EXCHANGES = {
    "view of a buffer": lambda: ndbuf.view(ARRAY),
    "view of a view": lambda: ndbuf.view(VIEW),
    "view by __array_interface__": lambda: ndbuf.view(ByInterface),
    "view by __array_struct__": lambda: ndbuf.view(ByStruct()),
    "view by __dlpack__": lambda: ndbuf.view(ByDlpack),
    "view of records": lambda: ndbuf.view(RECORDS),
    "memoryview": lambda: memoryview(VIEW),
    "numpy.asarray": lambda: numpy.asarray(VIEW),
    "numpy.asarray of records": lambda: numpy.asarray(RECORDS_VIEW),
    "numpy.from_dlpack": lambda: numpy.from_dlpack(VIEW),
    "__array_interface__": lambda: VIEW.__array_interface__,
    "__array__": lambda: VIEW.__array__(),
    "slices": lambda: VIEW[1:, ::-2, None].T.permute(1, 0, 2),
    "shapes": lambda: VIEW.reshape((2, -1)).broadcast_to((5, 2, 12)),
    "fields": lambda: RECORDS_VIEW["c"]["y"],
    "items": lambda: (VIEW[1, 2], VIEW.tolist(), VIEW.tobytes("F"), repr(VIEW)),
    "records as objects": lambda: RECORDS_VIEW.tolist(),
    "assignment": lambda: VIEW.__setitem__((slice(1, 3), 2), 7),
    "assignment of an array": lambda: VIEW.__setitem__(slice(1, 3), ARRAY[:2]),
    "new memory": lambda: (ndbuf.zeros((3, 4), "d"), ndbuf.full(5, 1 + 2j, "Zf"), ndbuf.empty((), "T{i:a:d:b:}")),
    "copies": lambda: (VIEW.copy("F"), VIEW.astype("h"), VIEW.to("cpu", copy=True), VIEW.cast("I")),
    "copy": lambda: ndbuf.copy(VIEW[::2], ARRAY[1::2]),
    "explain": lambda: VIEW.explain("cpu"),
    "devices": ndbuf.devices,
    "a queue": lambda: ndbuf.Queue("cpu").wait(),
    "release": lambda: ndbuf.view(ARRAY).release(),
    "a context": lambda: ndbuf.view(ARRAY).__enter__().__exit__(None, None, None),
    "no such protocol": lambda: fail(TypeError, ndbuf.view, 5),
    "no such format": lambda: fail(ValueError, ndbuf.zeros, 3, "T{i:a"),
    "no such device": lambda: fail(ValueError, ndbuf.zeros, 3, "i", "nowhere:0"),
    "no such field": lambda: fail((IndexError, ValueError), VIEW.__getitem__, "x"),
    "no such item": lambda: fail(IndexError, VIEW.__getitem__, 99),
    "not writable": lambda: fail((TypeError, BufferError), VIEW.toreadonly().__setitem__, 0, 1),
    "no such shape": lambda: fail(ValueError, VIEW.reshape, (5, 5)),
    "a tensor that is refused": lambda: fail(BufferError, RECORDS_VIEW.__dlpack__),
    "a value that does not fit": lambda: fail((TypeError, ValueError, OverflowError), VIEW.__setitem__, 0, "text"),
}


@pytest.mark.parametrize("what", EXCHANGES)
def test_ten_thousand_exchanges_leave_nothing_behind(what):
    slow = {"devices": 1000, "explain": 2000, "no such device": 2000}
    assert_no_leak(EXCHANGES[what], ARRAY, VIEW, RECORDS, RECORDS_VIEW, times=slow.get(what, 10000))


class Memory(bytearray):
    """With weak references."""


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_whatever_goes_last_keeps_the_memory_and_then_lets_it_go(order):
    memory = Memory(range(8))
    end = weakref.ref(memory)
    view = ndbuf.view(memory)
    holders = [view, view[2:], numpy.asarray(view), numpy.from_dlpack(view.cast("h"))]
    del memory, view
    for i in order:
        assert end() is not None
        last = holders[i]
        holders[i] = None
        assert bytes(memoryview(last))[-1] == 7
        del last
    gc.collect()
    assert end() is None


def test_a_released_view_lets_go_though_it_is_still_there():
    memory = Memory(8)
    end = weakref.ref(memory)
    view = ndbuf.view(memory)
    del memory
    view.release()
    assert end() is None
    assert view.released
