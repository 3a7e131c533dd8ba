/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_convert_plan.h"

#include "backends/cpu/cpu_minmax.h"

/* Blocks whose source is fastest along the last axis; and of those past the caches that leave elements out. */
#define PLAIN_BLOCK_NBYTES ((int64_t)16 << 10)
#define SPARSE_BLOCK_NBYTES ((int64_t)8 << 10)
/* Of a block whose rows are converted where they are. */
#define ROWS_BLOCK_NBYTES ((int64_t)64 << 10)
/* Dense runs worth being converted where they are, with vectors or without. */
#define DIRECT_RUN_NBYTES 128
/* Elements of a row that are worth being converted by itself: of one whose numbers lie near each other, of which
 * vectors bring several together, of one of halves of 8 bytes, and of one backwards; others are from a step on. */
#define NEAR_ROW_MIN 128
#define HALVES_ROW_MIN 64
#define REVERSED_ROW_MIN 48
/* Rows of a destination that are walked: bytes from number to number at least, fewer where the source has gaps and
 * numbers of so many bytes, and any gap will do where its own are as wide; and numbers at least, as a copy takes
 * shorter rows together. */
#define WALKED_STRIDE 16
#define WALKED_NEAR_STRIDE 12
#define WALKED_SRC 4
#define WALKED_ROW_MIN 12
/* Where no vectors write what leaves bytes out, of dense rows: bytes from number to number, or pair, of the source at
 * least, more of numbers that come from the first cache, of which there are so many bytes at most. */
#define WALKED_SRC_STRIDE 16
#define WALKED_SRC_NEAR_STRIDE 24
#define WALKED_NEAR_NBYTES ((int64_t)64 << 10)
/* Of larger copies only rows of wide gaps are, of numbers alone, and along which the source is fastest, where vectors
 * spread the others, or their bytes are to be reversed: copies fetch ahead (on a Xeon). */
#define WALKED_NBYTES ((int64_t)12 << 20)
/* Where no vectors write what leaves bytes out: of less, any rows in gaps, also across the source, unless its lines
 * share sets of the caches, and long numbers, or pairs, of long ones without gaps. */
#define WALKED_ACROSS_NBYTES ((int64_t)6 << 20)
#define WALKED_ACROSS_SETS_NBYTES 256
#define WALKED_ACROSS_DENSE_DST 16
#define WALKED_ACROSS_DENSE_SRC 8
/* Rows of so few numbers across the source are taken by columns, up to the same size with the gaps, if there are so
 * many of them: numbers in gaps, those of the source of so many bytes (WALKED_SRC), and long ones without gaps in rows
 * of so many bytes. A block stays in the first cache. */
#define COLUMNS_MAX 31
#define COLUMN_ITEMS_MIN 16
#define COLUMNS_DENSE_NBYTES 256
#define COLUMNS_BLOCK_NBYTES ((int64_t)8 << 10)
/* Numbers, or pairs, that lie apart across the source are taken from there by long rows from here on, without vectors
 * that write what leaves bytes out. */
#define APART_ACROSS_NBYTES ((int64_t)4 << 20)
/* A block of long rows across the source has so many elements in each that they are fetched ahead, and so many rows
 * that they read whole lines. */
#define ACROSS_ITEMS 1024
/* Dense runs of the destination worth being written by the conversion itself; past the caches, elements of one. */
#define CONVERTED_RUN_NBYTES 384
#define STREAMED_RUN_MIN 256
/* Rows worth being written past the caches: whole lines, and others. */
#define STREAMED_LINES_NBYTES 256
#define STREAMED_ROW_NBYTES 2048
/* Dense runs of either side that a block has, if the box has them. */
#define DST_RUN_NBYTES 512
#define SRC_RUN_NBYTES 256
/* A block whose elements are repeated has up to so many times its buffer. */
#define MOST_REPEATED 4
/* Lines whose distance is a multiple of this share few sets of the first cache. */
#define SHARED_SETS_NBYTES 1024
/* Rows of records up to this length are short. */
#define SHORT_ROW_ITEMS 320

