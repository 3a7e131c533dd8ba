# SPDX-License-Identifier: Apache-2.0
"""What is made of the times of compare_host_copy.py, and of its goals. Needs nothing but Python.

A result has, for each case, "ways": {way: {"ns": quartiles, "ratio": quartiles of t(memcpy) / t(way) within a round,
"of_stream": quartiles of t(stream) / t(way), "of_lines", "of_plain" and "of_single": likewise of the case's cache
lines, read and written in their order, of the copy without conversion, and of ndbuf's by one thread, "medians":
{"ns": [...], "ratio": [...], ...}: of each pass, "best": {"ns", "ratio", ...}: the best of those}}. What is compared
with a way that was not measured is left out.
"""
import fnmatch
import math
import statistics

NDBUF = "plan"  # the way of ndbuf that is held against the peers: a plan that is kept
# Copy as many contiguous bytes, touch the same cache lines, copy the same items without conversion, or by one thread:
# no peers.
REFERENCES = {"ratio": "memcpy", "of_stream": "stream", "of_lines": "lines", "of_plain": "plain", "of_single": "single"}
OWN = ("copy", "plan", "single")


def quartiles(values):
    """[first quartile, median, third quartile]"""
    values = sorted(values)
    if len(values) == 1:
        return values * 3
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [first, statistics.median(values), third]


def geomean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def values_of(rounds, way, kind):
    """Nanoseconds of a way in each round, or how many times as fast as a reference it was."""
    if kind == "ns":
        return [times[way] for times in rounds]
    return [times[REFERENCES[kind]] / times[way] for times in rounds if REFERENCES[kind] in times]


def of_way(passes, way):
    """What is said of a way. passes: for each pass a list of rounds, each {way: nanoseconds}; slow ways are not in
    every round."""
    taken = [[times for times in rounds if way in times] for rounds in passes]
    result = {"medians": {}, "best": {}}
    for kind in ("ns", *REFERENCES):
        values = [values_of(rounds, way, kind) for rounds in taken]
        values = [one for one in values if one]
        if not values:
            continue
        result[kind] = quartiles([value for one in values for value in one])
        medians = [statistics.median(one) for one in values]
        result["medians"][kind] = medians
        result["best"][kind] = min(medians) if kind == "ns" else max(medians)
    return result


def peers_of(case):
    return [way for way in case["ways"] if way not in REFERENCES.values() and way not in OWN]


def best_peer(case):
    """The fastest peer of a case and its ratio to memcpy; (None, None): no peer could make the copy."""
    ratios = {way: case["ways"][way]["best"]["ratio"] for way in peers_of(case)}
    if not ratios:
        return None, None
    name = max(ratios, key=ratios.get)
    return name, ratios[name]


def over_best_peer(case):
    """How many times as fast as the best peer ndbuf is; None: there is no peer."""
    _, ratio = best_peer(case)
    return None if ratio is None else case["ways"][NDBUF]["best"]["ratio"] / ratio


def class_of(name, classes):
    """The first class with a pattern that fits; a case without one is a mistake of the list."""
    for key, patterns in classes.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return key
    raise ValueError("no class for the case " + name)


def summary(cases):
    """Geometric means of the ratios, over the suites and the classes, and the cases on which ndbuf is not the
    fastest."""
    def means(chosen):
        ways = sorted({way for case in chosen for way in case["ways"]} - {"memcpy"})
        out = {"cases": len(chosen)}
        for way in ways:
            there = [case["ways"][way]["best"]["ratio"] for case in chosen if way in case["ways"]]
            out[way] = {"geomean": geomean(there), "cases": len(there)}
        beside = [value for value in map(over_best_peer, chosen) if value is not None]
        out["over_best_peer"] = {"geomean": geomean(beside), "cases": len(beside)}
        return out
    slower = []
    for case in cases:
        over = over_best_peer(case)
        if over is not None and over < 1:
            slower.append({"case": case["name"], "peer": best_peer(case)[0], "ndbuf_over_peer": over})
    keys = list(dict.fromkeys(case["class"] for case in cases))
    suites = list(dict.fromkeys(case["suite"] for case in cases))
    return {"suites": {suite: means([c for c in cases if c["suite"] == suite]) for suite in suites},
            "classes": {key: means([c for c in cases if c["class"] == key]) for key in keys},
            "not_fastest": sorted(slower, key=lambda one: one["ndbuf_over_peer"])}


# -- goals --

def fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def judge(goal, results):
    """(met, value, where, limit): whether a goal is met, the worst value, the case that has it, and what was asked for.
    met None: nothing that the goal speaks of was measured. results: {bench: {threads: result}}."""
    results = results.get(goal.get("bench", "host_copy"), {})
    result = results.get(goal["threads"])
    if result is None:
        return None, None, None, None
    chosen = [c for c in result["cases"] if fits(c["name"], goal.get("cases", ["*"]))
              and goal.get("suite", c["suite"]) == c["suite"]]
    if not chosen:
        return None, None, None, None
    return JUDGES[goal["kind"]](goal, chosen, results)


def judge_ratio(goal, chosen, _results):
    """Each case reaches the ratio to memcpy, or to the reference that the goal names; or, if one is given, the fraction
    of memcpy past the caches."""
    def reached(case):
        best = case["ways"][goal.get("way", NDBUF)]["best"]
        value = best[goal.get("to", "ratio")]
        shares = [(value / goal["at_least"], value, goal["at_least"], "")]
        if "or_of_stream" in goal:
            shares.append((best["of_stream"] / goal["or_of_stream"], best["of_stream"], goal["or_of_stream"],
                           ", of memcpy past the caches"))
        return max(shares)
    worst = min(chosen, key=lambda case: reached(case)[0])
    share, value, limit, what = reached(worst)
    lines = worst["ways"][goal.get("way", NDBUF)]["best"].get("of_lines")
    where = worst["name"] + what + ("" if lines is None else ", %.2f of the same lines" % lines)
    return share >= 1, value, where, limit


def judge_geomean(goal, chosen, _results):
    value = geomean(case["ways"][goal.get("way", NDBUF)]["best"]["ratio"] for case in chosen)
    return value >= goal["at_least"], value, "%d cases" % len(chosen), goal["at_least"]


def judge_best_peer(goal, chosen, _results):
    beside = [case for case in chosen if over_best_peer(case) is not None]
    if not beside:
        return None, None, None, None
    worst = min(beside, key=over_best_peer)
    value = over_best_peer(worst)
    return value >= goal["at_least"], value, "%s, %s" % (worst["name"], best_peer(worst)[0]), goal["at_least"]


def judge_ns(goal, chosen, results):
    """Nanoseconds at most, on a machine whose memcpy of 64 bytes takes goal["memcpy_64_ns"]; scaled to this one's."""
    hot = next((c for c in results[goal["threads"]]["cases"] if c["bytes"] == 64), None)
    if hot is None:
        return None, None, None, None
    limit = goal["at_most_ns"] * hot["ways"]["memcpy"]["best"]["ns"] / goal["memcpy_64_ns"]

    def took(case):
        way = case["ways"]
        return way[goal["way"]]["best"]["ns"] - (way[goal["beyond"]]["best"]["ns"] if "beyond" in goal else 0)
    worst = max(chosen, key=took)
    return took(worst) <= limit, took(worst), worst["name"], limit


JUDGES = {"ratio": judge_ratio, "geomean": judge_geomean, "best_peer": judge_best_peer, "ns": judge_ns}
