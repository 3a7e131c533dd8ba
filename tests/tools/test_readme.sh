#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: test_readme.sh ROOT PATH-OF-NDBUF PATH-OF-STRIDED-COPY
#
# README.md shows examples/strided_copy.c as it is, and the true output of that program and of `ndbuf format`.
set -euo pipefail

root=$1 ndbuf=$2 strided_copy=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# block TEXT: the fenced block of the README whose first line, its fence not counted, is TEXT, without the fences.
block() {
    awk -v first="$1" '
        /^```/ && inside { if (found) exit; inside = 0; next }
        /^```/ { inside = 1; fresh = 1; next }
        inside && fresh { fresh = 0; found = $0 == first }
        inside && found { print }' "$root/README.md"
}

nfailed=0
compare() {
    if ! [ -s "$work/shown" ] || ! diff -u "$work/shown" "$work/true"; then
        echo "README.md does not show the truth: $1" >&2
        nfailed=$((nfailed + 1))
    fi
}

block '/* SPDX-License-Identifier: Apache-2.0 */' >"$work/shown"
cat "$root/examples/strided_copy.c" >"$work/true"
compare examples/strided_copy.c

block '18 20 22' >"$work/shown"
"$strided_copy" cpu >"$work/true"
compare 'the output of strided_copy'

command="ndbuf format 'T{B:tag:d:x:(2,3)f:m:}'"
block "\$ $command" | tail -n +2 >"$work/shown"
"$ndbuf" format 'T{B:tag:d:x:(2,3)f:m:}' >"$work/true"
compare "$command"

echo "$((3 - nfailed)) passed, $nfailed failed"
[ "$nfailed" -eq 0 ]
