#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether a source distribution holds all that a wheel is built from.

usage: check_sdist.py SDIST        from the root of the tree

Prints each tracked file that is missing. Exit status: 0 none, 1 some.
"""
import re
import subprocess
import sys
import tarfile

# What is built with the package is not all of the tree.
NEEDED = re.compile(r"(backends|cmake|core|include)/|python/(?!tests/)|(CMakeLists\.txt|LICENSE|pyproject\.toml)$")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    with tarfile.open(sys.argv[1]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    needed = [name for name in tracked if NEEDED.match(name)]
    missing = [name for name in needed if name not in held]
    for name in missing:
        print("%s is missing" % name)
    return 1 if missing or not needed else 0


if __name__ == "__main__":
    sys.exit(main())
