#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds copies between random layouts by ndbuf against NumPy and PyTorch, in one process: what no one thought of.

usage: compare_random_copies.py --library-folder FOLDER [--seed N] [--cases N] [--least NBYTES] [--most NBYTES]
                                [--rounds N] [--threads N] [--below RATIO] [--output FILE]

FOLDER holds libbench_host_copy_ways.so: build/release/bench. A layout has 1 to 5 axes, in any order on each side, with
gaps, pitches, axes turned round and, in the source, repeated ones; items of 1 to 16 bytes; of `least` to `most` bytes
together (512 to 8 MiB). What ndbuf made is looked at before anything is timed. Contenders take turns, the least time of
the rounds counts, and what is slower than a peer is measured once more, for longer. Cases in which the best peer's time
is then less than RATIO (0.95) of ndbuf's are printed, and at the end how many those are. Progress goes to stderr, all
cases, as JSON, to FILE. Exit status: 0 done; 1 a copy is wrong; 77 no NumPy.
"""
import argparse
import ctypes
import json
import math
import random
import sys

import host_copy_peers

MAX_NDIM = 16  # as in host_copy_case.h
PLAN = host_copy_peers.Ways.NAMES.index("plan")
ITEMSIZES = (1, 2, 3, 4, 6, 8, 12, 16)
MAX_SPAN = 256 << 20
ROUND_NS = 6e5
LIKELY_EXTENTS = (2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 31, 32, 33, 48, 63, 64, 100, 128)


class Case(ctypes.Structure):
    """host_copy_case."""
    _fields_ = [("suite", ctypes.c_char_p), ("name", ctypes.c_char_p), ("itemsize", ctypes.c_int64),
                ("ndim", ctypes.c_int32), ("shape", ctypes.c_int64 * MAX_NDIM),
                ("src_strides", ctypes.c_int64 * MAX_NDIM), ("dst_strides", ctypes.c_int64 * MAX_NDIM),
                ("src_offset", ctypes.c_int64), ("dst_offset", ctypes.c_int64), ("nbytes", ctypes.c_int64)]


def random_shape(rng, nitems):
    ndim = rng.randint(1, 5)
    shape = []
    for _ in range(ndim - 1):
        extent = int(math.exp(rng.uniform(0, math.log(max(nitems, 1.01)) * (0.7 if ndim > 2 else 1))))
        if extent > 2 and rng.random() < 0.5:
            extent = rng.choice(LIKELY_EXTENTS)
        extent = max(1, min(extent, nitems))
        shape.append(extent)
        nitems = max(1, nitems // extent)
    shape.append(nitems)
    rng.shuffle(shape)
    return shape


def random_side(rng, shape, repeats):
    """Strides and the offset of the first item, in items: a part of a larger block whose axes are in any order."""
    order = list(range(len(shape)))
    if rng.random() < 0.6:
        rng.shuffle(order)
    strides, offset, step = [0] * len(shape), 0, 1
    for axis in reversed(order):
        extent, kind = shape[axis], rng.random()
        if repeats and kind < 0.06:
            continue
        pitch, every = extent, 1
        if kind >= 0.75:
            every = rng.choice((2, 2, 2, 3, 4, 5))
            pitch = extent * every
        elif kind >= 0.55:
            pitch += rng.choice((1, 2, 3, 8, extent))
        offset += step * rng.randint(0, pitch - (extent - 1) * every - 1)
        strides[axis] = step * every
        step *= pitch
    if rng.random() < 0.15:
        axis = rng.randrange(len(shape))
        offset += strides[axis] * (shape[axis] - 1)
        strides[axis] = -strides[axis]
    return strides, offset


def random_case(rng, least, most):
    while True:
        itemsize = rng.choice(ITEMSIZES)
        nbytes = math.exp(rng.uniform(math.log(least), math.log(most)))
        shape = random_shape(rng, max(1, int(nbytes / itemsize)))
        case = {"name": "random", "itemsize": itemsize, "shape": shape, "bytes": itemsize * math.prod(shape)}
        for side in ("dst", "src"):
            case[side + "_strides"], case[side + "_offset"] = random_side(rng, shape, side == "src")
        spans = [case[side + "_offset"] + sum(max(0, stride * (extent - 1))
                                              for stride, extent in zip(case[side + "_strides"], shape))
                 for side in ("dst", "src")]
        if max(spans) * itemsize < MAX_SPAN:
            return case


def case_in_c(case):
    def array(values):
        return (ctypes.c_int64 * MAX_NDIM)(*values)
    return Case(b"random", b"random", case["itemsize"], len(case["shape"]), array(case["shape"]),
                array(case["src_strides"]), array(case["dst_strides"]), case["src_offset"], case["dst_offset"],
                case["bytes"])


def least_times(contenders, rounds, round_ns):
    """Nanoseconds of each, interleaved."""
    counts = {}
    for name, measure in contenders.items():
        measure(1)
        counts[name] = max(1, int(round_ns / max(measure(1), 50)))
    least = dict.fromkeys(contenders, math.inf)
    for _ in range(rounds):
        for name, measure in contenders.items():
            least[name] = min(least[name], measure(counts[name]))
    return least


def ratio_of(times):
    """The best peer's time by ndbuf's."""
    return min(ns for name, ns in times.items() if name != "ndbuf") / times["ndbuf"]


def contenders_of(run, peers):
    contenders = {"ndbuf": run.way(PLAN)}
    for peer in peers:
        try:
            contenders[peer.name] = peer.contender(run)
        except host_copy_peers.Unable:
            pass
    return contenders


def measure_case(run, peers, options):
    contenders = contenders_of(run, peers)
    if not run.is_right_after(contenders["ndbuf"]):
        print("compare_random_copies: ndbuf's copy is wrong: %s" % json.dumps(run.case), file=sys.stderr)
        sys.exit(1)
    times = least_times(contenders, options.rounds, ROUND_NS)
    if ratio_of(times) < options.below:
        times = least_times(contenders, 3 * options.rounds, 2 * ROUND_NS)
    return times


def report(results, below):
    ratios = sorted(result["ratio"] for result in results)
    print("the best peer's time by ndbuf's in %d cases: %.2f at least, below %.2f in 1 of 100, below %.2f in 1 of 10, "
          "%.2f in the median; %d below %.2f" % (len(ratios), ratios[0], ratios[len(ratios) // 100],
                                                 ratios[len(ratios) // 10], ratios[len(ratios) // 2],
                                                 sum(ratio < below for ratio in ratios), below))


def parse_options():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ", 1)[1].split("\n\n", 1)[0])
    parser.add_argument("--library-folder", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--least", type=int, default=512)
    parser.add_argument("--most", type=int, default=8 << 20)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--below", type=float, default=0.95)
    parser.add_argument("--output")
    options = parser.parse_args()
    if options.cases < 1 or options.rounds < 1 or options.threads < 1 or not 1 <= options.least <= options.most:
        parser.error("counts are 1 and more, and --least is at most --most")
    return options


def main():
    options = parse_options()
    try:
        peers = [host_copy_peers.NumpyPeer(options.library_folder, options.threads)]
    except host_copy_peers.Absent as error:
        print("compare_random_copies: %s" % error, file=sys.stderr)
        sys.exit(77)
    try:
        peers.append(host_copy_peers.TorchPeer(options.library_folder, options.threads))
    except host_copy_peers.Absent as error:
        print("compare_random_copies: without PyTorch: %s" % error, file=sys.stderr)
    ways = host_copy_peers.Ways(options.library_folder, options.threads)
    rng = random.Random(options.seed)
    results = []
    for number in range(options.cases):
        case = random_case(rng, options.least, options.most)
        run = host_copy_peers.Run(ways, case, ctypes.pointer(case_in_c(case)))
        times = measure_case(run, peers, options)
        run.close()
        results.append({"case": case, "ns": times, "ratio": ratio_of(times)})
        if results[-1]["ratio"] < options.below:
            print("%.2f  %s  itemsize %d shape %s dst %s src %s" % (
                results[-1]["ratio"], " ".join("%s %.0f ns" % pair for pair in times.items()), case["itemsize"],
                case["shape"], case["dst_strides"], case["src_strides"]), flush=True)
        if (number + 1) % 100 == 0:
            print("%d of %d" % (number + 1, options.cases), file=sys.stderr, flush=True)
    report(results, options.below)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump({"seed": options.seed, "threads": options.threads,
                       "versions": {peer.name: peer.version for peer in peers}, "cases": results}, file)


if __name__ == "__main__":
    main()
