#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds converting copies on the host by ndbuf against numpy.copyto and memcpy, in one process.

usage: compare_convert.py --library-folder FOLDER [--only PART_OF_NAME]... [--rounds N] [--repeat N] [--quick]
                          [--output FILE] [--keep]

FOLDER holds libbench_host_convert_ways.so: build/release/bench. Each contender converts between the same buffers, with
one thread, and what ndbuf made is compared with what NumPy made before anything is timed. memcpy copies half of the
bytes that a conversion reads and writes together, so that it reads and writes as many. In each round each contender is
timed once, in random order. Progress goes to stderr, the result, as JSON, to FILE or stdout; with --keep, cases in FILE
that are not measured again stay there. Exit status: 0 done; 1 ndbuf and NumPy differ; 2 no such case; 77 no NumPy.
"""
import argparse
import ctypes
import datetime
import json
import os
import sys

import compare_host_copy
import host_convert_cases
import host_copy_peers
import host_copy_stats

try:
    import numpy
except ImportError as missing:
    print("compare_convert: %s" % missing, file=sys.stderr)
    sys.exit(77)

WAYS = ("memcpy", "plain", "copy", "plan")  # as in host_convert_run.h
CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
         "f2": "e", "f4": "f", "f8": "d", "c8": "Zf", "c16": "Zd"}


class Side(ctypes.Structure):
    _fields_ = [("format", ctypes.c_char_p), ("nbytes", ctypes.c_int64), ("offset", ctypes.c_int64),
                ("strides", ctypes.POINTER(ctypes.c_int64))]


class Case(ctypes.Structure):
    _fields_ = [("dst", Side), ("src", Side), ("ndim", ctypes.c_int32), ("has_plain", ctypes.c_int32),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("memcpy_nbytes", ctypes.c_int64)]


def format_of(dtype):
    if dtype.names is None:
        code = CODES["b1" if dtype.kind == "b" else "%s%d" % (dtype.kind, dtype.itemsize)]
        return (">" if dtype.str[0] == ">" else "<") + code
    text, position = "", 0
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        text += "x" * (offset - position) + "%s:%s:" % (format_of(field), name)
        position = offset + field.itemsize
    return "T{%s}" % (text + "x" * (dtype.itemsize - position))


class Ways:
    def __init__(self, folder):
        os.environ["NDBUF_CPU_THREADS"] = "1"  # before ndbuf reads it
        self.library = ctypes.CDLL(os.path.join(folder, "libbench_host_convert_ways.so"))
        pointer, error = ctypes.c_void_p, ctypes.POINTER(host_copy_peers.Error)
        for name, result, arguments in [
                ("host_convert_run_create", ctypes.c_int, [ctypes.POINTER(Case), ctypes.POINTER(pointer), error]),
                ("host_convert_run_destroy", None, [pointer]),
                ("host_convert_run_dst", pointer, [pointer]),
                ("host_convert_run_src", pointer, [pointer]),
                ("host_convert_run_time", ctypes.c_int, [pointer, ctypes.c_int, ctypes.c_long,
                                                         ctypes.POINTER(ctypes.c_double), error])]:
            function = getattr(self.library, name)
            function.restype = result
            function.argtypes = arguments


class Run:
    """A case with its buffers."""

    def __init__(self, ways, case):
        self.library, self.case = ways.library, case
        self.error, self.handle = host_copy_peers.Error(), ctypes.c_void_p()
        self.types = {key: numpy.dtype(case[key]["dtype"]) for key in ("dst", "src")}
        ndim = len(case["shape"])
        numbers = ctypes.c_int64 * ndim
        shape = numbers(*case["shape"])
        sides = {key: Side(format_of(self.types[key]).encode(), case[key]["nbytes"], case[key]["offset"],
                           numbers(*case[key]["strides"])) for key in ("dst", "src")}
        one = Case(sides["dst"], sides["src"], ndim, case["is_swap"], shape, case["bytes"])
        self.check(self.library.host_convert_run_create(ctypes.byref(one), ctypes.byref(self.handle),
                                                        ctypes.byref(self.error)))
        self.dst_bytes = self.bytes_at(self.library.host_convert_run_dst(self.handle), case["dst"]["nbytes"])
        self.src_bytes = self.bytes_at(self.library.host_convert_run_src(self.handle), case["src"]["nbytes"])
        self.dst, self.src = self.array("dst", self.dst_bytes), self.array("src", self.src_bytes)
        self.fill()

    @staticmethod
    def bytes_at(address, nbytes):
        return numpy.frombuffer((ctypes.c_char * nbytes).from_address(address), "u1")

    def array(self, key, buffer):
        side = self.case[key]
        return numpy.ndarray(self.case["shape"], self.types[key], buffer, side["offset"], side["strides"])

    def fill(self):
        """Values that every destination has: within a hundred of 0, whole ones for integers."""
        rng = numpy.random.default_rng(1)
        least = 0 if self.types["dst"].kind == "u" else -100
        self.src_bytes[:] = 0

        def put(array):
            if array.dtype.names is not None:
                for name in array.dtype.names:
                    put(array[name])
            elif array.dtype.kind == "b":
                array[...] = rng.integers(0, 2, array.shape)
            elif array.dtype.kind in "iu":
                array[...] = rng.integers(0 if array.dtype.kind == "u" else least, 100, array.shape)
            else:
                array[...] = rng.uniform(least, 100, array.shape)
        put(self.src)

    def check(self, status):
        if status != 0:
            raise RuntimeError("%s: status %d: %s" % (self.case["name"], status, self.error.message.decode()))

    def way(self, name):
        """time(count) of one of the ways in C."""
        ns, number = ctypes.c_double(), WAYS.index(name)

        def measure(count):
            self.check(self.library.host_convert_run_time(self.handle, number, count, ctypes.byref(ns),
                                                          ctypes.byref(self.error)))
            return ns.value
        return measure

    def contenders(self):
        dst, src = self.dst, self.src
        found = {name: self.way(name) for name in WAYS if name != "plain" or self.case["is_swap"]}
        found["numpy"] = lambda count: host_copy_peers.repeat(copy_by_numpy, dst, src, count)
        return found

    def verify(self, contenders):
        """Whether ndbuf's ways make what NumPy makes, in the whole buffer."""
        self.dst_bytes[:] = 0x5A
        contenders["numpy"](1)
        expected = self.dst_bytes.copy()
        for name in ("copy", "plan"):
            self.dst_bytes[:] = 0x5A
            contenders[name](1)
            if not numpy.array_equal(self.dst_bytes, expected):
                sys.exit("compare_convert: %s: ndbuf's %s and numpy.copyto differ" % (self.case["name"], name))

    def close(self):
        self.library.host_convert_run_destroy(self.handle)


