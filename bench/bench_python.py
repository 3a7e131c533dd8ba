#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an exchange of memory with the Python package costs, beside the same between Python's and NumPy's own types.

usage: bench_python.py [--rounds N] [--only PART_OF_NAME] [--json] [--check]

For an environment with ndbuf (pip install .) and NumPy. Each case has calls that do the like; in each round each
call is timed once, some thousand times in a row, in random order. Medians and quartiles are of a call in ns; the ratio
is the median over the rounds of a call's time to the first one's in the same round. Progress goes to stderr, a table to
stdout, or JSON. Exit status: 0 done; 1 with --check, if a ratio is above its limit.
"""
import argparse
import array
import json
import platform
import random
import statistics
import sys
import timeit

import numpy

import ndbuf

ROUND_NS = 4e6  # what a call's turn in a round takes, about


class OnlyDlpack:
    """An array without its other protocols."""

    def __init__(self, array):
        self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__


def make_cases():
    """{case: {call's name: (function, limit of its ratio to the first, or None)}}"""
    cases = {}
    record = numpy.dtype([("a", "i4"), ("b", "f8")])
    for name, source in (("0-d", numpy.zeros(())), ("1-d", numpy.zeros(1000)), ("3-d", numpy.zeros((4, 5, 6))),
                         ("strided", numpy.zeros((40, 50))[::2, ::-1]), ("records", numpy.zeros(10, record))):
        buffer, view = memoryview(source), ndbuf.view(source)
        cases["numpy.asarray, " + name] = {
            "of a memoryview": (lambda buffer=buffer: numpy.asarray(buffer), None),
            "of a View": (lambda view=view: numpy.asarray(view), 1.3),
        }
    for name, other in (("an array.array", array.array("d", bytes(8000))), ("a bytearray", bytearray(8000))):
        cases["numpy.asarray, 1-d"]["of " + name] = (lambda other=other: numpy.asarray(other), None)
    source = numpy.zeros((4, 5, 6))
    view, buffer, small, smaller = ndbuf.view(source), memoryview(source), ndbuf.zeros(100, "d"), numpy.zeros(100)
    flat = memoryview(numpy.zeros(1000))
    other, another = small.copy(), smaller.copy()
    cases["take an ndarray's memory"] = {
        "memoryview": (lambda: memoryview(source), None),
        "numpy.asarray(memoryview)": (lambda: numpy.asarray(memoryview(source)), None),
        "ndbuf.view": (lambda: ndbuf.view(source), None),
    }
    cases["memoryview"] = {
        "of a memoryview": (lambda: memoryview(buffer), None),
        "of an ndarray": (lambda: memoryview(source), None),
        "of a View": (lambda: memoryview(view), None),
    }
    producer = OnlyDlpack(source)
    cases["DLPack, out of one and into another"] = {
        "ndarray to NumPy": (lambda: numpy.from_dlpack(source), None),
        "View to NumPy": (lambda: numpy.from_dlpack(view), None),
        "ndarray to ndbuf": (lambda: ndbuf.view(producer), None),
        "there and back": (lambda: ndbuf.view(OnlyDlpack(numpy.from_dlpack(view))), None),
    }
    cases["a slice"] = {
        "of a memoryview, [1:900:2]": (lambda: flat[1:900:2], None),
        "of an ndarray, [1:, ::2, 3]": (lambda: source[1:, ::2, 3], None),
        "of a View, [1:, ::2, 3]": (lambda: view[1:, ::2, 3], None),
    }
    cases["a copy of 100 doubles"] = {
        "numpy.copyto": (lambda: numpy.copyto(another, smaller), None),
        "ndbuf.copy": (lambda: ndbuf.copy(other, small), None),
    }
    return cases


def measure(calls, rounds, choices):
    """{call's name: ns in each round}"""
    timers = {name: timeit.Timer(function) for name, (function, _) in calls.items()}
    counts = {name: max(1, int(ROUND_NS / (timer.timeit(1000) * 1e6))) for name, timer in timers.items()}
    times = {name: [] for name in timers}
    for _ in range(rounds):
        for name in choices.sample(list(timers), len(timers)):
            times[name].append(timers[name].timeit(counts[name]) / counts[name] * 1e9)
    return times


def report(case, calls, times):
    first = next(iter(times.values()))
    rows = []
    for name, spent in times.items():
        low, middle, high = statistics.quantiles(spent, n=4)
        ratio = statistics.median(mine / its for mine, its in zip(spent, first))
        rows.append({"case": case, "call": name, "median_ns": round(middle, 1), "quartiles_ns": [round(low, 1),
                     round(high, 1)], "ratio": round(ratio, 3), "limit": calls[name][1]})
    return rows


def print_table(rows):
    case = None
    for row in rows:
        if row["case"] != case:
            case = row["case"]
            print(case)
        limit = "" if row["limit"] is None else "  limit %.2f" % row["limit"]
        print("  %-30s %8.0f ns  (%.0f to %.0f)  ratio %.2f%s"
              % (row["call"], row["median_ns"], *row["quartiles_ns"], row["ratio"], limit))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=31, help="31 if not given")
    parser.add_argument("--only", default="", metavar="PART_OF_NAME", help="cases with this in their name")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit status 1 if a ratio is above its limit")
    options = parser.parse_args()
    choices, rows = random.Random(1), []
    for case, calls in make_cases().items():
        if options.only in case:
            print(case, file=sys.stderr)
            rows += report(case, calls, measure(calls, options.rounds, choices))
    if options.json:
        versions = {"python": platform.python_version(), "numpy": numpy.__version__, "ndbuf": ndbuf.__version__}
        json.dump({"versions": versions, "machine": platform.machine(), "rounds": options.rounds, "results": rows},
                  sys.stdout, indent=1)
        print()
    else:
        print_table(rows)
    above = [row for row in rows if row["limit"] is not None and row["ratio"] > row["limit"]]
    for row in above:
        print("above its limit: %s %s" % (row["case"], row["call"]), file=sys.stderr)
    return 1 if options.check and above else 0


if __name__ == "__main__":
    sys.exit(main())
