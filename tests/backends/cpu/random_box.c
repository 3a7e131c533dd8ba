/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cpu/random_box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool one_in(test_random *random, int64_t n)
{
    return test_random_range(random, 1, n) == 1;
}

int32_t random_box_shape(int64_t *shape, test_random *random, int64_t item_nbytes, int64_t max_nbytes)
{
    int32_t ndim = (int32_t)test_random_range(random, 1, RANDOM_BOX_MAX_AXES);
    int64_t left = max_nbytes > item_nbytes ? max_nbytes / item_nbytes : 1;
    bool tiny = one_in(random, 4);
    for (int32_t k = 0; k < ndim; k++) {
        int64_t most = tiny ? 4 : one_in(random, 3) ? left : one_in(random, 2) ? 70 : 20;
        shape[k] = test_random_range(random, 1, most < left ? most : left);
        left /= shape[k];
        left = left > 0 ? left : 1;
    }
    for (int32_t k = ndim - 1; k > 0; k--) {
        int64_t j = test_random_range(random, 0, k);
        int64_t kept = shape[k];
        shape[k] = shape[j];
        shape[j] = kept;
    }
    return ndim;
}

int64_t random_box_strides(int64_t *strides, test_random *random, int32_t ndim, const int64_t *shape,
                           int64_t item_nbytes, bool is_dst, int64_t *out_nbytes)
{
    int32_t order[RANDOM_BOX_MAX_AXES];
    bool shuffled = one_in(random, 2);
    bool gaps = one_in(random, 2);
    for (int32_t k = 0; k < ndim; k++) {
        order[k] = ndim - 1 - k; /* fastest first */
    }
    for (int32_t k = ndim - 1; shuffled && k > 0; k--) {
        int64_t j = test_random_range(random, 0, k);
        int32_t kept = order[k];
        order[k] = order[j];
        order[j] = kept;
    }
    int64_t nbytes = item_nbytes;
    int64_t offset = 0;
    for (int32_t i = 0; i < ndim; i++) {
        int32_t k = order[i];
        if (!is_dst && one_in(random, 12)) {
            strides[k] = 0;
            continue;
        }
        int64_t stride = nbytes;
        if (gaps && one_in(random, 2)) {
            stride = one_in(random, 2) ? nbytes * test_random_range(random, 1, 5)
                                       : nbytes + test_random_range(random, 0, 70);
        }
        nbytes = stride * (shape[k] - 1) + nbytes;
        strides[k] = one_in(random, 4) ? -stride : stride;
        offset += strides[k] < 0 ? stride * (shape[k] - 1) : 0;
    }
    *out_nbytes = nbytes;
    return offset;
}

static void append_text(random_box *box, const char *name, int64_t value)
{
    size_t used = strlen(box->text);
    snprintf(box->text + used, sizeof(box->text) - used, "%s%lld", name, (long long)value);
}

int64_t random_box_place(const int64_t *index, const int64_t *strides, int32_t ndim)
{
    int64_t place = 0;
    for (int32_t k = 0; k < ndim; k++) {
        place += index[k] * strides[k];
    }
    return place;
}

bool random_box_next(int64_t *index, const int64_t *shape, int32_t ndim)
{
    int32_t k = ndim - 1;
    for (; k >= 0 && ++index[k] == shape[k]; k--) {
        index[k] = 0;
    }
    return k >= 0;
}

static void copy_by_definition(const ndbuf__copy_axes *axes, int32_t swap, char *dst, const char *src)
{
    int64_t index[NDBUF__MAX_AXES] = {0};
    do {
        char *to = dst + random_box_place(index, axes->dst_strides, axes->ndim);
        const char *from = src + random_box_place(index, axes->src_strides, axes->ndim);
        for (int64_t i = 0; i < axes->unit_nbytes; i++) {
            to[i] = from[swap == 0 ? i : i ^ (swap - 1)];
        }
    } while (random_box_next(index, axes->shape, axes->ndim));
}

