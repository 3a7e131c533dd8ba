/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_engine.h"

#include <string.h>

#include "core/compiler.h"
#include "core/float_mode.h"

#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_plan_speed.h"
#include "backends/cpu/cpu_pool.h"
#include "backends/cpu/cpu_repeat.h"

/* Transposes are divided from so many times the size on that others are: threads share what they read. */
#define TRANSPOSE_THREAD_FACTOR 2
/* Contiguous bytes whose order changes are planned from here on. */
#define SWAPPED_AT_ONCE_NBYTES 16384
/* To copy more units one after the other takes longer than to plan vectors for them. */
#define WALKED_UNITS 1024
/* What is repeated is copied once where that makes longer runs of it, so many bytes of which are copied in a cycle, and
 * where it is worth so many more cycles to plan it. */
#define REPEATED_RUN_UNITS 2
#define REPEATED_NBYTES 24
#define ONCE_CYCLES 3000

typedef struct divided_copy {
    const cpu_planned_copy *planned;
    char *dst;
    const char *src;
    int64_t nparts;
} divided_copy;

static void run_part(void *context, int64_t part)
{
    const divided_copy *copy = context;
    const cpu_planned_copy *planned = copy->planned;
    int64_t first;
    int64_t last;
    ndbuf_cpu__part_range(planned->plan.ntasks, copy->nparts, part, &first, &last);
    ndbuf_cpu__plan_run(&planned->plan, planned->kernels, &planned->tuning, copy->dst, copy->src, first, last, NULL);
}

void ndbuf_cpu__plan_copy(cpu_planned_copy *out_planned, const cpu_box *box, const cpu_kernels *kernels)
{
    out_planned->kernels = kernels;
    out_planned->tuning = ndbuf_cpu__tuning_get();
    ndbuf_cpu__plan_make(&out_planned->plan, box, kernels, &out_planned->tuning);
}

void ndbuf_cpu__run_copy(const cpu_planned_copy *planned, char *dst, const char *src)
{
    const cpu_plan *plan = &planned->plan;
    const ndbuf_cpu__tuning *tuning = &planned->tuning;
    int64_t least_nbytes = tuning->thread_nbytes;
    if (plan->kind == CPU_PLAN_TRANSPOSE && least_nbytes < NDBUF_CPU__NEVER / TRANSPOSE_THREAD_FACTOR) {
        least_nbytes *= TRANSPOSE_THREAD_FACTOR;
    }
    divided_copy copy = {.planned = planned, .dst = dst, .src = src};
    copy.nparts = ndbuf_cpu__parts(plan->ntasks, plan->nbytes, least_nbytes, tuning->thread_share_nbytes);
    if (copy.nparts > 1) {
        ndbuf_cpu__pool_run(run_part, &copy, copy.nparts);
    } else {
        ndbuf_cpu__plan_run(plan, planned->kernels, tuning, dst, src, 0, plan->ntasks, NULL);
    }
}

/* Bytes of the destination without repetitions that lie one behind the other. */
static int64_t run_once(const cpu_box *box)
{
    int64_t run = box->unit_nbytes;
    for (int32_t k = box->ndim - 1; k >= 0 && box->dst_strides[k] == run && box->src_strides[k] != 0; k--) {
        run *= box->shape[k];
    }
    return run;
}

/* Whether copying without repetitions, and then repeating, is estimated to be faster. */
static NDBUF__NOINLINE bool is_faster_once(const cpu_planned_copy *planned, const cpu_box *box)
{
    const cpu_plan *plan = &planned->plan;
    int64_t shape[NDBUF__MAX_AXES];
    double once = (double)box->unit_nbytes;
    ndbuf_cpu__shape_once(box, shape);
    for (int32_t k = 0; k < box->ndim; k++) {
        once *= (double)shape[k];
    }
    const double all = (double)plan->nbytes;
    const double speed = ndbuf_cpu__plan_speed(plan, plan->streams, planned->kernels);
    const double again = (all - once) / REPEATED_NBYTES;
    return all > CPU_LEAST_GAIN * (once + speed * (again + ONCE_CYCLES));
}

