#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the kernels for a GPU with all warnings as errors, and fails if one of them spills registers or needs a stack
# frame. Exit status 77: there is no nvcc.
#
# usage: check_nvcc.sh NVCC ROOT FOLDER      FOLDER: for what comes out
set -eu

nvcc=$1
root=$2
folder=$3
if [ -z "$nvcc" ] || [ ! -x "$nvcc" ]; then
    echo "no nvcc"
    exit 77
fi
mkdir -p "$folder"

compile()
{
    "$nvcc" -Werror all-warnings -I "$root" -x cu "$@" "$root/backends/kernels/strided_kernels.c"
}

compile -ptx -arch=compute_75 -o "$folder/strided_kernels.ptx"
compile -cubin -arch=sm_90 -Xptxas -v -o "$folder/strided_kernels.cubin" >"$folder/ptxas.log" 2>&1 || {
    cat "$folder/ptxas.log"
    exit 1
}

nkernels=$(grep -c "Compiling entry function 'ndk_" "$folder/ptxas.log")
nclean=$(grep -c " 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" "$folder/ptxas.log")
echo "$nkernels kernels, $nclean of them without stack frame and spills"
if [ "$nkernels" -eq 0 ] || [ "$nclean" -ne "$nkernels" ]; then
    grep -B 2 "stack frame" "$folder/ptxas.log"
    exit 1
fi
