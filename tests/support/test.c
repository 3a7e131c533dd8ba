/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/host_alloc.h"

void test_assert_failed(const char *call, ndbuf_status status, ndbuf_status expected, const ndbuf_error *err,
                        const char *part, const char *file, int line)
{
    if (status != expected) {
        print_error("%s: %s (%s), expected %s\n", call, ndbuf_status_name(status), err->message,
                    ndbuf_status_name(expected));
        _fail(file, line);
    }
    if (err->status != (int32_t)expected) {
        print_error("%s: the error says %s\n", call, ndbuf_status_name((ndbuf_status)err->status));
        _fail(file, line);
    }
    if (strstr(err->message, part) == NULL) {
        print_error("%s: '%s' does not contain '%s'\n", call, err->message, part);
        _fail(file, line);
    }
}

test_random test_random_make(const char *test_name, uint64_t default_seed)
{
    const char *text = getenv("NDBUF_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : default_seed;
    print_message("%s: NDBUF_TEST_SEED=%llu\n", test_name, (unsigned long long)seed);
    return (test_random){seed};
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t test_random_next(test_random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int64_t test_random_range(test_random *random, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(test_random_next(random) % (uint64_t)(hi - lo + 1));
}

void test_random_fill(test_random *random, void *buffer, size_t nbytes)
{
    unsigned char *bytes = buffer;
    for (size_t i = 0; i < nbytes; i += 8) {
        uint64_t value = test_random_next(random);
        memcpy(bytes + i, &value, nbytes - i < 8 ? nbytes - i : 8);
    }
}

static _Thread_local int64_t allocs_until_failure;
static _Thread_local bool alloc_failed;

static bool alloc_fault(void)
{
    if (allocs_until_failure > 0 && --allocs_until_failure == 0) {
        alloc_failed = true;
        return true;
    }
    return false;
}

void test_alloc_fail_at(int64_t nth)
{
    allocs_until_failure = nth;
    alloc_failed = false;
    ndbuf__set_alloc_fault(alloc_fault);
}

bool test_alloc_fail_end(void)
{
    ndbuf__set_alloc_fault(NULL);
    allocs_until_failure = 0;
    return alloc_failed;
}
