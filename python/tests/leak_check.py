# SPDX-License-Identifier: Apache-2.0
"""Whether something that is done often leaves memory behind."""
import ctypes
import gc
import sys


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def _find_mallinfo():
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is not None:
        mallinfo.restype = _Mallinfo
    return mallinfo


_mallinfo = _find_mallinfo()
# The address sanitizer holds back what is freed, and is here for other mistakes.
IS_SANITIZED = hasattr(ctypes.CDLL(None), "__asan_init")


def _allocated_nbytes():
    """Bytes that malloc has given out; 0 where that is not known."""
    if _mallinfo is None:
        return 0
    info = _mallinfo()
    return info.uordblks + info.hblkhd


def _resident_nbytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def _measure():
    gc.collect()
    return {"Python blocks": sys.getallocatedblocks(), "malloc bytes": _allocated_nbytes(),
            "resident bytes": _resident_nbytes()}


# Far less than one byte, or one object, for each of 10,000 exchanges; pages, of which the sanitizer keeps some, apart.
LIMITS = {"Python blocks": 500, "malloc bytes": 8000, "resident bytes": 4 << 20}


def find_leak(exchange, times=10000):
    """Calls exchange() often; a text about what it leaves behind, or None. What is kept for later, as caches and free
    lists, grows in a first round, a leak in each one."""
    text = None
    if IS_SANITIZED:
        for _ in range(10):
            exchange()
        return None
    for _ in range(3):
        before = _measure()
        for _ in range(times):
            exchange()
        after = _measure()
        too_much = ["%d %s" % (after[name] - before[name], name) for name in after
                    if after[name] - before[name] > LIMITS[name]]
        text = "after %d times: %s more" % (times, ", ".join(too_much))
        if not too_much:
            return None
    return text


def assert_no_leak(exchange, *owners, times=10000):
    """The same as an assertion; owners' reference counts must be as before, too."""
    counts = [sys.getrefcount(owner) for owner in owners]
    leak = find_leak(exchange, times)
    assert leak is None, leak
    assert [sys.getrefcount(owner) for owner in owners] == counts, "reference counts of the owners"
