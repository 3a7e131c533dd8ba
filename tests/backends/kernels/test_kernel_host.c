/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels as C against the reference copy. Built a second time with the kernels whose barrier was taken out, which
 * must be noticed. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/backends/kernels/kernel_cases.h"

#include "backends/kernels/kernel_host.h"

static void launch_on_host(const ndbuf__kernel_launch *launch, char *dst, const char *src)
{
    ndbuf__kernel_host_fn fn = ndbuf__kernel_host_find(ndbuf__kernel_names[launch->kernel]);
    assert_non_null(fn);
    for (uint32_t group = 0; group < launch->ngroups; group++) {
        fn(dst, src, &launch->params, group, launch->ngroups, launch->group_nitems);
    }
}

static void run(const kernel_case *kc, const ndbuf__kernel_launch *launch)
{
    launch_on_host(launch, kc->dst, kc->src != NULL ? kc->src : kc->dst);
}

static ndbuf__kernel_launch plan(const kernel_case *kc, test_random *random)
{
    static const uint32_t limits[] = {1024, 256, 256, 64, 32, 7, 1};
    return kernel_case_plan(kc, random, (uint64_t)(uintptr_t)kc->dst, (uint64_t)(uintptr_t)kc->src,
                            limits[test_random_range(random, 0, 6)]);
}

#ifdef NDK_PLANTED_NO_BARRIER

static void test_missing_barrier_gives_wrong_data(void **state)
{
    (void)state;
    test_random random = test_random_make("no barrier", 3);
    for (int64_t unit_nbytes = 1; unit_nbytes <= 16; unit_nbytes *= 2) {
        kernel_case kc;
        kernel_case_make_transpose(&kc, &random, unit_nbytes, 64);
        ndbuf__kernel_launch launch = plan(&kc, &random);
        run(&kc, &launch);
        assert_memory_not_equal(kc.dst, kc.expected, kc.dst_nbytes);
        kernel_case_free(&kc);
    }
}

#else

/* Runs random cases and counts which kernels were used. */
static void try_cases(test_random *random, int count, uint32_t flags, int *used)
{
    for (int i = 0; i < count; i++) {
        kernel_case kc;
        kernel_case_make(&kc, random, flags);
        ndbuf__kernel_launch launch = plan(&kc, random);
        used[launch.kernel]++;
        run(&kc, &launch);
        test_assert_bytes_equal(kc.text, kc.dst, kc.expected, kc.dst_nbytes);
        kernel_case_free(&kc);
    }
}

static void test_kernels_agree_with_the_reference_copy(void **state)
{
    (void)state;
    test_random random = test_random_make("kernels as C", 1);
    int used[128] = {0};
    assert_true(ndbuf__kernel_count <= 128);
    try_cases(&random, 3500, 0, used);
    try_cases(&random, 1500, KERNEL_CASE_LARGE, used);
    try_cases(&random, 1000, KERNEL_CASE_FILL, used);
    try_cases(&random, 500, KERNEL_CASE_FILL | KERNEL_CASE_LARGE, used);
    for (int32_t i = 0; i < ndbuf__kernel_count; i++) {
        if (used[i] == 0 && strstr(ndbuf__kernel_names[i], "convert") == NULL) {
            fail_msg("%s was never used", ndbuf__kernel_names[i]);
        }
    }
}

static void test_transposes_of_all_units_agree(void **state)
{
    (void)state;
    test_random random = test_random_make("transposes as C", 2);
    for (int64_t unit_nbytes = 1; unit_nbytes <= 16; unit_nbytes *= 2) {
        for (int64_t extent = 16; extent <= 130; extent += 19) {
            kernel_case kc;
            kernel_case_make_transpose(&kc, &random, unit_nbytes, extent);
            ndbuf__kernel_launch launch = plan(&kc, &random);
            assert_non_null(strstr(ndbuf__kernel_names[launch.kernel], "tile"));
            run(&kc, &launch);
            test_assert_bytes_equal(kc.text, kc.dst, kc.expected, kc.dst_nbytes);
            kernel_case_free(&kc);
        }
    }
}

