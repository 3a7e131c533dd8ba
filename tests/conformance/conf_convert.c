/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/convert_case.h"

/* Memory of a device with these bytes; the host's is `bytes` itself. */
static ndbuf_mem side_mem(ndbuf_device *device, char *bytes, size_t nbytes)
{
    ndbuf_mem mem = test_host_mem(bytes, nbytes);
    if (device != ndbuf_device_cpu()) {
        ASSERT_OK(device->ops->mem_alloc(device, nbytes, 64, &mem, err));
        test_upload(&mem, 0, bytes, nbytes);
    }
    return mem;
}

static void side_free(ndbuf_device *device, ndbuf_mem *mem)
{
    if (device != ndbuf_device_cpu()) {
        device->ops->mem_free(mem);
    }
}

/* The bit that a number needs. */
static uint32_t bit_of(int number)
{
    return number == NDBUF_NUMBER_FLOAT64       ? NDBUF_CAN_CONVERT_FLOAT64
           : number == NDBUF_NUMBER_LONG_DOUBLE ? NDBUF_CAN_CONVERT_LONG_DOUBLE
                                                : NDBUF_CAN_CONVERT;
}

/* Enqueues a box, which the backend may not look at after the call. */
static ndbuf_status enqueue(const test_convert_case *convert, ndbuf_queue *queue, const ndbuf_mem *dst,
                            const ndbuf_mem *src, ndbuf_error *err)
{
    test_convert_case given = *convert;
    ndbuf_mem mems[] = {*dst, *src};
    const ndbuf_convert_box box = test_convert_case_box(&given, &mems[0], &mems[1]);
    ndbuf_status status = conf.ops->convert_strided(queue, &box, err);
    memset(&given, 0xEE, sizeof(given));
    memset(mems, 0xEE, sizeof(mems));
    return status;
}

/* False: the backend cannot do this one, and has left all as it was. */
static bool try_case(test_convert_case *convert, ndbuf_device *dst_device, ndbuf_device *src_device, ndbuf_queue *queue)
{
    ndbuf_error error = {0};
    ndbuf_mem dst = side_mem(dst_device, convert->dst, convert->dst_nbytes);
    ndbuf_mem src = side_mem(src_device, convert->src, convert->src_nbytes);
    char *before = malloc(convert->dst_nbytes);
    char *after = malloc(convert->dst_nbytes);
    assert_non_null(before);
    assert_non_null(after);
    memcpy(before, convert->dst, convert->dst_nbytes);
    ndbuf_status status = enqueue(convert, queue, &dst, &src, &error);
    if (status != NDBUF_OK && status != NDBUF_ERR_UNSUPPORTED) {
        fail_msg("%s: %s: %s", convert->text, ndbuf_status_name(status), error.message);
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    test_download(&dst, 0, after, convert->dst_nbytes);
    test_assert_bytes_equal(convert->text, after, status == NDBUF_OK ? convert->expected : before, convert->dst_nbytes);
    free(before);
    free(after);
    side_free(dst_device, &dst);
    side_free(src_device, &src);
    return status == NDBUF_OK;
}

/* All pairs of numbers between two devices, `rounds` boxes each. */
static void try_pairs(test_random *random, ndbuf_device *dst_device, ndbuf_device *src_device, ndbuf_queue *queue,
                      uint32_t flags, int rounds)
{
    for (int dst = NDBUF_NUMBER_BOOL; dst <= NDBUF_NUMBER_LONG_DOUBLE; dst++) {
        for (int src = NDBUF_NUMBER_BOOL; src <= NDBUF_NUMBER_LONG_DOUBLE; src++) {
            if ((flags & bit_of(dst)) == 0 || (flags & bit_of(src)) == 0) {
                continue;
            }
            for (int i = 0; i < rounds; i++) {
                test_convert_case convert;
                test_convert_case_make(&convert, random, (ndbuf_number)dst, (ndbuf_number)src,
                                       i == 0 ? TEST_CONVERT_DENSE : 0);
                if (!try_case(&convert, dst_device, src_device, queue)) {
                    fail_msg("%s: the bit is set, but the box was not taken", convert.text);
                }
                test_convert_case_free(&convert);
            }
        }
    }
}

/* Dense, sparse, turned around and repeated; complex, saturating, in both byte orders. */
static void test_every_pair_of_numbers_is_converted_as_the_rules_say(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    ndbuf_queue *queue = conf_queue_create();
    for (int32_t p = 0; p < conf.npeers; p++) {
        for (int direction = 0; direction < 2; direction++) {
            ndbuf_device *dst = direction == 0 ? conf.device : conf.peers[p];
            ndbuf_device *src = direction == 0 ? conf.peers[p] : conf.device;
            uint32_t flags = conf_copy_flags(dst, src);
            if ((flags & NDBUF_CAN_CONVERT) != 0) {
                try_pairs(&random, dst, src, queue, flags, 4);
            }
        }
    }
    ndbuf_queue_release(queue);
}

static void test_boxes_of_16_axes_are_converted(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    uint32_t flags = conf_copy_flags(conf.device, conf.device);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; (flags & NDBUF_CAN_CONVERT) != 0 && i < 100; i++) {
        test_convert_case convert;
        test_convert_case_make(&convert, &random, (ndbuf_number)test_random_range(&random, 1, NDBUF_NUMBER_FLOAT32),
                               (ndbuf_number)test_random_range(&random, 1, NDBUF_NUMBER_FLOAT32),
                               TEST_CONVERT_MANY_AXES);
        assert_true(try_case(&convert, conf.device, conf.device, queue));
        test_convert_case_free(&convert);
    }
    ndbuf_queue_release(queue);
}

