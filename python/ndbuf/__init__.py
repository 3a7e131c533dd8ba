# SPDX-License-Identifier: Apache-2.0
"""One buffer protocol for host and GPU memory.

    >>> import ndbuf
    >>> v = ndbuf.view(bytearray(range(12))).reshape((3, 4))
    >>> there = v[::-1, ::2].to("cpu", copy=True)     # or "opencl:0", "cuda:0"
    >>> there.tolist()
    [[8, 10], [4, 6], [0, 2]]
"""
import atexit
from typing import NamedTuple

from . import _ndbuf
from ._files import open
from ._ndbuf import Queue, View, __version__, _backends, can_cast, copy, empty, full, view, zeros
from ._pillow import from_pil
from ._pyopencl import from_pyopencl

__all__ = ["Device", "Queue", "View", "backends", "can_cast", "copy", "devices", "empty", "from_pil", "from_pyopencl",
           "full", "open", "view", "zeros"]


class Device(NamedTuple):
    """What a device says about itself."""
    name: str  # as the functions of this package take it
    description: str
    driver: str
    memory_nbytes: int  # 0: unknown
    host_accessible: bool  # the host can touch its memory
    simulated: bool  # no hardware behind it


atexit.register(_ndbuf._end)


def devices() -> list[Device]:
    """All devices here."""
    return [Device(*device) for _, _, found in _backends() for device in found]


def backends() -> dict[str, str | None]:
    """The backends by name, each with the reason why it has no device here; None if it has one."""
    return {name: reason or None for name, reason, _ in _backends()}
