# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154 # the test's variables
# Sourced by tests that build the library for another processor and run what they compile under an emulator. Debian:
# gcc-PROCESSOR-linux-gnu, its libc6-dev and qemu-user; without them the test is skipped. The test has set `processor`,
# and `optimisation` for the compiler; its own arguments are ROOT OUT_DIR CMAKE GENERATOR.

root=$1
out=$2
cmake=$3
generator=$4
compiler=$processor-linux-gnu-gcc
emulator=qemu-$processor
libraries=/usr/$processor-linux-gnu
for program in "$compiler" "$emulator"; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: no $program"
        exit 77
    fi
done
rm -rf "$out/objects"
mkdir -p "$out/objects"

# cross_build ARGUMENTS...: builds the library without GPU backends in $out/build; the arguments are cmake --build's.
cross_build() {
    "$cmake" -S "$root" -B "$out/build" -G "$generator" -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR="$processor" -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$optimisation" \
        -DNDBUF_BACKEND_OPENCL=OFF -DNDBUF_BACKEND_CUDA=OFF -DNDBUF_BUILD_TESTS=OFF -DNDBUF_WERROR=ON
    "$cmake" --build "$out/build" "$@"
}

# cross_compile ARGUMENTS...: compiles tests.
cross_compile() {
    "$compiler" "$optimisation" -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -DNDBUF_STATIC -I"$root" \
        -I"$root/include" -I"$root/tests" -I"$root/tests/support/stand_in" "$@"
}

# cross_link TEST OBJECT...: links $out/TEST with the library.
cross_link() {
    name=$1
    shift
    cross_compile "$@" "$out/build/libndbuf.a" -o "$out/$name" -lpthread -ldl -lm
}

# cross_run PROGRAM ARGUMENTS...
cross_run() {
    "$emulator" -L "$libraries" "$@"
}