static int64_t at_least_1(int64_t value)
{
    return value > 1 ? value : 1;
}

static int64_t pieces(int64_t extent, int64_t piece)
{
    return (extent + piece - 1) / piece;
}

/* Elements along the last axes that lie one behind the other; *out_axis is where these axes begin. */
static int64_t dense_run(const int64_t *shape, const int64_t *extents, const int64_t *strides, int32_t ndim,
                         int64_t nbytes, int32_t *out_axis)
{
    int64_t run = 1;
    int32_t k = ndim;
    bool is_whole = true; /* the axes so far, so that the next one can carry on */
    for (; k > 0 && (extents[k - 1] == 1 || (is_whole && strides[k - 1] == run * nbytes)); k--) {
        is_whole = is_whole && extents[k - 1] == shape[k - 1];
        run *= extents[k - 1];
    }
    *out_axis = k;
    return run;
}

/* Lets a block grow along an axis up to `piece`: less if pieces are more even then. */
static void block_grow(cpu_convert_plan *plan, int32_t axis, int64_t piece)
{
    const int64_t extent = plan->box->box.shape[axis];
    int64_t even = pieces(extent, pieces(extent, cpu_smaller(extent, piece)));
    even = pieces(even, CPU_CONVERT_STEP_MAX) * CPU_CONVERT_STEP_MAX;
    piece = cpu_smaller(extent, cpu_smaller(piece, even));
    if (piece > plan->block[axis]) {
        plan->nelements = plan->nelements / plan->block[axis] * piece;
        plan->block[axis] = piece;
    }
}

/* Along one more axis of those that are to have `target` elements together and have `count`; a block has `most`.
 * Returns what they have then. */
static int64_t block_extend(cpu_convert_plan *plan, int32_t axis, int64_t count, int64_t target, int64_t most)
{
    int64_t room = most / (plan->nelements / plan->block[axis]);
    block_grow(plan, axis, cpu_smaller(pieces(target, count), room));
    return count * plan->block[axis];
}

/* Along the axes of the destination, up to the first one that is not whole. */
static void block_grow_dst(cpu_convert_plan *plan, int64_t target, int64_t most)
{
    int64_t count = 1;
    for (int32_t k = plan->box->box.ndim - 1; k >= 0 && count < target; k--) {
        count = block_extend(plan, k, count, target, most);
        if (plan->block[k] < plan->box->box.shape[k]) {
            break;
        }
    }
}

/* The axis on which the source is fastest among those that are not taken; -1: none. */
static int32_t fastest_src_axis(const cpu_box *box, const bool *is_taken)
{
    int32_t best = -1;
    for (int32_t k = 0; k < box->ndim; k++) {
        int64_t stride = ndbuf__stride_magnitude(box->src_strides[k]);
        if (!is_taken[k] && stride != 0 && (best < 0 || stride <= ndbuf__stride_magnitude(box->src_strides[best]))) {
            best = k;
        }
    }
    return best;
}

/* Along the axes on which the source is fastest, up to the first one that is not whole. */
static void block_grow_src(cpu_convert_plan *plan, int64_t target, int64_t most)
{
    const cpu_box *box = &plan->box->box;
    bool is_taken[NDBUF__MAX_AXES] = {false};
    int64_t count = 1;
    for (int32_t k = fastest_src_axis(box, is_taken); k >= 0 && count < target; k = fastest_src_axis(box, is_taken)) {
        is_taken[k] = true;
        count = block_extend(plan, k, count, target, most);
        if (plan->block[k] < box->shape[k]) {
            return;
        }
    }
}

/* To have runs of both sides, and then what else there is room for, of `most` elements. */
static void block_grow_runs(cpu_convert_plan *plan, int64_t most)
{
    block_grow_dst(plan, DST_RUN_NBYTES / plan->converter.dst_nbytes, most);
    block_grow_src(plan, SRC_RUN_NBYTES / plan->converter.src_nbytes, most);
    block_grow_dst(plan, most, most);
}

