#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests what is made of measured times, the lists of cases and the goals. Exit status: 0 all passed.

usage: test_host_copy_stats.py BENCH_FOLDER
"""
import json
import os
import sys
import unittest

BENCH = sys.argv.pop(1)
sys.path.insert(0, BENCH)
import host_convert_cases  # noqa: E402
import host_copy_stats as stats  # noqa: E402


def case(name, nbytes=1 << 20, suite="public", key="rows", **ns):
    """A case measured in one pass of one round."""
    return {"name": name, "bytes": nbytes, "suite": suite, "class": key,
            "ways": {way: stats.of_way([[ns]], way) for way in ns}}


def fast(name, **ns):
    return case(name, **dict({"memcpy": 100.0, "stream": 50.0, "copy": 80.0, "plan": 80.0}, **ns))


class Stats(unittest.TestCase):
    def test_quartiles_of_one_and_of_many_values(self):
        self.assertEqual(stats.quartiles([3.0]), [3.0, 3.0, 3.0])
        self.assertEqual(stats.quartiles([5, 1, 4, 2, 3]), [2, 3, 4])

    def test_geomean(self):
        self.assertAlmostEqual(stats.geomean([0.5, 2, 8]), 2)
        self.assertIsNone(stats.geomean([]))

    def test_ratios_are_made_within_a_round_and_not_of_medians(self):
        rounds = [{"memcpy": 10, "stream": 10, "x": 10}, {"memcpy": 100, "stream": 10, "x": 50},
                  {"memcpy": 30, "stream": 10, "x": 10}]
        self.assertEqual(stats.of_way([rounds], "x")["ratio"][1], 2)  # medians alone would say 30 / 10

    def test_the_best_of_the_medians_of_passes_is_the_least_time_and_the_greatest_ratio(self):
        passes = [[{"memcpy": 10, "stream": 8, "x": 20}], [{"memcpy": 12, "stream": 8, "x": 8}],
                  [{"memcpy": 9, "stream": 8, "x": 9}]]
        result = stats.of_way(passes, "x")
        self.assertEqual(result["medians"]["ratio"], [0.5, 1.5, 1])
        self.assertEqual(result["best"], {"ns": 8, "ratio": 1.5, "of_stream": 1})

    def test_a_slow_way_counts_only_the_rounds_that_it_is_in(self):
        rounds = [{"memcpy": 10, "stream": 10, "x": 5}, {"memcpy": 1000, "stream": 10}]
        self.assertEqual(stats.of_way([rounds], "x")["ratio"], [2, 2, 2])

    def test_what_is_compared_with_a_way_that_was_not_measured_is_left_out(self):
        result = stats.of_way([[{"memcpy": 10, "x": 5}]], "x")
        self.assertEqual(result["best"], {"ns": 5, "ratio": 2})

    def test_references_are_no_peers(self):
        self.assertEqual(stats.best_peer(fast("a", plain=10.0, numpy=200.0)), ("numpy", 0.5))
        self.assertEqual(stats.best_peer(fast("a", numpy=160.0, torch=40.0)), ("torch", 2.5))
        self.assertEqual(stats.best_peer(fast("a")), (None, None))
        self.assertAlmostEqual(stats.over_best_peer(fast("a", numpy=160.0)), 2)

    def test_the_summary_names_the_cases_on_which_ndbuf_is_not_the_fastest(self):
        text = stats.summary([fast("a", numpy=160.0), fast("b", numpy=40.0), fast("c")])
        self.assertEqual([(one["case"], one["peer"]) for one in text["not_fastest"]], [("b", "numpy")])
        self.assertAlmostEqual(text["not_fastest"][0]["ndbuf_over_peer"], 0.5)
        self.assertAlmostEqual(text["classes"]["rows"]["over_best_peer"]["geomean"], 1)
        self.assertEqual(text["classes"]["rows"]["over_best_peer"]["cases"], 2)
        self.assertAlmostEqual(text["suites"]["public"]["plan"]["geomean"], 1.25)


class Goals(unittest.TestCase):
    def judge(self, measured, results=None, **goal):
        bench = goal.get("bench", "host_copy")
        return stats.judge(dict({"threads": 1}, **goal), {bench: {1: {"cases": measured}, **(results or {})}})

    def test_a_ratio_is_that_of_the_worst_case_that_fits(self):
        cases = [fast("rows_a"), fast("rows_b", plan=200.0), fast("other", plan=1000.0)]
        goal = {"kind": "ratio", "cases": ["rows_*"], "at_least": 0.6}
        self.assertEqual(self.judge(cases, **goal), (False, 0.5, "rows_b", 0.6))
        self.assertEqual(self.judge(cases, **dict(goal, at_least=0.5))[0], True)

    def test_a_fraction_of_memcpy_past_the_caches_can_stand_for_the_ratio(self):
        goal = {"kind": "ratio", "cases": ["a"], "at_least": 1.5}
        self.assertFalse(self.judge([fast("a")], **goal)[0])
        self.assertEqual(self.judge([fast("a")], or_of_stream=0.6, **goal),
                         (True, 0.625, "a, of memcpy past the caches", 0.6))

    def test_a_ratio_can_be_one_to_the_copy_without_conversion(self):
        cases = [case("swap", memcpy=50.0, plain=100.0, plan=125.0),
                 case("swap_b", memcpy=50.0, plain=100.0, plan=80.0)]
        goal = {"bench": "host_convert", "kind": "ratio", "cases": ["swap*"], "to": "of_plain", "at_least": 0.9}
        self.assertEqual(self.judge(cases, **goal), (False, 0.8, "swap", 0.9))

    def test_goals_of_one_benchmark_do_not_judge_another(self):
        goal = {"bench": "host_convert", "kind": "ratio", "threads": 1, "cases": ["a"], "at_least": 1}
        self.assertIsNone(stats.judge(goal, {"host_copy": {1: {"cases": [fast("a")]}}})[0])

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        self.assertIsNone(self.judge([fast("a")], kind="ratio", cases=["b"], at_least=1)[0])
        self.assertIsNone(self.judge([fast("a")], kind="ratio", threads=2, cases=["a"], at_least=1)[0])
        self.assertIsNone(self.judge([fast("a")], kind="best_peer", at_least=1)[0])

    def test_the_best_peer_is_looked_for_on_every_case(self):
        cases = [fast("a", numpy=160.0), fast("b", numpy=60.0), fast("c")]
        met, value, where, _ = self.judge(cases, kind="best_peer", at_least=0.95)
        self.assertEqual((met, value, where), (False, 0.75, "b, numpy"))

    def test_nanoseconds_are_scaled_by_memcpy_of_64_bytes(self):
        cases = [case("s_16", 64, memcpy=2.0, stream=2.0, copy=20.0, plan=5.0),
                 case("s_x", 4, memcpy=2.0, stream=2.0, copy=30.0, plan=6.0)]
        goal = {"kind": "ns", "cases": ["s_x"], "way": "plan", "at_most_ns": 10, "memcpy_64_ns": 4}
        self.assertEqual(self.judge(cases, **goal), (False, 6, "s_x", 5))
        self.assertEqual(self.judge(cases, **dict(goal, way="copy", beyond="plan", at_most_ns=48)),
                         (True, 24, "s_x", 24))

    def test_two_threads_are_compared_with_one_within_a_round(self):
        cases = [fast("a", single=120.0), fast("b", plan=160.0, single=80.0)]
        met, value, where, _ = self.judge(cases, kind="ratio", to="of_single", at_least=0.9)
        self.assertEqual((met, value, where), (False, 0.5, "b"))

    def test_every_goal_speaks_of_cases_that_there_are_and_every_case_has_a_class(self):
        with open(os.path.join(BENCH, "goals.json"), encoding="utf-8") as file:
            goals = json.load(file)
        names = []
        for suite in ("host_copy_cases.json", "host_copy_more_cases.json"):
            with open(os.path.join(BENCH, "cases", suite), encoding="utf-8") as file:
                names += [one["name"] for one in json.load(file)["cases"]]
        self.assertEqual(len(set(names)), len(names))
        for name in names:
            stats.class_of(name, goals["classes"])
        names_of = {"host_copy": names,
                    "host_convert": [one["name"] for one in host_convert_cases.all_cases(lambda dtype: 4)]}
        for goal in goals["goals"]:
            self.assertIn(goal["kind"], stats.JUDGES)
            for pattern in goal.get("cases", []):
                there = names_of[goal.get("bench", "host_copy")]
                self.assertTrue(any(stats.fits(name, [pattern]) for name in there), pattern)

    def test_a_case_without_a_class_is_a_mistake(self):
        with self.assertRaises(ValueError):
            stats.class_of("new", {"rows": ["rows_*"]})


if __name__ == "__main__":
    unittest.main()
