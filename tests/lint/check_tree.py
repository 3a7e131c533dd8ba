#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the source tree that no compiler knows. CONTRIBUTING.md has them in words.

usage: check_tree.py ROOT [COMPILE_COMMANDS]

With a compile_commands.json, every C file must be part of that build, too. Prints each breach as FILE:LINE: TEXT.
Exit status: 0 none, 1 some.
"""
import json
import os
import re
import sys

SKIPPED_FOLDERS = {".git", "build", "__pycache__"}
REPEATED_NAMES = {"CMakeLists.txt", "README.md", "run"}
MAX_LINES = 600
MAX_COLUMNS = 120

# C11 without <threads.h>, which macOS lacks.
PORTABLE_HEADERS = set(
    "assert ctype errno float inttypes limits math signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib"
    " stdnoreturn string time wchar".split())
# The files that hide what the systems do not share.
SYSTEM_HEADERS = {
    "core/sync.h": {"pthread.h", "process.h", "windows.h"},
    "core/environment.c": {"unistd.h", "link.h", "sys/auxv.h"},
    "core/float_mode.h": {"xmmintrin.h"},  # of x86 processors
    "core/ref_count.h": {"sys/single_threaded.h"},  # where __has_include finds it
    "include/ndbuf/mpi.h": {"mpi.h"},
}

# What the library's own code may not say, and where it may after all.
FORBIDDEN = [
    # (folders, pattern, what, files that may)
    (("core", "backends"), r"\b(abort|exit|_Exit|quick_exit)\s*\(", "the library never ends the program", ()),
    (("core", "backends"), r"\b(v?f?printf|f?puts|putchar|perror)\s*\(", "the library never prints", ()),
    (("core", "backends"), r"\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strn?dup)\s*\(",
     "host memory comes from core/host_alloc.h", ("core/host_alloc.c", "backends/null/null_backend.c")),
    (("core", "include"), r"\b(pthread_\w+|(thrd|mtx|cnd|tss)_\w+)\b", "threads come from core/sync.h",
     ("core/sync.h",)),
    (("core", "include"), r"\b(ssize_t|off_t|usleep|nanosleep|clock_gettime|strtok_r|dlopen|mmap)\b",
     "Windows or macOS lack it", ()),
]

# Which quoted headers the files of a folder may include, as prefixes; the first folder that fits counts.
INCLUDABLE = [
    ("include/ndbuf", ("ndbuf/",)),
    ("core", ("ndbuf/", "core/")),
    ("backends/null", ("ndbuf/", "null_backend.h")),  # stands for a backend outside the library
    ("backends/cpu", ("ndbuf/", "core/", "backends/cpu/", "backends/kernels/")),
    ("backends/cuda", ("ndbuf/", "core/", "backends/cuda/", "backends/kernels/")),
    ("backends/opencl", ("ndbuf/", "core/", "backends/opencl/", "backends/kernels/")),
    ("backends", ("ndbuf/", "core/", "backends/{1}/")),
    ("tests/backends", ("ndbuf/", "core/", "tests/", "backends/{2}/", "backends/kernels/")),
    ("tests/cudasim", ("tests/", "backends/kernels/", "backends/cuda/cuda_api.h", "ndbuf/")),
    ("tests/tools", ("ndbuf/", "core/", "tests/", "tools/")),
    ("tests/bench", ("tests/", "bench/")),
    ("tests/headers", ("ndbuf/",)),
    ("tests/install", ()),
    ("tests", ("ndbuf/", "core/", "tests/", "backends/null/")),
    ("tools", ("ndbuf/",)),  # and what lies beside the file
    ("bench", ("ndbuf/", "bench/", "core/copy_plan.h")),  # which closes routes
    ("examples", ("ndbuf/",)),
    ("python", ("ndbuf/", "py_ndbuf.h")),
]
# libc, then ndbuf/ and what lies beside the file, then core/ and a backend's own; tests/support stands where it likes.
ORDER = {"<": 0, "core/": 2, "backends/": 2}

breaches = []


def breach(path, line, text):
    breaches.append("%s:%d: %s" % (path, line, text))


def tree(root):
    """All files of the tree, relative to it, with '/'."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
        for name in sorted(set(files) - SKIPPED_FOLDERS):  # .git is a file in a second work tree
            yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def without_comments_and_strings(text):
    """The code alone, with its line feeds kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def includes(text):
    """[(line, '<' or '"', name)]"""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            found.append((number, match.group(1), match.group(2)))
    return found


def check_text(path, text):
    lines = text.split("\n")
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
        breach(path, 1, "no line 'SPDX-License-Identifier: Apache-2.0' at the top")
    if len(lines) - 1 > MAX_LINES:
        breach(path, MAX_LINES, "%d lines: past %d, split it by its second noun" % (len(lines) - 1, MAX_LINES))
    formatted = True
    for number, line in enumerate(lines, 1):
        if "clang-format o" in line:
            formatted = "clang-format on" in line
        if len(line) > MAX_COLUMNS and formatted:
            breach(path, number, "%d columns" % len(line))
        if re.search(r"\s$", line):
            breach(path, number, "white space at the end")
    if not text.endswith("\n"):
        breach(path, len(lines), "no line feed at the end")


def check_paths(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if re.search(r"(?<![\w.}/-])/(home|root|work|Users)/\w", line):
            breach(path, number, "a path of somebody's machine")


def own_header(path, files):
    """The header that a C file implements, as it includes it; None: it has none."""
    stem = os.path.splitext(path)[0] + ".h"
    if stem in files:
        return stem
    public = "include/ndbuf/" + os.path.basename(stem)
    return public[len("include/"):] if path.startswith("core/") and public in files else None


def check_includes(path, text, files):
    found = includes(text)
    folders = path.split("/")
    allowed = next((prefixes for folder, prefixes in INCLUDABLE if path.startswith(folder + "/")), None)
    for number, quote, name in found:
        if name == "cmocka.h" and path != "tests/support/test.h":
            breach(path, number, "cmocka is included through tests/support/test.h")
        if quote == '"':
            beside = "/" not in name and path.startswith("tools/") and "tools/" + name in files
            if allowed is not None and not beside and not name.startswith(tuple(a.format(*folders) for a in allowed)):
                breach(path, number, "may not include \"%s\"" % name)
        elif path.startswith(("core/", "include/")):
            if name[:-len(".h")] not in PORTABLE_HEADERS and name not in SYSTEM_HEADERS.get(path, ()):
                breach(path, number, "<%s> is not portable C11" % name)
        elif name.startswith("ndbuf/") and not path.startswith("tests/install/"):
            breach(path, number, "our own headers are included with quotes")
    # The own header may be the internal one of the same noun: "core/copy_core.h" in core/copy.c.
    own = own_header(path, files) if path.endswith(".c") else None
    noun = os.path.basename(path).split(".")[0].split("_")[0]
    first = os.path.basename(found[0][2]) if found else ""
    if own is not None and not re.match(re.escape(noun) + "[_.]", first):
        breach(path, found[0][0] if found else 1, "the file's own header, \"%s\", comes first" % own)
    rest = found[1:] if found and found[0][1] == '"' else found
    rank = 0
    for number, quote, name in rest:
        if name in SYSTEM_HEADERS.get(path, ()) or name.startswith("tests/"):
            continue
        place = next((at for prefix, at in ORDER.items() if quote == prefix or name.startswith(prefix)), 1)
        if place < rank and path != "tests/support/test.h":
            breach(path, number, "include order: own header, libc, ndbuf/, core/")
        rank = max(rank, place)


def check_code(path, text):
    code = without_comments_and_strings(text)
    for folders, pattern, what, excepted in FORBIDDEN:
        if path.startswith(tuple(f + "/" for f in folders)) and path not in excepted:
            for match in re.finditer(pattern, code):
                breach(path, code.count("\n", 0, match.start()) + 1, "'%s': %s" % (match.group(1), what))


def check_names(files):
    seen = {}
    for path in files:
        name = os.path.basename(path)
        if name.startswith("-"):
            breach(path, 1, "a program took an option for the name of its output")
        if name not in REPEATED_NAMES and not name.startswith(".") and not path.startswith("bench/results/"):
            if name in seen:
                breach(path, 1, "%s is called so, too" % seen[name])
            seen[name] = path


def check_public_headers(root, files):
    with open(os.path.join(root, "CMakeLists.txt")) as file:
        match = re.search(r"set\(NDBUF_PUBLIC_HEADERS\s+([^)]*)\)", file.read())
    listed = set(match.group(1).split())
    present = {os.path.basename(path) for path in files if path.startswith("include/ndbuf/")}
    for name in sorted(listed ^ present):
        breach("CMakeLists.txt", 1, "%s is %s" % (name, "missing in NDBUF_PUBLIC_HEADERS" if name in present
                                                  else "in NDBUF_PUBLIC_HEADERS, but no file"))


def check_readme(root):
    try:
        with open(os.path.join(root, "README.md")) as file:
            readme = file.read()
        with open(os.path.join(root, "examples/strided_copy.c")) as file:
            example = file.read()
    except OSError as error:
        breach(os.path.relpath(error.filename, root), 1, "cannot be read")
        return
    if example not in re.findall(r"^```c\n(.*?)^```$", readme, flags=re.S | re.M):
        breach("README.md", 1, "no ```c block is the text of examples/strided_copy.c")


def check_all_are_built(root, files, compile_commands):
    with open(compile_commands) as file:
        built = {os.path.relpath(os.path.join(c["directory"], c["file"]), root) for c in json.load(file)}
    # What other builds compile: Python's, without a backend, with clang, or with nothing but the installed library.
    elsewhere = ("python/src/", "tests/install/consumer/", "backends/cuda/cuda_not_built.c",
                 "backends/opencl/opencl_not_built.c", "backends/cpu/cpu_kernels_")  # each for its processors
    for path in files:
        fuzzer = os.path.basename(path).startswith("fuzz_")
        if path.endswith(".c") and path not in built and not fuzzer and not path.startswith(elsewhere):
            breach(path, 1, "no target of this build compiles it")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = os.path.abspath(sys.argv[1])
    files = list(tree(root))
    for path in files:
        if path.startswith("tests/oracle/vectors/") or path == "LICENSE":
            continue
        try:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue  # a picture, or a seed of a fuzzer
        is_script = text.startswith("#!")
        if path.endswith((".c", ".h", ".cpp", ".cl", ".py", ".cmake", ".in", "CMakeLists.txt")) or is_script:
            check_text(path, text)
        if path.endswith((".c", ".h", ".c.in")):
            check_includes(path, text, set(files))
            check_code(path, text)
        check_paths(path, text)
    check_names(files)
    check_public_headers(root, files)
    check_readme(root)
    if len(sys.argv) == 3:
        check_all_are_built(root, files, sys.argv[2])
    for text in breaches:
        print(text)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
