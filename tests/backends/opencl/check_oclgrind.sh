#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a test under Oclgrind, which looks for data races and uninitialised memory in the kernels. Fails if the test
# does, or if Oclgrind says anything. With --planted, the kernels are built with a define that makes a data race: then
# Oclgrind has to name it. Exit status 77: there is no Oclgrind.
#
# usage: check_oclgrind.sh OCLGRIND LIBRARY [--planted DEFINE] PROGRAM [ARGUMENTS]
#     LIBRARY: Oclgrind's OpenCL
set -eu

oclgrind=$1
library=$2
shift 2
if [ ! -x "$oclgrind" ] || [ ! -f "$library" ]; then
    echo "no Oclgrind"
    exit 77
fi
checks=--uninitialized
planted=
if [ "$1" = --planted ]; then
    planted=$2
    checks="--build-options -D$2"
    shift 2
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export NDBUF_OPENCL="$library"
status=0
# shellcheck disable=SC2086 # the checks are several words
"$oclgrind" --data-races $checks --log "$log" "$@" || status=$?

head -n 40 "$log"
if [ -n "$planted" ]; then
    grep -q "data race at local memory" "$log"
    exit
fi
if [ -s "$log" ]; then
    exit 1
fi
exit "$status"
