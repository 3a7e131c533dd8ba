/* SPDX-License-Identifier: Apache-2.0 */

/* A program's executor that copies, too, in the thread whose copy it is to divide. */

#include <string.h>

#include "ndbuf/cpu.h"
#include "ndbuf/ndbuf.h"
#include "ndbuf/tuning.h"

#include "core/recent_copy.h"

#include "backends/cpu/cpu_kernels.h"
#include "tests/support/test.h"

/* As many copies as make a layout known. */
#define OFTEN 200
/* More layouts than a thread knows. */
#define MANY (2 * NDBUF__RECENT_COPIES)

static ndbuf_storage *adopt(void *bytes, size_t nbytes)
{
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, nbytes, 0, NULL, NULL, &storage, err));
    return storage;
}

/* Items of every other place, `count` of them. */
static void copy_every_second(int64_t count)
{
    int32_t items[2 * (2 + MANY)];
    int32_t copied[2 + MANY];
    const int64_t stride = 2 * sizeof(items[0]);
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ndbuf_format *format = test_parse("i");
    ndbuf_storage *of_items = adopt(items, sizeof(items));
    ndbuf_storage *of_copied = adopt(copied, sizeof(copied));
    ndbuf_view_spec spec = {.format = format, .ndim = 1, .shape = &count};
    ASSERT_OK(ndbuf_view_init(&dst, of_copied, &spec, err));
    spec.strides = &stride;
    ASSERT_OK(ndbuf_view_init(&src, of_items, &spec, err));
    for (int i = 0; i < OFTEN; i++) {
        items[2 * (count - 1)] = i;
        ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
        assert_int_equal(copied[count - 1], i);
    }
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
    ndbuf_storage_release(of_copied);
    ndbuf_storage_release(of_items);
    ndbuf_format_release(format);
}

/* A program's executor that copies first, so much that the thread knows nothing else any more, and leaves the parts to
 * the caller. */
static void copy_in_executor(void *context, ndbuf_cpu_part_fn part_fn, void *work, int64_t nparts)
{
    int *nruns = context;
    (void)part_fn;
    (void)work;
    (void)nparts;
    ++*nruns;
    for (int64_t count = 2; count <= 2 + MANY; count++) {
        copy_every_second(count);
    }
}

static int reset_cpu(void **state)
{
    (void)state;
    ndbuf_tuning_reset();
    ndbuf_cpu__kernels_set(NULL);
    return ndbuf_cpu_executor_set(NULL, NULL) == NDBUF_OK ? 0 : -1;
}

static void test_an_executor_copies_in_the_same_thread(void **state)
{
    (void)state;
    enum { NREPEATED = 8 };
    int nruns = 0;
    const ndbuf_cpu_executor executor = {copy_in_executor, &nruns, 2};
    const int64_t of_dst[4] = {NREPEATED, 5, 16, 31};
    const int64_t of_src[3] = {5, 16, 31 * 3};
    const int64_t shape[4] = {NREPEATED, 4, 15, 30};
    const ndbuf_slice all_but_one = {.stop = -1, .given = NDBUF_SLICE_STOP};
    const ndbuf_slice thirds = {.stop = 30 * 3, .step = 3, .given = NDBUF_SLICE_STOP | NDBUF_SLICE_STEP};
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ASSERT_OK(ndbuf_view_create(&dst, ndbuf_device_cpu(), NULL, 4, of_dst, err));
    ASSERT_OK(ndbuf_view_create(&src, ndbuf_device_cpu(), NULL, 3, of_src, err));
    uint8_t *to = ndbuf_view_host_address(&dst);
    uint8_t *from = ndbuf_view_host_address(&src);
    for (int32_t k = 0; k < 2; k++) {
        ASSERT_OK(ndbuf_view_slice(&dst, k + 1, &all_but_one, &dst, err));
        ASSERT_OK(ndbuf_view_slice(&src, k, &all_but_one, &src, err));
    }
    ASSERT_OK(ndbuf_view_slice(&dst, 3, &all_but_one, &dst, err));
    ASSERT_OK(ndbuf_view_slice(&src, 2, &thirds, &src, err));
    ASSERT_OK(ndbuf_view_broadcast(&src, 4, shape, &src, err));
    ndbuf_cpu__kernels_set(&ndbuf_cpu__kernels_portable);    /* which copy rows once, and then repeat them */
    ASSERT_OK(ndbuf_tuning_set("cpu.small_nbytes", 0, err)); /* no steps, but axes for the engine */
    ASSERT_OK(ndbuf_tuning_set("cpu.thread_nbytes", 1, err));
    ASSERT_OK(ndbuf_tuning_set("cpu.thread_share_nbytes", 1, err));
    for (int i = 0; i < OFTEN; i++) {
        ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
    }
    const ndbuf__recent_copy *known = &ndbuf__recent.copies[ndbuf__recent.last];
    assert_true(known->is_decided && !known->way.has_steps && ndbuf__recent_is(known, &dst, &src));
    for (int32_t i = 0; i < 5 * 16 * 31 * 3; i++) {
        from[i] = (uint8_t)(i % 251);
    }
    memset(to, 0, (size_t)NREPEATED * 5 * 16 * 31);
    ASSERT_OK(ndbuf_cpu_executor_set(&executor, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
    assert_true(nruns > 0);
    assert_false(ndbuf__recent_is(known, &dst, &src)); /* it is another layout's by now */
    for (int32_t i = 0; i < NREPEATED * 5 * 16 * 31; i++) {
        const bool is_copied = i % 31 < 30 && i / 31 % 16 < 15 && i / 31 / 16 % 5 < 4;
        assert_int_equal(to[i], is_copied ? from[i % (5 * 16 * 31) * 3] : 0);
    }
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_an_executor_copies_in_the_same_thread, reset_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
