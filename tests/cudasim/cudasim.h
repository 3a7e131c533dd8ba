/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_CUDASIM_H
#define NDBUF_TESTS_CUDASIM_CUDASIM_H

/* How tests steer the simulator of the CUDA runtime, libcudasim.so. The library is put behind libndbuf by NDBUF_CUDART
 * or ndbuf_cuda_attach; tests that steer it link it as well, which gives the same instance.
 *
 * Environment variables, read once, at the first call of a CUDA function:
 *   CUDASIM_DEVICES   number of devices, 2 unless set; 0: cudaErrorNoDevice; -1: cudaErrorInsufficientDriver
 *   CUDASIM_SCHEDULE  lazy (unless set), eager, random, threads
 *   CUDASIM_SEED      of the schedule "random"
 *   CUDASIM_MEMORY    bytes of each device, 16 GiB unless set
 *   CUDASIM_PEER      0: the devices cannot reach each other's memory
 *   CUDASIM_ABORT     1: the first violation is an abort, for a debugger
 *   CUDASIM_STRICT    1: at exit, violations and leaks are printed to stderr, and any of them makes the exit status 86
 */

#include <stdbool.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

/* How work that is given to streams gets done. In all of them only what the order of streams and events allows. */
typedef enum cudasim_schedule {
    CUDASIM_LAZY,   /* nothing is done until a call has to wait for it, and then only that and what it depends on */
    CUDASIM_EAGER,  /* everything is done as soon as it may be */
    CUDASIM_RANDOM, /* calls of the API do some of what may be done, in random order */
    CUDASIM_THREADS /* a thread for each stream does it, at the same time: for the thread sanitizer */
} cudasim_schedule;

/* Back to a fresh process: everything that lives is dropped, counters and faults are cleared. Nothing may be running.
 * What the environment set stays, until changed below. */
void cudasim_reset(void);

void cudasim_set_schedule(cudasim_schedule schedule, uint64_t seed);
void cudasim_set_device_count(int count); /* as CUDASIM_DEVICES */
void cudasim_set_memory(uint64_t nbytes);
void cudasim_set_peer_access(bool possible);
void cudasim_set_pools_supported(bool supported); /* cudaDevAttrMemoryPoolsSupported */

/* The nth call (from 1) of the function of that name fails with `error` and does nothing; "*": of any function that can
 * fail. nth 0: no more faults, and function may be NULL. */
void cudasim_fail_call(const char *function, int64_t nth, cudaError_t error);

/* The nth piece of work that runs fails with `error`, which is sticky (cudaErrorIllegalAddress, ...). nth 0: none. */
void cudasim_fail_work(int64_t nth, cudaError_t error);

/* Whether a fault of the two functions above has happened since it was set. */
bool cudasim_fault_happened(void);

/* Clears a sticky error, as no real device could: so that a test can go on. */
void cudasim_repair(void);

/* What real CUDA leaves undefined: races between streams, use after free, work that touches memory outside its block,
 * wrong handles, ... The count since the last reset, and the text of number i (from 0; NULL: no such). */
int64_t cudasim_nviolations(void);
const char *cudasim_violation(int64_t i);

/* Makes violations expected by a test forgotten. */
void cudasim_forgive(void);

/* What lives now. Device memory counts until it is freed in stream order. */
typedef struct cudasim_live {
    int64_t blocks;        /* of device or managed memory */
    int64_t host_blocks;   /* of cudaHostAlloc */
    int64_t registrations; /* of cudaHostRegister */
    int64_t pools;
    int64_t streams;
    int64_t events;
    int64_t libraries;
    int64_t graphs; /* and graph executables */
    int64_t ipc;    /* opened handles */
    int64_t work;   /* given to streams and not done */
} cudasim_live;

cudasim_live cudasim_live_now(void);
bool cudasim_anything_lives(void);

/* Calls of the function of that name since the last reset; "*": of all. */
int64_t cudasim_ncalls(const char *function);

/* Faults of the simulator itself, for tests of the tests: with each of them, a violation or wrong bytes must be
 * noticed. cudasim_reset takes them back. */
typedef enum cudasim_sabotage_kind {
    CUDASIM_SABOTAGE_NONE,
    CUDASIM_SABOTAGE_WAIT_EVENT, /* cudaStreamWaitEvent does nothing */
    CUDASIM_SABOTAGE_FREE_ASYNC, /* cudaFreeAsync frees at once */
    CUDASIM_SABOTAGE_PITCH       /* copies of two and three dimensions step one byte too far in the destination */
} cudasim_sabotage_kind;

void cudasim_sabotage(cudasim_sabotage_kind kind);

/* 1: so the CUDA backend knows that no device is real. */
int ndbuf_cudart_is_simulated(void);

/* Host access to device memory by the back door: to look, not to test with. NULL: not device memory that lives. */
void *cudasim_peek(const void *device_pointer);

#endif