/* Zeros that take no room until they are written; NULL: there cannot be as many. */
static char *open_sparse(size_t nbytes)
{
    char path[] = "/tmp/ndbuf-kernels-XXXXXX";
    int file = mkstemp(path);
    void *memory = MAP_FAILED;
    if (file < 0) {
        return NULL;
    }
    unlink(path);
    if (ftruncate(file, (off_t)nbytes) == 0) {
        memory = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    close(file);
    return memory != MAP_FAILED ? memory : NULL;
}

static int32_t item_at(const char *memory, int64_t offset)
{
    int32_t item;
    memcpy(&item, memory + offset, sizeof(item));
    return item;
}

/* Two small matrices 4 GiB apart, in memory that is hardly there: copied as they lie, transposed, and filled. */
static void test_offsets_beyond_32_bits_are_reached(void **state)
{
    (void)state;
    const int64_t far = (int64_t)1 << 32;
    const int64_t src_offset = (int64_t)1 << 30;
    const size_t nbytes = (size_t)6 << 30;
    const int64_t shape[] = {2, 20, 20};
    const int64_t dst_strides[] = {far, 80, 4};
    const int64_t orders[][3] = {{-far, 160, 8}, {-far, 4, 80}};
    static const char *const names[] = {"ndk_copy_4_64", "ndk_tile_4_64"};
    char *memory = open_sparse(nbytes);
    if (memory == NULL) {
        skip();
    }
    for (int64_t i = 0; i < 8000; i += 4) {
        const int32_t items[] = {(int32_t)i, (int32_t)-i};
        memcpy(memory + src_offset + i, &items[0], 4);
        memcpy(memory + src_offset + far + i, &items[1], 4);
    }
    for (int order = 0; order < 2; order++) {
        const int64_t *src_strides = orders[order];
        const ndbuf_strided strided = {.dst = {NULL, 0, dst_strides},
                                       .src = {NULL, src_offset + far, src_strides},
                                       .ndim = 3,
                                       .shape = shape,
                                       .unit_nbytes = 4};
        ndbuf__kernel_launch launch;
        assert_true(ndbuf__kernel_plan_copy(&strided, 0, 0, 256, &launch));
        assert_string_equal(ndbuf__kernel_names[launch.kernel], names[order]);
        launch_on_host(&launch, memory, memory);
        for (int64_t i = 0; i < 2 * 20 * 20; i++) {
            int64_t dst = i / 400 * far + i % 400 / 20 * 80 + i % 20 * 4;
            int64_t src = i / 400 * -far + i % 400 / 20 * src_strides[1] + i % 20 * src_strides[2];
            assert_int_equal(item_at(memory, dst), item_at(memory, src_offset + far + src));
        }
    }
    const int32_t item = 4711;
    const ndbuf_fill_box fill = {
        .dst = {NULL, 0, dst_strides}, .ndim = 1, .shape = shape, .item = &item, .item_nbytes = sizeof(item)};
    ndbuf__kernel_launch launch;
    assert_true(ndbuf__kernel_plan_fill(&fill, 0, 256, &launch));
    assert_string_equal(ndbuf__kernel_names[launch.kernel], "ndk_fill_4_64");
    launch_on_host(&launch, memory, memory);
    assert_int_equal(item_at(memory, 0), item);
    assert_int_equal(item_at(memory, far), item);
    assert_int_not_equal(item_at(memory, 4), item);
    munmap(memory, nbytes);
}

static void test_every_name_is_found_and_no_other(void **state)
{
    (void)state;
    for (int32_t i = 0; i < ndbuf__kernel_count; i++) {
        assert_non_null(ndbuf__kernel_host_find(ndbuf__kernel_names[i]));
    }
    assert_null(ndbuf__kernel_host_find("ndk_copy_3_32"));
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef NDK_PLANTED_NO_BARRIER
        cmocka_unit_test(test_missing_barrier_gives_wrong_data),
#else
        cmocka_unit_test(test_kernels_agree_with_the_reference_copy),
        cmocka_unit_test(test_transposes_of_all_units_agree),
        cmocka_unit_test(test_offsets_beyond_32_bits_are_reached),
        cmocka_unit_test(test_every_name_is_found_and_no_other),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
