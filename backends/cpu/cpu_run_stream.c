/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_run.h"

#include <string.h>

#include "backends/cpu/cpu_minmax.h"

/* Prefetching past the end of a row is wasted: only rows this many times longer than the distance are prefetched. */
#define PREFETCHED_ROW_FACTOR 4
/* How far pieces that are collected side by side go in turn. */
#define PACE_NBYTES 512
/* From here on rows need no help to leave in lines. */
#define LONG_ROW_NBYTES 1024
/* A unit that is repeated past the caches is repeated up to here in a pattern first. */
#define PATTERN_NBYTES 1024

static const cpu_twin no_twin = {0, 0};

/* The twin of pieces that the kernels take side by side: those of one length, at one place in a line. */
static cpu_twin twin_of(const cpu_piece *piece, const cpu_piece *twin)
{
    if (twin == NULL || twin->count != piece->count || (twin->dst - piece->dst) % CPU_LINE_NBYTES != 0) {
        return no_twin;
    }
    return (cpu_twin){twin->dst - piece->dst, twin->src - piece->src};
}

/* Bytes to be reversed in numbers that reach over the ends of lines. */
static void stream_cut_numbers(cpu_run *run, char *dst, const char *src, int64_t nbytes)
{
    const int32_t swap = run->plan->swap_nbytes;
    cpu_writer *writer = &run->memory.writers[0];
    cpu_writer_seek(writer, run->kernels, dst);
    while (nbytes > 0) {
        int64_t count = cpu_smaller(nbytes, cpu_writer_room(writer) / swap * swap);
        run->kernels->rows(cpu_writer_place(writer), 0, src, 0, 1, count, 0, swap);
        cpu_writer_commit(writer, count);
        cpu_writer_flush(writer, run->kernels);
        src += count;
        nbytes -= count;
    }
}

/* Less than a line, as usual. */
static void copy_edge(const cpu_run *run, char *dst, const char *src, int64_t nbytes)
{
    if (run->plan->swap_nbytes == 0) {
        memcpy(dst, src, (size_t)nbytes);
    } else if (nbytes > 0) {
        run->kernels->rows(dst, 0, src, 0, 1, nbytes, 0, run->plan->swap_nbytes);
    }
}

/* Contiguous bytes; what is not whole lines of the destination goes as usual. */
static void stream_bytes(cpu_run *run, char *dst, const char *src, int64_t nbytes, int64_t prefetch_nbytes,
                         cpu_twin twin)
{
    const int32_t swap = run->plan->swap_nbytes;
    int64_t head = cpu_smaller(cpu_line_rest(dst), nbytes);
    int64_t body = (nbytes - head) / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
    int64_t tail = nbytes - head - body;
    for (int way = 0; way < (twin.dst != 0 ? 2 : 1); way++) {
        char *to = dst + way * twin.dst;
        const char *from = src + way * twin.src;
        if (swap != 0 && head % swap != 0) {
            stream_cut_numbers(run, to, from, nbytes);
            continue;
        }
        copy_edge(run, to, from, head);
        copy_edge(run, to + head + body, from + head + body, tail);
    }
    if (body > 0 && (swap == 0 || head % swap == 0)) {
        run->kernels->stream(dst + head, 0, src + head, 0, 1, body, prefetch_nbytes, twin, swap);
    }
}

static void stream_row(cpu_run *run, const cpu_piece *piece, cpu_twin twin)
{
    int64_t nbytes = piece->count;
    int64_t distance = run->tuning->stream_prefetch_nbytes;
    stream_bytes(run, piece->dst, piece->src, nbytes, nbytes / PREFETCHED_ROW_FACTOR >= distance ? distance : 0, twin);
}

/* The steps of a shuffle, the last one first. */
static void stream_backwards(const cpu_run *run, char *dst, const char *src, int64_t nsteps, cpu_twin twin)
{
    cpu_shuffle turned = run->plan->shuffle;
    dst += turned.out_step * (nsteps - 1);
    src += turned.in_step * (nsteps - 1);
    turned.out_step = -turned.out_step;
    turned.in_step = -turned.in_step;
    run->kernels->stream_shuffle(&turned, dst, src, nsteps, -run->plan->prefetch_nbytes, twin);
}

