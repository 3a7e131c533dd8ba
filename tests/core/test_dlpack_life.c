/* SPDX-License-Identifier: Apache-2.0 */
/* How long tensors of DLPack live, who ends them, and what is left when memory runs out. */
#include "ndbuf/dlpack.h"

#include <pthread.h>

#include "tests/support/test.h"

static const int64_t shape234[] = {2, 3, 4};

static void make_view(ndbuf_view *out_view, const char *text, int32_t ndim, const int64_t *shape)
{
    ndbuf_format *format = test_parse(text);
    ASSERT_OK(ndbuf_view_create(out_view, ndbuf_device_cpu(), format, ndim, shape, err));
    ndbuf_format_release(format);
}

static void test_a_tensor_counts_as_an_export_until_it_is_deleted(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view acquired = {0};
    ndbuf_exporter *exporter = NULL;
    DLManagedTensorVersioned *tensor = NULL;
    const ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    make_view(&view, "i", 3, shape234);
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ASSERT_OK(ndbuf_view_acquire(&acquired, exporter, &request, err));
    ASSERT_OK(ndbuf_dlpack_export(&acquired, NULL, &tensor, NULL, err));
    ndbuf_view_release(&acquired);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 1);
    ASSERT_FAILS(NDBUF_ERR_BUSY, "1 view", ndbuf_exporter_replace(exporter, &view, err));
    tensor->deleter(tensor);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
}

static void test_allocations_that_fail_lose_nothing(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    DLManagedTensor *legacy = NULL;
    static const int64_t shape[9] = {1, 2, 1, 2, 1, 2, 1, 2, 1}; /* more than fit into a view */
    make_view(&view, "(2)=f", 9, shape);
    const ndbuf_dlpack_export_options out = {.flags = NDBUF_DLPACK_LANES};
    const ndbuf_dlpack_import_options in = {.flags = NDBUF_DLPACK_LANES};
    ALLOC_FAIL_SWEEP(status_ = ndbuf_dlpack_export(&view, &out, &tensor, NULL, NULL), tensor->deleter(tensor));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_dlpack_export_legacy(&view, &out, &legacy, NULL, NULL), legacy->deleter(legacy));
    ALLOC_FAIL_SWEEP(
        {
            test_alloc_fail_end();
            assert_int_equal(ndbuf_dlpack_export(&view, &out, &tensor, NULL, NULL), NDBUF_OK);
            test_alloc_fail_at(nth_);
            status_ = ndbuf_dlpack_import(&tensor, &in, &back, NULL, NULL);
            assert_null(tensor);
        },
        ndbuf_view_release(&back));
    ndbuf_view_release(&view);
}

/* Many tensors of one memory are made, consumed and deleted by several threads at once. */
static void *exchange(void *context)
{
    const ndbuf_view *view = context;
    for (int i = 0; i < 2000; i++) {
        DLManagedTensorVersioned *tensor = NULL;
        ndbuf_view back = {0};
        if (ndbuf_dlpack_export(view, NULL, &tensor, NULL, NULL) != NDBUF_OK) {
            return context;
        }
        if (i % 3 == 0) {
            tensor->deleter(tensor);
            continue;
        }
        if (ndbuf_dlpack_import(&tensor, NULL, &back, NULL, NULL) != NDBUF_OK) {
            return context;
        }
        ndbuf_view_release(&back);
    }
    return NULL;
}

static void *delete_tensor(void *context)
{
    DLManagedTensorVersioned *tensor = context;
    tensor->deleter(tensor);
    return NULL;
}

static void test_tensors_are_made_and_deleted_by_any_thread(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    pthread_t threads[4];
    make_view(&view, "i", 3, shape234);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, &view), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    ndbuf_view_release(&view);
    assert_int_equal(pthread_create(&threads[0], NULL, delete_tensor, tensor), 0);
    pthread_join(threads[0], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tensor_counts_as_an_export_until_it_is_deleted),
        cmocka_unit_test(test_allocations_that_fail_lose_nothing),
        cmocka_unit_test(test_tensors_are_made_and_deleted_by_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
