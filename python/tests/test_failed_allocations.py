# SPDX-License-Identifier: Apache-2.0
"""Every allocation of Python's that a call makes, failing in turn: MemoryError each time, and nothing is left."""
import gc
import sys

import pytest
from machine import IS_FREE_THREADED

import ndbuf

pytestmark = pytest.mark.skipif(IS_FREE_THREADED, reason="PyList_New of 3.13 crashes where an allocation fails")
testcapi = pytest.importorskip("_testcapi", reason="this Python was built without its own test modules")

RECORD = "T{<i:a:(2)T{<h:x:<3s:y:}:b:<4w:t:}"
VALUE = (1, [(2, b"abc"), (3, b"def")], "text")


class Interface:
    def __init__(self, view):
        self.view, self.__array_interface__ = view, view.__array_interface__


def calls():
    memory = bytearray(range(48))
    view = ndbuf.view(memory).cast("<i", (3, 4))
    records = ndbuf.full(3, VALUE, RECORD)
    interface = Interface(view)
    producer = type("Producer", (), {"__dlpack__": lambda self, **keywords: view.__dlpack__(**keywords),
                                     "__dlpack_device__": lambda self: (1, 0)})()
    arrow = type("Producer", (), {"__arrow_c_array__": lambda self: view.__arrow_c_array__()})()
    return {
        "view of a buffer": lambda: ndbuf.view(memory), "view of a view": lambda: ndbuf.view(view),
        "view of an interface": lambda: ndbuf.view(interface), "view of a tensor": lambda: ndbuf.view(producer),
        "view of an Arrow array": lambda: ndbuf.view(arrow), "empty": lambda: ndbuf.empty((3, 4), "i"),
        "full": lambda: ndbuf.full(3, VALUE, RECORD), "slice": lambda: view[::-1, 1], "item": lambda: records[1],
        "field": lambda: records["b.y"], "tolist": records.tolist, "tobytes": view.T.tobytes, "copy": view.T.copy,
        "astype": lambda: view.astype("d"), "explain": lambda: view.explain("cpu"), "repr": lambda: repr(view),
        "set": lambda: records.__setitem__(1, VALUE), "assign": lambda: view.__setitem__(0, memory[:4]),
        "copy into": lambda: ndbuf.copy(view, view[::-1]), "reshape": lambda: view.reshape(-1),
        "shape": lambda: (view.shape, view.strides, view.device, view.format), "memoryview": lambda: memoryview(view.T),
        "exported tensor": lambda: view.__dlpack__(max_version=(1, 0)), "legacy tensor": view.__dlpack__,
        "exported Arrow array": view.__arrow_c_device_array__, "interface": lambda: view.__array_interface__,
        "fields": records._fields, "devices": ndbuf.devices,
        "deep shape": lambda: ndbuf.empty((1,) * 20), "shape of a range": lambda: ndbuf.empty(range(1, 3)),
    }


def fails(call, number):
    """Whether a call with allocation `number` failing, from 0, raises MemoryError."""
    testcapi.set_nomemory(number, number + 1)
    try:
        call()
    except MemoryError:
        return True
    finally:
        testcapi.remove_mem_hooks()
    return False


@pytest.mark.parametrize("what", calls())
def test_every_failed_allocation_is_a_memory_error(what):
    call = calls()[what]
    call()  # imports, and fills what is kept for later
    failing, number = [], 0
    while number < (failing or [0])[-1] + 50:  # some need not succeed, such as those for lists that are kept
        failing += [number] if fails(call, number) else []
        number += 1
    assert failing, "nothing was allocated"
    # Now the same, counted: nothing of a call that failed may be left. Caches grow at first, a leak grows each time.
    nsweeps, grown = 20, []
    for _ in range(5):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(nsweeps):
            for place in failing:
                fails(call, place)
        gc.collect()
        grown.append(sys.getallocatedblocks() - before)
    assert min(grown) < nsweeps, "%r blocks, after %d sweeps of %d failures each" % (grown, nsweeps, len(failing))
