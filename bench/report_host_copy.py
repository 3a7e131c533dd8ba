#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tables and plots of results of compare_host_copy.py.

usage: report_host_copy.py [--readme README.md] FOLDER

FOLDER holds host_copy_1t.json and, if there is one, host_copy_2t.json. For each, host_copy_Nt.md is written beside it
and, if matplotlib is here, host_copy_Nt.svg. With --readme, the text between the lines "<!-- host copy: begin -->" and
"<!-- host copy: end -->" of that file is replaced by a table of the classes.
"""
import argparse
import json
import os
import sys

import host_copy_stats

BEGIN, END = "<!-- host copy: begin -->", "<!-- host copy: end -->"
TITLES = {"stream": "past caches", "lines": "same lines", "single": "one thread", "copy": "ndbuf, plain",
          "plan": "**ndbuf**", "mpi": "MPI_Pack", "numpy": "NumPy", "torch": "PyTorch"}
ORDER = ("plan", "copy", "numpy", "torch", "memoryview", "mpi", "stream", "lines", "single")
# Okabe and Ito's colours, with a form each, so that they are told apart without them.
MARKS = {"plan": ("#d55e00", "o", 46), "numpy": ("#0072b2", "s", 22), "torch": ("#cc79a7", "D", 22),
         "memoryview": ("#009e73", "^", 26), "mpi": ("#e69f00", "v", 26), "stream": ("#888888", "|", 60)}


def ways_of(result):
    there = {way for case in result["cases"] for way in case["ways"]}
    return [way for way in ORDER if way in there]


def number(value):
    return "" if value is None else "%.2f" % value if value >= 0.095 else "%.3f" % value


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def heading(first, ways, last=()):
    titles = [first] + [TITLES.get(way, way) for way in ways] + list(last)
    return row(titles) + row(["---"] * len(titles))


def class_table(result):
    ways = [way for way in ways_of(result) if way != "copy"]
    text = heading("class", ["cases"] + ways, ["ndbuf over the best of them"])

    def line(name, means):
        return row([name, str(means["cases"])] + [number(means.get(way, {}).get("geomean")) for way in ways] +
                   [number(means["over_best_peer"]["geomean"])])
    for name, means in result["summary"]["classes"].items():
        text += line(name, means)
    for suite, means in result["summary"]["suites"].items():
        text += line("all, suite *%s*" % suite, means)
    return text


def case_table(result):
    ways = ways_of(result)
    text = heading("case", ["memcpy"] + ways, ["ndbuf over the best peer"])
    for case in result["cases"]:
        ns = case["ways"]["memcpy"]["best"]["ns"]
        took = "%.1f ns" % ns if ns < 1e3 else "%.1f us" % (ns / 1e3) if ns < 1e6 else "%.1f ms" % (ns / 1e6)
        text += row([case["name"], took] + [number(case["ways"].get(way, {}).get("best", {}).get("ratio"))
                                            for way in ways] + [number(host_copy_stats.over_best_peer(case))])
    return text


def describe(result):
    machine = result["machine"]
    peers = ", ".join("%s %s" % (name, said["version"]) if "version" in said
                      else "%s absent (%s)" % (name, said["absent"]) for name, said in result["peers"].items())
    caches = ", ".join("%s %s" % one for one in machine["caches"].items())
    return ("%s (family %s, model %s), %d cores, %s; Linux %s, %s. %s. %d thread(s), best of %d medians of %d rounds; "
            "%s, commit %s%s." % (machine["cpu"], machine["family"], machine["model"], machine["cores"], caches,
                                  machine["kernel"], machine["glibc"], peers, result["threads"], result["passes"],
                                  result["rounds"], result["date"], result["commit"][:10] or "unknown",
                                  " with changes" if result["changed_since_commit"] else ""))


def full_text(result):
    text = "# Strided copies on the host, %d thread(s)\n\n%s\n\n" % (result["threads"], describe(result))
    text += ("Times as fast as `memcpy` of as many contiguous bytes, with as many threads. *past caches* is memcpy by "
             "non-temporal stores.\n*same lines* reads and writes the cache lines of the case in the order in which "
             "they lie, by the fastest of eight simple loops,\nand copies nothing: about what the memory allows. Of "
             "copies from 16 KiB on, with one thread. What is faster\nfetches further ahead. *one thread*: ndbuf by "
             "one, in the same rounds.\nNote: %s.\n\n"
             % result["note"])
    text += "## Geometric means\n\n" + class_table(result) + "\n## Where ndbuf is not the fastest\n\n"
    slower = result["summary"]["not_fastest"]
    for one in slower:
        text += "- %s: %.2f of %s\n" % (one["case"], one["ndbuf_over_peer"], TITLES.get(one["peer"], one["peer"]))
    return text + ("" if slower else "Nowhere.\n") + "\n## Each case\n\n" + case_table(result)


def plot(result, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
    matplotlib.rcParams["svg.hashsalt"] = "ndbuf"
    cases = [case for key in result["summary"]["classes"] for case in result["cases"] if case["class"] == key]
    places, names, spans, at = [], [], {}, 0.0
    for index, case in enumerate(cases):
        if index and case["class"] != cases[index - 1]["class"]:
            at += 1.4
        places.append(at)
        names.append(case["name"])
        first, _ = spans.get(case["class"], (at, at))
        spans[case["class"]] = (first, at)
        at += 1
    figure, axes = plt.subplots(figsize=(9.5, 1.7 + 0.19 * at), layout="constrained")
    figure.patch.set_facecolor("white")  # a card of its own, on a dark page as on a light one
    axes.axvline(1, color="#333333", linewidth=1, zorder=1)
    for place in places:
        axes.axhline(place, color="#eeeeee", linewidth=0.6, zorder=0)
    for way, (colour, mark, size) in reversed(MARKS.items()):
        points = [(case["ways"][way]["best"]["ratio"], place) for case, place in zip(cases, places)
                  if way in case["ways"]]
        if points:
            edge = {} if mark == "|" else {"edgecolors": "white", "linewidths": 0.4}
            axes.scatter(*zip(*points), c=colour, marker=mark, s=size, zorder=4 if way == "plan" else 3,
                         label=TITLES.get(way, way).strip("*").replace("past caches", "memcpy past the caches"), **edge)
    for name, (first, _) in spans.items():
        axes.text(0, first - 0.95, name, fontsize=8.5, fontweight="bold", va="center", ha="left",
                  transform=axes.get_yaxis_transform(), color="#333333")
    axes.set_xscale("log")
    axes.set_yticks(places, names, fontsize=7.5, family="monospace")
    axes.set_ylim(at + 0.2, -1.8)
    ticks = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: "%g" % value))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labeltop=True, labelsize=8, length=0)
    axes.set_xlabel("times as fast as memcpy of as many bytes (right is faster)", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    title = "Strided copies on the host, %d thread%s: %s, %s" % (
        result["threads"], "" if result["threads"] == 1 else "s", result["machine"]["cpu"], result["date"][:10])
    legend = figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=6, frameon=False,
                           fontsize=8.5, title=title, title_fontsize=11)
    legend.get_title().set_fontweight("bold")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def renew_readme(path, result, folder):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit("report_host_copy: %s lacks the lines %s and %s" % (path, BEGIN, END))
    where = os.path.relpath(folder, os.path.dirname(os.path.abspath(path))).replace(os.sep, "/")
    table = ("\n%s\n%s\nHow this was measured, every case and plots: [%s](%s).\n" % (
        class_table(result), describe(result), where, where))
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + "\n" + table.lstrip("\n") + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme")
    parser.add_argument("folder")
    options = parser.parse_args()
    for threads in (1, 2):
        path = os.path.join(options.folder, "host_copy_%dt" % threads)
        if threads == 2 and not os.path.exists(path + ".json"):
            continue
        with open(path + ".json", encoding="utf-8") as file:
            result = json.load(file)
        with open(path + ".md", "w", encoding="utf-8") as file:
            file.write(full_text(result))
        try:
            plot(result, path + ".svg")
        except ImportError as error:
            print("report_host_copy: no plots: %s" % error, file=sys.stderr)
        if threads == 1 and options.readme:
            renew_readme(options.readme, result, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
