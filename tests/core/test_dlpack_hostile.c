/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors whose producers are careless or worse: each is an error, or is taken for what it can only mean; the deleter
 * is called once, and nothing is lost. */
#include "ndbuf/dlpack.h"

#include <string.h>

#include "tests/support/test.h"

/* A tensor of two rows of three int32, and how often it was deleted. */
typedef struct producer {
    DLManagedTensorVersioned versioned;
    DLManagedTensor legacy;
    int64_t shape[2];
    int64_t strides[2];
    int32_t items[6];
    int ndeleted;
} producer;

static void delete_versioned(DLManagedTensorVersioned *tensor)
{
    ((producer *)tensor->manager_ctx)->ndeleted++;
}

static void delete_legacy(DLManagedTensor *tensor)
{
    ((producer *)tensor->manager_ctx)->ndeleted++;
}

static void producer_init(producer *self)
{
    *self = (producer){.shape = {2, 3}, .strides = {3, 1}, .items = {0, 1, 2, 3, 4, 5}};
    const DLTensor tensor = {.data = self->items,
                             .device = {kDLCPU, 0},
                             .ndim = 2,
                             .dtype = {kDLInt, 32, 1},
                             .shape = self->shape,
                             .strides = self->strides};
    self->versioned = (DLManagedTensorVersioned){
        .version = {1, 0}, .manager_ctx = self, .deleter = delete_versioned, .dl_tensor = tensor};
    self->legacy = (DLManagedTensor){.dl_tensor = tensor, .manager_ctx = self, .deleter = delete_legacy};
}

/* What is wrong with a tensor. */
typedef void (*spoil_fn)(DLTensor *tensor);

#define SPOIL(name, statement)                                                                                         \
    static void name(DLTensor *tensor)                                                                                 \
    {                                                                                                                  \
        statement;                                                                                                     \
    }
SPOIL(negative_ndim, tensor->ndim = -1)
SPOIL(too_many_dims, tensor->ndim = 65)
SPOIL(absurd_ndim, tensor->ndim = INT32_MAX)
SPOIL(no_shape, tensor->shape = NULL)
SPOIL(no_data, tensor->data = NULL)
SPOIL(negative_extent, tensor->shape[1] = -3)
SPOIL(no_bits, tensor->dtype.bits = 0)
SPOIL(no_lanes, tensor->dtype.lanes = 0)
SPOIL(shape_overflows, tensor->shape[0] = INT64_MAX / 2)
SPOIL(bytes_overflow, tensor->shape[0] = INT64_MAX / 3)
SPOIL(stride_overflows, tensor->strides[0] = INT64_MAX / 2)
SPOIL(reach_overflows, (tensor->strides[0] = INT64_MAX / 4, tensor->strides[1] = INT64_MAX / 8))
SPOIL(offset_overflows, tensor->byte_offset = UINT64_MAX)
SPOIL(offset_and_reach_overflow, tensor->byte_offset = INT64_MAX)
SPOIL(below_the_address_space, tensor->strides[0] = INT64_MIN / 8)
SPOIL(unknown_type, tensor->dtype.code = 99)
SPOIL(unknown_device, tensor->device.device_type = (DLDeviceType)77)
SPOIL(no_number_of_a_device, tensor->device = ((DLDevice){kDLCUDA, -1}))
SPOIL(huge_number_of_a_device, tensor->device = ((DLDevice){kDLOpenCL, 1234567}))
SPOIL(device_that_is_not_here, tensor->device = ((DLDevice){kDLMetal, 0}))

