#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over every C file of a build made with compile_commands.json (the dev preset makes one).
#
#   check_tidy.sh BUILD_DIR [FILE...]       from the root of the tree; without files: all that the build compiles
set -eu

build=$1
shift
clang_tidy=
for name in clang-tidy-14 clang-tidy; do
    if command -v "$name" >/dev/null; then
        clang_tidy=$name
        break
    fi
done
if [ -z "$clang_tidy" ]; then
    echo "clang-tidy is missing" >&2
    exit 1
fi
# Each file once: without it, clang-tidy analyses a file anew for each target that compiles it.
database=$build/tidy
mkdir -p "$database"
python3 - "$build/compile_commands.json" "$database/compile_commands.json" <<'END'
import json
import sys

with open(sys.argv[1]) as commands:
    once = {command["file"]: command for command in reversed(json.load(commands))}
with open(sys.argv[2], "w") as commands:
    json.dump(list(once.values()), commands, indent=2)
END

list_files() {
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@"
    else
        # What the build made itself is not ours to tidy.
        sed -n 's/^ *"file": "\(.*\.c\)",*$/\1/p' "$database/compile_commands.json" |
            grep -v "^$(realpath "$build")/" | sort -u
    fi
}

# One file for each run: the analyzer of clang 14 mixes up the va_list of several. What each run says beside findings is
# taken out before it meets the output of the others.
chatter='^[0-9]+ warnings? (generated|treated as error)|^Suppressed [0-9]+ warnings|^Use -header-filter'
tidy() {
    xargs -r -P "$(nproc)" -n 1 sh -c 'chatter=$1; shift; "$@" 2>&1 | grep -vE "$chatter" || true' sh "$chatter" \
        "$clang_tidy" -p "$database" --quiet --warnings-as-errors='*' "$@" |
        { ! grep .; }
}

# The model comes before the feature test macros of the files, so these are set for all. The analyzer leaves tests out,
# and the model has macros of the names that core/status.c defines. Two thirds of the states that the analyzer looks at
# by default take it three quarters of the time for the slowest files.
without_model="^$(realpath .)/tests/|core/status\\.c\$"
failed=0
list_files "$@" | { grep -vE "$without_model" || true; } |
    tidy --extra-arg=-include --extra-arg="$(realpath "$(dirname "$0")/analyzer_model.h")" \
        --extra-arg=-D_GNU_SOURCE= --extra-arg=-D_DEFAULT_SOURCE= --extra-arg=-Xclang --extra-arg=-analyzer-config \
        --extra-arg=-Xclang --extra-arg=max-nodes=150000 || failed=1
list_files "$@" | { grep -E "$without_model" || true; } | tidy || failed=1
exit $failed
