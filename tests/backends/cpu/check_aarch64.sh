#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the library, its tools and benchmarks for AArch64, and runs the tests of the host engine and of its conversions
# under an emulator. Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user; without them the test is
# skipped.
#
#   check_aarch64.sh ROOT OUT_DIR CMAKE GENERATOR
set -eu

root=$1
out=$2
cmake=$3
generator=$4
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
"$cmake" -S "$root" -B "$out/build" -G "$generator" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS=-O1 -DNDBUF_BACKEND_OPENCL=OFF -DNDBUF_BACKEND_CUDA=OFF \
    -DNDBUF_BUILD_TESTS=OFF -DNDBUF_WERROR=ON
"$cmake" --build "$out/build"

cd "$out/objects"
"$compiler" -c -O1 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -DNDBUF_BUILDING -DNDBUF_STATIC -DEMULATED_NEON \
    -I"$root" -I"$root/include" -I"$root/tests" -I"$root/tests/support/stand_in" \
    "$root/tests/backends/cpu/test_cpu_engine.c" "$root/tests/backends/cpu/test_cpu_convert.c" \
    "$root/tests/backends/cpu/random_box.c" "$root/tests/backends/cpu/random_numbers.c" \
    "$root/tests/backends/cpu/all_kernels.c" "$root/tests/support/test.c"
for test in engine convert; do
    # shellcheck disable=SC2046 # a list
    "$compiler" -static "test_cpu_$test.o" $(ls | grep -v '^test_cpu_') "$out/build/libndbuf.a" \
        -o "$out/test_cpu_$test" -lpthread -ldl -lm
    "$emulator" "$out/test_cpu_$test"
done
