/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"

#include <string.h>

#include "backends/cpu/cpu_run_transpose.h"
#include "backends/cpu/cpu_writer.h"

/* Prefetching past the end of a row is wasted: only rows this many times longer than the distance are prefetched. */
#define PREFETCHED_ROW_FACTOR 4
/* A unit that is repeated past the caches is repeated up to here in a pattern first. */
#define PATTERN_NBYTES 1024

/* What one thread has while it runs a plan. */
typedef struct run_context {
    const cpu_plan *plan;
    const cpu_kernels *kernels;
    const ndbuf_cpu__tuning *tuning;
    union {
        cpu_writer writers[CPU_SHUFFLE_MAX];
        _Alignas(CPU_LINE_NBYTES) char stage[CPU_RUN_STAGE_NBYTES];
    } memory;
} run_context;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* -- the kinds, to a destination that is written as usual. `count` are indices of the row axis; `ahead`, as many or
 * more, are those up to the end of the row, whose source may be read; `slack` bytes behind the last may be written --
 */

static void gather(const run_context *run, char *dst, const char *src, int64_t count, int64_t ahead, int64_t slack)
{
    const cpu_plan *plan = run->plan;
    const cpu_shuffle *shuffle = &plan->shuffle;
    int64_t stride = plan->row.src_stride;
    int64_t group_nbytes = plan->group_units * plan->unit_nbytes;
    int64_t readable = ndbuf__stride_magnitude(stride) * (ahead - 1) +
                       ndbuf__stride_magnitude(plan->group_stride) * (plan->group_units - 1) + plan->unit_nbytes;
    int64_t writable = count * group_nbytes + slack;
    int64_t done = 0;
    if (readable >= plan->shuffle_reach && writable >= run->kernels->shuffle_nbytes) {
        int64_t by_reads = (readable - plan->shuffle_reach) / ndbuf__stride_magnitude(shuffle->in_step) + 1;
        int64_t by_writes = (writable - run->kernels->shuffle_nbytes) / shuffle->out_step + 1;
        int64_t nsteps =
            smaller(smaller(by_reads, by_writes), (count + shuffle->units_per_step - 1) / shuffle->units_per_step);
        run->kernels->shuffle(shuffle, dst, src, nsteps, plan->prefetch_nbytes);
        done = smaller(nsteps * shuffle->units_per_step, count);
    }
    dst += done * group_nbytes;
    src += done * stride;
    if (plan->group_units == 1) {
        plan->row_fn(dst, plan->unit_nbytes, src, stride, count - done, plan->unit_nbytes);
        return;
    }
    for (int64_t i = done; i < count; i++) {
        plan->row_fn(dst, plan->unit_nbytes, src, plan->group_stride, plan->group_units, plan->unit_nbytes);
        dst += group_nbytes;
        src += stride;
    }
}

static void scatter(const run_context *run, char *dst, const char *src, int64_t count)
{
    const cpu_plan *plan = run->plan;
    int64_t done = run->kernels->scatter(dst, src, count, (int32_t)plan->unit_nbytes, (int32_t)plan->scatter_factor);
    plan->row_fn(dst + done * plan->row.dst_stride, plan->row.dst_stride, src + done * plan->row.src_stride,
                 plan->row.src_stride, count - done, plan->unit_nbytes);
}

/* `shuffle` is the plan's, with outputs that may lie elsewhere. */
static void weave(const run_context *run, const cpu_shuffle *shuffle, const cpu_axis *streams, char *dst,
                  const char *src, int64_t count)
{
    const cpu_plan *plan = run->plan;
    int64_t nsteps = count / shuffle->units_per_step;
    int64_t done = nsteps * shuffle->units_per_step;
    run->kernels->shuffle(shuffle, dst, src, nsteps, plan->prefetch_nbytes);
    for (int64_t k = 0; done < count && k < streams->extent; k++) {
        plan->row_fn(dst + k * streams->dst_stride + done * plan->row.dst_stride, plan->row.dst_stride,
                     src + k * streams->src_stride + done * plan->row.src_stride, plan->row.src_stride, count - done,
                     plan->unit_nbytes);
    }
}

