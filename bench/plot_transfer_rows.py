#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plots what `bench_transfer --rows` printed: rate over row width, a line for each way, a panel for each direction.

    bench_transfer --rows > rows.jsonl && bench/plot_transfer_rows.py rows.jsonl rows.svg
"""
import argparse
import json
import sys

# Okabe and Ito's colours, with a form each, so that they are told apart without them.
MARKS = {"memcpy": ("#000000", ""), "chosen": ("#d55e00", "o"), "packed": ("#0072b2", "s"), "rect": ("#009e73", "^"),
         "mapped": ("#e69f00", "v"), "kernel": ("#cc79a7", "D"), "packing": ("#888888", "x"),
         "transfer": ("#56b4e9", "+")}
DASHED = ("memcpy", "packing", "transfer")  # the limit, and the parts of "packed"


def read_lines(path):
    """The measured lines, by direction, each sorted by row width."""
    panels = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                found = json.loads(line)
                if found.get("bench") == "transfer_rows":
                    panels.setdefault((found["from"], found["to"]), []).append(found)
    for cases in panels.values():
        cases.sort(key=lambda case: case["row_nbytes"])
    return panels


def size_text(nbytes):
    return "%d K" % (nbytes >> 10) if nbytes >= 1024 else "%d" % nbytes


def draw_panel(axes, direction, cases):
    for name, (colour, mark) in MARKS.items():
        points = [(case["row_nbytes"], case["ways"][name]["bytes_per_ns"]) for case in cases if name in case["ways"]]
        if points:
            axes.plot(*zip(*points), color=colour, marker=mark, markersize=5, label=name,
                      linestyle="--" if name in DASHED else "-", zorder=4 if name == "chosen" else 3)
    widths = [case["row_nbytes"] for case in cases]
    axes.set_title("%s to %s, %d MiB" % (*direction, cases[0]["nbytes"] >> 20), fontsize=10, fontweight="bold")
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, [size_text(width) for width in widths], fontsize=8)
    axes.set_xlabel("bytes in a row", fontsize=9)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.tick_params(labelsize=8, length=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def plot(panels, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    matplotlib.rcParams["svg.hashsalt"] = "ndbuf"
    figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 4.2), sharey=True, squeeze=False,
                                layout="constrained")
    figure.patch.set_facecolor("white")  # a card of its own, on a dark page as on a light one
    for place, (direction, cases) in zip(axes[0], panels.items()):
        draw_panel(place, direction, cases)
    axes[0][0].set_ylabel("bytes per ns", fontsize=9)
    axes[0][0].set_ylim(bottom=0)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKS), frameon=False,
                  fontsize=8.5)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", help="what bench_transfer printed")
    parser.add_argument("svg", help="the file to write")
    options = parser.parse_args()
    panels = read_lines(options.lines)
    if not panels:
        sys.exit("plot_transfer_rows: no line of bench_transfer --rows in %s" % options.lines)
    try:
        plot(panels, options.svg)
    except ImportError as error:
        print("plot_transfer_rows: no plot: %s" % error, file=sys.stderr)


if __name__ == "__main__":
    main()