/* For rows across the source. */
static void block_grow_across(cpu_convert_plan *plan)
{
    const int64_t nrows = at_least_1(CPU_LINE_NBYTES / plan->converter.src_nbytes);
    block_grow_dst(plan, ACROSS_ITEMS, ACROSS_ITEMS);
    block_grow_src(plan, nrows, nrows * ACROSS_ITEMS);
}

/* For short rows that are taken by columns. */
static void block_grow_columns(cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int64_t count = box->shape[box->ndim - 1];
    const int64_t row_nbytes = count * cpu_larger(plan->converter.dst_nbytes, plan->converter.src_nbytes);
    block_grow_dst(plan, count, count);
    block_grow(plan, box->ndim - 2, cpu_larger(COLUMN_ITEMS_MIN, COLUMNS_BLOCK_NBYTES / row_nbytes));
}

int32_t ndbuf_cpu__fastest_src_axis(const cpu_box *box)
{
    const bool is_taken[NDBUF__MAX_AXES] = {false};
    return fastest_src_axis(box, is_taken);
}

bool ndbuf_cpu__follows_last_axis(const cpu_box *box)
{
    return ndbuf_cpu__fastest_src_axis(box) == box->ndim - 1;
}

/* Whether the source is fastest along the rows, or pairs of them. */
static bool follows_rows(const cpu_convert_plan *plan)
{
    cpu_box rows = plan->box->box;
    rows.ndim = plan->run_axis + 1;
    return ndbuf_cpu__follows_last_axis(&rows);
}

/* Whether rows are short, and the source is fastest along the axis before them, across which the destination has no
 * gaps: so many of them, transposed, are one row. */
static bool has_short_rows(const cpu_box *box)
{
    const int32_t last = box->ndim - 1;
    return last > 0 && box->shape[last] <= SHORT_ROW_ITEMS && ndbuf_cpu__fastest_src_axis(box) == last - 1 &&
           box->dst_strides[last - 1] == box->shape[last] * box->dst_strides[last];
}

/* A block of a source that is fastest along the last axis needs no room for lines that cross. */
static int64_t block_nbytes(const cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const bool is_sparse = ndbuf__stride_magnitude(box->src_strides[box->ndim - 1]) > plan->converter.src_nbytes;
    return !ndbuf_cpu__follows_last_axis(box) ? CPU_CONVERT_BLOCK_NBYTES
           : plan->streams && is_sparse       ? SPARSE_BLOCK_NBYTES
                                              : PLAIN_BLOCK_NBYTES;
}

/* Whether dense rows of vectors are worth being converted where they are: not those that are brought together, or
 * spread, by a vector each, where the other side is dense, nor where all of them leave past the caches together. */
static bool are_worth_steps(const cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int32_t last = box->ndim - 1; /* at least 1 */
    const int64_t count = box->shape[last];
    const int64_t dst_nbytes = count * plan->converter.dst_nbytes;
    const int64_t src_nbytes = count * plan->converter.src_nbytes;
    const bool is_brought = box->dst_strides[last - 1] == dst_nbytes && (plan->streams || src_nbytes < CPU_LINE_NBYTES);
    const bool is_spread = box->src_strides[last - 1] == src_nbytes && dst_nbytes < CPU_LINE_NBYTES;
    return plan->converter.by_steps != NULL && count >= plan->converter.step && !is_brought && !is_spread;
}

bool ndbuf_cpu__has_direct_rows(const cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int32_t last = box->ndim - 1;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    return box->dst_strides[last] == dst_nbytes && box->src_strides[last] == src_nbytes &&
           (last == 0 || are_worth_steps(plan) ||
            box->shape[last] * cpu_smaller(dst_nbytes, src_nbytes) >= DIRECT_RUN_NBYTES);
}

