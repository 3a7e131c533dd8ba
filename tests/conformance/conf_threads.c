/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdlib.h>
#include <string.h>

#include "core/sync.h"

#define NTHREADS 4
#define NBYTES 20000

/* What a thread does; it counts what goes wrong, since only the main thread may fail the test. */
typedef struct thread_work {
    int number;
    ndbuf_queue *queue; /* NULL: its own */
    int rounds;
    int nwrong;
} thread_work;

/* Sends bytes to memory of its own and brings them back, again and again. */
static void ping_pong(thread_work *work)
{
    ndbuf_queue *queue = work->queue;
    ndbuf_mem mem = {0};
    char *bytes = malloc(NBYTES);
    char *back = malloc(NBYTES);
    if (bytes == NULL || back == NULL || (queue == NULL && ndbuf_queue_create(conf.device, &queue, NULL) != NDBUF_OK)) {
        abort();
    }
    for (int i = 0; i < work->rounds; i++) {
        int wrong = 0;
        wrong += conf.ops->mem_alloc(conf.device, NBYTES, 64, &mem, NULL) != NDBUF_OK;
        memset(bytes, work->number * 16 + i % 16, NBYTES);
        memset(back, 0, NBYTES);
        ndbuf_mem from = test_host_mem(bytes, NBYTES);
        ndbuf_mem to = test_host_mem(back, NBYTES);
        ndbuf_event *event = NULL;
        wrong += conf.ops->copy_bytes(queue, &mem, 0, &from, 0, NBYTES, NULL) != NDBUF_OK;
        wrong += conf.ops->copy_bytes(queue, &to, 0, &mem, 0, NBYTES, NULL) != NDBUF_OK;
        wrong += ndbuf_queue_record(queue, &event, NULL) != NDBUF_OK;
        if (i % 2 == 0) {
            wrong += ndbuf_event_wait(event, NULL) != NDBUF_OK;
        } else {
            wrong += ndbuf_queue_wait(queue, NULL) != NDBUF_OK;
        }
        wrong += memcmp(bytes, back, NBYTES) != 0;
        ndbuf_event_release(event);
        conf.ops->mem_free(&mem);
        work->nwrong += wrong;
    }
    if (work->queue == NULL) {
        ndbuf_queue_release(queue);
    }
    free(bytes);
    free(back);
}

static NDBUF__THREAD_RESULT thread_main(void *context)
{
    ping_pong(context);
    NDBUF__THREAD_RETURN;
}

static void run_threads(ndbuf__thread_fn main_fn, ndbuf_queue *queue)
{
    ndbuf__thread threads[NTHREADS];
    thread_work works[NTHREADS];
    for (int i = 0; i < NTHREADS; i++) {
        works[i] = (thread_work){.number = i, .queue = queue, .rounds = 40};
        assert_true(ndbuf__thread_start(&threads[i], main_fn, &works[i]));
    }
    for (int i = 0; i < NTHREADS; i++) {
        ndbuf__thread_join(threads[i]);
        assert_int_equal(works[i].nwrong, 0);
    }
}

static void test_threads_with_a_queue_each(void **state)
{
    (void)state;
    run_threads(thread_main, NULL);
}

static void test_threads_that_share_a_queue(void **state)
{
    (void)state;
    ndbuf_queue *queue = conf_queue_create();
    run_threads(thread_main, queue);
    ndbuf_queue_release(queue);
}

/* Copies of views without a queue, all of them through the device's default queue. */
static void copy_views(thread_work *work)
{
    static const int64_t shape[2] = {60, 70};
    int32_t axes[2] = {1, 0};
    for (int i = 0; i < work->rounds; i++) {
        int wrong = 0;
        ndbuf_view device = {0};
        ndbuf_view source = {0};
        ndbuf_view back = {0};
        wrong += ndbuf_view_create(&source, ndbuf_device_cpu(), NULL, 2, shape, NULL) != NDBUF_OK;
        wrong += ndbuf_view_create(&back, ndbuf_device_cpu(), NULL, 2, shape, NULL) != NDBUF_OK;
        wrong += ndbuf_view_create(&device, conf.device, NULL, 2, (int64_t[2]){70, 60}, NULL) != NDBUF_OK;
        if (wrong == 0) {
            char *first = ndbuf_view_host_address(&source);
            for (int k = 0; k < 60 * 70; k++) {
                first[k] = (char)(k * 7 + i + work->number);
            }
            wrong += ndbuf_view_permute(&device, axes, &device, NULL) != NDBUF_OK;
            wrong += ndbuf_copy(&device, &source, NULL, NULL) != NDBUF_OK;
            wrong += ndbuf_copy(&back, &device, NULL, NULL) != NDBUF_OK;
            wrong += memcmp(ndbuf_view_host_address(&back), first, 60 * 70) != 0;
        }
        ndbuf_view_release(&device);
        ndbuf_view_release(&source);
        ndbuf_view_release(&back);
        work->nwrong += wrong;
    }
}

static NDBUF__THREAD_RESULT views_main(void *context)
{
    copy_views(context);
    NDBUF__THREAD_RETURN;
}

static void test_threads_that_copy_without_a_queue(void **state)
{
    (void)state;
    run_threads(views_main, NULL);
}

CONF_TOPIC(threads, cmocka_unit_test(test_threads_with_a_queue_each), cmocka_unit_test(test_threads_that_share_a_queue),
           cmocka_unit_test(test_threads_that_copy_without_a_queue))