static const struct {
    spoil_fn spoil;
    ndbuf_status status;
    const char *part;
} cases[] = {
    {negative_ndim, NDBUF_ERR_INVALID, "-1 dimensions"},
    {too_many_dims, NDBUF_ERR_INVALID, "65 dimensions"},
    {absurd_ndim, NDBUF_ERR_INVALID, "2147483647 dimensions"},
    {no_shape, NDBUF_ERR_INVALID, "no shape"},
    {no_data, NDBUF_ERR_INVALID, "no data"},
    {negative_extent, NDBUF_ERR_INVALID, "-3"},
    {no_bits, NDBUF_ERR_INVALID, "0 bits"},
    {no_lanes, NDBUF_ERR_INVALID, "0 lanes"},
    {shape_overflows, NDBUF_ERR_OVERFLOW, "63 bits"},
    {bytes_overflow, NDBUF_ERR_OVERFLOW, "63 bits"},
    {stride_overflows, NDBUF_ERR_OVERFLOW, "63 bits"},
    {reach_overflows, NDBUF_ERR_OVERFLOW, "63 bits"},
    {offset_overflows, NDBUF_ERR_OVERFLOW, "18446744073709551615"},
    {offset_and_reach_overflow, NDBUF_ERR_OVERFLOW, "9223372036854775807"},
    {below_the_address_space, NDBUF_ERR_BOUNDS, "address space"},
    {unknown_type, NDBUF_ERR_UNSUPPORTED, "type code 99"},
    {unknown_device, NDBUF_ERR_UNAVAILABLE, "device type 77"},
    {no_number_of_a_device, NDBUF_ERR_UNAVAILABLE, "cuda:-1"},
    {huge_number_of_a_device, NDBUF_ERR_UNAVAILABLE, "opencl:1234567"},
    {device_that_is_not_here, NDBUF_ERR_UNAVAILABLE, "device type 8"},
};

static void test_a_bad_tensor_is_an_error_and_is_deleted_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made);
        cases[i].spoil(&made.versioned.dl_tensor);
        DLManagedTensorVersioned *tensor = &made.versioned;
        ASSERT_FAILS(cases[i].status, cases[i].part, ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_null(tensor);
        assert_null(view.release);
        assert_int_equal(made.ndeleted, 1);
        ASSERT_FAILS(NDBUF_ERR_INVALID, "consumed already", ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_int_equal(made.ndeleted, 1);

        producer_init(&made);
        cases[i].spoil(&made.legacy.dl_tensor);
        DLManagedTensor *legacy = &made.legacy;
        ASSERT_FAILS(cases[i].status, cases[i].part, ndbuf_dlpack_import_legacy(&legacy, NULL, &view, NULL, err));
        assert_null(legacy);
        assert_int_equal(made.ndeleted, 1);
        ASSERT_FAILS(NDBUF_ERR_INVALID, "consumed already",
                     ndbuf_dlpack_import_legacy(&legacy, NULL, &view, NULL, err));
        assert_int_equal(made.ndeleted, 1);
    }
    ndbuf_view view = {0};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "none was given", ndbuf_dlpack_import(NULL, NULL, &view, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "none was given", ndbuf_dlpack_import_legacy(NULL, NULL, &view, NULL, err));
}

static void test_of_a_foreign_version_only_the_deleter_is_touched(void **state)
{
    (void)state;
    /* Only what all versions share is there: anything behind it lies outside the block. */
    typedef struct head {
        DLPackVersion version;
        void *manager_ctx;
        void (*deleter)(DLManagedTensorVersioned *self);
    } head;
    static const uint32_t majors[] = {0, 2, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made);
        head *foreign = test_malloc(sizeof(*foreign));
        *foreign = (head){{majors[i], 7}, &made, delete_versioned};
        DLManagedTensorVersioned *tensor = (DLManagedTensorVersioned *)(void *)foreign;
        ASSERT_FAILS(NDBUF_ERR_ABI, ".7 of DLPack", ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_null(tensor);
        assert_int_equal(made.ndeleted, 1);
        foreign->deleter = NULL;
        tensor = (DLManagedTensorVersioned *)(void *)foreign;
        ASSERT_FAILS(NDBUF_ERR_ABI, "not 1", ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_int_equal(made.ndeleted, 1);
        test_free(foreign);
    }
}

static void test_later_minor_versions_are_read_but_not_their_flags(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    made.versioned.version.minor = 9;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 1);
    producer_init(&made);
    made.versioned.flags = 1u << 7;
    tensor = &made.versioned;
    ASSERT_FAILS(NDBUF_ERR_ABI, "0x80", ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_int_equal(made.ndeleted, 1);
}

static void test_a_tensor_without_deleter_is_taken_and_left_alone(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    made.versioned.deleter = NULL;
    made.legacy.deleter = NULL;
    DLManagedTensorVersioned *tensor = &made.versioned;
    DLManagedTensor *legacy = &made.legacy;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_dlpack_import_legacy(&legacy, NULL, &view, NULL, err));
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 0);
}

