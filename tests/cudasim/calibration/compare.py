#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares answers of cuda-calibration: those of a real CUDA runtime, or of its documentation, with the simulator's.

usage: compare.py [--intended FILE] [--partial] [--program PROGRAM [--busy-ms N]] EXPECTED ACTUAL

  EXPECTED, ACTUAL   files of lines "name = answer"; '#' begins a comment
  --intended FILE    differences that are meant: lines "name | expected | actual | why", where a name may have '*'
  --partial          names that are not in EXPECTED do not matter
  --program PROGRAM  ACTUAL is a library: the program asks it

Exit status: 0 no difference but intended ones; 1 differences; 77 the library has no device.
"""
import argparse
import fnmatch
import subprocess
import sys

# Answers that say that a question could not be asked.
UNASKED = ("one device", "no access between the devices", "not in this library", "no kernels in this build")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]


def answers_of(lines):
    """{name: answer}"""
    answers = {}
    for line in lines:
        name, separator, answer = line.partition(" = ")
        if not separator:
            sys.exit("not an answer: %r" % line)
        if name in answers:
            sys.exit("answered twice: %s" % name)
        answers[name] = answer
    return answers


def read_intended(path):
    """[(name pattern, expected, actual, why)]"""
    intended = []
    for line in read_lines(path) if path else []:
        fields = [field.strip() for field in line.split("|", 3)]
        if len(fields) != 4 or not fields[3]:
            sys.exit("%s: not 'name | expected | actual | why': %r" % (path, line))
        intended.append(tuple(fields))
    return intended


def ask(program, library, busy_ms):
    result = subprocess.run([program, library, "--busy-ms", str(busy_ms)], stdout=subprocess.PIPE, check=False)
    if result.returncode != 0:
        sys.exit(result.returncode)
    return result.stdout.decode("utf-8").splitlines()


def is_unasked(answer):
    return any(text in answer for text in UNASKED)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--intended")
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("--program")
    parser.add_argument("--busy-ms", type=int, default=150)
    parser.add_argument("expected")
    parser.add_argument("actual")
    options = parser.parse_args()
    expected = answers_of(read_lines(options.expected))
    actual = answers_of(ask(options.program, options.actual, options.busy_ms) if options.program
                        else read_lines(options.actual))
    intended = read_intended(options.intended)

    equal = 0
    unasked = 0
    meant = 0
    different = 0
    used = set()
    for name in sorted(set(expected) if options.partial else set(expected) | set(actual)):
        pair = expected.get(name, "nothing"), actual.get(name, "nothing")
        if pair[0] == pair[1]:
            equal += 1
        elif is_unasked(pair[0]) or is_unasked(pair[1]):
            unasked += 1
        else:
            entry = next((entry for entry in intended
                          if fnmatch.fnmatchcase(name, entry[0]) and entry[1:3] == pair), None)
            if entry is not None:
                used.add(entry)
                meant += 1
            else:
                different += 1
                print("%s\n  expected  %s\n  actual    %s" % (name, *pair))
    for entry in intended:
        if entry not in used:
            print("not needed in %s: %s" % (options.intended, entry[0]))
    print("%d equal, %d different, %d different as intended, %d not asked on one side"
          % (equal, different, meant, unasked))
    if equal == 0:
        print("nothing was compared")
    return 1 if different > 0 or equal == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
