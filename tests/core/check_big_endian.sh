#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the library and its probe for s390x, whose numbers are big-endian and whose long doubles are IEEE's of 128
# bits, and runs under an emulator what has the same answers there as anywhere else: vectors of tests/oracle, and tests
# of conversions. Skipped without a cross-compiler and qemu-user; see tests/support/cross.sh.
#
#   check_big_endian.sh ROOT OUT_DIR CMAKE GENERATOR PYTHON
set -eu

python=$5
processor=s390x
optimisation=-O1
. "$1/tests/support/cross.sh"
cross_build --target ndbuf_static ndbuf-probe

printf '#!/bin/sh\nexec "%s" -L "%s" "%s"\n' "$emulator" "$libraries" "$out/build/tools/ndbuf-probe" >"$out/probe"
chmod +x "$out/probe"
vectors=$root/tests/oracle/vectors
"$python" "$root/tests/oracle/run_vectors.py" --any-host "$out/probe" "$vectors/casts.txt" "$vectors/copies.txt" \
    "$vectors/formats.txt" "$vectors/values.txt" "$vectors/views.txt"

# What the tests share, and the tests.
cd "$out/objects"
# shellcheck disable=SC2046 # a list
cross_compile -c $(ls "$root"/tests/support/*.c | grep -v /test_reference_)
for test in item conversion "copy_convert fake:0 fake:1"; do
    program=test_${test%% *}
    cross_link "$program" "$root/tests/core/$program.c" ./*.o
    # shellcheck disable=SC2086 # with arguments
    cross_run "$out/$program" ${test#"${test%% *}"}
done
