/* SPDX-License-Identifier: Apache-2.0 */

/* The first use of OpenCL in a process, by many threads at once. Nothing else is tested here, since it is no longer the
 * first one then. */

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/test.h"

enum { NTHREADS = 8 };

static atomic_int nready;

static void *open_and_use(void *context)
{
    ndbuf_error *err = context;
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    atomic_fetch_add(&nready, 1);
    while (atomic_load(&nready) < NTHREADS) {
    }
    if (ndbuf_device_open("opencl:0", &device, err) == NDBUF_OK) {
        (void)ndbuf_storage_create(device, 24, &storage, err);
        ndbuf_storage_release(storage);
        ndbuf_device_close(device);
    }
    return NULL;
}

static void many_threads_begin_with_opencl_at_once(void **state)
{
    (void)state;
    pthread_t threads[NTHREADS];
    ndbuf_error errors[NTHREADS] = {{0}};
    for (int i = 0; i < NTHREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_use, &errors[i]), 0);
    }
    for (int i = 0; i < NTHREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ndbuf_device *device = NULL;
    if (ndbuf_device_open("opencl:0", &device, NULL) != NDBUF_OK) {
        skip();
    }
    ndbuf_device_close(device);
    for (int i = 0; i < NTHREADS; i++) {
        if (errors[i].status != NDBUF_OK) {
            fail_msg("thread %d: %s", i, errors[i].message);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_threads_begin_with_opencl_at_once)};
    return cmocka_run_group_tests_name("opencl_first", tests, NULL, NULL);
}