/* Bytes come in before a conversion, and go out behind it, all in one queue. */
static void test_conversions_keep_their_place_in_the_queue(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 3);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; (conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_CONVERT) != 0 && i < 10; i++) {
        test_convert_case convert;
        test_convert_case_make(&convert, &random, NDBUF_NUMBER_FLOAT32, NDBUF_NUMBER_INT16, 0);
        char *out = calloc(1, convert.dst_nbytes);
        assert_non_null(out);
        ndbuf_mem dst = conf_alloc(convert.dst_nbytes, NULL);
        ndbuf_mem src = conf_alloc(convert.src_nbytes, NULL);
        const ndbuf_mem host_dst = test_host_mem(convert.dst, convert.dst_nbytes);
        const ndbuf_mem host_src = test_host_mem(convert.src, convert.src_nbytes);
        const ndbuf_mem host_out = test_host_mem(out, convert.dst_nbytes);
        ASSERT_OK(conf.ops->copy_bytes(queue, &dst, 0, &host_dst, 0, (int64_t)convert.dst_nbytes, err));
        ASSERT_OK(conf.ops->copy_bytes(queue, &src, 0, &host_src, 0, (int64_t)convert.src_nbytes, err));
        ASSERT_OK(enqueue(&convert, queue, &dst, &src, err));
        ASSERT_OK(conf.ops->copy_bytes(queue, &host_out, 0, &dst, 0, (int64_t)convert.dst_nbytes, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        test_assert_bytes_equal(convert.text, out, convert.expected, convert.dst_nbytes);
        free(out);
        conf.ops->mem_free(&dst);
        conf.ops->mem_free(&src);
        test_convert_case_free(&convert);
    }
    ndbuf_queue_release(queue);
}

static void test_conversions_that_the_bits_deny_are_unsupported(void **state)
{
    (void)state;
    static const ndbuf_number numbers[] = {NDBUF_NUMBER_INT16, NDBUF_NUMBER_FLOAT64, NDBUF_NUMBER_LONG_DOUBLE};
    test_random random = test_random_make(__func__, 4);
    uint32_t flags = conf_copy_flags(conf.device, conf.device);
    ndbuf_queue *queue = conf_queue_create();
    if (strcmp(conf.backend, "fake") == 0) {
        flags = UINT32_MAX; /* it takes such calls for a broken promise */
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        for (int direction = 0; direction < 2 && (flags & bit_of((int)numbers[i])) == 0; direction++) {
            test_convert_case convert;
            test_convert_case_make(&convert, &random, direction == 0 ? numbers[i] : NDBUF_NUMBER_FLOAT32,
                                   direction == 0 ? NDBUF_NUMBER_FLOAT32 : numbers[i], 0);
            assert_false(try_case(&convert, conf.device, conf.device, queue));
            test_convert_case_free(&convert);
        }
    }
    ndbuf_queue_release(queue);
}

static void test_special_numbers_are_converted_only_beside_the_others(void **state)
{
    (void)state;
    for (int32_t p = 0; p < conf.npeers; p++) {
        uint32_t flags = conf_copy_flags(conf.device, conf.peers[p]);
        if ((flags & (NDBUF_CAN_CONVERT_FLOAT64 | NDBUF_CAN_CONVERT_LONG_DOUBLE)) != 0) {
            assert_true(flags & NDBUF_CAN_CONVERT);
        }
    }
}

CONF_TOPIC(convert, cmocka_unit_test(test_every_pair_of_numbers_is_converted_as_the_rules_say),
           cmocka_unit_test(test_boxes_of_16_axes_are_converted),
           cmocka_unit_test(test_conversions_keep_their_place_in_the_queue),
           cmocka_unit_test(test_conversions_that_the_bits_deny_are_unsupported),
           cmocka_unit_test(test_special_numbers_are_converted_only_beside_the_others))
