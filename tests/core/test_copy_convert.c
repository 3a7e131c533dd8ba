/* SPDX-License-Identifier: Apache-2.0 */
/* usage: core_copy_convert [DEVICE...]
 *
 * Copies of random (format, format, layout) triples between all pairs of the host and the devices named, against the
 * reference. NDBUF_TEST_TRIPLES says how many, and NDBUF_TEST_FIRST with which one of a seed to begin. Threads have
 * little stack unless they ask for more, as with musl. */
#define _GNU_SOURCE
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/copy_plan.h"

#define MAX_DEVICES 8
#define DEFAULT_TRIPLES 2500
#define SMALL_STAGING_NBYTES 96 /* rings of staging buffers go round many times */
#define LITTLE_STACK_NBYTES ((size_t)128 << 10)

static ndbuf_device *devices[MAX_DEVICES];
static const char *names[MAX_DEVICES];
static int64_t ndevices;

static int64_t number_in(const char *variable, int64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

static bool one_in(test_random *random, int64_t n)
{
    return test_random_range(random, 1, n) == 1;
}

static void test_random_triples_are_converted_as_the_reference_does_it(void **state)
{
    (void)state;
    uint64_t seed = test_random_make(__func__, 71).state;
    int64_t first = number_in("NDBUF_TEST_FIRST", 0);
    int64_t end = first + number_in("NDBUF_TEST_TRIPLES", DEFAULT_TRIPLES);
    for (int64_t i = first; i < end; i++) {
        test_random random = {seed + (uint64_t)i * 0x100000001B3u};
        int64_t to = i / ndevices % ndevices;
        int64_t from = i % ndevices;
        ndbuf_queue *queue = NULL;
        if (one_in(&random, 3)) {
            ASSERT_OK(ndbuf_queue_create(devices[one_in(&random, 2) ? to : from], &queue, err));
        }
        test_copy_case copy_case = {.dst = devices[to],
                                    .src = devices[from],
                                    .queue = queue,
                                    .converts = true,
                                    .in_one_storage = to == from && one_in(&random, 6),
                                    .with_suboffsets = one_in(&random, 4),
                                    .through_plan = one_in(&random, 4),
                                    .shape_flags = one_in(&random, 50) ? TEST_LAYOUT_MANY_ITEMS : 0};
        ndbuf__staging_nbytes = one_in(&random, 3) ? SMALL_STAGING_NBYTES : NDBUF__STAGING_NBYTES;
        char what[120];
        snprintf(what, sizeof(what), "NDBUF_TEST_FIRST=%lld, %s to %s%s%s%s%s", (long long)i, names[from], names[to],
                 queue != NULL ? ", queue" : "", copy_case.in_one_storage ? ", one storage" : "",
                 copy_case.through_plan ? ", plan" : "",
                 ndbuf__staging_nbytes == SMALL_STAGING_NBYTES ? ", small staging" : "");
        test_copy_try(what, &random, &copy_case);
        ndbuf_queue_release(queue);
        fake_assert_no_violation();
    }
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
}

static void give_threads_little_stack(void)
{
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LITTLE_STACK_NBYTES);
    pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
#endif
}

/* 0; 1; TEST_EXIT_SKIPPED: this machine has no such device. */
static int open_devices(int argc, char **argv)
{
    fake_register();
    for (int i = 0; i < argc && i < MAX_DEVICES; i++) {
        ndbuf_error error = {0};
        names[i] = i == 0 ? "cpu" : argv[i];
        ndbuf_status status = ndbuf_device_open(names[i], &devices[i], &error);
        if (status != NDBUF_OK) {
            fprintf(stderr, "%s cannot be opened: %s\n", names[i], error.message);
            return status == NDBUF_ERR_UNAVAILABLE ? TEST_EXIT_SKIPPED : 1;
        }
        ndevices++;
    }
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    for (int64_t i = 0; i < ndevices; i++) {
        ndbuf_device_close(devices[i]);
    }
    fake_assert_clean();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_triples_are_converted_as_the_reference_does_it),
    };
    /* The drivers' threads are not ours. */
    if (argc == 1) {
        give_threads_little_stack();
    }
    int result = open_devices(argc, argv);
    return result != 0 ? result : cmocka_run_group_tests(tests, NULL, close_devices);
}