/* A gather whose steps make whole lines; `nhead` units come before the first one. A source is always read upwards. */
static void stream_gather(const cpu_run *run, const cpu_piece *piece, int64_t nhead, cpu_twin twin, int64_t ahead)
{
    const cpu_plan *plan = run->plan;
    const cpu_shuffle *shuffle = &plan->shuffle;
    int64_t stride = ndbuf__stride_magnitude(plan->row.src_stride);
    int64_t index_nbytes = plan->group_units * plan->unit_nbytes;
    int64_t readable = stride * (ahead - nhead - 1) +
                       ndbuf__stride_magnitude(plan->group_stride) * (plan->group_units - 1) + plan->unit_nbytes;
    int64_t nsteps = (piece->count - nhead) / shuffle->units_per_step;
    int64_t by_reads = readable < plan->shuffle_reach
                           ? 0
                           : (readable - plan->shuffle_reach) / ndbuf__stride_magnitude(shuffle->in_step) + 1;
    nsteps = cpu_smaller(nsteps, by_reads);
    char *dst = piece->dst + nhead * index_nbytes;
    const char *src = piece->src + nhead * plan->row.src_stride;
    if (shuffle->in_step < 0) {
        stream_backwards(run, dst, src, nsteps, twin);
    } else {
        run->kernels->stream_shuffle(shuffle, dst, src, nsteps, plan->prefetch_nbytes, twin);
    }
    if (plan->has_end && piece->count - nhead == (nsteps + 1) * shuffle->units_per_step) {
        /* So that no line is written in part past the caches, and in part as usual. */
        run->kernels->stream_shuffle(&plan->end, dst + nsteps * shuffle->out_step, src + nsteps * shuffle->in_step, 1,
                                     0, twin);
        nsteps++;
    }
    int64_t done = nhead + nsteps * shuffle->units_per_step;
    for (int way = 0; way < (twin.dst != 0 ? 2 : 1); way++) {
        cpu_piece part = {.dst = piece->dst + way * twin.dst,
                          .src = piece->src + way * twin.src,
                          .count = nhead,
                          .ncolumns = 1,
                          .ahead = nhead};
        ndbuf_cpu__run_gather(run, &part, 0);
        part.dst += done * index_nbytes;
        part.src += done * plan->row.src_stride;
        part.count = piece->count - done;
        part.ahead = ahead - done;
        ndbuf_cpu__run_gather(run, &part, 0);
    }
}

static void stream_repeat(const cpu_run *run, char *dst, const char *src, int64_t count)
{
    char room[CPU_REPEAT_MAX_NBYTES];
    const char *item = ndbuf_cpu__repeated_item(run->plan, src, room);
    int64_t unit = run->plan->unit_nbytes;
    int64_t left = count * unit;
    char pattern[PATTERN_NBYTES + 2 * CPU_LINE_NBYTES];
    int64_t head = cpu_line_rest(dst);
    if (left < (int64_t)sizeof(pattern)) {
        run->kernels->repeat(dst, item, unit, count);
        return;
    }
    /* Whole lines and whole units, and a unit more for the phase. */
    bool is_in_line = CPU_LINE_NBYTES % unit == 0;
    int64_t period = is_in_line ? CPU_LINE_NBYTES : PATTERN_NBYTES / (CPU_LINE_NBYTES * unit) * CPU_LINE_NBYTES * unit;
    run->kernels->repeat(pattern, item, unit, (period + CPU_LINE_NBYTES) / unit);
    memcpy(dst, pattern, (size_t)head);
    dst += head;
    left -= head;
    const char *phase = pattern + head % unit;
    int64_t nlines = left / CPU_LINE_NBYTES;
    if (is_in_line) {
        run->kernels->stream(dst, CPU_LINE_NBYTES, phase, 0, nlines, CPU_LINE_NBYTES, 0, no_twin, 0);
    } else {
        for (int64_t done = 0; done < nlines * CPU_LINE_NBYTES; done += period) {
            int64_t nbytes = cpu_smaller(period, nlines * CPU_LINE_NBYTES - done);
            run->kernels->stream(dst + done, 0, phase, 0, 1, nbytes, 0, no_twin, 0);
        }
    }
    dst += nlines * CPU_LINE_NBYTES;
    left -= nlines * CPU_LINE_NBYTES;
    memcpy(dst, pattern + (count * unit - left) % unit, (size_t)left);
}