static void test_strides_of_null_are_those_of_a_compact_tensor(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    made.versioned.dl_tensor.strides = NULL;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_int_equal(view.strides[0], 12);
    assert_int_equal(view.strides[1], 4);
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 1);
}

static void test_strides_that_mean_nothing_may_be_anything(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    made.shape[0] = 1;
    made.strides[0] = INT64_MIN;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_int_equal(ndbuf_storage_nbytes(ndbuf_view_storage(&view)), 12);
    ndbuf_view_release(&view);
    producer_init(&made);
    made.shape[1] = 0;
    made.strides[0] = INT64_MAX;
    made.versioned.dl_tensor.data = NULL;
    made.versioned.dl_tensor.byte_offset = UINT64_MAX;
    tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_int_equal(view.nbytes, 0);
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 1);
}

static void test_the_byte_offset_is_heeded_and_negative_strides_begin_before_the_data(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    made.strides[0] = -3;
    made.versioned.dl_tensor.byte_offset = 12;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_ptr_equal(ndbuf_view_host_address(&view), &made.items[3]);
    assert_ptr_equal(ndbuf_storage_handle(ndbuf_view_storage(&view)), &made.items[0]);
    assert_int_equal(ndbuf_storage_nbytes(ndbuf_view_storage(&view)), sizeof(made.items));
    ndbuf_view_release(&view);
}

static void test_misaligned_data_is_told_and_refused_on_request(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    ndbuf_loss loss;
    producer_init(&made);
    made.shape[0] = 1;
    made.versioned.dl_tensor.data = (char *)made.items + 1;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_ALIGNMENT);
    assert_int_equal(loss.alignment, 1);
    ndbuf_view_release(&view);
    const ndbuf_dlpack_import_options options = {.alignment = 4};
    tensor = &made.versioned;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "aligned to 4", ndbuf_dlpack_import(&tensor, &options, &view, NULL, err));
    assert_int_equal(made.ndeleted, 2);
}

static void test_the_device_given_must_be_the_tensors(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    const ndbuf_dlpack_import_options options = {.device = ndbuf_device_cpu()};
    producer_init(&made);
    made.versioned.dl_tensor.device.device_type = kDLCUDA;
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "device type 2", ndbuf_dlpack_import(&tensor, &options, &view, NULL, err));
    assert_int_equal(made.ndeleted, 1);
    producer_init(&made);
    tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, &options, &view, NULL, err));
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 1);
}

/* JAX tells apart several devices on the host, which all have the host's memory. */
static void test_the_number_of_a_host_means_nothing(void **state)
{
    (void)state;
    const ndbuf_dlpack_import_options given = {.device = ndbuf_device_cpu()};
    for (int32_t number = -1; number < 4; number += 4) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made);
        made.versioned.dl_tensor.device.device_id = number;
        DLManagedTensorVersioned *tensor = &made.versioned;
        ASSERT_OK(ndbuf_dlpack_import(&tensor, number < 0 ? &given : NULL, &view, NULL, err));
        assert_int_equal(view.device.type, NDBUF_DEVICE_CPU);
        assert_int_equal(view.device.id, 0);
        ndbuf_view_release(&view);
        assert_int_equal(made.ndeleted, 1);
    }
}

static void test_the_memory_lives_until_the_last_view_is_gone(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    ndbuf_view row = {0};
    producer_init(&made);
    DLManagedTensorVersioned *tensor = &made.versioned;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &row, err));
    ndbuf_view_release(&view);
    assert_int_equal(made.ndeleted, 0);
    /* On again, into a second tensor that outlives the view. */
    ASSERT_OK(ndbuf_dlpack_export(&row, NULL, &tensor, NULL, err));
    ndbuf_view_release(&row);
    assert_int_equal(made.ndeleted, 0);
    assert_int_equal(((int32_t *)tensor->dl_tensor.data)[2], 5);
    tensor->deleter(tensor);
    assert_int_equal(made.ndeleted, 1);
}

