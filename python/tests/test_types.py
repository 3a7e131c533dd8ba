# SPDX-License-Identifier: Apache-2.0
"""The type stubs against the module, as mypy sees them."""
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="mypy is not installed here")

PROGRAM = '''
import ndbuf

view: ndbuf.View = ndbuf.zeros((2, 3), "f", "cpu")
part: ndbuf.View = view[0, ..., None, ::2]
view[0] = 3
text: bytes = bytes(view) + view.tobytes("F")
shape: tuple[int, ...] = view.reshape([3, -1]).T.shape
memoryview(view)
with ndbuf.open("x", "r+", shape=3) as mapped:
    ndbuf.copy(mapped, part, casting="unsafe", stream=ndbuf.Queue("cpu"))
name: str = ndbuf.devices()[0].name
reason: str | None = ndbuf.backends()["cpu"]
'''
WRONG = ['view.copy("X")', 'view.shape = (3,)', 'ndbuf.copy(view, view, casting="sometimes")',
         'number: int = view.format', 'view[1.5]', 'ndbuf.open("x", "w")']


def run(folder, *arguments):
    """Runs a module in a folder, which gets its cache."""
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=300, cwd=folder)


def test_stubs_say_what_the_module_has(tmp_path):
    done = run(tmp_path, "mypy.stubtest", "ndbuf")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_is_checked_by_the_stubs(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "\n".join(WRONG))
    done = run(tmp_path, "mypy", "--strict", str(program))
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    first = PROGRAM.count("\n") + 1
    assert lines == set(range(first, first + len(WRONG))), done.stdout
