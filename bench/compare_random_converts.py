#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds converting copies between random formats and layouts by ndbuf against numpy.copyto, in one process.

usage: compare_random_converts.py --library-folder FOLDER [--seed N] [--cases N] [--least NBYTES] [--most NBYTES]
                                  [--rounds N] [--below RATIO] [--output FILE]

FOLDER holds libbench_host_convert_ways.so: build/release/bench. Formats are those of NumPy's numbers in both byte
orders, the two sides' the same but for it in every fourth case; layouts, times and what is printed are those of
compare_random_copies.py, where `least` and `most` count the wider of the two items. What ndbuf made is compared with
what NumPy made before anything is timed. Exit status: 0 done; 1 ndbuf and NumPy differ; 77 no NumPy.
"""
import math
import warnings

import compare_convert
import numpy
import random_layouts

DTYPES = tuple(compare_convert.CODES)


def in_order(dtype, order):
    return dtype if numpy.dtype(dtype).itemsize == 1 else order + dtype


def random_dtypes(rng):
    """Of the destination and the source: they are never equal."""
    while True:
        dst, src = rng.choice(DTYPES), rng.choice(DTYPES)
        if rng.random() < 0.25:
            dst, src = in_order(dst, "<"), in_order(dst, ">")
        else:
            dst, src = (in_order(dtype, rng.choice("<<<>")) for dtype in (dst, src))
        if dst != src:
            return dst, src


def random_case(rng, options):
    dtypes = random_dtypes(rng)
    itemsizes = [numpy.dtype(dtype).itemsize for dtype in dtypes]
    shape, *sides = random_layouts.random_layout(rng, itemsizes, options)
    case = {"name": "random", "shape": shape, "bytes": sum(itemsizes) * math.prod(shape) // 2,
            "is_swap": numpy.dtype(dtypes[0]).newbyteorder() == numpy.dtype(dtypes[1])}
    for key, dtype, itemsize, side in zip(("dst", "src"), dtypes, itemsizes, sides):
        strides, offset = side
        case[key] = {"dtype": dtype, "strides": [itemsize * stride for stride in strides],
                     "offset": itemsize * offset, "nbytes": itemsize * random_layouts.nitems_of(shape, side)}
    return case


def describe(case):
    return "%s <- %s shape %s dst %s src %s" % (case["dst"]["dtype"], case["src"]["dtype"], case["shape"],
                                                case["dst"]["strides"], case["src"]["strides"])


def main():
    options = random_layouts.parse_options(__doc__)
    warnings.simplefilter("ignore", getattr(numpy, "exceptions", numpy).ComplexWarning)
    ways = compare_convert.Ways(options.library_folder)

    def measure_case(case):
        run = compare_convert.Run(ways, case)
        contenders = run.contenders()
        run.verify(contenders)
        times = random_layouts.measure({"ndbuf": contenders["plan"], "numpy": contenders["numpy"]}, options)
        run.close()
        return times

    random_layouts.measure_all(options, lambda rng: random_case(rng, options), measure_case, describe,
                               {"numpy": numpy.__version__})


if __name__ == "__main__":
    main()