def copy_by_numpy(dst, src):
    numpy.copyto(dst, src, casting="unsafe")


def read_cases(options):
    cases = []
    for case in host_convert_cases.all_cases(lambda dtype: numpy.dtype(dtype).itemsize):
        if not options.only or any(part in case["name"] for part in options.only):
            cases.append(dict(case, bytes=(case["bytes_read"] + case["bytes_written"]) // 2,
                              suite="convert", **{"class": case["layout"]}))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library-folder", required=True)
    parser.add_argument("--only", action="append")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--quick", action="store_true", help="3 rounds, one pass; else 9 and 3")
    parser.add_argument("--output")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 9)
    npasses = options.repeat or (1 if options.quick else 3)
    cases = read_cases(options)
    if not cases:
        print("compare_convert: no such case", file=sys.stderr)
        return 2

    ways = Ways(options.library_folder)
    passes = {case["name"]: [] for case in cases}
    for at, case in enumerate(cases):
        run = Run(ways, case)
        contenders = run.contenders()
        run.verify(contenders)
        for _ in range(npasses):
            passes[case["name"]].append(compare_host_copy.measure(run, contenders, rounds))
        run.close()
        case["ways"] = {way: host_copy_stats.of_way(passes[case["name"]], way) for way in sorted(contenders)}
        print("[%d/%d] %-28s %s" % (at + 1, len(cases), case["name"], "  ".join(
            "%s %.2f" % (way, case["ways"][way]["best"]["ratio"]) for way in case["ways"] if way != "memcpy")),
              file=sys.stderr, flush=True)
        for key in ("dst", "src"):
            case[key] = format_of(numpy.dtype(case[key]["dtype"]))
    if options.keep and os.path.exists(options.output):
        cases = merged(options.output, cases)
    result = {"bench": "host_convert", "threads": 1, "rounds": rounds, "passes": npasses,
              "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
              "commit": compare_host_copy.ask("git", "rev-parse", "HEAD"),
              "changed_since_commit": bool(compare_host_copy.ask("git", "status", "--porcelain",
                                                                 "--untracked-files=no")),
              "machine": compare_host_copy.describe_machine(),
              "peers": {"numpy": {"version": numpy.__version__,
                                  "call": "numpy.copyto(casting='unsafe'), repeated in Python"}},
              "note": "ratio: to memcpy of half the bytes that are read and written together",
              "summary": host_copy_stats.summary(cases)}
    compare_host_copy.write_result(result, cases, options.output)
    return 0


def merged(path, cases):
    """The cases of a result with these in place of those of the same names, in the order of the list."""
    with open(path, encoding="utf-8") as file:
        found = {case["name"]: case for case in json.load(file)["cases"]}
    found.update((case["name"], case) for case in cases)
    names = [case["name"] for case in host_convert_cases.all_cases(lambda dtype: numpy.dtype(dtype).itemsize)]
    return [found[name] for name in names if name in found]


if __name__ == "__main__":
    sys.exit(main())
