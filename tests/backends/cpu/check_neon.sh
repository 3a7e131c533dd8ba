#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles the host engine and its tests for AArch64, and runs them under an emulator. Debian: gcc-aarch64-linux-gnu,
# libc6-dev-arm64-cross and qemu-user; without them the test is skipped.
#
#   check_neon.sh ROOT OUT_DIR
set -eu

root=$1
out=$2
compiler=aarch64-linux-gnu-gcc
emulator=qemu-aarch64
for program in "$compiler" "$emulator"; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: no $program"
        exit 77
    fi
done
rm -rf "$out/objects"
mkdir -p "$out/objects"
# Not the engine's, or not for AArch64.
others='(kernels|convert)_(ssse3|avx)|cpu_(backend|copy|memory|mapped_file|queue)\.c'
sources=$(ls "$root"/backends/cpu/cpu_*.c | grep -vE "$others")
cd "$out/objects"
# shellcheck disable=SC2086 # a list
"$compiler" -c -O2 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -DNDBUF_BUILDING -DNDBUF_STATIC -DEMULATED_NEON \
    -I"$root" -I"$root/include" -I"$root/tests" -I"$root/tests/support/stand_in" \
    "$root"/tests/backends/cpu/test_cpu_engine.c "$root"/tests/backends/cpu/test_cpu_convert.c \
    "$root/tests/backends/cpu/random_box.c" "$root/tests/backends/cpu/random_numbers.c" \
    "$root/tests/backends/cpu/all_kernels.c" "$root/tests/support/test.c" \
    $sources "$root/backends/kernels/convert_host.c" "$root/core/copy_axes.c" "$root/core/environment.c" \
    "$root/core/fork_guard.c" "$root/core/host_alloc.c" "$root/core/status.c"
for test in engine convert; do
    # shellcheck disable=SC2046 # a list
    "$compiler" -static "test_cpu_$test.o" $(ls | grep -v '^test_cpu_') -o "../test_cpu_${test}_aarch64" -lpthread
    "$emulator" "../test_cpu_${test}_aarch64"
done
