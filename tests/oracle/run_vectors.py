#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a probe what vector files ask, and compares its answers (PROTOCOL.md).

usage: run_vectors.py [--devices SRC/DST] [--only TEXT] [--any-host] [--show N] PROBE FILE...

  --devices SRC/DST  where copies are from and to, as 'hello' names them; exit status 77 if one is not there
  --only TEXT        only the requests that contain TEXT
  --any-host         only the requests whose answers are those of every host: all formats name their byte order
  --show N           tell about N wrong answers of each file (5)

Exit status: 0 all answers are right; 1 some are wrong, skipped or missing; 77 a device is missing.
"""
import argparse
import re
import subprocess
import sys
import threading
from urllib.parse import unquote_to_bytes

ANSWER_TIMEOUT_S = 60
TWO_SIDED = ("copy", "gather", "scatter", "sconvert")
# Whose size or byte order is the host's: what follows no order, or '@', '=' or '^'; and types without a standard size.
NATIVE = re.compile(rb"^[^<>!]*[a-zA-Z?]|[@=^]|[gOPX&nN]")


def read_vectors(path):
    """[(request, expected answer)]"""
    vectors = []
    request = None
    with open(path, encoding="ascii") as file:
        for line in file.read().splitlines():
            if line.startswith("= "):
                vectors.append((request, line[2:]))
            elif not line.startswith("#"):
                request = line
    return vectors


def fields_of(line):
    """The first word, and the values by their keys, undecoded."""
    word, *fields = line.split(" ")
    return word, dict(field.split("=", 1) for field in fields if "=" in field)


def value_agrees(expected, actual):
    """Lists agree member by member; '*' stands for anything, and encoded text is compared decoded."""
    for separator in ";~,":
        if separator in expected:
            parts = expected.split(separator), actual.split(separator)
            return len(parts[0]) == len(parts[1]) and all(map(value_agrees, *parts))
    return expected == "*" or unquote_to_bytes(expected) == unquote_to_bytes(actual)


def difference(expected, actual):
    """What is wrong with an answer; None: nothing."""
    expected_word, expected_fields = fields_of(expected)
    word, fields = fields_of(actual)
    if word != expected_word:
        return "'%s' instead of '%s'" % (word, expected_word)
    for key, value in expected_fields.items():
        if key not in fields:
            return "no %s" % key
        if not value_agrees(value, fields[key]):
            return key
    return None


def is_for_any_host(request):
    """Whether all formats of a request mean the same on every host; braces, shapes and padding always do."""
    formats = [unquote_to_bytes(value) for key, value in fields_of(request)[1].items() if key.endswith("fmt")]
    return not any(NATIVE.search(re.sub(rb":[^:]*:|T\{|\([\d,]*\)|\d*x", b"", text)) for text in formats)


def with_devices(request, devices):
    if devices is not None:
        command = request.split(" ", 1)[0]
        if command in TWO_SIDED:
            return "%s sdev=%s ddev=%s" % (request, *devices)
        if command == "move":
            return "%s dev=%s" % (request, devices[0])
    return request


class Probe:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def answers(self, requests):
        """One answer for each request, as long as the probe lives; each must come in time."""
        def feed():
            try:
                for request in requests:
                    self.process.stdin.write(request.encode("ascii") + b"\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                pass  # the missing answers are counted

        thread = threading.Thread(target=feed)
        thread.start()
        for _ in requests:
            timer = threading.Timer(ANSWER_TIMEOUT_S, self.process.kill)
            timer.start()
            line = self.process.stdout.readline()
            timer.cancel()
            if not line.endswith(b"\n"):
                break
            yield line.decode("ascii", "replace")[:-1]
        thread.join()

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def run_file(probe, path, options, devices):
    """(right answers, wrong ones)"""
    vectors = [v for v in read_vectors(path)
               if options.only in v[0] and (not options.any_host or is_for_any_host(v[0]))]
    requests = [with_devices(request, devices) for request, _ in vectors]
    right = 0
    wrong = 0
    for request, (_, expected), actual in zip(requests, vectors, probe.answers(requests)):
        what = difference(expected, actual)
        if what is None:
            right += 1
            continue
        wrong += 1
        if wrong <= options.show:
            print("%s\n  expected %s\n  answer   %s\n  wrong    %s" % (request, expected, actual, what))
    missing = len(vectors) - right - wrong
    if missing > 0:
        print("the probe ended, or hung, at: %s" % requests[right + wrong])
    if not vectors:
        print("%s: no vectors" % path)
        return 0, 1
    print("%s: %d right, %d wrong, %d without an answer" % (path, right, wrong, missing))
    return right, wrong + missing


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--devices")
    parser.add_argument("--only", default="")
    parser.add_argument("--any-host", action="store_true")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("probe")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    devices = options.devices.split("/") if options.devices else None

    probe = Probe(options.probe)
    hello = next(probe.answers(["hello"]), "nothing")
    print(hello)
    word, fields = fields_of(hello)
    if word != "ok" or fields.get("proto") != "1":
        print("the probe does not speak version 1 of the protocol")
        return 1
    missing = sorted(set(devices or []) - set(fields["devices"].split(",")))
    if missing:
        print("not here: " + ", ".join(missing))
        probe.end()
        return 77
    wrong = 0
    for path in options.files:
        wrong += run_file(probe, path, options, devices)[1]
    status = probe.end()
    if status != 0:
        print("the probe ended with status %d" % status)
    return 1 if wrong > 0 or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
