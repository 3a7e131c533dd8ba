/* SPDX-License-Identifier: Apache-2.0 */
/* Copies: which arguments are refused, with which code, and what is moved. */
#include "tests/cudasim/calibration/calibration.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PITCH_BEYOND ((size_t)1 << 31) /* the limit is 2^31 - 1 on known devices */

static cudaError_t copy(void *dst, const void *src, size_t nbytes, enum cudaMemcpyKind kind)
{
    cudaError_t error = cuda.cudaMemcpyAsync(dst, src, nbytes, kind, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    return error;
}

void ask_copy_arguments(void)
{
    answer_error("copy.0_bytes", copy(world.device, world.pinned, 0, cudaMemcpyDefault));
    answer_error("copy.0_bytes_null", copy(NULL, NULL, 0, cudaMemcpyDefault));
    answer_error("copy.0_bytes_kind_99", copy(world.device, world.pinned, 0, (enum cudaMemcpyKind)99));
    answer_error("copy.kind_99", copy(world.device, world.pinned, 64, (enum cudaMemcpyKind)99));
    answer_error("copy.kind_minus_1", copy(world.device, world.pinned, 64, (enum cudaMemcpyKind) - 1));
    answer_error("copy.kind_to_device", copy(world.device, world.pinned, 64, cudaMemcpyHostToDevice));
    answer_error("copy.kind_to_host", copy(world.pinned, world.device, 64, cudaMemcpyDeviceToHost));
    answer_error("copy.kind_on_device", copy(world.device, world.device2, 64, cudaMemcpyDeviceToDevice));
    answer_error("copy.kind_on_host", copy(world.pinned, world.pageable, 64, cudaMemcpyHostToHost));
    answer_error("copy.to_itself", copy(world.device, world.device, 64, cudaMemcpyDefault));
    answer_error("copy.legacy_stream",
                 cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, cudaStreamLegacy));
    settle();
    answer_error("copy.per_thread_stream",
                 cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, cudaStreamPerThread));
    settle();
    answer_error("copy.across_pinned_and_registered", copy(world.pinned, world.registered, 4096, cudaMemcpyDefault));
    answer_error("copy.managed_to_pageable", copy(world.pageable, world.managed, 4096, cudaMemcpyDefault));
}

