#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a table of results of compare_convert.py.

usage: report_convert.py FOLDER

FOLDER holds host_convert_1t.json; host_convert_1t.md is written beside it: each conversion in each layout at each size,
and the cases that keep a goal of goals.json from being met.
"""
import argparse
import json
import os

import check_goals
import host_copy_stats
import report_host_copy


def case_table(result):
    sizes = list(dict.fromkeys(case["size"] for case in result["cases"]))
    there = {(case["conversion"], case["layout"], case["size"]): case for case in result["cases"]}
    rows = list(dict.fromkeys((case["conversion"], case["layout"]) for case in result["cases"]))
    titles = ["conversion", "layout"]
    for size in sizes:
        titles += ["%s: of memcpy" % size, "of plain", "of NumPy"]
    text = report_host_copy.row(titles) + report_host_copy.row(["---"] * len(titles))
    for conversion, layout in rows:
        cells = [conversion, layout]
        for size in sizes:
            case = there.get((conversion, layout, size))
            best = {} if case is None else case["ways"][host_copy_stats.NDBUF]["best"]
            cells += [report_host_copy.number(best.get("ratio")), report_host_copy.number(best.get("of_plain")),
                      report_host_copy.number(None if case is None else host_copy_stats.over_best_peer(case))]
        text += report_host_copy.row(cells)
    return text


def missed_table(result):
    """Each case below a goal, the furthest first."""
    results = {result["bench"]: {result["threads"]: result}}
    text = ""
    for goal in check_goals.read_goals():
        if goal.get("bench") != result["bench"]:
            continue
        below = []
        for case in result["cases"]:
            if not host_copy_stats.fits(case["name"], goal.get("cases", ["*"])):
                continue
            one = {result["bench"]: {result["threads"]: dict(result, cases=[case])}}
            met, value, _, limit = host_copy_stats.judge(goal, one)
            if met is False:
                below.append((value, case["name"], limit))
        met, _, _, limit = host_copy_stats.judge(goal, results)
        said = {None: "not measured", True: "met", False: "missed by %d" % len(below)}[met]
        text += "\n### %s: %s\n" % (goal["goal"], said)
        if below:
            text += "\n%s asked for. %s.\n" % (report_host_copy.number(limit), ", ".join(
                "%s %s" % (name, report_host_copy.number(value)) for value, name, _ in sorted(below)))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    options = parser.parse_args()
    with open(os.path.join(options.folder, "host_convert_1t.json"), encoding="utf-8") as file:
        result = json.load(file)
    with open(os.path.join(options.folder, "host_convert_1t.md"), "w", encoding="utf-8") as file:
        file.write("# Converting copies on the host, 1 thread\n\n%s\n\n"
                   "Times as fast as `memcpy` of half the bytes that are read and written together, as the same copy "
                   "without conversion\n(byte order alone), and as numpy.copyto, whose calls come from Python. All of "
                   "ndbuf's figures are those of a kept plan.\n\n## Goals\n%s\n## Each case\n\n%s" % (
                       report_host_copy.describe(result), missed_table(result), case_table(result)))


if __name__ == "__main__":
    main()
