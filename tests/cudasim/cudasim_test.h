/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_CUDASIM_TEST_H
#define NDBUF_TESTS_CUDASIM_CUDASIM_TEST_H

#include <string.h>

#include "tests/cudasim/cudasim.h"
#include "tests/support/test.h"

#define ASSERT_CUDA(expected, call)                                                                                    \
    do {                                                                                                               \
        cudaError_t code_ = (call);                                                                                    \
        if (code_ != (expected)) {                                                                                     \
            fail_msg("%s: %d, not %d", #call, (int)code_, (int)(expected));                                            \
        }                                                                                                              \
    } while (0)
#define ASSERT_CUDA_OK(call) ASSERT_CUDA(cudaSuccess, call)

/* Exactly one violation, whose text contains `part`; it is forgiven. */
#define ASSERT_VIOLATION(part)                                                                                         \
    do {                                                                                                               \
        if (cudasim_nviolations() != 1) {                                                                              \
            fail_msg("%lld violations, not 1: %s", (long long)cudasim_nviolations(),                                   \
                     cudasim_nviolations() > 0 ? cudasim_violation(0) : "none");                                       \
        }                                                                                                              \
        if (strstr(cudasim_violation(0), (part)) == NULL) {                                                            \
            fail_msg("\"%s\" is not in: %s", (part), cudasim_violation(0));                                            \
        }                                                                                                              \
        cudasim_forgive();                                                                                             \
    } while (0)

#define ASSERT_NO_VIOLATION()                                                                                          \
    do {                                                                                                               \
        if (cudasim_nviolations() != 0) {                                                                              \
            fail_msg("%s", cudasim_violation(0));                                                                      \
        }                                                                                                              \
    } while (0)

/* A byte of device memory, though work may be about to write it: the thread sanitizer need not know. */
__attribute__((no_sanitize("thread"))) static inline int cudasim_test_byte(const void *device_pointer)
{
    const volatile unsigned char *at = cudasim_peek(device_pointer);
    return at == NULL ? -1 : *at;
}

/* Each test starts with two devices, the lazy schedule and nothing else. */
static inline int cudasim_test_setup(void **state)
{
    (void)state;
    cudasim_reset();
    cudasim_set_device_count(2);
    cudasim_set_memory((uint64_t)1 << 30);
    cudasim_set_peer_access(true);
    cudasim_set_pools_supported(true);
    cudasim_set_schedule(CUDASIM_LAZY, 1);
    return 0;
}

/* No test leaves a violation that it did not expect, nor anything alive. */
static inline int cudasim_test_teardown(void **state)
{
    (void)state;
    if (cudasim_nviolations() != 0) {
        print_error("violation: %s\n", cudasim_violation(0));
        return 1;
    }
    if (cudasim_anything_lives()) {
        print_error("something was left alive\n");
        return 1;
    }
    return 0;
}

#define CUDASIM_TEST(function) cmocka_unit_test_setup_teardown(function, cudasim_test_setup, cudasim_test_teardown)

#endif