void random_box_make(random_box *out_box, test_random *random, int64_t max_nbytes)
{
    static const int64_t items[] = {1, 1, 2, 2, 4, 4, 4, 8, 8, 16, 3, 5, 6, 7, 10, 12, 14, 20, 24, 32, 40, 64, 100};
    int64_t shape[RANDOM_BOX_MAX_AXES];
    int64_t dst_strides[RANDOM_BOX_MAX_AXES] = {0};
    int64_t src_strides[RANDOM_BOX_MAX_AXES] = {0};
    int64_t src_nbytes;
    random_box *box = out_box;
    memset(box, 0, sizeof(*box));
    int64_t item = items[test_random_range(random, 0, (int64_t)(sizeof(items) / sizeof(items[0])) - 1)];
    int32_t ndim = random_box_shape(shape, random, item, max_nbytes);
    int64_t dst_offset = random_box_strides(dst_strides, random, ndim, shape, item, true, &box->dst_nbytes);
    int64_t src_offset = random_box_strides(src_strides, random, ndim, shape, item, one_in(random, 2), &src_nbytes);
    if (box->dst_nbytes > 16 * max_nbytes || src_nbytes > 16 * max_nbytes) {
        random_box_make(out_box, random, max_nbytes); /* gaps in gaps in gaps */
        return;
    }
    box->axes.convert = (ndbuf__convert){0};
    box->axes.unit_nbytes = item;
    int32_t swap = (int32_t)1 << test_random_range(random, 1, 3);
    swap = item % swap == 0 && one_in(random, 2) ? swap : 0;
    append_text(box, "reversed in ", swap);
    append_text(box, ", item ", item);
    for (int32_t k = 0; k < ndim; k++) {
        ndbuf__copy_axes_append(&box->axes, shape[k], dst_strides[k], src_strides[k]);
        append_text(box, ", ", shape[k]);
        append_text(box, ": ", dst_strides[k]);
        append_text(box, " <- ", src_strides[k]);
    }
    /* Blocks of their exact size, at odd places, so that a byte read or written outside is seen. */
    int64_t dst_lead =
        test_random_range(random, 0, 3) * 16 + (one_in(random, 4) ? test_random_range(random, 0, 15) : 0);
    int64_t src_lead = one_in(random, 2) ? test_random_range(random, 0, 63) : 0;
    box->dst_nbytes += dst_lead;
    box->src_block = malloc((size_t)(src_nbytes + src_lead));
    box->dst_block = malloc((size_t)box->dst_nbytes);
    box->expected = malloc((size_t)box->dst_nbytes);
    box->untouched = malloc((size_t)box->dst_nbytes);
    assert_true(box->src_block != NULL && box->dst_block != NULL && box->expected != NULL && box->untouched != NULL);
    test_random_fill(random, box->src_block, (size_t)(src_nbytes + src_lead));
    memset(box->untouched, 0x5a, (size_t)box->dst_nbytes);
    memcpy(box->expected, box->untouched, (size_t)box->dst_nbytes);
    copy_by_definition(&box->axes, swap, box->expected + dst_lead + dst_offset, box->src_block + src_lead + src_offset);
    ndbuf__copy_axes_merge(&box->axes);
    box->box = (cpu_box){.dst = box->dst_block + dst_lead + dst_offset + box->axes.dst_offset,
                         .src = box->src_block + src_lead + src_offset + box->axes.src_offset,
                         .ndim = box->axes.ndim,
                         .unit_nbytes = box->axes.unit_nbytes,
                         .swap_nbytes = swap,
                         .shape = box->axes.shape,
                         .dst_strides = box->axes.dst_strides,
                         .src_strides = box->axes.src_strides,
                         .nruns = one_in(random, 2) ? CPU_BOX_MANY_RUNS : 1};
    random_box_reset(box);
}

void random_box_reset(random_box *box)
{
    memcpy(box->dst_block, box->untouched, (size_t)box->dst_nbytes);
}

void random_box_check(const random_box *box, const char *by)
{
    if (memcmp(box->dst_block, box->expected, (size_t)box->dst_nbytes) == 0) {
        return;
    }
    for (int64_t i = 0; i < box->dst_nbytes; i++) {
        if (box->dst_block[i] != box->expected[i]) {
            fail_msg("%s: byte %lld of %lld is 0x%02x, not 0x%02x (%s)", by, (long long)i, (long long)box->dst_nbytes,
                     (unsigned char)box->dst_block[i], (unsigned char)box->expected[i], box->text);
        }
    }
}

void random_box_clear(random_box *box)
{
    free(box->src_block);
    free(box->dst_block);
    free(box->expected);
    free(box->untouched);
}