static void strided(const run_context *run, char *dst, const char *src, int64_t count, int64_t ncolumns)
{
    const cpu_plan *plan = run->plan;
    for (int64_t i = 0; i < ncolumns; i++) {
        plan->row_fn(dst + i * plan->column.dst_stride, plan->row.dst_stride, src + i * plan->column.src_stride,
                     plan->row.src_stride, count, plan->unit_nbytes);
    }
}

static void copy_bytes(const run_context *run, char *dst, const char *src, int64_t nbytes)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (nbytes >= run->tuning->rep_movsb_nbytes) {
        __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(nbytes) : : "memory");
        return;
    }
#else
    (void)run;
#endif
    memcpy(dst, src, (size_t)nbytes);
}

static void run_cached(const run_context *run, char *dst, const char *src, int64_t count, int64_t ncolumns,
                       int64_t ahead)
{
    const cpu_plan *plan = run->plan;
    switch (plan->kind) {
    case CPU_PLAN_BYTES:
        copy_bytes(run, dst, src, count);
        break;
    case CPU_PLAN_ROWS:
        run->kernels->rows(dst, plan->row.dst_stride, src, plan->row.src_stride, count, plan->unit_nbytes,
                           plan->prefetch_nbytes);
        break;
    case CPU_PLAN_GATHER:
        gather(run, dst, src, count, ahead, 0);
        break;
    case CPU_PLAN_SCATTER:
        scatter(run, dst, src, count);
        break;
    case CPU_PLAN_WEAVE:
        weave(run, &plan->shuffle, &plan->column, dst, src, count);
        break;
    case CPU_PLAN_REPEAT:
        ndbuf_cpu__repeat(dst, src, plan->unit_nbytes, count);
        break;
    default:
        strided(run, dst, src, count, ncolumns);
        break;
    }
}

/* -- the same past the caches -- */

static void stream_row(const run_context *run, char *dst, const char *src, int64_t nbytes)
{
    int64_t distance = run->tuning->stream_prefetch_nbytes;
    ndbuf_cpu__stream_run(run->kernels, dst, src, nbytes, nbytes / PREFETCHED_ROW_FACTOR >= distance ? distance : 0);
}

static void stream_repeat(const run_context *run, char *dst, const char *item, int64_t count)
{
    int64_t unit = run->plan->unit_nbytes;
    int64_t left = count * unit;
    int64_t period = CPU_LINE_NBYTES * unit; /* whole lines and whole units */
    char pattern[PATTERN_NBYTES + 2 * CPU_LINE_NBYTES];
    int64_t head = (int64_t)(-(uintptr_t)dst % CPU_LINE_NBYTES);
    if (left < (int64_t)sizeof(pattern)) {
        ndbuf_cpu__repeat(dst, item, unit, count);
        return;
    }
    period *= PATTERN_NBYTES / period;
    ndbuf_cpu__repeat(pattern, item, unit, (int64_t)sizeof(pattern) / unit);
    memcpy(dst, pattern, (size_t)head);
    dst += head;
    left -= head;
    const char *phase = pattern + head % unit;
    while (left >= CPU_LINE_NBYTES) {
        int64_t nbytes = smaller(period, left / CPU_LINE_NBYTES * CPU_LINE_NBYTES);
        run->kernels->stream(dst, 0, phase, 0, 1, nbytes, 0);
        dst += nbytes;
        left -= nbytes;
    }
    memcpy(dst, pattern + (count * unit - left) % unit, (size_t)left);
}

