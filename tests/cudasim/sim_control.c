/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cudasim/cudasim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_faults.h"

static struct {
    char *function;
    int64_t nth; /* 0: none */
    cudaError_t error;
    int64_t work_nth;
    cudaError_t work_error;
    bool happened;
    char **violations;
    int64_t nviolations;
} control;

/* ---- violations ---- */

void sim_violate(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (sim.abort_on_violation) {
        (void)fprintf(stderr, "cudasim: %s\n", text);
        abort();
    }
    char **grown = realloc(control.violations, ((size_t)control.nviolations + 1) * sizeof(*grown));
    char *copy = sim_alloc(strlen(text) + 1);
    if (grown == NULL) {
        abort();
    }
    memcpy(copy, text, strlen(text));
    control.violations = grown;
    control.violations[control.nviolations++] = copy;
}

static void control_forgive(void)
{
    for (int64_t i = 0; i < control.nviolations; i++) {
        free(control.violations[i]);
    }
    free(control.violations);
    control.violations = NULL;
    control.nviolations = 0;
}

int64_t cudasim_nviolations(void)
{
    sim_lock();
    int64_t n = control.nviolations;
    sim_unlock();
    return n;
}

const char *cudasim_violation(int64_t i)
{
    sim_lock();
    const char *text = i >= 0 && i < control.nviolations ? control.violations[i] : NULL;
    sim_unlock();
    return text;
}

void cudasim_forgive(void)
{
    sim_lock();
    control_forgive();
    sim_unlock();
}

/* ---- faults ---- */

cudaError_t sim_fault_of_call(const char *function)
{
    if (control.nth <= 0 || control.function == NULL ||
        (strcmp(control.function, "*") != 0 && strcmp(control.function, function) != 0)) {
        return cudaSuccess;
    }
    if (--control.nth > 0) {
        return cudaSuccess;
    }
    control.happened = true;
    return control.error;
}

cudaError_t sim_fault_of_work(void)
{
    if (control.work_nth <= 0 || --control.work_nth > 0) {
        return cudaSuccess;
    }
    control.happened = true;
    return control.work_error;
}

void cudasim_fail_call(const char *function, int64_t nth, cudaError_t error)
{
    sim_start();
    sim_lock();
    free(control.function);
    control.function = NULL;
    if (function != NULL) {
        control.function = sim_alloc(strlen(function) + 1);
        memcpy(control.function, function, strlen(function));
    }
    control.nth = nth;
    control.error = error;
    control.happened = false;
    sim_unlock();
}

void cudasim_fail_work(int64_t nth, cudaError_t error)
{
    sim_start();
    sim_lock();
    control.work_nth = nth;
    control.work_error = error;
    control.happened = false;
    sim_unlock();
}

bool cudasim_fault_happened(void)
{
    sim_lock();
    bool happened = control.happened;
    sim_unlock();
    return happened;
}

void cudasim_repair(void)
{
    sim_lock();
    sim.sticky = cudaSuccess;
    sim_self.last_error = cudaSuccess;
    sim_unlock();
}

void cudasim_sabotage(cudasim_sabotage_kind kind)
{
    sim_start();
    sim_lock();
    sim.sabotage = kind;
    sim_unlock();
}

int ndbuf_cudart_is_simulated(void)
{
    return 1;
}

/* ---- settings ---- */

void cudasim_reset(void)
{
    sim_start();
    sim_lock();
    sim.sticky = cudaSuccess;
    sim.sabotage = CUDASIM_SABOTAGE_NONE;
    sim_op_drop_all();
    sim_capture_reset();
    sim_stream_reset();
    sim_kernel_reset();
    sim_memory_reset();
    sim_pool_reset();
    sim.nlive_ipc = 0;
    control_forgive();
    free(control.function);
    control.function = NULL;
    control.nth = 0;
    control.work_nth = 0;
    control.happened = false;
    sim_forget_calls();
    sim_self.last_error = cudaSuccess;
    sim_self.device = 0;
    sim_self.capture_mode = cudaStreamCaptureModeGlobal;
    sim_unlock();
}

