# SPDX-License-Identifier: Apache-2.0
"""Random layouts of two sides, and what the benchmarks of them share: options, least times, the report."""
import argparse
import json
import math
import random
import sys

MAX_SPAN = 256 << 20
ROUND_NS = 6e5
LIKELY_EXTENTS = (2, 3, 4, 5, 7, 8, 12, 16, 17, 24, 31, 32, 33, 48, 63, 64, 100, 128)


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


def nitems_of(shape, side):
    """Items from the start of the buffer to behind the last one."""
    strides, offset = side
    return offset + 1 + sum(max(0, stride * (extent - 1)) for stride, extent in zip(strides, shape))


def random_layout(rng, itemsizes, options):
    """A shape and, for dst and src, strides and offset in items of `itemsizes` bytes."""
    while True:
        nbytes = math.exp(rng.uniform(math.log(options.least), math.log(options.most)))
        shape = random_shape(rng, max(1, int(nbytes / max(itemsizes))))
        dst, src = random_side(rng, shape, False), random_side(rng, shape, True)
        if max(nitems_of(shape, side) * itemsize for side, itemsize in zip((dst, src), itemsizes)) <= MAX_SPAN:
            return shape, dst, src


def parse_options(usage):
    parser = argparse.ArgumentParser(usage=usage.split("usage: ", 1)[1].split("\n\n", 1)[0])
    parser.add_argument("--library-folder", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--least", type=int, default=512)
    parser.add_argument("--most", type=int, default=8 << 20)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--below", type=float, default=0.95)
    parser.add_argument("--output")
    options = parser.parse_args()
    if options.cases < 1 or options.rounds < 1 or not 1 <= options.least <= options.most:
        parser.error("counts are 1 and more, and --least is at most --most")
    return options


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


def measure(contenders, options):
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


def measure_all(options, random_case, measure_case, describe, versions):
    """random_case(rng) and measure_case(case), which gives the times, again and again, and the report."""
    rng = random.Random(options.seed)
    results = []
    for number in range(options.cases):
        case = random_case(rng)
        times = measure_case(case)
        results.append({"case": case, "ns": times, "ratio": ratio_of(times)})
        if results[-1]["ratio"] < options.below:
            print("%.2f  %s  %s" % (results[-1]["ratio"], " ".join("%s %.0f ns" % pair for pair in times.items()),
                                    describe(case)), flush=True)
        if (number + 1) % 100 == 0:
            print("%d of %d" % (number + 1, options.cases), file=sys.stderr, flush=True)
    report(results, options.below)
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump({"seed": options.seed, "versions": versions, "cases": results}, file)
