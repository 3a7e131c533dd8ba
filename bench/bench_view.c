/* SPDX-License-Identifier: Apache-2.0 */
/* What descriptors cost: acquire + release and slice + release of an 8-d view, and a plan of a 6-d copy. The peer for
 * acquiring is CPython's PyObject_GetBuffer + PyBuffer_Release on a bytearray, in the same process and interleaved. All
 * is measured twice: in a process of one thread, where ndbuf counts without locked instructions as CPython always does
 * (under its global lock), and beside a second thread. */
#ifdef BENCH_HAS_PYTHON
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "ndbuf/ndbuf.h"

#include "bench/bench_support.h"

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_view: %s\n", err->message);
        exit(1);
    }
}

static void acquire_release(void *context, long count)
{
    ndbuf_exporter *exporter = context;
    static const ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        ndbuf_view view;
        check(ndbuf_view_acquire(&view, exporter, &request, &err), &err);
        ndbuf_view_release(&view);
    }
}

static void slice_release(void *context, long count)
{
    const ndbuf_view *view = context;
    static const ndbuf_slice slice = {.start = 1, .given = NDBUF_SLICE_START};
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        ndbuf_view part;
        check(ndbuf_view_slice(view, 3, &slice, &part, &err), &err);
        ndbuf_view_release(&part);
    }
}

typedef struct plan_case {
    ndbuf_view dst;
    ndbuf_view src;
} plan_case;

static void plan_destroy(void *context, long count)
{
    const plan_case *views = context;
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        ndbuf_copy_plan *plan;
        check(ndbuf_copy_plan_create(&views->dst, &views->src, NDBUF_CASTING_EQUIV, 0, &plan, &err), &err);
        ndbuf_copy_plan_destroy(plan);
    }
}

#ifdef BENCH_HAS_PYTHON
static void python_get_release(void *context, long count)
{
    PyObject *bytes = context;
    for (long i = 0; i < count; i++) {
        Py_buffer buffer;
        if (PyObject_GetBuffer(bytes, &buffer, PyBUF_FULL_RO) != 0) {
            exit(1);
        }
        PyBuffer_Release(&buffer);
    }
}
#endif

/* Waits until the main thread lets go of the mutex. */
static void *second_thread(void *context)
{
    pthread_mutex_t *mutex = context;
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

static const char *const case_names[2][3] = {
    {"acquire_release_8d", "slice_release_8d", "plan_6d"},
    {"acquire_release_8d_two_threads", "slice_release_8d_two_threads", "plan_6d_two_threads"},
};

static void measure(const bench_fn *works, void *const *contexts, size_t nworks, const char *const *names)
{
    double ns[4] = {0};
    const char *peer = nworks > 3 ? "PyObject_GetBuffer + PyBuffer_Release on a bytearray" : NULL;
    bench_interleaved(works, contexts, nworks, 100000, ns);
    bench_report("view", names[0], ns[0], peer, ns[3]);
    bench_report("view", names[1], ns[1], NULL, 0);
    bench_report("view", names[2], ns[2], NULL, 0);
}

int main(void)
{
    static const int64_t shape8[8] = {2, 3, 4, 5, 2, 3, 4, 5};
    static const int64_t shape6[6] = {4, 5, 6, 7, 8, 9};
    static const int32_t reversed6[6] = {5, 4, 3, 2, 1, 0};
    static const int64_t shape6_reversed[6] = {9, 8, 7, 6, 5, 4};
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    plan_case copy = {0};
    check(ndbuf_format_parse("d", 0, &format, &err), &err);
    check(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 8, shape8, &err), &err);
    check(ndbuf_exporter_create(&view, &exporter, &err), &err);
    check(ndbuf_view_create(&copy.src, ndbuf_device_cpu(), format, 6, shape6, &err), &err);
    check(ndbuf_view_permute(&copy.src, reversed6, &copy.src, &err), &err);
    check(ndbuf_view_create(&copy.dst, ndbuf_device_cpu(), format, 6, shape6_reversed, &err), &err);

    bench_fn works[4] = {acquire_release, slice_release, plan_destroy, NULL};
    void *contexts[4] = {exporter, &view, &copy, NULL};
    size_t nworks = 3;
#ifdef BENCH_HAS_PYTHON
    Py_Initialize();
    works[nworks] = python_get_release;
    contexts[nworks] = PyByteArray_FromStringAndSize(NULL, 1000);
    nworks++;
#endif
    measure(works, contexts, nworks, case_names[0]);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    pthread_mutex_lock(&mutex);
    if (pthread_create(&thread, NULL, second_thread, &mutex) == 0) {
        measure(works, contexts, nworks, case_names[1]);
        pthread_mutex_unlock(&mutex);
        pthread_join(thread, NULL);
    }

    ndbuf_view_release(&copy.dst);
    ndbuf_view_release(&copy.src);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    return 0;
}
