/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_faults.h"
#include "tests/cudasim/sim_sanitizers.h"

sim_state sim;
_Thread_local sim_thread sim_self;

static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t state_once = PTHREAD_ONCE_INIT;
static atomic_int state_pid;
static sim_function *state_functions;

void sim_lock(void)
{
    SIM_HIDE_SYNC_BEGIN();
    pthread_mutex_lock(&state_lock);
    SIM_HIDE_SYNC_END();
    SIM_HIDE_ACCESS_BEGIN();
}

void sim_unlock(void)
{
    SIM_HIDE_ACCESS_END();
    SIM_HIDE_SYNC_BEGIN();
    pthread_mutex_unlock(&state_lock);
    SIM_HIDE_SYNC_END();
}

void sim_wait(pthread_cond_t *cond)
{
    SIM_HIDE_SYNC_BEGIN();
    pthread_cond_wait(cond, &state_lock);
    SIM_HIDE_SYNC_END();
}

bool sim_wait_ms(pthread_cond_t *cond, int ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    SIM_HIDE_SYNC_BEGIN();
    int code = pthread_cond_timedwait(cond, &state_lock, &until);
    SIM_HIDE_SYNC_END();
    return code != ETIMEDOUT;
}

double sim_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

void *sim_alloc(size_t nbytes)
{
    void *block = calloc(1, nbytes == 0 ? 1 : nbytes);
    if (block == NULL) {
        abort();
    }
    return block;
}

uint64_t sim_random_next(void)
{
    sim.random += 0x9E3779B97F4A7C15ULL;
    uint64_t z = sim.random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

uint64_t sim_thread_number(void)
{
    static uint64_t nthreads;
    if (sim_self.number == 0) {
        sim_self.number = ++nthreads;
    }
    return sim_self.number;
}

/* ---- what the environment sets ---- */

static int64_t state_env_int(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || *text == '\0' ? otherwise : strtoll(text, NULL, 0);
}

static void state_start(void)
{
    atomic_store(&state_pid, (int)getpid());
    sim.ndevices = (int)state_env_int("CUDASIM_DEVICES", 2);
    if (sim.ndevices > SIM_MAX_DEVICES) {
        sim.ndevices = SIM_MAX_DEVICES;
    }
    const char *schedule = getenv("CUDASIM_SCHEDULE");
    sim.schedule = CUDASIM_LAZY;
    if (schedule != NULL && strcmp(schedule, "eager") == 0) {
        sim.schedule = CUDASIM_EAGER;
    } else if (schedule != NULL && strcmp(schedule, "random") == 0) {
        sim.schedule = CUDASIM_RANDOM;
    } else if (schedule != NULL && strcmp(schedule, "threads") == 0) {
        sim.schedule = CUDASIM_THREADS;
    }
    sim.random = (uint64_t)state_env_int("CUDASIM_SEED", 1);
    sim.memory = (uint64_t)state_env_int("CUDASIM_MEMORY", (int64_t)16 << 30);
    sim.peer_possible = state_env_int("CUDASIM_PEER", 1) != 0;
    sim.pools_supported = true;
    sim.abort_on_violation = state_env_int("CUDASIM_ABORT", 0) != 0;
    sim.strict = state_env_int("CUDASIM_STRICT", 0) != 0;
    sim.next_number = 1;
    sim.started = true;
    if (sim.strict) {
        (void)atexit(sim_report_at_exit);
    }
}

void sim_start(void)
{
    (void)pthread_once(&state_once, state_start);
}

bool sim_is_forked(void)
{
    return atomic_load(&state_pid) != (int)getpid();
}

/* ---- a call ---- */

static cudaError_t state_missing(void)
{
    if (sim.ndevices < 0) {
        return cudaErrorInsufficientDriver;
    }
    return sim.ndevices == 0 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t sim_enter(sim_function *self, unsigned flags)
{
    sim_start();
    if (sim_is_forked()) {
        sim_self.last_error = cudaErrorInitializationError;
        return cudaErrorInitializationError;
    }
    sim_lock();
    if (!self->known) {
        self->known = true;
        self->next = state_functions;
        state_functions = self;
    }
    self->ncalls++;
    cudaError_t status = cudaSuccess;
    if (sim_self.in_host_fn) {
        sim_violate("%s was called by a host function, where no call is allowed", self->name);
        status = cudaErrorNotPermitted;
    }
    if (status == cudaSuccess) {
        status = sim_fault_of_call(self->name);
    }
    if (status == cudaSuccess && (flags & SIM_WITHOUT_DEVICE) == 0) {
        status = state_missing();
    }
    sim_self.past_sticky = (flags & SIM_PAST_STICKY) != 0;
    if (status == cudaSuccess && (flags & (SIM_WITHOUT_DEVICE | SIM_RELEASES | SIM_PAST_STICKY)) == 0) {
        status = sim.sticky;
    }
    if (status == cudaSuccess && sim.schedule == CUDASIM_RANDOM) {
        sim_op_random_step();
    }
    if (status == cudaSuccess) {
        return cudaSuccess;
    }
    sim_self.last_error = status;
    sim_unlock();
    return status;
}

cudaError_t sim_leave(cudaError_t status)
{
    if (status == cudaSuccess && !sim_self.past_sticky) {
        status = sim.sticky;
    }
    if (status != cudaSuccess && status != cudaErrorNotReady) {
        sim_self.last_error = status;
    }
    sim_unlock();
    return status;
}

int64_t cudasim_ncalls(const char *function)
{
    int64_t n = 0;
    sim_lock();
    for (const sim_function *f = state_functions; f != NULL; f = f->next) {
        if (strcmp(function, "*") == 0 || strcmp(function, f->name) == 0) {
            n += f->ncalls;
        }
    }
    sim_unlock();
    return n;
}

void sim_forget_calls(void)
{
    for (sim_function *f = state_functions; f != NULL; f = f->next) {
        f->ncalls = 0;
    }
}

static cudaError_t state_last_error(bool clear)
{
    sim_start();
    if (sim_is_forked()) {
        return cudaErrorInitializationError;
    }
    sim_lock();
    cudaError_t status = state_missing();
    if (status == cudaSuccess) {
        status = sim_self.last_error;
        if (clear) {
            sim_self.last_error = cudaSuccess;
        }
    }
    sim_unlock();
    return status;
}

cudaError_t cudaGetLastError(void)
{
    return state_last_error(true);
}

cudaError_t cudaPeekAtLastError(void)
{
    return state_last_error(false);
}