bool ndbuf_cpu__copies_once(const cpu_planned_copy *planned, const cpu_box *box)
{
    const cpu_plan *plan = &planned->plan;
    if (plan->kind == CPU_PLAN_BLOCKS || plan->kind == CPU_PLAN_ROWS || plan->converts ||
        !ndbuf_cpu__repeats_rows(box, box->unit_nbytes, planned->tuning.stream_nbytes) ||
        run_once(box) < REPEATED_RUN_UNITS * box->unit_nbytes) {
        return false;
    }
    const uint64_t mode = ndbuf__float_mode_begin();
    const bool is_faster = is_faster_once(planned, box);
    ndbuf__float_mode_end(mode);
    return is_faster;
}

static void copy_once(const cpu_box *box)
{
    int64_t shape[NDBUF__MAX_AXES];
    cpu_box once = *box;
    ndbuf_cpu__shape_once(box, shape);
    once.shape = shape;
    ndbuf_cpu__copy_box(&once);
    ndbuf_cpu__repeat_rows(box, box->unit_nbytes);
}

static NDBUF__NOINLINE void copy_planned(const cpu_box *box, const cpu_kernels *kernels)
{
    cpu_planned_copy planned;
    ndbuf_cpu__plan_copy(&planned, box, kernels);
    if (ndbuf_cpu__copies_once(&planned, box)) {
        copy_once(box);
    } else {
        ndbuf_cpu__run_copy(&planned, box->dst, box->src);
    }
}

static bool is_small(const cpu_box *box, int64_t nbytes)
{
    return box->ndim > 0 && nbytes <= NDBUF_CPU__TUNING_PEEK(small_nbytes) && box->converter == NULL &&
           (nbytes <= WALKED_UNITS * box->unit_nbytes || !ndbuf_cpu__walks_units(box, ndbuf_cpu__kernels_get()));
}

void ndbuf_cpu__copy_box(const cpu_box *box)
{
    int64_t nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        nbytes *= box->shape[k];
    }
    if (box->ndim == 0 && box->swap_nbytes != 0 && nbytes < SWAPPED_AT_ONCE_NBYTES) {
        ndbuf_cpu__kernels_get()->rows(box->dst, 0, box->src, 0, 1, nbytes, 0, box->swap_nbytes);
    } else if (box->ndim == 0 && box->swap_nbytes == 0 && nbytes < NDBUF_CPU__TUNING_PEEK(stream_nbytes) &&
               nbytes < NDBUF_CPU__TUNING_PEEK(thread_nbytes)) {
        cpu_copy_bytes(box->dst, box->src, nbytes, ndbuf_cpu__kernels_get());
    } else if (is_small(box, nbytes)) {
        ndbuf_cpu__copy_small(box, ndbuf_cpu__kernels_get());
    } else {
        copy_planned(box, ndbuf_cpu__kernels_get());
    }
}

void ndbuf_cpu__fill_box(const cpu_box *box)
{
    static const int64_t no_strides[NDBUF_MAX_NDIM + 1] = {0};
    int64_t shape[NDBUF_MAX_NDIM + 1];
    int64_t dst_strides[NDBUF_MAX_NDIM + 1];
    cpu_box pattern = *box;
    pattern.ndim = 0;
    pattern.shape = shape;
    pattern.dst_strides = dst_strides;
    pattern.src_strides = no_strides;
    for (int32_t k = 0; k < box->ndim; k++) {
        if (box->dst_strides[k] != 0) { /* what an axis repeats is written once */
            shape[pattern.ndim] = box->shape[k];
            dst_strides[pattern.ndim++] = box->dst_strides[k];
        }
    }
    ndbuf_cpu__copy_box(&pattern);
}
