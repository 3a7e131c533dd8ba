#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds strided copies on the host by ndbuf against memcpy and against other libraries, in one process.

usage: compare_host_copy.py --library-folder FOLDER [--threads N] [--only PART_OF_NAME] [--suite public|more]
                            [--rounds N] [--repeat N] [--quick] [--output FILE]

FOLDER holds libbench_host_copy_ways.so, and libbench_host_copy_mpi.so where MPICH was there: build/release/bench. Every
contender copies between the same buffers, and what it copied is verified before it is timed. In each round each
contender is timed once, in random order; a contender that takes long is not in every round. --repeat passes over the
suite are made, and the best of their medians is reported beside all medians and quartiles. Progress goes to stderr, the
result, as JSON, to FILE or stdout. Exit status: 0 done; 1 ndbuf copied wrongly; 2 no such case.
"""
import argparse
import datetime
import json
import os
import platform
import random
import subprocess
import sys

import host_copy_peers
import host_copy_stats

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = {"public": "host_copy_cases.json", "more": "host_copy_more_cases.json"}
ROUND_NS = 200e3  # small copies are repeated so long in a round
PASS_NS = 2e9  # what one contender takes in a pass over a case, about
LEAST_ROUNDS = 3


def ask(*command):
    try:
        return subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                              env=dict(os.environ, LC_ALL="C")).stdout.decode("utf-8", "replace").strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def describe_machine():
    fields = dict(line.split(":", 1) for line in ask("lscpu").splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    caches = {key.replace(" cache", ""): value for key, value in fields.items() if key.endswith(" cache")}
    return {"cpu": fields.get("Model name", platform.processor()), "family": fields.get("CPU family"),
            "model": fields.get("Model"), "caches": caches, "cores": os.cpu_count(),
            "usable_cores": len(os.sched_getaffinity(0)), "hypervisor": fields.get("Hypervisor vendor"),
            "system": platform.system(), "architecture": platform.machine(),
            "kernel": ".".join(platform.release().split(".")[:2]),
            "glibc": " ".join(platform.libc_ver()), "python": platform.python_version()}


def read_cases(options):
    with open(os.path.join(HERE, "goals.json"), encoding="utf-8") as file:
        classes = json.load(file)["classes"]
    cases = []
    for suite, name in SUITES.items():
        with open(os.path.join(HERE, "cases", name), encoding="utf-8") as file:
            for case in json.load(file)["cases"]:
                if options.suite in (None, suite) and (options.only or "") in case["name"]:
                    cases.append(dict(case, suite=suite, **{"class": host_copy_stats.class_of(case["name"], classes)}))
    return cases


def find_peers(options):
    found, said = [], {}
    for kind in host_copy_peers.PEERS:
        try:
            peer = kind(options.library_folder, options.threads)
        except host_copy_peers.Absent as absent:
            said[kind.name] = {"absent": str(absent)}
            print("without %s: %s" % (kind.name, absent), file=sys.stderr)
        else:
            found.append(peer)
            said[kind.name] = {"version": peer.version, "call": peer.call}
    return found, said


def contenders_of(run, peers):
    """({way: time(count)}, {peer: why it is not among them})"""
    ways = {name: run.way(number) for number, name in enumerate(host_copy_peers.Ways.NAMES) if run.has(number)}
    out = {}
    for peer in peers:
        try:
            ways[peer.name] = peer.contender(run)
        except host_copy_peers.Unable as unable:
            out[peer.name] = str(unable)
    for way in list(ways):
        is_own = way in host_copy_stats.OWN
        if (not is_own and way in host_copy_stats.REFERENCES.values()) or run.is_right_after(ways[way]):
            continue
        if is_own:
            sys.exit("compare_host_copy: %s: ndbuf's %s copied wrongly" % (run.case["name"], way))
        del ways[way]
        out[way] = "copied wrongly"
        print("%s: %s copied wrongly" % (run.case["name"], way), file=sys.stderr)
    return ways, out


def measure(run, ways, rounds):
    """One pass: a list of rounds, each {way: nanoseconds}."""
    counts, steps = {}, {}
    for way, time_it in ways.items():
        time_it(1)
        once = time_it(100 if run.case["bytes"] < 65536 else 1)
        counts[way] = max(1, round(ROUND_NS / once))
        wanted = max(min(rounds, LEAST_ROUNDS), min(rounds, int(PASS_NS / (once * counts[way]))))
        steps[way] = rounds // wanted
    done = []
    for number in range(rounds):
        order = [way for way in ways if number % steps[way] == 0]
        random.shuffle(order)
        done.append({way: ways[way](counts[way]) for way in order})
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library-folder", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--suite", choices=sorted(SUITES))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--quick", action="store_true", help="5 rounds, one pass; else 15 and 3")
    parser.add_argument("--output")
    options = parser.parse_args()
    rounds = options.rounds or (5 if options.quick else 15)
    npasses = options.repeat or (1 if options.quick else 3)
    cases = read_cases(options)
    if not cases:
        print("compare_host_copy: no such case", file=sys.stderr)
        return 2

    ways = host_copy_peers.Ways(options.library_folder, options.threads)
    peers, said = find_peers(options)
    passes = {case["name"]: [] for case in cases}
    for number in range(npasses):
        for at, case in enumerate(cases):
            run = host_copy_peers.Run(ways, case)
            contenders, case["not_by"] = contenders_of(run, peers)
            done = measure(run, contenders, rounds)
            passes[case["name"]].append(done)
            contenders.clear()
            run.close()
            shown = {way: host_copy_stats.of_way([done], way) for way in done[0] if way != "memcpy"}
            print("[%d/%d %d/%d] %-18s %s" % (
                number + 1, npasses, at + 1, len(cases), case["name"],
                "  ".join("%s %.2f" % (way, shown[way]["ratio"][1]) for way in sorted(shown))),
                file=sys.stderr, flush=True)
    for case in cases:
        names = list(dict.fromkeys(way for rounds in passes[case["name"]] for times in rounds for way in times))
        case["ways"] = {way: host_copy_stats.of_way(passes[case["name"]], way) for way in sorted(names)}
        for key in ("src_strides", "dst_strides", "src_offset", "dst_offset", "note"):
            case.pop(key, None)
    result = {"bench": "host_copy", "threads": options.threads, "rounds": rounds, "passes": npasses,
              "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
              "commit": ask("git", "rev-parse", "HEAD"),
              "changed_since_commit": bool(ask("git", "status", "--porcelain", "--untracked-files=no")),
              "machine": describe_machine(), "peers": said,
              "note": "small copies of numpy, torch and memoryview's assignments include a call from Python",
              "summary": host_copy_stats.summary(cases)}
    write_result(result, cases, options.output)
    return 0


def write_result(result, cases, path):
    """As JSON with a line for each case; to stdout without a path."""
    lines = ",\n  ".join(json.dumps(rounded(case)) for case in cases)
    text = '%s,\n "cases": [\n  %s\n ]\n}\n' % (json.dumps(rounded(result), indent=1).rsplit("\n", 1)[0], lines)
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


def rounded(value):
    """Four digits are more than a time is worth."""
    if isinstance(value, float):
        return float("%.4g" % value)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