void cudasim_set_schedule(cudasim_schedule schedule, uint64_t seed)
{
    sim_start();
    sim_lock();
    sim.schedule = schedule;
    sim.random = seed;
    if (schedule == CUDASIM_EAGER || schedule == CUDASIM_THREADS) {
        sim_op_demand_all();
    }
    sim_unlock();
}

void cudasim_set_device_count(int count)
{
    sim_start();
    sim_lock();
    sim.ndevices = count > SIM_MAX_DEVICES ? SIM_MAX_DEVICES : count;
    sim_unlock();
}

void cudasim_set_memory(uint64_t nbytes)
{
    sim_start();
    sim_lock();
    sim.memory = nbytes;
    sim_unlock();
}

void cudasim_set_peer_access(bool possible)
{
    sim_start();
    sim_lock();
    sim.peer_possible = possible;
    sim_unlock();
}

void cudasim_set_pools_supported(bool supported)
{
    sim_start();
    sim_lock();
    sim.pools_supported = supported;
    sim_unlock();
}

/* ---- what lives ---- */

static cudasim_live control_live(void)
{
    return (cudasim_live){
        .blocks = sim_memory_count(SIM_DEVICE) + sim_memory_count(SIM_MANAGED),
        .host_blocks = sim_memory_count(SIM_PINNED),
        .registrations = sim_memory_count(SIM_REGISTERED),
        .pools = sim_object_count(SIM_POOL),
        .streams = sim_object_count(SIM_STREAM),
        .events = sim_object_count(SIM_EVENT),
        .libraries = sim_object_count(SIM_LIBRARY),
        .graphs = sim_object_count(SIM_GRAPH) + sim_object_count(SIM_GRAPH_EXEC),
        .ipc = sim.nlive_ipc,
        .work = sim_op_nwork(),
    };
}

cudasim_live cudasim_live_now(void)
{
    sim_start();
    sim_lock();
    cudasim_live live = control_live();
    sim_unlock();
    return live;
}

static bool control_anything(const cudasim_live *live)
{
    return (live->blocks | live->host_blocks | live->registrations | live->pools | live->streams | live->events |
            live->libraries | live->graphs | live->ipc | live->work) != 0;
}

bool cudasim_anything_lives(void)
{
    cudasim_live live = cudasim_live_now();
    return control_anything(&live);
}

void *cudasim_peek(const void *device_pointer)
{
    void *at = NULL;
    sim_lock();
    sim_block *block = sim_block_find((uintptr_t)device_pointer);
    if (block != NULL) {
        at = block->alias + ((uintptr_t)device_pointer - block->base);
    }
    sim_unlock();
    return at;
}

void sim_report_at_exit(void)
{
    if (sim_is_forked()) {
        return;
    }
    sim_lock();
    cudasim_live live = control_live();
    bool bad = control.nviolations > 0 || control_anything(&live);
    for (int64_t i = 0; i < control.nviolations; i++) {
        (void)fprintf(stderr, "cudasim: %s\n", control.violations[i]);
    }
    if (control_anything(&live)) {
        (void)fprintf(stderr,
                      "cudasim: at exit live %" PRId64 " blocks, %" PRId64 " host blocks, %" PRId64
                      " registrations, %" PRId64 " pools, %" PRId64 " streams, %" PRId64 " events, %" PRId64
                      " libraries, %" PRId64 " graphs, %" PRId64 " IPC handles, %" PRId64 " pieces of work\n",
                      live.blocks, live.host_blocks, live.registrations, live.pools, live.streams, live.events,
                      live.libraries, live.graphs, live.ipc, live.work);
    }
    sim_unlock();
    if (bad) {
        (void)fflush(NULL);
        _exit(86);
    }
}
