#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a wheel of the package holds what it should, and needs nothing but libc.

usage: check_wheel.py WHEEL

Prints each breach. Exit status: 0 none, 1 some. Needs readelf and nm (binutils).
"""
import os
import re
import subprocess
import sys
import tempfile
import zipfile

NEEDED = re.compile(r"(libc|libm|libdl|libpthread|librt|ld-linux-[\w-]+)\.so\.\d+")
FILES = {"ndbuf/__init__.py", "ndbuf/_array_interface.py", "ndbuf/_files.py", "ndbuf/_ndbuf.abi3.so",
         "ndbuf/_ndbuf.pyi", "ndbuf/_pillow.py", "ndbuf/_pyopencl.py", "ndbuf/py.typed"}


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def breaches(path):
    if not re.fullmatch(r"ndbuf-[\d.]+-cp311-abi3-\w+\.whl", os.path.basename(path)):
        yield "not a wheel for all Pythons from 3.11 on: %s" % os.path.basename(path)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        files = {name for name in names if ".dist-info/" not in name}
        for name in sorted(files ^ FILES):
            yield "%s is %s" % (name, "missing" if name in FILES else "no file of the package")
        if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
            yield "the license is missing"
        if "ndbuf/_ndbuf.abi3.so" not in names:
            return
        module = wheel.extract("ndbuf/_ndbuf.abi3.so", folder)
        dynamic = ask("readelf", "--dynamic", "--wide", module)
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            if not NEEDED.fullmatch(name):
                yield "the module needs %s" % name
        if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
            yield "the module looks for libraries in a path of its own"
        defined = {line.split()[-1] for line in ask("nm", "--dynamic", "--defined-only", module).splitlines()}
        if defined != {"PyInit__ndbuf"}:
            yield "the module exports %s" % ", ".join(sorted(defined))


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    found = list(breaches(sys.argv[1]))
    for text in found:
        print(text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