/* Whether the last axis has the two parts of complex numbers, or what is as they are. */
static bool has_pairs(const cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int32_t last = box->ndim - 1;
    return last > 0 && box->shape[last] == 2 && box->dst_strides[last] == plan->converter.dst_nbytes &&
           box->src_strides[last] == plan->converter.src_nbytes;
}

/* Whether there are integers that become floats. */
static bool makes_floats(const cpu_convert_plan *plan)
{
    return plan->box->dst_element.number > NDBUF_NUMBER_UINT64 && plan->box->src_element.number <= NDBUF_NUMBER_UINT64;
}

/* Whether numbers that are spread one by one, in the caches, are rather converted by vectors before: what takes the
 * processor longer by itself. */
static bool suits_vectors(const cpu_convert_plan *plan, bool has_gaps)
{
    return makes_floats(plan) ? plan->converter.src_nbytes < WALKED_SRC
                              : !has_gaps && plan->box->src_element.number == NDBUF_NUMBER_FLOAT32;
}

/* How many elements a row has at least that is converted from where it lies, `stride` being from one index to the next
 * one, at each of which there are src_nbytes. */
static int64_t least_apart(const cpu_row_converter *converter, int64_t stride, int64_t src_nbytes)
{
    return ndbuf__stride_magnitude(stride) > CPU_LINE_NBYTES ? converter->step
           : stride == -src_nbytes                           ? REVERSED_ROW_MIN
           : src_nbytes < CPU_APART_NBYTES                   ? HALVES_ROW_MIN
                                                             : NEAR_ROW_MIN;
}

/* Whether the numbers, or pairs, of dense rows lie so far apart in the source that to bring them together takes longer
 * than vectors save. */
static bool are_far(const cpu_convert_plan *plan, int64_t src_stride, int64_t nnumbers)
{
    const bool are_near = nnumbers == 1 && plan->nbytes < WALKED_NEAR_NBYTES;
    const int64_t least = least_apart(&plan->converter, src_stride, nnumbers * plan->converter.src_nbytes);
    const bool has_vectors = cpu_converts_apart(&plan->converter, src_stride, nnumbers > 1) &&
                             plan->box->box.shape[plan->run_axis] * nnumbers >= least;
    return !has_vectors &&
           ndbuf__stride_magnitude(src_stride) >= (are_near ? WALKED_SRC_NEAR_STRIDE : WALKED_SRC_STRIDE);
}

/* Whether the numbers, or pairs, of rows across the source are taken one by one, `is_dense` being whether the rows have
 * no gaps. */
static bool walks_across(const cpu_convert_plan *plan, int64_t src_distance, int64_t nnumbers, bool is_dense)
{
    const bool are_long = nnumbers * plan->converter.dst_nbytes >= WALKED_ACROSS_DENSE_DST &&
                          nnumbers * plan->converter.src_nbytes >= WALKED_ACROSS_DENSE_SRC;
    return plan->nbytes < WALKED_ACROSS_NBYTES && src_distance % WALKED_ACROSS_SETS_NBYTES != 0 &&
           (!is_dense || are_long);
}

static bool is_native(const cpu_convert_plan *plan)
{
    return !plan->converter.scalar.swaps_dst && !plan->converter.scalar.swaps_src;
}

/* Whether there are rows so short that their numbers are taken along the axis before, along which the source is
 * fastest, where no vectors write what leaves bytes out. */
