#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the library and its probe for s390x, whose numbers are big-endian and whose long doubles are IEEE's of 128
# bits, and runs under an emulator what has the same answers there as anywhere else: vectors of tests/oracle, and tests
# of conversions. Debian: gcc-s390x-linux-gnu, libc6-dev-s390x-cross and qemu-user; without them the test is skipped.
#
#   check_big_endian.sh ROOT OUT_DIR CMAKE GENERATOR PYTHON
set -eu

root=$1
out=$2
cmake=$3
generator=$4
python=$5
compiler=s390x-linux-gnu-gcc
emulator=qemu-s390x
libraries=/usr/s390x-linux-gnu
for program in "$compiler" "$emulator"; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: no $program"
        exit 77
    fi
done
rm -rf "$out/objects"
mkdir -p "$out/objects"
"$cmake" -S "$root" -B "$out/build" -G "$generator" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=s390x \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS=-O1 -DNDBUF_BACKEND_OPENCL=OFF -DNDBUF_BACKEND_CUDA=OFF \
    -DNDBUF_BUILD_TESTS=OFF -DNDBUF_WERROR=ON
"$cmake" --build "$out/build" --target ndbuf_static ndbuf-probe

printf '#!/bin/sh\nexec "%s" -L "%s" "%s"\n' "$emulator" "$libraries" "$out/build/tools/ndbuf-probe" >"$out/probe"
chmod +x "$out/probe"
vectors=$root/tests/oracle/vectors
"$python" "$root/tests/oracle/run_vectors.py" --any-host "$out/probe" "$vectors/casts.txt" "$vectors/copies.txt" \
    "$vectors/formats.txt" "$vectors/values.txt" "$vectors/views.txt"

# What the tests share, and the tests.
compile() {
    "$compiler" -O1 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -DNDBUF_STATIC -I"$root" -I"$root/include" \
        -I"$root/tests" -I"$root/tests/support/stand_in" "$@"
}
cd "$out/objects"
# shellcheck disable=SC2046 # a list
compile -c $(ls "$root"/tests/support/*.c | grep -v /test_reference_)
for test in item conversion "copy_convert fake:0 fake:1"; do
    name=${test%% *}
    compile "$root/tests/core/test_$name.c" ./*.o "$out/build/libndbuf.a" -o "$out/test_$name" -lpthread -ldl -lm
    # shellcheck disable=SC2086 # with arguments
    "$emulator" -L "$libraries" "$out/test_$name" ${test#"$name"}
done