/* Several streams of the destination: each has its writer, and they fill at the same pace. */
static void stream_weave(run_context *run, char *dst, const char *src, int64_t count)
{
    const cpu_plan *plan = run->plan;
    cpu_writer *writers = run->memory.writers;
    cpu_shuffle shuffle = plan->shuffle;
    bool to_one = plan->column.dst_stride == plan->unit_nbytes;
    int64_t nwriters = to_one ? 1 : plan->column.extent;
    int64_t room_unit = to_one ? plan->column.extent * plan->unit_nbytes : plan->unit_nbytes;
    for (int64_t k = 0; k < nwriters; k++) {
        cpu_writer_seek(&writers[k], run->kernels, dst + k * plan->column.dst_stride);
    }
    while (count > 0) {
        int64_t n = count;
        for (int64_t k = 0; k < nwriters; k++) {
            n = smaller(n, cpu_writer_room(&writers[k]) / room_unit);
        }
        if (n < count && n > shuffle.units_per_step) {
            n -= n % shuffle.units_per_step;
        }
        if (to_one) {
            weave(run, &shuffle, &plan->column, cpu_writer_place(&writers[0]), src, n);
        } else {
            int64_t nsteps = n / shuffle.units_per_step;
            int64_t done = nsteps * shuffle.units_per_step;
            char *first = cpu_writer_place(&writers[0]);
            for (int64_t k = 0; k < nwriters; k++) {
                shuffle.out_offsets[k] = cpu_writer_place(&writers[k]) - first;
            }
            run->kernels->shuffle(&shuffle, first, src, nsteps, plan->prefetch_nbytes);
            for (int64_t k = 0; done < n && k < nwriters; k++) {
                plan->row_fn(cpu_writer_place(&writers[k]) + done * plan->unit_nbytes, plan->unit_nbytes,
                             src + k * plan->column.src_stride + done * plan->row.src_stride, plan->row.src_stride,
                             n - done, plan->unit_nbytes);
            }
        }
        for (int64_t k = 0; k < nwriters; k++) {
            cpu_writer_commit(&writers[k], n * room_unit);
            cpu_writer_flush(&writers[k], run->kernels);
        }
        src += n * plan->row.src_stride;
        count -= n;
    }
}

/* A dense row by way of one writer. */
static void stream_dense(run_context *run, char *dst, const char *src, int64_t count, int64_t ahead)
{
    const cpu_plan *plan = run->plan;
    cpu_writer *writer = &run->memory.writers[0];
    int64_t index_nbytes = plan->group_units * plan->unit_nbytes;
    cpu_writer_seek(writer, run->kernels, dst);
    while (count > 0) {
        int64_t n = smaller(count, cpu_writer_room(writer) / index_nbytes);
        char *place = cpu_writer_place(writer);
        if (plan->kind == CPU_PLAN_GATHER) {
            if (n < count && n > plan->shuffle.units_per_step) {
                n -= n % plan->shuffle.units_per_step;
            }
            gather(run, place, src, n, ahead, CPU_VECTOR_MAX);
        } else if (plan->kind == CPU_PLAN_ROWS) {
            run->kernels->rows(place, plan->unit_nbytes, src, plan->row.src_stride, n, plan->unit_nbytes,
                               plan->prefetch_nbytes);
        } else {
            plan->row_fn(place, plan->unit_nbytes, src, plan->row.src_stride, n, plan->unit_nbytes);
        }
        cpu_writer_commit(writer, n * index_nbytes);
        if (cpu_writer_room(writer) < CPU_WRITER_NBYTES / 2) {
            cpu_writer_flush(writer, run->kernels);
        }
        src += n * plan->row.src_stride;
        count -= n;
        ahead -= n;
    }
}

