# SPDX-License-Identifier: Apache-2.0
"""How the module ends with its interpreter, and that it is for the main one."""
import os
import subprocess
import sys

import machine
import pytest
from leak_check import IS_SANITIZED

import ndbuf

ENDINGS = {
    "views are alive": "keep = ndbuf.view(memory), ndbuf.zeros(5, 'i', device), ndbuf.view(memory)[1:]",
    "a buffer is exported": "keep = memoryview(ndbuf.view(memory))",
    "a tensor is not consumed": "keep = ndbuf.zeros(5, 'i', device).__dlpack__()",
    "an Arrow array is not consumed": "keep = ndbuf.zeros(5, 'i', device).__arrow_c_device_array__()",
    "a view is in a cycle": "keep = [ndbuf.view(memory)]; keep.append(keep)",
    "a view's owner points back": "class O(bytearray): pass\nkeep = O(8); keep.view = ndbuf.view(keep)",
    "a finalizer uses a view": """
class Last:
    view = ndbuf.view(memory)
    def __del__(self):
        self.view[::-1].tolist()
keep = Last()""",
    "copies are under way": """
keep = ndbuf.Queue(device), ndbuf.empty(1 << 20, 'B', device)
for _ in range(20):
    ndbuf.copy(keep[1], bytes(1 << 20), stream=keep[0])""",
    "another thread copies": """
import threading
copied = threading.Event()
def work(copied=copied):
    while True:
        ndbuf.zeros((512, 512), 'i', device).T.to('cpu', copy=True)
        copied.set()
threading.Thread(target=work, daemon=True).start()
copied.wait() # to open a device later may be too late""",
    "another thread opens the device": """
import threading
def work(device=device):
    try:
        ndbuf.zeros(5, 'i', device)
    except RuntimeError:
        pass # too late
threading.Thread(target=work, daemon=True).start()""",
    "another thread looks for devices at exit": """
import atexit, threading
def work(find=ndbuf.devices):
    try:
        find()
    except RuntimeError:
        pass
@atexit.register
def start(thread=threading.Thread(target=work, daemon=True)):
    try:
        thread.start()
    except RuntimeError:
        pass # Python 3.12 starts none so late""",
    "a thread waits at exit": """
import atexit
keep = ndbuf.Queue(device)
atexit.register(keep.wait)""",
    "the module is imported anew": """
import sys
keep = ndbuf.view(memory)
for name in [name for name in sys.modules if name.startswith('ndbuf')]:
    del sys.modules[name]
first = ndbuf
import ndbuf
assert ndbuf.view(keep).tolist() == keep.tolist()""",
}


# Their threads may be overtaken by the end while they open a device or copy: nothing cleans up behind them.
OVERTAKEN = ["another thread copies", "another thread opens the device", "another thread looks for devices at exit"]


@pytest.mark.parametrize("what", ENDINGS)
@machine.on_every_device
def test_the_interpreter_ends_in_silence_while(what, device):
    if IS_SANITIZED and device.startswith("opencl:") and what == "another thread copies":
        pytest.skip("the address sanitizer fails over threads of PoCL that the end of the process overtakes")
    code = "import ndbuf\ndevice, memory = %r, bytearray(64)\n%s\n" % (device, ENDINGS[what])
    environment = dict(os.environ)
    if what in OVERTAKEN:
        environment.pop("CUDASIM_STRICT", None)  # which wants every thread to clean up
    command = [sys.executable, "-X", "faulthandler", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_interpreters_are_refused_since_memory_is_released_from_any_thread():
    testcapi = pytest.importorskip("_testcapi", reason="this Python was built without its own test modules")
    code = """
try:
    import ndbuf
except ImportError as error:
    assert "main interpreter" in str(error), error
else:
    raise AssertionError("ndbuf was imported")
"""
    assert testcapi.run_in_subinterp(code) == 0
    assert ndbuf.view(b"ab").tolist() == [97, 98]