static void ask_2d(const char *name, size_t dst_pitch, size_t src_pitch, size_t width, size_t height)
{
    cudaError_t error = cuda.cudaMemcpy2DAsync(world.device, dst_pitch, world.pinned, src_pitch, width, height,
                                               cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_error(name, error);
}

static void ask_2d_on_device(const char *name, size_t dst_pitch, size_t src_pitch, size_t width, size_t height)
{
    cudaError_t error = cuda.cudaMemcpy2DAsync(world.device, dst_pitch, world.device2, src_pitch, width, height,
                                               cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_error(name, error);
}

void ask_copy2d_arguments(void)
{
    ask_2d("copy2d.plain", 512, 512, 256, 4);
    ask_2d("copy2d.width_is_pitch", 256, 256, 256, 4);
    ask_2d("copy2d.width_0", 512, 512, 0, 4);
    ask_2d("copy2d.height_0", 512, 512, 256, 0);
    ask_2d("copy2d.all_0", 0, 0, 0, 0);
    ask_2d("copy2d.width_0_pitch_0", 0, 0, 0, 4);
    ask_2d("copy2d.height_0_pitch_below_width", 128, 512, 256, 0);
    ask_2d("copy2d.dst_pitch_below_width", 128, 512, 256, 4);
    ask_2d("copy2d.src_pitch_below_width", 512, 128, 256, 4);
    ask_2d("copy2d.dst_pitch_below_width_one_row", 128, 512, 256, 1);
    ask_2d("copy2d.src_pitch_below_width_one_row", 512, 128, 256, 1);
    ask_2d("copy2d.pitch_0_one_row", 0, 0, 256, 1);
    ask_2d("copy2d.pitch_0_two_rows", 0, 0, 256, 2);
    ask_2d("copy2d.odd_pitches", 257, 259, 255, 4);
    ask_2d("copy2d.width_1", 3, 5, 1, 100);
    ask_2d("copy2d.dst_pitch_2^31_one_row", PITCH_BEYOND, 512, 256, 1);
    ask_2d("copy2d.src_pitch_2^31_one_row", 512, PITCH_BEYOND, 256, 1);
    ask_2d("copy2d.dst_pitch_2^31-1_one_row", PITCH_BEYOND - 1, 512, 256, 1);
    ask_2d("copy2d.src_pitch_2^31-1_one_row", 512, PITCH_BEYOND - 1, 256, 1);
    ask_2d_on_device("copy2d.on_device", 512, 512, 256, 4);
    ask_2d_on_device("copy2d.on_device_odd_pitches", 257, 259, 255, 4);
    ask_2d_on_device("copy2d.on_device_dst_pitch_2^31_one_row", PITCH_BEYOND, 512, 256, 1);
    ask_2d_on_device("copy2d.on_device_src_pitch_2^31_one_row", 512, PITCH_BEYOND, 256, 1);
    ask_2d_on_device("copy2d.on_device_pitch_2^31-1_one_row", PITCH_BEYOND - 1, PITCH_BEYOND - 1, 256, 1);
    ask_2d_on_device("copy2d.width_2^62_one_row", (size_t)1 << 62, (size_t)1 << 62, (size_t)1 << 62, 1);
    /* The last row ends where the memory ends, its padding lies outside. */
    answer_error("copy2d.padding_past_the_end",
                 cuda.cudaMemcpy2DAsync(world.device + MEMORY_NBYTES - 768, 512, world.device2 + MEMORY_NBYTES - 768,
                                        512, 256, 2, cudaMemcpyDefault, world.stream));
    answer_error("copy2d.kind_99", cuda.cudaMemcpy2DAsync(world.device, 512, world.pinned, 512, 256, 4,
                                                          (enum cudaMemcpyKind)99, world.stream));
    answer_error("copy2d.0_rows_null",
                 cuda.cudaMemcpy2DAsync(NULL, 512, NULL, 512, 256, 0, cudaMemcpyDefault, world.stream));
    answer_error("copy2d.on_host", cuda.cudaMemcpy2DAsync(world.pageable, 512, world.pinned, 512, 256, 4,
                                                          cudaMemcpyDefault, world.stream));
    settle();
}

typedef struct side_3d {
    size_t pitch;
    size_t ysize;
} side_3d;

static struct cudaMemcpy3DParms copy_of(side_3d dst, side_3d src, size_t width, size_t height, size_t depth)
{
    struct cudaMemcpy3DParms parameters;
    memset(&parameters, 0, sizeof(parameters));
    parameters.dstPtr = (struct cudaPitchedPtr){world.device, dst.pitch, width, dst.ysize};
    parameters.srcPtr = (struct cudaPitchedPtr){world.pinned, src.pitch, width, src.ysize};
    parameters.extent = (struct cudaExtent){width, height, depth};
    parameters.kind = cudaMemcpyDefault;
    return parameters;
}

static void ask_3d_parameters(const char *name, const struct cudaMemcpy3DParms *parameters)
{
    cudaError_t error = cuda.cudaMemcpy3DAsync(parameters, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_error(name, error);
}

static void ask_3d(const char *name, side_3d dst, side_3d src, size_t width, size_t height, size_t depth)
{
    struct cudaMemcpy3DParms parameters = copy_of(dst, src, width, height, depth);
    ask_3d_parameters(name, &parameters);
}

void ask_copy3d_arguments(void)
{
    const side_3d plain = {512, 8};
    struct cudaMemcpy3DParms parameters;
    memset(&parameters, 0, sizeof(parameters));
    ask_3d_parameters("copy3d.null", NULL);
    ask_3d_parameters("copy3d.all_0", &parameters);
    ask_3d("copy3d.plain", plain, plain, 256, 4, 2);
    ask_3d("copy3d.height_is_ysize", plain, plain, 256, 8, 2);
    ask_3d("copy3d.width_0", plain, plain, 0, 4, 2);
    ask_3d("copy3d.height_0", plain, plain, 256, 0, 2);
    ask_3d("copy3d.depth_0", plain, plain, 256, 4, 0);
    ask_3d("copy3d.dst_pitch_below_width", (side_3d){128, 8}, plain, 256, 4, 2);
    ask_3d("copy3d.src_pitch_below_width", plain, (side_3d){128, 8}, 256, 4, 2);
    ask_3d("copy3d.dst_pitch_below_width_one_row", (side_3d){128, 8}, plain, 256, 1, 1);
    ask_3d("copy3d.src_pitch_below_width_one_row", plain, (side_3d){128, 8}, 256, 1, 1);
    ask_3d("copy3d.pitch_0_one_row", (side_3d){0, 8}, (side_3d){0, 8}, 256, 1, 1);
    ask_3d("copy3d.dst_ysize_below_height", (side_3d){512, 2}, plain, 256, 4, 2);
    ask_3d("copy3d.src_ysize_below_height", plain, (side_3d){512, 2}, 256, 4, 2);
    ask_3d("copy3d.dst_ysize_below_height_one_slice", (side_3d){512, 2}, plain, 256, 4, 1);
    ask_3d("copy3d.src_ysize_below_height_one_slice", plain, (side_3d){512, 2}, 256, 4, 1);
    ask_3d("copy3d.ysize_0_one_slice", (side_3d){512, 0}, (side_3d){512, 0}, 256, 4, 1);
    ask_3d("copy3d.src_ysize_0_two_slices", plain, (side_3d){512, 0}, 256, 4, 2);
    ask_3d("copy3d.odd_pitches", (side_3d){257, 5}, (side_3d){259, 7}, 255, 4, 3);
    ask_3d("copy3d.dst_pitch_2^31_one_row", (side_3d){PITCH_BEYOND, 1}, plain, 256, 1, 1);
    ask_3d("copy3d.src_pitch_2^31_one_row", plain, (side_3d){PITCH_BEYOND, 1}, 256, 1, 1);
    ask_3d("copy3d.dst_pitch_2^31-1_one_row", (side_3d){PITCH_BEYOND - 1, 1}, plain, 256, 1, 1);
    parameters = copy_of(plain, plain, 256, 4, 2);
    parameters.dstPtr.xsize = 0;
    parameters.srcPtr.xsize = 0;
    ask_3d_parameters("copy3d.xsize_0", &parameters);
    parameters.dstPtr.xsize = 100;
    ask_3d_parameters("copy3d.xsize_below_width", &parameters);
    parameters = copy_of(plain, plain, 256, 4, 2);
    parameters.kind = (enum cudaMemcpyKind)99;
    ask_3d_parameters("copy3d.kind_99", &parameters);
    parameters = copy_of(plain, plain, 256, 4, 2);
    parameters.dstPos = (struct cudaPos){100, 2, 1};
    parameters.srcPos = (struct cudaPos){50, 1, 3};
    ask_3d_parameters("copy3d.positions", &parameters);
    parameters = copy_of(plain, plain, 256, 4, 2);
    parameters.dstPtr.ptr = NULL;
    ask_3d_parameters("copy3d.no_destination", &parameters);
    parameters = copy_of(plain, plain, 256, 4, 2);
    parameters.srcPtr.ptr = NULL;
    ask_3d_parameters("copy3d.no_source", &parameters);
}

static void ask_peer(const char *name, int dst_device, int src_device, size_t nbytes)
{
    cudaError_t error =
        cuda.cudaMemcpyPeerAsync(world.device, dst_device, world.device2, src_device, nbytes, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_error(name, error);
}

static void ask_peer_3d(const char *name, int dst_device, int src_device, size_t pitch, size_t width, size_t height)
{
    struct cudaMemcpy3DPeerParms parameters;
    memset(&parameters, 0, sizeof(parameters));
    parameters.dstDevice = dst_device;
    parameters.srcDevice = src_device;
    parameters.dstPtr = (struct cudaPitchedPtr){world.device, pitch, width, 8};
    parameters.srcPtr = (struct cudaPitchedPtr){world.device2, pitch, width, 8};
    parameters.extent = (struct cudaExtent){width, height, 1};
    cudaError_t error = cuda.cudaMemcpy3DPeerAsync(&parameters, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_error(name, error);
}

static void ask_two_devices(void)
{
    if (world.ndevices < 2) {
        answer("copy_peer.to_device_1", "one device");
        answer("copy_peer.to_device_1_by_default_kind", "one device");
        answer("copy_peer.in_a_stream_of_the_other_device", "one device");
        return;
    }
    void *there = NULL;
    cudaStream_t stream_there = NULL;
    cuda.cudaSetDevice(1);
    cuda.cudaMalloc(&there, 4096);
    cuda.cudaStreamCreateWithFlags(&stream_there, cudaStreamNonBlocking);
    cuda.cudaSetDevice(0);
    answer_error("copy_peer.to_device_1", cuda.cudaMemcpyPeerAsync(there, 1, world.device, 0, 4096, world.stream));
    settle();
    answer_error("copy_peer.to_device_1_by_default_kind",
                 cuda.cudaMemcpyAsync(there, world.device, 4096, cudaMemcpyDefault, world.stream));
    settle();
    answer_error("copy_peer.in_a_stream_of_the_other_device",
                 cuda.cudaMemcpyAsync(world.device, world.device2, 4096, cudaMemcpyDefault, stream_there));
    cuda.cudaStreamSynchronize(stream_there);
}

void ask_peer_copy_arguments(void)
{
    ask_peer("copy_peer.same_device", 0, 0, 4096);
    ask_peer("copy_peer.0_bytes", 0, 0, 0);
    ask_peer("copy_peer.dst_device_minus_1", -1, 0, 64);
    ask_peer("copy_peer.src_device_minus_1", 0, -1, 64);
    ask_peer("copy_peer.device_behind_the_last", world.ndevices, 0, 64);
    ask_peer("copy_peer.0_bytes_device_behind_the_last", world.ndevices, 0, 0);
    answer_error("copy_peer.from_pinned", cuda.cudaMemcpyPeerAsync(world.device, 0, world.pinned, 0, 64, world.stream));
    settle();
    answer_error("copy_peer.3d_null", cuda.cudaMemcpy3DPeerAsync(NULL, world.stream));
    ask_peer_3d("copy_peer.3d", 0, 0, 512, 256, 4);
    ask_peer_3d("copy_peer.3d_width_0", 0, 0, 512, 0, 4);
    ask_peer_3d("copy_peer.3d_height_0", 0, 0, 512, 256, 0);
    ask_peer_3d("copy_peer.3d_pitch_below_width", 0, 0, 128, 256, 4);
    ask_peer_3d("copy_peer.3d_pitch_below_width_one_row", 0, 0, 128, 256, 1);
    ask_peer_3d("copy_peer.3d_device_minus_1", -1, 0, 512, 256, 4);
    ask_peer_3d("copy_peer.3d_device_behind_the_last", 0, world.ndevices, 512, 256, 4);
    ask_two_devices();
}

/* Whether the bytes at `got` are those that a copy of rows from world.pinned would give. */
static bool rows_agree(const char *got, size_t got_pitch, const char *wanted, size_t wanted_pitch, size_t width,
                       size_t height)
{
    for (size_t row = 0; row < height; row++) {
        if (memcmp(got + row * got_pitch, wanted + row * wanted_pitch, width) != 0) {
            return false;
        }
    }
    return true;
}

void ask_copy_results(void)
{
    for (size_t i = 0; i < MEMORY_NBYTES; i++) {
        world.pinned[i] = (char)(i * 31 + i / 251);
    }
    memset(world.pinned2, 0, MEMORY_NBYTES);
    copy(world.device, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault);
    cuda.cudaMemcpy2DAsync(world.device2, 300, world.device + 7, 411, 255, 20, cudaMemcpyDefault, world.stream);
    copy(world.pinned2, world.device2, 300 * 20, cudaMemcpyDefault);
    answer_yes("copy_results.2d", rows_agree(world.pinned2, 300, world.pinned + 7, 411, 255, 20));

    struct cudaMemcpy3DParms parameters;
    memset(&parameters, 0, sizeof(parameters));
    parameters.dstPtr = (struct cudaPitchedPtr){world.device2, 300, 255, 20};
    parameters.srcPtr = (struct cudaPitchedPtr){world.device, 411, 255, 30};
    parameters.srcPos = (struct cudaPos){5, 2, 1};
    parameters.extent = (struct cudaExtent){255, 20, 3};
    parameters.kind = cudaMemcpyDefault;
    cuda.cudaMemcpy3DAsync(&parameters, world.stream);
    copy(world.pinned2, world.device2, 300 * 20 * 3, cudaMemcpyDefault);
    bool agree = true;
    for (size_t slice = 0; slice < 3; slice++) {
        agree = agree && rows_agree(world.pinned2 + slice * 300 * 20, 300,
                                    world.pinned + (slice + 1) * 411 * 30 + (size_t)2 * 411 + 5, 411, 255, 20);
    }
    answer_yes("copy_results.3d_with_a_position", agree);

    copy(world.pooled, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault);
    copy(world.registered, world.pooled, MEMORY_NBYTES, cudaMemcpyDefault);
    answer_yes("copy_results.pool_and_registered", memcmp(world.registered, world.pinned, MEMORY_NBYTES) == 0);
    copy(world.managed, world.device, MEMORY_NBYTES, cudaMemcpyDefault);
    answer_yes("copy_results.managed_seen_by_host", memcmp(world.managed, world.pinned, MEMORY_NBYTES) == 0);
    cuda.cudaMemcpyAsync(world.pageable2, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault, world.stream);
    answer_yes("copy_results.host_to_host_done_on_return", memcmp(world.pageable2, world.pinned, MEMORY_NBYTES) == 0);
    if (has_kernels()) {
        answer_error("copy_results.kernel_launch", launch_copy(world.stream));
        copy(world.pinned2, world.device, 4096, cudaMemcpyDefault);
        copy(world.registered, world.device2, 4096, cudaMemcpyDefault);
        answer_yes("copy_results.kernel", rows_agree(world.pinned2, 32, world.registered, 48, 16, 4));
    } else {
        answer("copy_results.kernel_launch", "no kernels in this build");
        answer("copy_results.kernel", "no kernels in this build");
    }
    if (CALL(cudaMemcpy, world.pageable, world.device2, 4096, cudaMemcpyDefault) == cudaSuccess) {
        copy(world.pinned2, world.device2, 4096, cudaMemcpyDefault);
        answer_yes("copy_results.blocking_copy", memcmp(world.pageable, world.pinned2, 4096) == 0);
    } else {
        answer("copy_results.blocking_copy", "not in this library");
    }
}