static void run_streamed(run_context *run, char *dst, const char *src, int64_t count, int64_t ahead)
{
    const cpu_plan *plan = run->plan;
    switch (plan->kind) {
    case CPU_PLAN_BYTES:
        stream_row(run, dst, src, count);
        break;
    case CPU_PLAN_WEAVE:
        stream_weave(run, dst, src, count);
        break;
    case CPU_PLAN_REPEAT:
        stream_repeat(run, dst, src, count);
        break;
    default:
        if (plan->whole_lines) {
            run->kernels->stream(dst, plan->row.dst_stride, src, plan->row.src_stride, count, plan->unit_nbytes,
                                 plan->prefetch_nbytes);
        } else if (plan->kind == CPU_PLAN_ROWS && plan->row.dst_stride != plan->unit_nbytes) {
            for (int64_t i = 0; i < count; i++) {
                ndbuf_cpu__stream_run(run->kernels, dst + i * plan->row.dst_stride, src + i * plan->row.src_stride,
                                      plan->unit_nbytes, plan->prefetch_nbytes);
            }
        } else {
            stream_dense(run, dst, src, count, ahead);
        }
        break;
    }
}

/* -- tasks -- */

void ndbuf_cpu__plan_run(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning, char *dst,
                         const char *src, int64_t first, int64_t last)
{
    run_context run;
    run.plan = plan;
    run.kernels = kernels;
    run.tuning = tuning;
    if (plan->kind != CPU_PLAN_TRANSPOSE) {
        for (int k = 0; plan->streams && k < CPU_SHUFFLE_MAX; k++) {
            cpu_writer_init(&run.memory.writers[k]);
        }
    }
    int64_t ncolumn_pieces = (plan->column.extent + plan->column_piece - 1) / plan->column_piece;
    int64_t nrow_pieces = (plan->row.extent + plan->row_piece - 1) / plan->row_piece;
    int64_t row = first % nrow_pieces;
    int64_t column = first / nrow_pieces % ncolumn_pieces;
    int64_t rest = first / ncolumn_pieces / nrow_pieces;
    int64_t index[NDBUF__MAX_AXES];
    dst += plan->dst_offset;
    src += plan->src_offset;
    for (int32_t k = plan->nloops - 1; k >= 0; k--) {
        index[k] = rest % plan->loops[k].extent;
        rest /= plan->loops[k].extent;
        dst += index[k] * plan->loops[k].dst_stride;
        src += index[k] * plan->loops[k].src_stride;
    }
    for (int64_t task = first; task < last; task++) {
        int64_t at_row = row * plan->row_piece;
        int64_t at_column = column * plan->column_piece;
        int64_t ahead = plan->row.extent - at_row;
        int64_t count = smaller(plan->row_piece, ahead);
        int64_t ncolumns = smaller(plan->column_piece, plan->column.extent - at_column);
        char *piece_dst = dst + at_row * plan->row.dst_stride + at_column * plan->column.dst_stride;
        const char *piece_src = src + at_row * plan->row.src_stride + at_column * plan->column.src_stride;
        if (plan->kind == CPU_PLAN_TRANSPOSE) {
            ndbuf_cpu__transpose_run(plan, kernels, run.memory.stage, piece_dst, piece_src, count, ncolumns, at_row);
        } else if (plan->streams) {
            run_streamed(&run, piece_dst, piece_src, count, ahead);
        } else {
            run_cached(&run, piece_dst, piece_src, count, ncolumns, ahead);
        }
        if (++row < nrow_pieces) {
            continue;
        }
        row = 0;
        if (++column < ncolumn_pieces) {
            continue;
        }
        column = 0;
        for (int32_t k = plan->nloops - 1; k >= 0; k--) {
            dst += plan->loops[k].dst_stride;
            src += plan->loops[k].src_stride;
            if (++index[k] < plan->loops[k].extent) {
                break;
            }
            dst -= plan->loops[k].dst_stride * plan->loops[k].extent;
            src -= plan->loops[k].src_stride * plan->loops[k].extent;
            index[k] = 0;
        }
    }
    if (plan->streams) {
        for (int k = 0; plan->kind != CPU_PLAN_TRANSPOSE && k < CPU_SHUFFLE_MAX; k++) {
            cpu_writer_finish(&run.memory.writers[k], kernels);
        }
        kernels->stream_end();
    }
}
