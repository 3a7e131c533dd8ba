/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/kernels/convert_host.h"

#include <float.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/compiler.h"
#include "core/float_mode.h"

#include "backends/kernels/convert_element.h"

_Static_assert(NDK_BOOL == NDBUF_NUMBER_BOOL && NDK_INT8 == NDBUF_NUMBER_INT8 && NDK_UINT8 == NDBUF_NUMBER_UINT8 &&
                   NDK_INT16 == NDBUF_NUMBER_INT16 && NDK_UINT16 == NDBUF_NUMBER_UINT16 &&
                   NDK_INT32 == NDBUF_NUMBER_INT32 && NDK_UINT32 == NDBUF_NUMBER_UINT32 &&
                   NDK_INT64 == NDBUF_NUMBER_INT64 && NDK_UINT64 == NDBUF_NUMBER_UINT64 &&
                   NDK_FLOAT16 == NDBUF_NUMBER_FLOAT16 && NDK_BFLOAT16 == NDBUF_NUMBER_BFLOAT16 &&
                   NDK_FLOAT32 == NDBUF_NUMBER_FLOAT32 && NDK_FLOAT64 == NDBUF_NUMBER_FLOAT64,
               "numbers are called the same in kernels");

#define HOST_LONG_DOUBLE NDBUF_NUMBER_LONG_DOUBLE
#define HOST_NNUMBERS 14

/* X(dst, its bits, source, its bits) for all sources, and X(source, its bits). */
#define HOST_FROM_ALL(X, dst, dst_bits)                                                                                \
    X(dst, dst_bits, BOOL, 8)                                                                                          \
    X(dst, dst_bits, INT8, 8)                                                                                          \
    X(dst, dst_bits, UINT8, 8)                                                                                         \
    X(dst, dst_bits, INT16, 16)                                                                                        \
    X(dst, dst_bits, UINT16, 16)                                                                                       \
    X(dst, dst_bits, INT32, 32)                                                                                        \
    X(dst, dst_bits, UINT32, 32)                                                                                       \
    X(dst, dst_bits, INT64, 64)                                                                                        \
    X(dst, dst_bits, UINT64, 64)                                                                                       \
    X(dst, dst_bits, FLOAT16, 16)                                                                                      \
    X(dst, dst_bits, BFLOAT16, 16)                                                                                     \
    X(dst, dst_bits, FLOAT32, 32)                                                                                      \
    X(dst, dst_bits, FLOAT64, 64)
#define HOST_INTEGERS(X)                                                                                               \
    X(INT8, 8)                                                                                                         \
    X(UINT8, 8)                                                                                                        \
    X(INT16, 16)                                                                                                       \
    X(UINT16, 16)                                                                                                      \
    X(INT32, 32)                                                                                                       \
    X(UINT32, 32)                                                                                                      \
    X(INT64, 64)                                                                                                       \
    X(UINT64, 64)
#define HOST_ALL(X)                                                                                                    \
    X(BOOL, 8)                                                                                                         \
    HOST_INTEGERS(X)                                                                                                   \
    X(FLOAT16, 16)                                                                                                     \
    X(BFLOAT16, 16)                                                                                                    \
    X(FLOAT32, 32)                                                                                                     \
    X(FLOAT64, 64)

static inline uint8_t swap_8(uint8_t bits)
{
    return bits;
}

static inline uint16_t swap_16(uint16_t bits)
{
    return __builtin_bswap16(bits);
}

static inline uint32_t swap_32(uint32_t bits)
{
    return __builtin_bswap32(bits);
}

static inline uint64_t swap_64(uint64_t bits)
{
    return __builtin_bswap64(bits);
}

