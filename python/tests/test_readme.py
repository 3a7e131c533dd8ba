# SPDX-License-Identifier: Apache-2.0
"""README.md's part about Python, run as if pasted; it shows examples/pillow_on_device.py and what that prints."""
import pathlib
import re

import pytest

pytest.importorskip("PIL")
pytest.importorskip("numpy")

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks():
    """(language, text) of the fenced blocks of the part."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    part = readme[readme.index("\n## In Python\n"):readme.index("\n## The command\n")]
    return re.findall(r"^```(\w*)\n(.*?)^```$", part, flags=re.S | re.M)


def test_what_the_readme_shows_can_be_pasted_and_prints_what_it_says(capsys):
    found = blocks()
    assert [language for language, _ in found] == ["python", "", "python"]
    assert found[0][1] == (ROOT / "examples/pillow_on_device.py").read_text(encoding="utf-8")
    namespace = {}
    exec(found[0][1], namespace)
    assert capsys.readouterr().out == found[1][1]
    exec(found[2][1], namespace)


def test_the_packages_own_readme_can_be_pasted():
    text = (ROOT / "python/README.md").read_text(encoding="utf-8")
    for program in re.findall(r"^```python\n(.*?)^```$", text, flags=re.S | re.M):
        exec(program, {})
