/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "ndbuf/cpu.h"

#include "core/host_rows.h"

#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/random_box.h"
#include "tests/support/test.h"

#define BLOCK_NBYTES (1 << 19)
#define MAX_ROWS 2048

/* One side of a copy: its rows in a block, `gap` bytes apart, in some order where there are pointers to them. */
static ndbuf__host_row_side make_side(test_random *random, char *block, char **pointers, int64_t count, int64_t nbytes)
{
    ndbuf__host_row_side side = {.suboffset = -1, .offset = test_random_range(random, 0, 3) * 8};
    int64_t gap = test_random_range(random, 0, 2) == 0 ? 0 : test_random_range(random, 0, 70);
    char *first = block + test_random_range(random, 0, 2) * 32 + (test_random_range(random, 0, 3) == 0 ? 5 : 0);
    if (test_random_range(random, 0, 3) == 0) {
        side.first = first;
        side.stride = nbytes + gap;
        return side;
    }
    for (int64_t i = 0; i < count; i++) {
        pointers[i] = first + i * (nbytes + gap);
    }
    for (int64_t i = count - 1; test_random_range(random, 0, 3) > 0 && i > 0; i--) {
        int64_t j = test_random_range(random, 0, i);
        char *kept = pointers[i];
        pointers[i] = pointers[j];
        pointers[j] = kept;
    }
    side.suboffset = test_random_range(random, 0, 16);
    side.first = (char *)pointers;
    side.stride = sizeof(char *);
    if (test_random_range(random, 0, 3) == 0) {
        side.first += (count - 1) * side.stride;
        side.stride = -side.stride;
    }
    return side;
}

static void check_rows(test_random *random, char *const blocks[3])
{
    static char *pointers[2][MAX_ROWS];
    static const int64_t sizes[] = {64, 128, 256, 512, 1024, 4096, 8256};
    const int64_t kind = test_random_range(random, 0, 2);
    int64_t nbytes = kind == 0   ? sizes[test_random_range(random, 0, 6)]
                     : kind == 1 ? test_random_range(random, 1, 70)
                                 : test_random_range(random, 1, 3000);
    int64_t most = (BLOCK_NBYTES - 256) / (nbytes + 70);
    int64_t count = test_random_range(random, 1, most < MAX_ROWS ? most : MAX_ROWS);
    ndbuf__host_rows rows = {.count = count, .nbytes = nbytes};
    rows.dst = make_side(random, blocks[0], pointers[0], count, nbytes);
    rows.src = make_side(random, blocks[1], pointers[1], count, nbytes);
    memset(blocks[0], 1, BLOCK_NBYTES);
    memset(blocks[2], 1, BLOCK_NBYTES);
    for (int64_t i = 0; i < count; i++) {
        memcpy(blocks[2] + (ndbuf__host_row_at(&rows.dst, i) - blocks[0]), ndbuf__host_row_at(&rows.src, i),
               (size_t)nbytes);
    }
    ndbuf__host_rows_copy(&rows);
    if (memcmp(blocks[0], blocks[2], BLOCK_NBYTES) != 0) {
        fail_msg("%lld rows of %lld bytes, suboffsets %lld <- %lld", (long long)count, (long long)nbytes,
                 (long long)rows.dst.suboffset, (long long)rows.src.suboffset);
    }
}

static void check_many(const char *name, uint64_t seed, const cpu_kernels *kernels)
{
    test_random random = test_random_make(name, seed);
    char *blocks[3];
    for (int k = 0; k < 3; k++) {
        blocks[k] = aligned_alloc(64, BLOCK_NBYTES);
        assert_non_null(blocks[k]);
    }
    for (int64_t i = 0; i < BLOCK_NBYTES; i++) {
        blocks[1][i] = (char)(i * 7 + i / 251);
    }
    for (int i = 0; i < RANDOM_BOXES(300); i++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        tuning.stream_nbytes = test_random_range(&random, 0, 3) > 0 ? 1 : INT64_MAX;
        tuning.stream_ways = test_random_range(&random, 1, 2);
        tuning.prefetch_level = test_random_range(&random, 1, 2);
        tuning.thread_nbytes = 1;
        tuning.thread_share_nbytes = test_random_range(&random, 1, 65536);
        ndbuf_cpu__tuning_set(&tuning);
        ndbuf_cpu_threads_set((int32_t)test_random_range(&random, 1, 4), NULL);
        ndbuf_cpu__kernels_set(kernels);
        check_rows(&random, blocks);
    }
    for (int k = 0; k < 3; k++) {
        free(blocks[k]);
    }
}

static void rows_at_any_addresses_arrive_and_nothing_else_is_written(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        check_many("rows_at_any_addresses_arrive_and_nothing_else_is_written", seed++, kernels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rows_at_any_addresses_arrive_and_nothing_else_is_written, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("cpu_rows", tests, NULL, NULL);
}
