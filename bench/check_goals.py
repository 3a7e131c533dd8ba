#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says of each goal in goals.json whether results of compare_host_copy.py and compare_convert.py meet it.

usage: check_goals.py [--markdown] RESULT.json...

Give results of one machine, one for each benchmark and number of threads. Prints each goal as met, MISSED or not
measured, with the worst value, where it was, what part that is of reading and writing the same cache lines, and what
was asked for. Exit status: 0 all that were measured are met; 1
some are not.
"""
import argparse
import json
import os
import sys

import host_copy_stats

HERE = os.path.dirname(os.path.abspath(__file__))


def read_goals():
    with open(os.path.join(HERE, "goals.json"), encoding="utf-8") as file:
        return json.load(file)["goals"]


def verdicts(results):
    """[(goal, verdict, value, limit, where)]; results: {bench: {threads: result}}"""
    rows = []
    for goal in read_goals():
        met, value, where, limit = host_copy_stats.judge(goal, results)
        verdict = {None: "not measured", True: "met", False: "MISSED"}[met]
        form = "%.0f ns" if goal["kind"] == "ns" else "%.2f"
        shown = ("", "") if met is None else (form % value, form % limit)
        rows.append((goal, verdict) + shown + (where or "",))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("results", nargs="+")
    options = parser.parse_args()
    results = {}
    for path in options.results:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        results.setdefault(result["bench"], {})[result["threads"]] = result
    rows = verdicts(results)
    if options.markdown:
        print("| threads | goal | | worst | asked for | where |\n| --- | --- | --- | --- | --- | --- |")
    for goal, verdict, value, limit, where in rows:
        line = (goal["threads"], goal["goal"], verdict, value, limit, where)
        print("| %d | %s | %s | %s | %s | %s |" % line if options.markdown
              else ("%dT  %-58s %-12s %8s  (asked for: %s) %s" if verdict != "not measured" else "%dT  %-58s %s") %
              line[:None if verdict != "not measured" else 3])
    missed = sum(row[1] == "MISSED" for row in rows)
    print(("\n" if options.markdown else "") + "%d met, %d missed, %d not measured" % (
        sum(row[1] == "met" for row in rows), missed, sum(row[1] == "not measured" for row in rows)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