static bool walks_columns(const cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    const int32_t last = box->ndim - 1;
    if (plan->kernels->scatter != NULL || !is_native(plan) || last == 0 || box->shape[last] > COLUMNS_MAX ||
        box->shape[last - 1] < COLUMN_ITEMS_MIN || ndbuf_cpu__fastest_src_axis(box) != last - 1) {
        return false;
    }
    const int64_t dst_distance = ndbuf__stride_magnitude(box->dst_strides[last]);
    const int64_t src_distance = ndbuf__stride_magnitude(box->src_strides[last - 1]);
    const bool is_far = src_distance > src_nbytes && src_nbytes >= WALKED_SRC;
    const bool are_long = dst_nbytes >= CPU_APART_NBYTES && src_nbytes >= CPU_APART_NBYTES &&
                          box->shape[last] * dst_nbytes <= COLUMNS_DENSE_NBYTES;
    return plan->nbytes / (dst_nbytes + src_nbytes) < WALKED_ACROSS_NBYTES / (dst_distance + src_distance) &&
           (dst_distance > dst_nbytes || is_far || are_long);
}

/* Whether the numbers, or pairs, of rows lie so far apart in the destination that each is written by itself. Gaps in
 * the source are work for vectors, too, and wide ones more than they save; integers that become floats are so for the
 * processor. Where no vectors write what leaves bytes out, any gap will do, and wide ones in the source alone, of
 * numbers in the native order. */
static bool are_scattered(const cpu_convert_plan *plan, int64_t nnumbers)
{
    const bool follows = follows_rows(plan);
    const cpu_box *box = &plan->box->box;
    const int64_t dst_distance = ndbuf__stride_magnitude(box->dst_strides[plan->run_axis]);
    const int64_t src_distance = ndbuf__stride_magnitude(box->src_strides[plan->run_axis]);
    const bool has_gaps = src_distance > nnumbers * plan->converter.src_nbytes;
    const bool is_dense = dst_distance == nnumbers * plan->converter.dst_nbytes; /* of long numbers */
    const bool is_large = plan->nbytes >= WALKED_NBYTES;
    const bool is_plain = plan->kernels->scatter == NULL && is_native(plan);
    if (is_plain && !follows && walks_across(plan, src_distance, nnumbers, is_dense)) {
        return true;
    }
    if (is_dense && (!has_gaps || !follows || plan->nbytes >= NDBUF_CPU__TUNING_PEEK(stream_nbytes))) {
        return false;
    }
    if (is_plain && follows &&
        (is_dense ? are_far(plan, box->src_strides[plan->run_axis], nnumbers)
                  : is_large || !suits_vectors(plan, has_gaps))) {
        return true;
    }
    if (is_large) {
        return follows && nnumbers == 1 && !plan->converter.scalar.has_imaginary &&
               dst_distance >= WALKED_STRIDE + !has_gaps;
    }
    const int64_t least = has_gaps && follows && src_distance >= WALKED_STRIDE
                              ? nnumbers * plan->converter.dst_nbytes + 1
                          : has_gaps && plan->converter.src_nbytes >= WALKED_SRC ? WALKED_NEAR_STRIDE
                          : has_gaps || !makes_floats(plan)                      ? WALKED_STRIDE
                                                                                 : WALKED_STRIDE + 1;
    return dst_distance >= least;
}

bool ndbuf_cpu__walks_rows(cpu_convert_plan *plan)
{
    const int32_t last = plan->box->box.ndim - 1;
    const bool are_pairs = has_pairs(plan) && ndbuf__converts_pairs(&plan->box->dst_element, &plan->box->src_element);
    plan->run_axis = last - are_pairs;
    plan->by_columns = false;
    if (!plan->converter.scalar.is_quick || plan->box->box.src_strides[plan->run_axis] == 0) {
        return false;
    }
    if (!are_pairs && walks_columns(plan)) {
        plan->by_columns = true;
        return true;
    }
    if (plan->box->box.shape[plan->run_axis] < WALKED_ROW_MIN) {
        return false;
    }
    const bool walks = are_scattered(plan, 1 + are_pairs);
    plan->converter.scalar.converts_pairs = walks && are_pairs;
    return walks;
}

bool ndbuf_cpu__pays_to_stream(const cpu_box *box, const char *dst, int32_t naxes, int64_t nbytes)
{
    uint64_t bits = (uintptr_t)dst | (uint64_t)nbytes;
    for (int32_t k = 0; k < naxes; k++) {
        bits |= (uint64_t)box->dst_strides[k];
    }
    return nbytes >= (bits % CPU_LINE_NBYTES == 0 ? STREAMED_LINES_NBYTES : STREAMED_ROW_NBYTES);
}

