/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_CHECKED_H
#define NDBUF_CORE_CHECKED_H

/* Arithmetic on sizes and offsets that come from callers. A result that does not fit sets *overflow (which stays set,
 * so that it is read once, after the last step) and is 0. */

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)

static inline int64_t ndbuf__add_i64(int64_t a, int64_t b, bool *overflow)
{
    int64_t result;
    if (__builtin_add_overflow(a, b, &result)) {
        *overflow = true;
        return 0;
    }
    return result;
}

static inline int64_t ndbuf__mul_i64(int64_t a, int64_t b, bool *overflow)
{
    int64_t result;
    if (__builtin_mul_overflow(a, b, &result)) {
        *overflow = true;
        return 0;
    }
    return result;
}

#else

static inline int64_t ndbuf__add_i64(int64_t a, int64_t b, bool *overflow)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) {
        *overflow = true;
        return 0;
    }
    return a + b;
}

static inline int64_t ndbuf__mul_i64(int64_t a, int64_t b, bool *overflow)
{
    bool fits;
    if (a == 0 || b == 0) {
        return 0;
    }
    if (a > 0) {
        fits = b > 0 ? a <= INT64_MAX / b : b >= INT64_MIN / a;
    } else {
        fits = b > 0 ? a >= INT64_MIN / b : b >= INT64_MAX / a;
    }
    if (!fits) {
        *overflow = true;
        return 0;
    }
    return a * b;
}

#endif

#endif
