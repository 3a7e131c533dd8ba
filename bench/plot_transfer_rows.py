#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plots what `bench_transfer --rows` printed: rate over row width, a line for each way, a panel for each direction.

    bench_transfer --rows > rows.json && bench/plot_transfer_rows.py rows.json rows.svg
"""

import json
import math
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 560, 380  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 60, 110, 40, 50
COLOURS = {"memcpy": "#000000", "chosen": "#d62728", "packed": "#1f77b4", "rect": "#2ca02c", "mapped": "#ff7f0e",
           "kernel": "#9467bd", "packing": "#8c8c8c", "transfer": "#17becf"}
DASHED = ("memcpy", "packing", "transfer")  # the limits, and the parts of "packed"


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


def panel(direction, cases, left, highest):
    """The elements of one direction, from x = left on."""
    widths = [case["row_nbytes"] for case in cases]
    first, last = math.log2(widths[0]), math.log2(widths[-1])
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(width):
        return left + LEFT + (math.log2(width) - first) / max(last - first, 1) * inner_width

    def y_of(rate):
        return TOP + inner_height * (1 - rate / highest)

    out = ['<text x="%.0f" y="20" font-weight="bold">%s to %s, %d MiB</text>'
           % (left + LEFT, escape(direction[0]), escape(direction[1]), cases[0]["nbytes"] >> 20)]
    for tick in range(0, int(highest) + 1, max(1, int(highest) // 6)):
        out.append('<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#dddddd"/>'
                   % (left + LEFT, left + WIDTH - RIGHT, y_of(tick), y_of(tick)))
        out.append('<text x="%.1f" y="%.1f" text-anchor="end">%d</text>' % (left + LEFT - 6, y_of(tick) + 4, tick))
    for width in widths:
        out.append('<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>'
                   % (x_of(width), HEIGHT - BOTTOM + 18, size_text(width)))
    out.append('<text x="%.1f" y="%d" text-anchor="middle">bytes in a row</text>'
               % (left + LEFT + inner_width / 2, HEIGHT - 12))
    out.append('<text transform="translate(%.1f %.1f) rotate(-90)" text-anchor="middle">bytes per ns</text>'
               % (left + 16, TOP + inner_height / 2))
    names = [name for name in COLOURS if any(name in case["ways"] for case in cases)]
    for place, name in enumerate(names):
        points = " ".join("%.1f,%.1f" % (x_of(case["row_nbytes"]), y_of(case["ways"][name]["bytes_per_ns"]))
                          for case in cases if name in case["ways"])
        style = 'stroke="%s" fill="none" stroke-width="2"%s' % (
            COLOURS[name], ' stroke-dasharray="5 4"' if name in DASHED else "")
        y = TOP + 16 * place + 8
        out.append('<polyline points="%s" %s/>' % (points, style))
        out.append('<line x1="%d" x2="%d" y1="%d" y2="%d" %s/>'
                   % (left + WIDTH - RIGHT + 8, left + WIDTH - RIGHT + 32, y, y, style))
        out.append('<text x="%d" y="%d">%s</text>' % (left + WIDTH - RIGHT + 38, y + 4, escape(name)))
    return out


def main(arguments):
    if len(arguments) != 2:
        sys.stderr.write(__doc__)
        return 2
    panels = read_lines(arguments[0])
    if not panels:
        sys.stderr.write("plot_transfer_rows: no line of bench_transfer --rows in %s\n" % arguments[0])
        return 1
    highest = 1.05 * max(way["bytes_per_ns"] for cases in panels.values() for case in cases
                         for way in case["ways"].values())
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">'
           % (WIDTH * len(panels), HEIGHT), '<rect width="100%" height="100%" fill="white"/>']
    for place, (direction, cases) in enumerate(panels.items()):
        out += panel(direction, cases, WIDTH * place, highest)
    out.append("</svg>")
    with open(arguments[1], "w", encoding="utf-8") as svg:
        svg.write("\n".join(out) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