/* Whether rows, not of pairs, go across lines of the source that share few sets of the first cache, so that each row
 * reads them anew. */
static bool rows_share_sets(const cpu_convert_plan *plan)
{
    return plan->run_axis == plan->box->box.ndim - 1 &&
           plan->box->box.src_strides[plan->run_axis] % SHARED_SETS_NBYTES == 0 && !follows_rows(plan);
}

/* Past the caches, rows that are read backwards come faster if they are packed first. */
bool ndbuf_cpu__find_apart_rows(cpu_convert_plan *plan, bool takes_short)
{
    const cpu_box *box = &plan->box->box;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    const int32_t last = box->ndim - 1;
    const bool are_pairs = has_pairs(plan);
    plan->run_axis = last - are_pairs;
    const int64_t count = 1 + are_pairs;
    const int64_t stride = box->src_strides[plan->run_axis];
    const int64_t least =
        takes_short ? plan->converter.step : least_apart(&plan->converter, stride, count * src_nbytes);
    plan->gap = are_pairs ? src_nbytes : stride;
    plan->stride = are_pairs ? stride : 2 * stride;
    plan->apart = cpu_converts_apart(&plan->converter, stride, are_pairs) && !rows_share_sets(plan) &&
                  (!plan->streams || (stride > 0 && plan->converter.apart != NULL &&
                                      cpu_pays_to_prefetch_apart(stride, box->shape[plan->run_axis]))) &&
                  box->dst_strides[plan->run_axis] == count * dst_nbytes && box->shape[plan->run_axis] * count >= least;
    return plan->apart;
}

bool ndbuf_cpu__packs_records(const cpu_box *box, const cpu_record *record)
{
    return box->ndim > 0 && !ndbuf_cpu__follows_last_axis(box) &&
           (cpu_size_index(record->src_nbytes) >= 0 || box->src_strides[box->ndim - 1] % SHARED_SETS_NBYTES == 0 ||
            (has_short_rows(box) && !ndbuf_cpu__record_has_streams(record)));
}

/* Whether the source is one dense piece, in any order of its axes, and of any signs. */
static bool is_one_piece(const cpu_box *box, int64_t src_nbytes, int64_t nelements)
{
    int64_t run = src_nbytes;
    bool grew = true;
    while (grew && run < nelements * src_nbytes) {
        int32_t k = 0;
        while (k < box->ndim && ndbuf__stride_magnitude(box->src_strides[k]) != run) {
            k++;
        }
        grew = k < box->ndim && box->shape[k] > 1;
        run *= grew ? box->shape[k] : 1;
    }
    return run == nelements * src_nbytes;
}

bool ndbuf_cpu__converts_whole(const cpu_box *box, int64_t dst_nbytes, int64_t src_nbytes)
{
    const int32_t last = box->ndim - 1;
    int64_t nelements = 1;
    for (int32_t k = 0; k <= last; k++) {
        nelements *= box->shape[k];
    }
    const bool are_pairs = last > 0 && box->shape[last] == 2 && box->src_strides[last] == src_nbytes;
    return last > 0 && dst_nbytes < src_nbytes && nelements * src_nbytes <= CPU_CONVERT_BLOCK_NBYTES &&
           !(are_pairs && box->src_strides[last - 1] % SHARED_SETS_NBYTES != 0) &&
           is_one_piece(box, src_nbytes, nelements);
}

/* All of the box is one block. */
static void block_whole(cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->block[k] = box->shape[k];
        plan->nelements *= box->shape[k];
        plan->src_lowest += box->src_strides[k] < 0 ? (box->shape[k] - 1) * box->src_strides[k] : 0;
    }
    plan->packs = false;
    plan->spreads = true;
}

