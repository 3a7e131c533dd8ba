#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds all but the tests for AArch64, and runs the tests of the host engine and of its conversions under an emulator.
# Skipped without a cross-compiler and qemu-user; see tests/support/cross.sh.
#
#   check_aarch64.sh ROOT OUT_DIR CMAKE GENERATOR
set -eu

processor=aarch64
optimisation=-O2
. "$1/tests/support/cross.sh"
cross_build

cd "$out/objects"
cross_compile -c -DEMULATED_NEON "$root/tests/backends/cpu/all_kernels.c" "$root/tests/backends/cpu/random_box.c" \
    "$root/tests/backends/cpu/random_numbers.c" "$root/tests/support/test.c"
for test in engine convert; do
    cross_link "test_cpu_$test" -DEMULATED_NEON "$root/tests/backends/cpu/test_cpu_$test.c" ./*.o
    cross_run "$out/test_cpu_$test"
done
