/* SPDX-License-Identifier: Apache-2.0 */
/* What a round trip through DLPack costs: export, import and the release of what came in, which ends the tensor. In a
 * process of one thread, and beside a second one, where counts are locked. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "ndbuf/dlpack.h"
#include "ndbuf/ndbuf.h"

#include "bench/bench_support.h"

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_dlpack: %s\n", err->message);
        exit(1);
    }
}

static void round_trip(void *context, long count)
{
    const ndbuf_view *view = context;
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        DLManagedTensorVersioned *tensor;
        ndbuf_view back;
        check(ndbuf_dlpack_export(view, NULL, &tensor, NULL, &err), &err);
        check(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, &err), &err);
        ndbuf_view_release(&back);
    }
}

static void export_delete(void *context, long count)
{
    const ndbuf_view *view = context;
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        DLManagedTensorVersioned *tensor;
        check(ndbuf_dlpack_export(view, NULL, &tensor, NULL, &err), &err);
        tensor->deleter(tensor);
    }
}

/* Waits until the main thread lets go of the mutex. */
static void *second_thread(void *context)
{
    pthread_mutex_t *mutex = context;
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

static const char *const case_names[2][3] = {
    {"round_trip_3d", "round_trip_8d", "export_3d"},
    {"round_trip_3d_two_threads", "round_trip_8d_two_threads", "export_3d_two_threads"},
};

static void measure(ndbuf_view *views, const char *const *names)
{
    static const bench_fn works[3] = {round_trip, round_trip, export_delete};
    void *const contexts[3] = {&views[0], &views[1], &views[0]};
    double ns[3] = {0};
    bench_interleaved(works, contexts, 3, 100000, ns);
    for (int i = 0; i < 3; i++) {
        bench_report("dlpack", names[i], ns[i], NULL, 0);
    }
}

int main(void)
{
    static const int64_t shape[8] = {2, 3, 4, 5, 2, 3, 4, 5};
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    ndbuf_view views[2] = {{0}};
    check(ndbuf_format_parse("d", 0, &format, &err), &err);
    check(ndbuf_view_create(&views[0], ndbuf_device_cpu(), format, 3, shape, &err), &err);
    check(ndbuf_view_create(&views[1], ndbuf_device_cpu(), format, 8, shape, &err), &err);
    measure(views, case_names[0]);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    pthread_mutex_lock(&mutex);
    if (pthread_create(&thread, NULL, second_thread, &mutex) == 0) {
        measure(views, case_names[1]);
        pthread_mutex_unlock(&mutex);
        pthread_join(thread, NULL);
    }
    ndbuf_view_release(&views[1]);
    ndbuf_view_release(&views[0]);
    ndbuf_format_release(format);
    return 0;
}
