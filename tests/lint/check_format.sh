#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Whether clang-format would leave all C files as they are. Run from the root of the tree.
set -eu

clang_format=
for name in clang-format-14 clang-format; do
    if command -v "$name" >/dev/null; then
        clang_format=$name
        break
    fi
done
if [ -z "$clang_format" ]; then
    echo "clang-format is missing" >&2
    exit 1
fi
find include core backends tests tools bench examples python -name '*.[ch]' -print0 |
    xargs -0 "$clang_format" --dry-run -Werror --style=file