static void test_allocations_that_fail_delete_the_tensor_once(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    ALLOC_FAIL_SWEEP(
        {
            producer_init(&made);
            DLManagedTensorVersioned *tensor = &made.versioned;
            status_ = ndbuf_dlpack_import(&tensor, NULL, &view, NULL, NULL);
            assert_null(tensor);
            assert_int_equal(made.ndeleted, status_ == NDBUF_OK ? 0 : 1);
        },
        ndbuf_view_release(&view));
    assert_int_equal(made.ndeleted, 1);
    ALLOC_FAIL_SWEEP(
        {
            producer_init(&made);
            DLManagedTensor *tensor = &made.legacy;
            status_ = ndbuf_dlpack_import_legacy(&tensor, NULL, &view, NULL, NULL);
            assert_int_equal(made.ndeleted, status_ == NDBUF_OK ? 0 : 1);
        },
        ndbuf_view_release(&view));
    assert_int_equal(made.ndeleted, 1);
}

/* Tensors of random fields: whatever comes, the deleter is called once. */
static void test_random_tensors_are_deleted_once(void **state)
{
    (void)state;
    test_random random = test_random_make("dlpack_hostile", 11);
    static const int64_t odd[] = {INT64_MIN, INT64_MIN + 1, -4, -1, 0, 1, 2, 3, 1 << 20, INT64_MAX / 3, INT64_MAX};
    int ntaken = 0;
    for (int round = 0; round < 20000; round++) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made);
        DLTensor *dl = &made.versioned.dl_tensor;
        for (int i = 0; i < 2; i++) {
            made.shape[i] = odd[test_random_range(&random, 0, 10)];
            made.strides[i] = odd[test_random_range(&random, 0, 10)];
        }
        dl->ndim = (int32_t)test_random_range(&random, -1, 2);
        dl->byte_offset = (uint64_t)odd[test_random_range(&random, 0, 10)];
        dl->dtype =
            (DLDataType){(uint8_t)test_random_range(&random, 0, 18), (uint8_t)test_random_range(&random, 0, 255),
                         (uint16_t)test_random_range(&random, 0, 4)};
        if (test_random_range(&random, 0, 3) > 0) {
            dl->dtype = (DLDataType){kDLInt, (uint8_t)(8 << test_random_range(&random, 0, 3)), 1};
        }
        made.versioned.flags = (uint64_t)test_random_range(&random, 0, 8);
        DLManagedTensorVersioned *tensor = &made.versioned;
        const ndbuf_dlpack_import_options options = {.flags = NDBUF_DLPACK_LANES, .accept = NDBUF_LOSS_TYPE};
        ndbuf_loss loss;
        ndbuf_error error = {0};
        ndbuf_status status = ndbuf_dlpack_import(&tensor, &options, &view, &loss, &error);
        assert_null(tensor);
        if (status == NDBUF_OK) {
            int64_t lo = 0;
            int64_t hi = 0;
            ntaken++;
            ndbuf_view_byte_range(&view, &lo, &hi);
            assert_true(lo >= 0 && hi <= view.storage_nbytes);
            assert_int_equal(made.ndeleted, 0);
            ndbuf_view_release(&view);
        } else {
            assert_true(strlen(error.message) > 0);
        }
        assert_int_equal(made.ndeleted, 1);
    }
    assert_true(ntaken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bad_tensor_is_an_error_and_is_deleted_once),
        cmocka_unit_test(test_of_a_foreign_version_only_the_deleter_is_touched),
        cmocka_unit_test(test_later_minor_versions_are_read_but_not_their_flags),
        cmocka_unit_test(test_a_tensor_without_deleter_is_taken_and_left_alone),
        cmocka_unit_test(test_strides_of_null_are_those_of_a_compact_tensor),
        cmocka_unit_test(test_strides_that_mean_nothing_may_be_anything),
        cmocka_unit_test(test_the_byte_offset_is_heeded_and_negative_strides_begin_before_the_data),
        cmocka_unit_test(test_misaligned_data_is_told_and_refused_on_request),
        cmocka_unit_test(test_the_device_given_must_be_the_tensors),
        cmocka_unit_test(test_the_number_of_a_host_means_nothing),
        cmocka_unit_test(test_the_memory_lives_until_the_last_view_is_gone),
        cmocka_unit_test(test_allocations_that_fail_delete_the_tensor_once),
        cmocka_unit_test(test_random_tensors_are_deleted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
