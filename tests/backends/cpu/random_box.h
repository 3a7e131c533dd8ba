/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_RANDOM_BOX_H
#define NDBUF_TESTS_BACKENDS_CPU_RANDOM_BOX_H

#include "backends/cpu/cpu_backend.h"
#include "core/copy_axes.h"
#include "tests/support/test.h"

/* A copy between two blocks that end where the layouts do, with what the destination holds after it. */
typedef struct random_box {
    ndbuf__copy_axes axes; /* as given to the engine: merged */
    cpu_box box;
    char *src_block;
    char *dst_block;
    char *expected;  /* of the whole block, gaps included */
    char *untouched; /* the block before the copy */
    int64_t dst_nbytes;
    char text[512]; /* the layout before it was merged */
} random_box;

#define RANDOM_BOX_MAX_AXES 6

/* How many to try: fewer under the thread sanitizer, which makes each byte take its time, under the address sanitizer,
 * which looks at where they are read and written, while other builds look at more of the values, and by emulation. */
#if defined(__SANITIZE_THREAD__)
#define RANDOM_BOXES(count) ((count) / 20)
#elif defined(__SANITIZE_ADDRESS__) || defined(EMULATED_AVX512) || defined(EMULATED_NEON)
#define RANDOM_BOXES(count) ((count) / 4)
#else
#define RANDOM_BOXES(count) (count)
#endif

/* Fills up to RANDOM_BOX_MAX_AXES extents, whose product times the item's size is about max_nbytes at most; returns how
 * many. */
int32_t random_box_shape(int64_t *shape, test_random *random, int64_t item_nbytes, int64_t max_nbytes);

/* Strides that lay the axes out in a random order, with or without gaps; not all upwards, and those of a source may
 * be 0. Returns the offset of item 0..0, *out_nbytes is what it all takes. */
int64_t random_box_strides(int64_t *strides, test_random *random, int32_t ndim, const int64_t *shape,
                           int64_t item_nbytes, bool is_dst, int64_t *out_nbytes);

/* Bytes from index 0..0 to an index. */
int64_t random_box_place(const int64_t *index, const int64_t *strides, int32_t ndim);

/* Goes on to the next index; false behind the last one, and it is the first one again. */
bool random_box_next(int64_t *index, const int64_t *shape, int32_t ndim);

/* Makes one of up to about max_nbytes: a permuted destination with or without gaps, and a source with axes in any
 * order, reversed, repeated or with gaps; of some the bytes of numbers are reversed. */
void random_box_make(random_box *out_box, test_random *random, int64_t max_nbytes);

/* The destination as it was. */
void random_box_reset(random_box *box);

/* Fails the test unless the destination is what it should be. */
void random_box_check(const random_box *box, const char *by);

void random_box_clear(random_box *box);

#endif