/* One number. `expression` makes the bits `to` of the destination from the bits `from`. */
#define HOST_NUMBER(dst_bits, src_bits, expression, part)                                                              \
    {                                                                                                                  \
        memcpy(&from, src + (part) * (int64_t)sizeof(from), sizeof(from));                                             \
        from = swaps_src ? swap_##src_bits(from) : from;                                                               \
        to = (uint##dst_bits##_t)(expression);                                                                         \
        to = swaps_dst ? swap_##dst_bits(to) : to;                                                                     \
        memcpy(dst + (part) * (int64_t)sizeof(to), &to, sizeof(to));                                                   \
    }

/* The body of a row's function. Rows in the machine's own byte order have two loops of their own: dense ones for the
 * compiler to vectorise, others to be unrolled. */
#define HOST_ROW(dst_number, dst_bits, src_number, src_bits, expression)                                               \
    {                                                                                                                  \
        uint##dst_bits##_t to;                                                                                         \
        uint##src_bits##_t from;                                                                                       \
        const bool swaps_dst = converter->swaps_dst;                                                                   \
        const bool swaps_src = converter->swaps_src;                                                                   \
        const bool has_imaginary = converter->has_imaginary;                                                           \
        const bool has_pairs = ndk_is_float(dst_number) && ndk_is_float(src_number) && converter->converts_pairs;      \
        const bool is_plain = !has_imaginary && !has_pairs && !swaps_dst && !swaps_src;                                \
        if (is_plain && dst_stride == (int64_t)sizeof(to) && src_stride == (int64_t)sizeof(from)) {                    \
            for (int64_t i = 0; i < count; i++) {                                                                      \
                memcpy(&from, src + i * (int64_t)sizeof(from), sizeof(from));                                          \
                to = (uint##dst_bits##_t)(expression);                                                                 \
                memcpy(dst + i * (int64_t)sizeof(to), &to, sizeof(to));                                                \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        if (is_plain) {                                                                                                \
            NDBUF__UNROLL_4 for (int64_t i = 0; i < count; i++)                                                        \
            {                                                                                                          \
                memcpy(&from, src, sizeof(from));                                                                      \
                to = (uint##dst_bits##_t)(expression);                                                                 \
                memcpy(dst, &to, sizeof(to));                                                                          \
                dst += dst_stride;                                                                                     \
                src += src_stride;                                                                                     \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            HOST_NUMBER(dst_bits, src_bits, expression, 0)                                                             \
            if (has_pairs) {                                                                                           \
                HOST_NUMBER(dst_bits, src_bits, expression, 1)                                                         \
            } else if (has_imaginary) {                                                                                \
                memset(dst + sizeof(to), 0, sizeof(to));                                                               \
            }                                                                                                          \
            dst += dst_stride;                                                                                         \
            src += src_stride;                                                                                         \
        }                                                                                                              \
    }

#define HOST_FUNCTION(name)                                                                                            \
    static void name(const ndbuf__converter *converter, char *restrict dst, int64_t dst_stride,                        \
                     const char *restrict src, int64_t src_stride, int64_t count)

/* ---- between the numbers that all devices have ---- */

/* Integers to FLOAT32 and FLOAT64 by the processor, which does it right and in vectors. Truth is made without a branch,
 * which nobody foresees. */
#define HOST_NATIVE(name, type, type_bits)                                                                             \
    static inline __attribute__((always_inline)) uint##type_bits##_t name(uint64_t bits, int32_t src_number)           \
    {                                                                                                                  \
        uint##type_bits##_t result;                                                                                    \
        type value = src_number == NDK_BOOL    ? (type)(int32_t)((bits + UINT8_MAX) >> 8)                              \
                     : src_number == NDK_INT8  ? (type)(int8_t)bits                                                    \
                     : src_number == NDK_INT16 ? (type)(int16_t)bits                                                   \
                     : src_number == NDK_INT32 ? (type)(int32_t)bits                                                   \
                     : src_number == NDK_INT64 ? (type)(int64_t)bits                                                   \
                                               : (type)bits;                                                           \
        memcpy(&result, &value, sizeof(result));                                                                       \
        return result;                                                                                                 \
    }
HOST_NATIVE(native_single, float, 32)
HOST_NATIVE(native_double, double, 64)

/* Floats by the processor, too, where it has the same results: NaNs keep what fits of their bits, and integers are what
 * kernels make of numbers that do not fit. */
#if defined(__x86_64__)
static inline int32_t truncate_single_32(float value)
{
    return _mm_cvttss_si32(_mm_set_ss(value));
}

static inline int64_t truncate_single_64(float value)
{
    return _mm_cvttss_si64(_mm_set_ss(value));
}

static inline int32_t truncate_double_32(double value)
{
    return _mm_cvttsd_si32(_mm_set_sd(value));
}

static inline int64_t truncate_double_64(double value)
{
    return _mm_cvttsd_si64(_mm_set_sd(value));
}

/* From 2^63 on: apart from the loops, which rarely come here. */
__attribute__((cold, noinline)) static uint64_t truncate_large_single(float value)
{
    return (uint64_t)truncate_single_64(value - (float)NDK_TOP_BIT) | NDK_TOP_BIT;
}

__attribute__((cold, noinline)) static uint64_t truncate_large_double(double value)
{
    return (uint64_t)truncate_double_64(value - (double)NDK_TOP_BIT) | NDK_TOP_BIT;
}

#define HOST_FROM_NATIVE_FLOAT(name, type, type_bits, truncate_32, truncate_64, truncate_large)                        \
    static inline __attribute__((always_inline)) bool name(uint64_t bits, int32_t dst_number, uint64_t *out_bits)      \
    {                                                                                                                  \
        const uint##type_bits##_t source = (uint##type_bits##_t)bits;                                                  \
        type value;                                                                                                    \
        float single;                                                                                                  \
        uint32_t single_bits;                                                                                          \
        double wide;                                                                                                   \
        memcpy(&value, &source, sizeof(value));                                                                        \
        switch (dst_number) {                                                                                          \
        case NDK_INT8:                                                                                                 \
        case NDK_UINT8:                                                                                                \
        case NDK_INT16:                                                                                                \
        case NDK_UINT16:                                                                                               \
        case NDK_INT32:                                                                                                \
            *out_bits = (uint32_t)truncate_32(value);                                                                  \
            return true;                                                                                               \
        case NDK_UINT32:                                                                                               \
        case NDK_INT64:                                                                                                \
            *out_bits = (uint64_t)truncate_64(value);                                                                  \
            return true;                                                                                               \
        case NDK_UINT64: /* a negative number keeps its bits */                                                        \
            *out_bits = value >= (type)NDK_TOP_BIT ? truncate_large(value) : (uint64_t)truncate_64(value);             \
            return true;                                                                                               \
        case NDK_FLOAT32:                                                                                              \
            single = (float)value;                                                                                     \
            memcpy(&single_bits, &single, sizeof(single));                                                             \
            *out_bits = single_bits;                                                                                   \
            return true;                                                                                               \
        case NDK_FLOAT64:                                                                                              \
            wide = (double)value;                                                                                      \
            memcpy(out_bits, &wide, sizeof(wide));                                                                     \
            return true;                                                                                               \
        default:                                                                                                       \
            return false;                                                                                              \
        }                                                                                                              \
    }
HOST_FROM_NATIVE_FLOAT(from_native_single, float, 32, truncate_single_32, truncate_single_64, truncate_large_single)
HOST_FROM_NATIVE_FLOAT(from_native_double, double, 64, truncate_double_32, truncate_double_64, truncate_large_double)
#endif

static inline __attribute__((always_inline)) uint64_t convert(uint64_t bits, int32_t dst_number, int32_t src_number)
{
#if defined(__x86_64__)
    uint64_t result;
    if (dst_number != src_number && ((src_number == NDK_FLOAT32 && from_native_single(bits, dst_number, &result)) ||
                                     (src_number == NDK_FLOAT64 && from_native_double(bits, dst_number, &result)))) {
        return result;
    }
#endif
    if (src_number <= NDK_UINT64 && dst_number == NDK_FLOAT32) {
        return native_single(bits, src_number);
    }
    if (src_number <= NDK_UINT64 && dst_number == NDK_FLOAT64) {
        return native_double(bits, src_number);
    }
    return ndk_convert_number(bits, dst_number, src_number, 0);
}

#define HOST_ROW_FUNCTION(dst_name, dst_bits, src_name, src_bits)                                                      \
    HOST_FUNCTION(row_##dst_name##_##src_name)                                                                         \
    HOST_ROW(NDK_##dst_name, dst_bits, NDK_##src_name, src_bits, convert(from, NDK_##dst_name, NDK_##src_name))
#define HOST_ROW_FUNCTIONS(dst_name, dst_bits) HOST_FROM_ALL(HOST_ROW_FUNCTION, dst_name, dst_bits)
HOST_ALL(HOST_ROW_FUNCTIONS)

#define HOST_SATURATE_FUNCTION(dst_name, dst_bits, src_name, src_bits)                                                 \
    HOST_FUNCTION(saturate_##dst_name##_##src_name)                                                                    \
    HOST_ROW(NDK_##dst_name, dst_bits, NDK_##src_name, src_bits,                                                       \
             ndk_convert_number(from, NDK_##dst_name, NDK_##src_name, 1))
#define HOST_SATURATE_FUNCTIONS(dst_name, dst_bits) HOST_FROM_ALL(HOST_SATURATE_FUNCTION, dst_name, dst_bits)
HOST_INTEGERS(HOST_SATURATE_FUNCTIONS)

/* Complex numbers to BOOL: whether any bit is set but the signs. */
#define HOST_TRUTH_FUNCTION(src_name, src_bits)                                                                        \
    HOST_FUNCTION(truth_##src_name)                                                                                    \
    {                                                                                                                  \
        const uint##src_bits##_t value =                                                                               \
            (uint##src_bits##_t)(UINT64_MAX >> (64 - src_bits + ndk_is_float(NDK_##src_name)));                        \
        const uint##src_bits##_t wanted = converter->swaps_src ? swap_##src_bits(value) : value;                       \
        NDBUF__UNROLL_4 for (int64_t i = 0; i < count; i++)                                                            \
        {                                                                                                              \
            uint##src_bits##_t halves[2];                                                                              \
            memcpy(halves, src + i * src_stride, sizeof(halves));                                                      \
            dst[i * dst_stride] = ((halves[0] | halves[1]) & wanted) != 0;                                             \
        }                                                                                                              \
    }
HOST_ALL(HOST_TRUTH_FUNCTION)

/* ---- long double, by the processor's own arithmetic, in its default mode ---- */

/* The nearest FLOAT64 toward zero, made odd where it is not exact: rounding that to fewer digits is right, as if it
 * were the first time. */
static uint64_t odd_double(long double value)
{
    double rounded = (double)value;
    uint64_t bits;
    memcpy(&bits, &rounded, sizeof(bits));
    if (value != value || (long double)rounded == value) {
        return bits;
    }
    bool is_beyond = value < 0 ? (long double)rounded < value : (long double)rounded > value;
    return (bits - (is_beyond ? 1 : 0)) | 1;
}

static ndk_integer integer_of_long_double(long double value)
{
    long double magnitude = value < 0 ? -value : value;
    ndk_integer integer = {.is_negative = value < 0, .is_nan = value != value};
    integer.is_large = magnitude >= 18446744073709551616.0L;
    integer.magnitude = integer.is_large || integer.is_nan ? 0 : (uint64_t)magnitude;
    return integer;
}

static inline uint64_t from_long_double(long double value, int32_t dst_number, int32_t saturates)
{
    double rounded;
    uint64_t bits;
    switch (dst_number) {
    case NDK_BOOL:
        return value != 0;
    case NDK_FLOAT64:
        rounded = (double)value;
        memcpy(&bits, &rounded, sizeof(bits));
        return bits;
    case NDK_FLOAT16:
    case NDK_BFLOAT16:
    case NDK_FLOAT32:
        return ndk_from_double(odd_double(value), dst_number, saturates);
    default:
        return saturates ? ndk_saturate(integer_of_long_double(value), dst_number)
                         : ndk_truncate(integer_of_long_double(value), dst_number);
    }
}

/* An integer is exact in a FLOAT64 and another one. */
static inline long double to_long_double(uint64_t bits, int32_t src_number)
{
    uint64_t converted;
    double value;
    if (src_number == NDK_UINT64) {
        return (long double)bits;
    }
    if (src_number <= NDK_INT64) {
        return (long double)(int64_t)ndk_convert_number(bits, NDK_INT64, src_number, 0);
    }
    converted = ndk_convert_number(bits, NDK_FLOAT64, src_number, 0);
    memcpy(&value, &converted, sizeof(value));
    return (long double)value;
}

#define HOST_FROM_LONG_DOUBLE_ROW(dst_name, dst_bits, saturates)                                                       \
    {                                                                                                                  \
        ndbuf__long_double_mode mode;                                                                                  \
        ndbuf__long_double_mode_begin(&mode);                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            long double from;                                                                                          \
            memcpy(&from, src, sizeof(from));                                                                          \
            uint##dst_bits##_t to = (uint##dst_bits##_t)from_long_double(from, NDK_##dst_name, saturates);             \
            to = converter->swaps_dst ? swap_##dst_bits(to) : to;                                                      \
            memcpy(dst, &to, sizeof(to));                                                                              \
            if (converter->has_imaginary) {                                                                            \
                memset(dst + sizeof(to), 0, sizeof(to));                                                               \
            }                                                                                                          \
            dst += dst_stride;                                                                                         \
            src += src_stride;                                                                                         \
        }                                                                                                              \
        ndbuf__long_double_mode_end(&mode);                                                                            \
    }
#define HOST_FROM_LONG_DOUBLE(dst_name, dst_bits)                                                                      \
    HOST_FUNCTION(row_##dst_name##_LONG_DOUBLE) HOST_FROM_LONG_DOUBLE_ROW(dst_name, dst_bits, 0)
HOST_ALL(HOST_FROM_LONG_DOUBLE)
#define HOST_SATURATE_LONG_DOUBLE(dst_name, dst_bits)                                                                  \
    HOST_FUNCTION(saturate_##dst_name##_LONG_DOUBLE) HOST_FROM_LONG_DOUBLE_ROW(dst_name, dst_bits, 1)
HOST_INTEGERS(HOST_SATURATE_LONG_DOUBLE)

/* All sixteen bytes of a long double of ten are written. */
#define HOST_TO_LONG_DOUBLE(src_name, src_bits)                                                                        \
    HOST_FUNCTION(row_LONG_DOUBLE_##src_name)                                                                          \
    {                                                                                                                  \
        ndbuf__long_double_mode mode;                                                                                  \
        ndbuf__long_double_mode_begin(&mode);                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            uint##src_bits##_t from;                                                                                   \
            memcpy(&from, src, sizeof(from));                                                                          \
            store_long_double(dst,                                                                                     \
                              to_long_double(converter->swaps_src ? swap_##src_bits(from) : from, NDK_##src_name));    \
            if (converter->has_imaginary) {                                                                            \
                memset(dst + sizeof(long double), 0, sizeof(long double));                                             \
            }                                                                                                          \
            dst += dst_stride;                                                                                         \
            src += src_stride;                                                                                         \
        }                                                                                                              \
        ndbuf__long_double_mode_end(&mode);                                                                            \
    }

static inline void store_long_double(char *dst, long double value)
{
    char bytes[sizeof(long double)] = {0};
    memcpy(bytes, &value, LDBL_MANT_DIG == 64 ? 10 : sizeof(value));
    memcpy(dst, bytes, sizeof(bytes));
}

HOST_ALL(HOST_TO_LONG_DOUBLE)

HOST_FUNCTION(row_LONG_DOUBLE_LONG_DOUBLE)
{
    for (int64_t i = 0; i < count; i++) {
        memcpy(dst, src, sizeof(long double));
        if (converter->has_imaginary) {
            memset(dst + sizeof(long double), 0, sizeof(long double));
        }
        dst += dst_stride;
        src += src_stride;
    }
}

HOST_FUNCTION(truth_LONG_DOUBLE)
{
    ndbuf__long_double_mode mode;
    long double halves[2];
    (void)converter;
    ndbuf__long_double_mode_begin(&mode);
    for (int64_t i = 0; i < count; i++) {
        memcpy(halves, src, sizeof(halves));
        *dst = halves[0] != 0 || halves[1] != 0;
        dst += dst_stride;
        src += src_stride;
    }
    ndbuf__long_double_mode_end(&mode);
}

/* ---- the tables: by destination, then by source ---- */

#define HOST_ROW_ENTRY(dst_name, dst_bits, src_name, src_bits) [NDK_##src_name] = row_##dst_name##_##src_name,
#define HOST_ROW_ENTRIES(dst_name, dst_bits)                                                                           \
    [NDK_##dst_name] = {HOST_FROM_ALL(HOST_ROW_ENTRY, dst_name, dst_bits)[HOST_LONG_DOUBLE] =                          \
                            row_##dst_name##_LONG_DOUBLE},
#define HOST_LONG_DOUBLE_ENTRY(src_name, src_bits) [NDK_##src_name] = row_LONG_DOUBLE_##src_name,
static const ndbuf__convert_fn row_functions[HOST_NNUMBERS + 1][HOST_NNUMBERS + 1] = {
    HOST_ALL(HOST_ROW_ENTRIES)[HOST_LONG_DOUBLE] = {HOST_ALL(HOST_LONG_DOUBLE_ENTRY)[HOST_LONG_DOUBLE] =
                                                        row_LONG_DOUBLE_LONG_DOUBLE}};

#define HOST_SATURATE_ENTRY(dst_name, dst_bits, src_name, src_bits) [NDK_##src_name] = saturate_##dst_name##_##src_name,
#define HOST_SATURATE_ENTRIES(dst_name, dst_bits)                                                                      \
    [NDK_##dst_name] = {HOST_FROM_ALL(HOST_SATURATE_ENTRY, dst_name, dst_bits)[HOST_LONG_DOUBLE] =                     \
                            saturate_##dst_name##_LONG_DOUBLE},
static const ndbuf__convert_fn saturate_functions[NDK_UINT64 + 1][HOST_NNUMBERS + 1] = {
    HOST_INTEGERS(HOST_SATURATE_ENTRIES)};

#define HOST_TRUTH_ENTRY(src_name, src_bits) [NDK_##src_name] = truth_##src_name,
static const ndbuf__convert_fn truth_functions[HOST_NNUMBERS + 1] = {HOST_ALL(HOST_TRUTH_ENTRY)[HOST_LONG_DOUBLE] =
                                                                         truth_LONG_DOUBLE};

static int32_t number_nbytes(int32_t number)
{
    return number == HOST_LONG_DOUBLE ? (int32_t)sizeof(long double) : (int32_t)ndk_number_nbytes(number);
}

static bool is_element(const ndbuf_element *element)
{
    return element->number >= NDK_BOOL && element->number <= HOST_NNUMBERS &&
           element->nbytes == number_nbytes(element->number) * (element->is_complex ? 2 : 1) &&
           !(element->is_swapped && element->number == HOST_LONG_DOUBLE);
}

/* Whether a few instructions convert a number, whatever it is, see convert(): of floats by the processor. */
static bool is_quick(int32_t dst_number, int32_t src_number)
{
#if defined(__x86_64__)
    const bool is_float = src_number == NDK_FLOAT32 || src_number == NDK_FLOAT64;
#else
    const bool is_float = false;
#endif
    if (dst_number == NDK_FLOAT32 || dst_number == NDK_FLOAT64) {
        return src_number <= NDK_UINT64 || is_float;
    }
    return dst_number <= NDK_UINT64 && (src_number <= NDK_UINT64 || is_float);
}

bool ndbuf__converter_init(ndbuf__converter *out_converter, const ndbuf_element *dst, const ndbuf_element *src,
                           uint32_t flags)
{
    if (!is_element(dst) || !is_element(src) || (src->is_complex && (dst->is_complex || dst->number != NDK_BOOL))) {
        return false;
    }
    bool saturates = (flags & NDBUF_CAST_SATURATE) != 0 && dst->number > NDK_BOOL && dst->number <= NDK_UINT64;
    ndbuf__converter converter = {
        .fn = src->is_complex ? truth_functions[src->number]
              : saturates     ? saturate_functions[dst->number][src->number]
                              : row_functions[dst->number][src->number],
        .swaps_dst = dst->is_swapped != 0,
        .swaps_src = src->is_swapped != 0,
        .is_quick = !saturates && !src->is_complex && is_quick(dst->number, src->number),
        .has_imaginary = dst->is_complex != 0,
    };
    *out_converter = converter;
    return true;
}

bool ndbuf__converts_pairs(const ndbuf_element *dst, const ndbuf_element *src)
{
    return !dst->is_complex && !src->is_complex && ndk_is_float(dst->number) && ndk_is_float(src->number);
}

void ndbuf__convert_row(const ndbuf__converter *converter, char *dst, int64_t dst_stride, const char *src,
                        int64_t src_stride, int64_t count)
{
    converter->fn(converter, dst, dst_stride, src, src_stride, count);
}