void ndbuf_cpu__plan_blocks(cpu_convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    const int64_t larger_nbytes = dst_nbytes > src_nbytes ? dst_nbytes : src_nbytes;
    const int32_t last = box->ndim - 1;
    plan->nelements = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->block[k] = 1;
    }
    plan->repeats = plan->record == NULL && box->src_strides[last] == 0;
    plan->apart = false;
    plan->walks = false;
    plan->by_columns = false;
    plan->src_lowest = 0;
    if (plan->record != NULL) {
        const int64_t most = at_least_1(ROWS_BLOCK_NBYTES / larger_nbytes);
        if (!ndbuf_cpu__follows_last_axis(box)) {
            block_grow_dst(plan, at_least_1(DST_RUN_NBYTES / dst_nbytes), most);
            block_grow_src(plan, at_least_1(SRC_RUN_NBYTES / src_nbytes), most);
        }
        block_grow_dst(plan, most, most);
        plan->packs = ndbuf_cpu__packs_records(box, plan->record);
        plan->spreads = false;
        plan->run_axis = last;
        if (plan->packs && box->dst_strides[last] == dst_nbytes) {
            dense_run(box->shape, plan->block, box->dst_strides, box->ndim, dst_nbytes, &plan->run_axis);
        }
    } else if (plan->repeats) {
        /* Elements are converted once. Where the last axis is short, there are more of them than repetitions. */
        int64_t most = CPU_CONVERT_BLOCK_NBYTES / larger_nbytes * cpu_smaller(box->shape[last], MOST_REPEATED);
        block_grow_dst(plan, most, most);
        plan->packs = true;
        plan->spreads = true;
    } else if (ndbuf_cpu__has_direct_rows(plan)) {
        block_grow_dst(plan, ROWS_BLOCK_NBYTES / larger_nbytes, ROWS_BLOCK_NBYTES / larger_nbytes);
        plan->packs = false;
        plan->spreads = false;
        plan->run_axis = last;
    } else if (ndbuf_cpu__walks_rows(plan)) {
        if (plan->by_columns) {
            block_grow_columns(plan);
        } else if (follows_rows(plan)) {
            block_grow_runs(plan, PLAIN_BLOCK_NBYTES / larger_nbytes);
        } else {
            block_grow_across(plan);
        }
        plan->packs = false;
        plan->spreads = false;
        plan->walks = true;
        plan->streams = false;
    } else if (ndbuf_cpu__converts_whole(box, dst_nbytes, src_nbytes)) {
        block_whole(plan);
    } else if (ndbuf_cpu__find_apart_rows(plan, false)) {
        if (plan->kernels->scatter != NULL || plan->nbytes < APART_ACROSS_NBYTES || follows_rows(plan)) {
            block_grow_runs(plan, PLAIN_BLOCK_NBYTES / larger_nbytes);
        } else {
            block_grow_across(plan);
        }
        plan->packs = false;
        plan->spreads = false;
    } else {
        const int64_t most = block_nbytes(plan) / larger_nbytes;
        int32_t src_axis;
        block_grow_runs(plan, most);
        int64_t src_run = dense_run(box->shape, plan->block, box->src_strides, box->ndim, src_nbytes, &src_axis);
        int64_t dst_run = dense_run(box->shape, plan->block, box->dst_strides, box->ndim, dst_nbytes, &plan->run_axis);
        plan->packs = src_run < plan->nelements;
        const bool is_short = plan->streams
                                  ? dst_run < STREAMED_RUN_MIN &&
                                        !ndbuf_cpu__pays_to_stream(box, box->dst, plan->run_axis, dst_run * dst_nbytes)
                                  : dst_run * dst_nbytes < CONVERTED_RUN_NBYTES;
        plan->spreads = dst_run < plan->nelements && is_short;
    }
    plan->ntasks = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->nblocks[k] = pieces(box->shape[k], plan->block[k]);
        plan->ntasks *= plan->nblocks[k];
    }
}
