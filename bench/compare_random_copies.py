#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds copies between random layouts by ndbuf against NumPy and PyTorch, in one process: what no one thought of.

usage: compare_random_copies.py --library-folder FOLDER [--seed N] [--cases N] [--least NBYTES] [--most NBYTES]
                                [--rounds N] [--below RATIO] [--output FILE]

FOLDER holds libbench_host_copy_ways.so: build/release/bench. A layout has 1 to 5 axes, in any order on each side, with
gaps, pitches, axes turned round and, in the source, repeated ones; items of 1 to 16 bytes; of `least` to `most` bytes
together (512 to 8 MiB). What ndbuf made is looked at before anything is timed. Contenders take turns, with one thread,
the least time of the rounds counts, and what is slower than a peer is measured once more, for longer. Cases in which
the best peer's time is then less than RATIO (0.95) of ndbuf's are printed, and at the end how many those are. Progress
goes to stderr, all cases, as JSON, to FILE. Exit status: 0 done; 1 a copy is wrong; 77 no NumPy.
"""
import ctypes
import json
import math
import sys

import host_copy_peers
import random_layouts

MAX_NDIM = 16  # as in host_copy_case.h
PLAN = host_copy_peers.Ways.NAMES.index("plan")
ITEMSIZES = (1, 2, 3, 4, 6, 8, 12, 16)


class Case(ctypes.Structure):
    """host_copy_case."""
    _fields_ = [("suite", ctypes.c_char_p), ("name", ctypes.c_char_p), ("itemsize", ctypes.c_int64),
                ("ndim", ctypes.c_int32), ("shape", ctypes.c_int64 * MAX_NDIM),
                ("src_strides", ctypes.c_int64 * MAX_NDIM), ("dst_strides", ctypes.c_int64 * MAX_NDIM),
                ("src_offset", ctypes.c_int64), ("dst_offset", ctypes.c_int64), ("nbytes", ctypes.c_int64)]


def random_case(rng, options):
    itemsize = rng.choice(ITEMSIZES)
    shape, dst, src = random_layouts.random_layout(rng, (itemsize, itemsize), options)
    return {"name": "random", "itemsize": itemsize, "shape": shape, "bytes": itemsize * math.prod(shape),
            "dst_strides": dst[0], "dst_offset": dst[1], "src_strides": src[0], "src_offset": src[1]}


def case_in_c(case):
    def array(values):
        return (ctypes.c_int64 * MAX_NDIM)(*values)
    return Case(b"random", b"random", case["itemsize"], len(case["shape"]), array(case["shape"]),
                array(case["src_strides"]), array(case["dst_strides"]), case["src_offset"], case["dst_offset"],
                case["bytes"])


def describe(case):
    return "itemsize %d shape %s dst %s src %s" % (case["itemsize"], case["shape"], case["dst_strides"],
                                                   case["src_strides"])


def contenders_of(run, peers):
    contenders = {"ndbuf": run.way(PLAN)}
    for peer in peers:
        try:
            contenders[peer.name] = peer.contender(run)
        except host_copy_peers.Unable:
            pass
    return contenders


def main():
    options = random_layouts.parse_options(__doc__)
    try:
        peers = [host_copy_peers.NumpyPeer(options.library_folder, 1)]
    except host_copy_peers.Absent as error:
        print("compare_random_copies: %s" % error, file=sys.stderr)
        sys.exit(77)
    try:
        peers.append(host_copy_peers.TorchPeer(options.library_folder, 1))
    except host_copy_peers.Absent as error:
        print("compare_random_copies: without PyTorch: %s" % error, file=sys.stderr)
    ways = host_copy_peers.Ways(options.library_folder, 1)

    def measure_case(case):
        run = host_copy_peers.Run(ways, case, ctypes.pointer(case_in_c(case)))
        contenders = contenders_of(run, peers)
        if not run.is_right_after(contenders["ndbuf"]):
            print("compare_random_copies: ndbuf's copy is wrong: %s" % json.dumps(case), file=sys.stderr)
            sys.exit(1)
        times = random_layouts.measure(contenders, options)
        run.close()
        return times

    random_layouts.measure_all(options, lambda rng: random_case(rng, options), measure_case, describe,
                               {peer.name: peer.version for peer in peers})


if __name__ == "__main__":
    main()