/* Whether all streams of the destination begin with a line, and steps make whole ones. */
static bool weaves_lines(const cpu_run *run, const char *dst)
{
    const cpu_plan *plan = run->plan;
    bool to_one = plan->column.dst_stride == plan->unit_nbytes;
    uintptr_t bits = (uintptr_t)dst | (to_one ? 0 : (uintptr_t)plan->column.dst_stride);
    return run->kernels->shuffle_nbytes == CPU_LINE_NBYTES && bits % CPU_LINE_NBYTES == 0;
}

static void weave_lines(const cpu_run *run, char *dst, const char *src, int64_t count)
{
    const cpu_plan *plan = run->plan;
    int64_t nsteps = count / plan->shuffle.units_per_step;
    int64_t done = nsteps * plan->shuffle.units_per_step;
    run->kernels->stream_shuffle(&plan->shuffle, dst, src, nsteps, plan->prefetch_nbytes, no_twin);
    for (int64_t k = 0; done < count && k < plan->column.extent; k++) {
        plan->row_fn(dst + k * plan->column.dst_stride + done * plan->row.dst_stride, plan->row.dst_stride,
                     src + k * plan->column.src_stride + done * plan->row.src_stride, plan->row.src_stride,
                     count - done, plan->unit_nbytes);
    }
}

