#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what bench_transfer printed as Markdown: a table for each direction and size, all times in microseconds.

usage: report_transfer.py RESULTS.jsonl > TABLES.md

The columns are ndbuf in a queue and by a caller who waits, the plain contiguous copy of the same bytes, and what one
would write by hand: one rectangle call, one call for each run, packing followed by a copy. The best of each row among
those who do the whole work is bold.
"""
import argparse
import json
import sys

CONTESTANTS = (("ndbuf", "queue"), ("ndbuf_waiting", "waiting"), ("contiguous", "contiguous"), ("one_call", "one call"),
               ("call_per_run", "call per run"), ("pack_copy", "pack, copy"))


def size_text(nbytes):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit:
            return "%g %s" % (round(nbytes / unit, 2), name)
    return "%d bytes" % nbytes


def time_of(case, name):
    return case[name]["ns"] / 1000 if name in case else None


def row(case):
    whole = [time_of(case, name) for name, _ in CONTESTANTS if name != "contiguous" and name in case]
    cells = ["%s of the %s" % (case["layout"], case["layout_of"]), case["route"]]
    for name, _ in CONTESTANTS:
        time = time_of(case, name)
        text = "" if time is None else "%.1f" % time if time < 1000 else "%.0f" % time
        cells.append("**%s**" % text if name != "contiguous" and time is not None and time == min(whole) else text)
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="what bench_transfer printed")
    options = parser.parse_args()
    with open(options.results, encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip() and not line.startswith("#")]
    cases = [case for case in cases if case.get("bench") == "transfer" and not case["simulated"]]
    if not cases:
        sys.exit("report_transfer: no times in %s" % options.results)
    print("# Strided transfers: %s\n" % cases[0]["description"])
    print("Microseconds, medians, %s, %s. The contiguous copy moves the same bytes between two runs of memory."
          % (cases[0]["timer"], cases[0]["driver"]))
    groups = {}
    for case in cases:
        # Layouts round the size down to what they can make of it.
        groups.setdefault((case["from"], case["to"], 1 << (case["nbytes"] * 3 // 2).bit_length() - 1), []).append(case)
    for (source, target, nbytes), group in groups.items():
        print("\n## %s to %s, about %s\n" % (source, target, size_text(nbytes)))
        print("| layout | route | " + " | ".join(title for _, title in CONTESTANTS) + " |")
        print("| --- | --- |" + " ---: |" * len(CONTESTANTS))
        for case in group:
            print(row(case))


if __name__ == "__main__":
    main()
