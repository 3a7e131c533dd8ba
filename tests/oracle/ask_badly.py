#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a probe what it cannot understand: each line gets exactly one answer, and the probe lives on.

usage: ask_badly.py PROBE
"""
import subprocess
import sys

VIEW = b"view bytes=8 item=1 shape=8 strides=1 offset=0 ops="
COPY = b"copy seed=1 item=1 shape=4 sbytes=4 soffset=0 sstrides=1 dbytes=4 doffset=0 dstrides=1"
PILED = b"copy seed=1 item=1 shape=2,4 sbytes=8 spdim=0 sstrides=1,1 dbytes=8 doffset=0 dstrides=4,1"
REQUEST = b"request fmt=B item=1 bytes=4 shape=4 strides=1 offset=0 readonly=0 flags="

# (what is sent, how the answer begins)
CASES = [
    (b"", b"err class=arg"),
    (b" ", b"err class=arg"),
    (b"nonsense", b"err class=arg"),
    (b"format", b"err class=format"),
    (b"format fmt", b"err class=arg"),
    (b"format =B", b"err class=arg"),
    (b"format FMT=B", b"err class=arg"),
    (b"format fmt=%4", b"err class=arg"),
    (b"format fmt=%zz", b"err class=arg"),
    (b"format fmt=%00", b"err class=format"),
    (b"format fmt=B\0", b"err class=arg"),
    (b"format fmt=\xff", b"err class=format"),
    (b"format fmt=" + b"T{" * 20000, b"err class=format"),
    (b"format fmt=" + b"B" * 65525, b"err class="),  # as long as a line may be; its answer would be longer
    (b"format fmt=" + b"B" * 65526, b"err class=arg msg=the%20line%20is%20too%20long"),
    (b"format fmt=B " + b"x" * 1000000, b"err class=arg msg=the%20line%20is%20too%20long"),
    (b"format fmt=B" + b" k=v" * 64, b"err class=arg"),
    (b"format fmt=B" + b" k=v" * 63, b"ok itemsize=1"),
    (b"format  fmt=B unknown=1 ", b"ok itemsize=1"),
    (b"format fmt=i fmt=B", b"ok itemsize=1"),
    (VIEW + b"-", b"ok ndim=1 shape=8 strides=1 offset=0 c=1 f=1 nbytes=8 lo=0 hi=8"),
    (VIEW + b"slice:0:1:2", b"err class=arg"),
    (VIEW + b"slice:0:1:2:3:4", b"err class=arg"),
    (VIEW + b"slice:0:1:2:x", b"err class=arg"),
    (VIEW + b"slice:4294967296:_:_:_", b"err class=arg"),
    (VIEW + b"slice:0:_:_:0", b"err class=arg"),
    (VIEW + b"index:0:9223372036854775808", b"err class=arg"),
    (VIEW + b"perm:-", b"err class=arg"),
    (VIEW + b"perm:" + b",".join([b"0"] * 1000), b"err class=arg"),
    (VIEW + b"reshape:2,4:", b"err class=arg"),
    (VIEW + b"reshape:2,4:X", b"err class=arg"),
    (VIEW + b"reshape:2,,4:C", b"err class=arg"),
    (VIEW + b"bcast:" + b",".join([b"1"] * 64) + b",8", b"err class="),
    (VIEW + b";", b"err class=arg"),
    (VIEW.replace(b"bytes=8", b"bytes=-8") + b"-", b"err class=arg"),
    (VIEW.replace(b"item=1", b"item=-1") + b"-", b"err class=arg"),
    (VIEW.replace(b"strides=1", b"strides=1,1") + b"-", b"err class=arg"),
    (VIEW.replace(b"shape=8", b"shape=-8") + b"-", b"err class=arg"),
    (VIEW.replace(b"shape=8", b"shape=9") + b"-", b"err class=bounds"),
    (VIEW.replace(b"shape=8 strides=1", b"shape=" + b",".join([b"1"] * 65) + b" strides=" + b",".join([b"1"] * 65))
     + b"-", b"err class=arg"),
    (b"slice start=_ stop=_ step=0 len=4", b"err class=arg"),
    (b"slice start=_ stop=_ step=_ len=-1", b"err class=arg"),
    (b"slice start=_ stop=_ len=4", b"err class=arg"),
    (COPY, b"ok crc="),
    (COPY + b" sdev=nothing:0", b"err class=arg"),
    (COPY + b" ddev=cpu:7", b"err class=arg"),
    (COPY + b" ddev=" + b"x" * 100, b"err class=arg"),
    (COPY + b" sbytes=99999999999", b"err class=arg"),
    (COPY + b" sbytes=3", b"err class=bounds"),
    (COPY + b" dstrides=0", b"err class=arg"),
    (PILED + b" sptrs=0,4 spfirst=0 ssub=0", b"ok crc="),
    (PILED + b" sptrs=0,5 spfirst=0 ssub=0", b"err class=bounds"),
    (PILED + b" sptrs=0,4 spfirst=0 ssub=1", b"err class=bounds"),
    (PILED + b" sptrs=0,-1 spfirst=0 ssub=0", b"err class=bounds"),
    (PILED + b" sptrs=0,4 spfirst=1 ssub=0", b"err class=bounds"),
    (PILED + b" sptrs=0,4,99 spfirst=0 ssub=0", b"ok crc="),
    (PILED + b" sptrs=0,9223372036854775807 spfirst=0 ssub=0", b"err class=bounds"),
    (PILED + b" sptrs=0,4 spfirst=3 ssub=0", b"err class=arg"),
    (PILED + b" sptrs=0,4 spfirst=0 ssub=-1", b"err class=arg"),
    (PILED + b" sptrs=0,4 spfirst=0 ssub=0 spdim=2", b"err class=arg"),
    (PILED + b" sptrs=0,4 spfirst=0 ssub=0 sstrides=9223372036854775807,1", b"err class=overflow"),
    (b"gather order=X seed=1 item=1 shape=4 sbytes=4 soffset=0 sstrides=1", b"err class=arg"),
    (b"gather order=C seed=1 item=1 shape=1000000000000 sbytes=4 soffset=0 sstrides=0", b"err class=arg"),
    (REQUEST + b"FULL", b"ok len=4 item=1 readonly=0 ndim=1 fmt=B shape=4 strides=1 sub=null"),
    (REQUEST + b"PyBUF_FULL", b"err class=arg"),
    (REQUEST + b"FORMAT++ND", b"err class=arg"),
    (b"pack fmt=B values=1", b"ok data=01"),
    (b"pack fmt=4x values=-", b"ok data=00000000"),
    (b"pack fmt=f values=x7fe0000000000000", b"ok data=0000807f"),  # as struct has it, in native mode alone
    (b"pack fmt=T{f:a:} values=x7fe0000000000000", b"err class=range"),
    (b"pack fmt=(2)T{<d<f} values=x3dd7ccb0403641f7,x4074500000000000,xf3402ef44bce7f75,x3ff0000000000000",
     b"ok data=f7413640b0ccd73d0080a243757fce4bf42e40f30000803f"),
    (b"pack fmt=B values=", b"err class=arg"),
    (b"pack fmt=B values=1,", b"err class=arg"),
    (b"pack fmt=B values=1,2", b"err class=arg"),
    (b"pack fmt=B values=--1", b"err class=arg"),
    (b"pack fmt=B values=h01", b"err class=arg"),
    (b"pack fmt=B values=18446744073709551616", b"err class=range"),
    (b"pack fmt=b values=-18446744073709551616", b"err class=range"),
    (b"pack fmt=d values=x3ff", b"err class=arg"),
    (b"pack fmt=d values=xzzzzzzzzzzzzzzzz", b"err class=arg"),
    (b"pack fmt=Zd values=z3ff0000000000000", b"err class=arg"),
    (b"pack fmt=s values=h0", b"err class=arg"),
    (b"pack fmt=c values=h", b"err class=arg"),
    (b"pack fmt=99999999999s values=h00", b"err class=arg"),
    (b"unpack fmt=B data=-", b"err class=arg"),
    (b"unpack fmt=H data=0", b"err class=arg"),
    (b"unpack fmt=H data=00000", b"err class=arg"),
    (b"unpack fmt=H data=0x00", b"err class=arg"),
    (b"unpack fmt=4x data=01020304", b"ok values=-"),
    (b"unpack fmt=<f data=0000c07f", b"ok values=nan"),
    (b"unpack fmt=<Zf data=0000c07f0000807f", b"ok values=z7ff8000000000000/7ff0000000000000"),
    (b"convert sfmt=B dfmt=B count=2 data=01", b"err class=arg"),
    (b"convert sfmt=B dfmt=B count=-1 data=-", b"err class=arg"),
    (b"convert sfmt=4x dfmt=4x count=9223372036854775807 data=-", b"err class=arg"),
    (b"convert sfmt=B dfmt=s count=1 data=01", b"err class=arg"),
    (b"convert sfmt=B dfmt=B count=0 data=-", b"ok data=-"),
    (b"cancast sfmt=B dfmt=B rule=loose", b"err class=arg"),
    (b"cancast sfmt=B dfmt=Y rule=no", b"err class=format"),
    (b"cancast sfmt=d dfmt=s rule=unsafe", b"ok can=0"),
    (b"dlpack fmt=B", b"err class="),
    (b"hello", b"ok proto=1 lib=ndbuf/"),
]


def main():
    # Without a line feed at the end, the last line is a request all the same.
    requests = b"\n".join(request for request, _ in CASES)
    result = subprocess.run([sys.argv[1]], input=requests, stdout=subprocess.PIPE, timeout=120)
    answers = result.stdout.split(b"\n")
    wrong = 0
    for (request, expected), answer in zip(CASES, answers):
        if not answer.startswith(expected):
            print("%s\n  expected %s...\n  answer   %s" % (request[:120], expected, answer[:200]))
            wrong += 1
    if len(answers) != len(CASES) + 1 or answers[-1] != b"":
        print("%d answers to %d requests" % (len(answers) - 1, len(CASES)))
        wrong += 1
    if any(len(answer) >= 65536 for answer in answers):
        print("an answer is longer than a line may be")
        wrong += 1
    if result.returncode != 0:
        print("the probe ended with status %d" % result.returncode)
        wrong += 1
    return 1 if wrong > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