/* Several streams of the destination: each has its writer, and they fill at the same pace. */
static void stream_weave(cpu_run *run, char *dst, const char *src, int64_t count)
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
            n = cpu_smaller(n, cpu_writer_room(&writers[k]) / room_unit);
        }
        if (n < count && n > shuffle.units_per_step) {
            n -= n % shuffle.units_per_step;
        }
        if (to_one) {
            ndbuf_cpu__run_weave(run, &shuffle, &plan->column, cpu_writer_place(&writers[0]), src, n);
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

/* Puts up to `most` indices of a dense row into a writer. */
static void dense_step(const cpu_run *run, cpu_writer *writer, cpu_piece *rest, int64_t most)
{
    const cpu_plan *plan = run->plan;
    int64_t index_nbytes = plan->group_units * plan->unit_nbytes;
    int64_t n = cpu_smaller(cpu_smaller(rest->count, most), cpu_writer_room(writer) / index_nbytes);
    char *place = cpu_writer_place(writer);
    if (plan->kind == CPU_PLAN_GATHER) {
        if (n < rest->count && n > plan->shuffle.units_per_step) {
            n -= n % plan->shuffle.units_per_step;
        }
        cpu_piece part = {.dst = place, .src = rest->src, .count = n, .ncolumns = 1, .ahead = rest->ahead};
        ndbuf_cpu__run_gather(run, &part, CPU_VECTOR_MAX);
    } else if (plan->kind == CPU_PLAN_ROWS) {
        run->kernels->rows(place, plan->unit_nbytes, rest->src, plan->row.src_stride, n, plan->unit_nbytes,
                           plan->prefetch_nbytes, plan->swap_nbytes);
    } else {
        plan->row_fn(place, plan->unit_nbytes, rest->src, plan->row.src_stride, n, plan->unit_nbytes);
    }
    cpu_writer_commit(writer, n * index_nbytes);
    if (cpu_writer_room(writer) < CPU_WRITER_NBYTES / 2) {
        cpu_writer_flush(writer, run->kernels);
    }
    rest->src += n * plan->row.src_stride;
    rest->count -= n;
    rest->ahead -= n;
}

/* Dense rows by way of a writer each; a twin advances at the same pace. */
static void stream_dense(cpu_run *run, const cpu_piece *piece, const cpu_piece *twin)
{
    int64_t index_nbytes = run->plan->group_units * run->plan->unit_nbytes;
    int64_t most = twin != NULL ? PACE_NBYTES / index_nbytes + 1 : INT64_MAX;
    cpu_piece rests[2] = {*piece};
    int nways = 1;
    if (twin != NULL) {
        rests[nways++] = *twin;
    }
    for (int way = 0; way < nways; way++) {
        cpu_writer_seek(&run->memory.writers[way], run->kernels, rests[way].dst);
    }
    while (rests[0].count > 0 || rests[1].count > 0) {
        for (int way = 0; way < nways; way++) {
            dense_step(run, &run->memory.writers[way], &rests[way], most);
        }
    }
}

/* Rows of a dense destination that are collected: by themselves they are hardly more than lines. */
static bool has_short_rows(const cpu_plan *plan)
{
    return !plan->whole_lines && plan->row.dst_stride == plan->unit_nbytes && plan->unit_nbytes < LONG_ROW_NBYTES;
}

/* The kinds that go by lines take two pieces side by side; returns false where they cannot, and nothing was done. */
static bool run_beside(cpu_run *run, const cpu_piece *piece, const cpu_piece *twin)
{
    const cpu_plan *plan = run->plan;
    cpu_twin beside = twin_of(piece, twin);
    if (twin != NULL && beside.dst == 0) {
        return false;
    }
    switch (plan->kind) {
    case CPU_PLAN_BYTES:
        stream_row(run, piece, beside);
        return true;
    case CPU_PLAN_ROWS:
        if (!plan->whole_lines) {
            return false;
        }
        run->kernels->stream(piece->dst, plan->row.dst_stride, piece->src, plan->row.src_stride, piece->count,
                             plan->unit_nbytes, plan->prefetch_nbytes, beside, plan->swap_nbytes);
        return true;
    case CPU_PLAN_GATHER: {
        int64_t index_nbytes = plan->group_units * plan->unit_nbytes;
        int64_t head = cpu_line_rest(piece->dst);
        if (plan->shuffle.out_step != run->kernels->shuffle_nbytes || head % index_nbytes != 0 ||
            head / index_nbytes >= piece->count) {
            return false;
        }
        stream_gather(run, piece, head / index_nbytes, beside,
                      twin != NULL ? cpu_smaller(piece->ahead, twin->ahead) : piece->ahead);
        return true;
    }
    default:
        return false;
    }
}

static void run_alone(cpu_run *run, const cpu_piece *piece)
{
    const cpu_plan *plan = run->plan;
    if (run_beside(run, piece, NULL)) {
        return;
    }
    switch (plan->kind) {
    case CPU_PLAN_WEAVE:
        if (weaves_lines(run, piece->dst)) {
            weave_lines(run, piece->dst, piece->src, piece->count);
        } else {
            stream_weave(run, piece->dst, piece->src, piece->count);
        }
        break;
    case CPU_PLAN_REPEAT:
        stream_repeat(run, piece->dst, piece->src, piece->count);
        break;
    case CPU_PLAN_ROWS:
        if (has_short_rows(plan)) {
            stream_dense(run, piece, NULL);
            break;
        }
        for (int64_t i = 0; i < piece->count; i++) {
            stream_bytes(run, piece->dst + i * plan->row.dst_stride, piece->src + i * plan->row.src_stride,
                         plan->unit_nbytes, plan->prefetch_nbytes, no_twin);
        }
        break;
    default:
        stream_dense(run, piece, NULL);
        break;
    }
}

void ndbuf_cpu__run_streamed(cpu_run *run, const cpu_piece *piece, const cpu_piece *twin)
{
    if (twin == NULL) {
        run_alone(run, piece);
    } else if (run->plan->kind == CPU_PLAN_ROWS && has_short_rows(run->plan)) {
        stream_dense(run, piece, twin);
    } else if (!run_beside(run, piece, twin)) {
        run_alone(run, piece);
        run_alone(run, twin);
    }
}

void ndbuf_cpu__run_stream_begin(cpu_run *run)
{
    for (int k = 0; run->plan->kind != CPU_PLAN_TRANSPOSE && k < CPU_SHUFFLE_MAX; k++) {
        cpu_writer_init(&run->memory.writers[k]);
    }
}

void ndbuf_cpu__run_stream_end(cpu_run *run)
{
    for (int k = 0; run->plan->kind != CPU_PLAN_TRANSPOSE && k < CPU_SHUFFLE_MAX; k++) {
        cpu_writer_finish(&run->memory.writers[k], run->kernels);
    }
    run->kernels->stream_end();
}
