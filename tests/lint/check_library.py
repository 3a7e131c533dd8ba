#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the built libraries: exported symbols, soname, and what the loader needs.

usage: check_library.py [--write] [--cudart=LIBCUDART] SHARED_LIBRARY STATIC_LIBRARY INCLUDE_FOLDER SYMBOLS

The exported symbols, the functions declared NDBUF_API in the headers, and SYMBOLS (one name a line) must be the same;
--write makes SYMBOLS so. Every global symbol of the static library begins with ndbuf_, since it meets those of its
users. With --cudart, the functions of CUDA that the static library leaves undefined must be there, and the shared one
must have them inside. Needs nm and readelf. Exit status: 0 all is well, 1 not.
"""
import glob
import os
import re
import subprocess
import sys

# libc, and those that old versions of it kept apart.
NEEDED = {"libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout


def symbols_of(*nm_arguments):
    """The names that nm prints; of an archive, the lines that name a member are left out."""
    lines = [line.split() for line in output_of("nm", *nm_arguments).split("\n")]
    return {fields[-1].split("@")[0] for fields in lines if len(fields) in (2, 3)}


def declared(include_folder):
    names = set()
    for path in glob.glob(os.path.join(include_folder, "ndbuf", "*.h")):
        with open(path) as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        names |= set(re.findall(r"^NDBUF_API\b[^;{(]*?\b(ndbuf_\w+)\s*\(", text, flags=re.M))
    return names


def main():
    arguments = [a for a in sys.argv[1:] if a and not a.startswith("--")]
    cudart = [a.split("=", 1)[1] for a in sys.argv[1:] if a.startswith("--cudart=")]
    if len(arguments) != 4:
        sys.exit(__doc__)
    shared, static, include_folder, symbols_file = arguments
    exported = symbols_of("-D", "--defined-only", shared)
    if "--write" in sys.argv:
        with open(symbols_file, "w") as file:
            file.writelines(name + "\n" for name in sorted(exported))
    with open(symbols_file) as file:
        listed = set(file.read().split())
    complaints = []
    for name in sorted(exported - listed):
        complaints.append("%s is exported, but not in %s" % (name, os.path.basename(symbols_file)))
    for name in sorted(listed - exported):
        complaints.append("%s is in %s, but not exported" % (name, os.path.basename(symbols_file)))
    for name in sorted(declared(include_folder) ^ exported):
        complaints.append("%s is %s" % (name, "exported, but in no header" if name in exported
                                        else "in a header, but not exported"))
    for name in sorted(exported):
        if not name.startswith("ndbuf_") or name.startswith("ndbuf__"):
            complaints.append("%s is exported: public names begin with ndbuf_" % name)
    for name in sorted(symbols_of("-g", "--defined-only", static)):
        if not name.startswith("ndbuf_"):
            complaints.append("%s is global in %s: shared names begin with ndbuf_" % (name, os.path.basename(static)))

    for path in cudart:
        undefined = {name for name in symbols_of("-g", "--undefined-only", static) if re.match(r"cu[A-Z]|cuda", name)}
        if not undefined:
            complaints.append("%s calls nothing of CUDA" % os.path.basename(static))
        for name in sorted(undefined - symbols_of("-D", "--defined-only", path)):
            complaints.append("%s is called, but not in %s" % (name, os.path.basename(path)))
        for name in sorted(symbols_of("-D", "--undefined-only", shared)):
            if re.match(r"cu[A-Z]|cuda", name):
                complaints.append("%s is undefined in the shared library" % name)

    dynamic = output_of("readelf", "-d", "-W", shared)
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if name not in NEEDED:
            complaints.append("the library needs %s at load time" % name)
    versions = {}
    with open(os.path.join(include_folder, "ndbuf", "version.h")) as file:
        versions.update(re.findall(r"define NDBUF_VERSION_(\w+) (\d+)", file.read()))
    soname = "libndbuf.so.%s" % versions["MAJOR"]
    if versions["MAJOR"] == "0":
        soname += "." + versions["MINOR"]
    if re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) != [soname]:
        complaints.append("the soname is not %s" % soname)
    if re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", dynamic):
        complaints.append("the library has an rpath or text relocations")
    for text in complaints:
        print(text)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
