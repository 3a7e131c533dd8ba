/* SPDX-License-Identifier: Apache-2.0 */

/* Conversion by the host engine against the conversion of each element by itself (backends/kernels/convert_host.h), by
 * all kernels that this processor runs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/cpu.h"

#include "core/copy_axes.h"
#include "core/float_mode.h"
#include "core/host_plan.h"

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_tuning.h"
#include "backends/kernels/convert_host.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/random_box.h"
#include "tests/backends/cpu/random_numbers.h"
#include "tests/support/test.h"

/* ---- dense rows ---- */

#define ROW_MAX 1200

/* The floating-point mode of a program that calls. On x86 that of long doubles is in the upper half. */
#if defined(__x86_64__)
#define DEFAULT_MODE 0x37F00001F80
#define ODD_MODE 0xC7F0000FFC0 /* toward zero, no subnormals; of long doubles, to 24 bits */
static uint64_t mode_get(void)
{
    uint16_t control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return (uint64_t)control << 32 | _mm_getcsr();
}

static void mode_set(uint64_t mode)
{
    const uint16_t control = (uint16_t)(mode >> 32);
    __asm__ volatile("fldcw %0" : : "m"(control));
    _mm_setcsr((uint32_t)mode);
}
#define MODE_GET(mode) ((mode) = mode_get())
#define MODE_SET(mode) mode_set(mode)
#elif defined(__aarch64__)
#define DEFAULT_MODE 0
#define ODD_MODE 0x1C00000
#define MODE_GET(mode) __asm__ volatile("mrs %0, fpcr" : "=r"(mode))
#define MODE_SET(mode) __asm__ volatile("msr fpcr, %0" : : "r"(mode))
#else
#define DEFAULT_MODE 0
#define ODD_MODE 0
#define MODE_GET(mode) ((mode) = 0)
#define MODE_SET(mode) ((void)(mode))
#endif

static uint64_t program_mode = DEFAULT_MODE;

static void convert_in_mode(const cpu_convert_box *convert)
{
    uint64_t before;
    uint64_t after;
    MODE_GET(before);
    MODE_SET(program_mode);
    ndbuf_cpu__convert_box(convert);
    MODE_GET(after);
    MODE_SET(before);
    assert_int_equal(after, program_mode);
}

static void check_dense(test_random *random, const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags,
                        int64_t count)
{
    static char block[ROW_MAX * 32 + 256];
    static char expected[ROW_MAX * 32 + 256];
    static char numbers[ROW_MAX * 32 + 64];
    const int64_t lead = test_random_range(random, 0, 2) == 0 ? test_random_range(random, 0, 63) : 0;
    char *from = numbers + test_random_range(random, 0, 1) * test_random_range(random, 0, 63);
    ndbuf__converter converter;
    assert_true(ndbuf__converter_init(&converter, dst, src, flags));
    random_numbers(random, src, from, src->is_complex != 0 ? 2 * count : count);
    memset(expected, 0x5A, sizeof(expected));
    for (int64_t i = 0; i < count; i++) {
        ndbuf__convert_row(&converter, expected + 64 + lead + i * dst->nbytes, 0, from + i * src->nbytes, 0, 1);
    }
    const int64_t dst_stride = dst->nbytes;
    const int64_t src_stride = src->nbytes;
    const cpu_convert_box convert = {.box = {.dst = block + 64 + lead,
                                             .src = from,
                                             .ndim = count > 1 ? 1 : 0,
                                             .shape = &count,
                                             .dst_strides = &dst_stride,
                                             .src_strides = &src_stride},
                                     .dst_element = *dst,
                                     .src_element = *src,
                                     .flags = flags,
                                     .converter = converter};
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        memset(block, 0x5A, sizeof(block));
        convert_in_mode(&convert);
        if (memcmp(block, expected, sizeof(block)) == 0) {
            continue;
        }
        for (int64_t at = 0; at < (int64_t)sizeof(block); at++) {
            if (block[at] != expected[at]) {
                int64_t k = (at - 64 - lead) / dst->nbytes;
                unsigned long long bits = 0;
                memcpy(&bits, from + k * src->nbytes, src->nbytes < 8 ? (size_t)src->nbytes : 8);
                fail_msg("%s: number %d to %d, swapped %d %d, flags %u: element %lld of %lld (0x%llx) byte %lld is "
                         "0x%02x, not 0x%02x",
                         kernels->name, src->number, dst->number, src->is_swapped, dst->is_swapped, flags, (long long)k,
                         (long long)count, bits, (long long)((at - 64 - lead) % dst->nbytes), (unsigned char)block[at],
                         (unsigned char)expected[at]);
            }
        }
    }
}

static void check_pairs(test_random *random, int64_t (*count_of)(test_random *random), int nrounds)
{
    for (int32_t dst_number = 1; dst_number <= NDBUF_NUMBER_LONG_DOUBLE; dst_number++) {
        for (int32_t src_number = 1; src_number <= NDBUF_NUMBER_LONG_DOUBLE; src_number++) {
            for (int variant = 0; variant < 8 * nrounds; variant++) {
                ndbuf_element dst = element_of(dst_number, variant % 2 != 0 && dst_number < NDBUF_NUMBER_LONG_DOUBLE);
                ndbuf_element src =
                    element_of(src_number, variant / 2 % 2 != 0 && src_number < NDBUF_NUMBER_LONG_DOUBLE);
                check_dense(random, &dst, &src, variant / 4 % 2 != 0 ? NDBUF_CAST_SATURATE : 0, count_of(random));
            }
        }
    }
}

static int64_t few(test_random *random)
{
    return test_random_range(random, 1, 70);
}

static int64_t many(test_random *random)
{
    return test_random_range(random, ROW_MAX / 2, ROW_MAX);
}

static void every_pair_of_numbers_is_converted_as_one_by_one(void **state)
{
    (void)state;
    test_random random = test_random_make("every_pair_of_numbers_is_converted_as_one_by_one", 11);
    check_pairs(&random, few, RANDOM_BOXES(20) / 5 + 1);
    check_pairs(&random, many, 1);
}

/* Real numbers to complex ones, and those to BOOL. */
static void check_complex(test_random *random, int64_t (*count_of)(test_random *random))
{
    for (int32_t number = NDBUF_NUMBER_FLOAT16; number <= NDBUF_NUMBER_LONG_DOUBLE; number++) {
        for (int32_t other = 1; other <= NDBUF_NUMBER_LONG_DOUBLE; other++) {
            bool swaps = number < NDBUF_NUMBER_LONG_DOUBLE && test_random_range(random, 0, 1) != 0;
            ndbuf_element truth = element_of(NDBUF_NUMBER_BOOL, false);
            ndbuf_element real = element_of(other, other < NDBUF_NUMBER_LONG_DOUBLE && !swaps);
            ndbuf_element halves = complex_of(element_of(number, swaps));
            check_dense(random, &truth, &halves, 0, count_of(random));
            check_dense(random, &halves, &real, 0, count_of(random));
            real.is_swapped = 0;
            check_dense(random, &halves, &real, 0, count_of(random));
        }
    }
}

static void rows_past_the_caches_are_converted_alike(void **state)
{
    (void)state;
    test_random random = test_random_make("rows_past_the_caches_are_converted_alike", 12);
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.stream_nbytes = 1;
    tuning.small_nbytes = 0;
    ndbuf_cpu__tuning_set(&tuning);
    check_pairs(&random, many, 1);
    check_complex(&random, many);
}

static void complex_numbers_are_converted_by_halves(void **state)
{
    (void)state;
    test_random random = test_random_make("complex_numbers_are_converted_by_halves", 13);
    check_complex(&random, few);
}

/* The modes that a program may have set make no difference, and stay. */
static void the_floating_point_mode_of_the_program_does_not_matter(void **state)
{
    (void)state;
    test_random random = test_random_make("the_floating_point_mode_of_the_program_does_not_matter", 14);
    program_mode = ODD_MODE;
    check_pairs(&random, few, 1);
    program_mode = DEFAULT_MODE;
}

/* ---- numbers that lie apart ---- */

#define APART_MAX 70
#define APART_STRIDE_MAX 300
#define APART_REACH (APART_MAX * APART_STRIDE_MAX)

/* By the kernels that have vectors for them; returns how many did. */
static int check_apart(test_random *random, const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags)
{
    static char numbers[2 * APART_REACH];
    char block[(APART_MAX + 2) * 16];
    char expected[sizeof(block)];
    const int64_t count = test_random_range(random, 1, APART_MAX);
    const bool is_dense = test_random_range(random, 0, 2) == 0; /* forwards or backwards, perhaps by pairs */
    const int64_t stride = !is_dense ? test_random_range(random, -APART_STRIDE_MAX, APART_STRIDE_MAX)
                           : test_random_range(random, 0, 2) == 0 ? 2 * CPU_APART_NBYTES
                                                                  : -2 * CPU_APART_NBYTES;
    const int64_t gap = test_random_range(random, 0, 2) == 0               ? CPU_APART_NBYTES
                        : is_dense || test_random_range(random, 0, 1) == 0 ? stride / 2
                                                                           : test_random_range(random, -80, 80);
    const char *from = numbers + APART_REACH;
    ndbuf__converter scalar;
    int ndone = 0;
    assert_true(ndbuf__converter_init(&scalar, dst, src, flags));
    memset(expected, 0x5A, sizeof(expected));
    for (int64_t i = 0; i < count; i++) {
        random_numbers(random, src, numbers + APART_REACH + i / 2 * stride + i % 2 * gap, 1 + src->is_complex);
    }
    for (int64_t i = 0; i < count; i++) {
        ndbuf__convert_row(&scalar, expected + 16 + i * dst->nbytes, 0, from + i / 2 * stride + i % 2 * gap, 0, 1);
    }
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        cpu_row_converter converter;
        ndbuf_cpu__row_converter_init(&converter, &scalar, dst, src, flags, kernels);
        assert_true(converter.apart == NULL || src->nbytes == CPU_APART_NBYTES);
        if (converter.apart == NULL) {
            continue;
        }
        memset(block, 0x5A, sizeof(block));
        ndbuf_cpu__convert_row_apart(&converter, block + 16, from, gap, stride, count);
        if (memcmp(block, expected, sizeof(block)) != 0) {
            fail_msg("%s: number %d to %d, swapped %d %d, flags %u: %lld of them, gap %lld, stride %lld", kernels->name,
                     src->number, dst->number, src->is_swapped, dst->is_swapped, flags, (long long)count,
                     (long long)gap, (long long)stride);
        }
        ndone++;
    }
    return ndone;
}

static bool has_apart(int32_t dst_number, int32_t src_number)
{
    const ndbuf_element dst = element_of(dst_number, false);
    const ndbuf_element src = element_of(src_number, false);
    ndbuf__converter scalar;
    cpu_row_converter converter;
    assert_true(ndbuf__converter_init(&scalar, &dst, &src, 0));
    ndbuf_cpu__row_converter_init(&converter, &scalar, &dst, &src, 0, ndbuf_cpu__kernels_get());
    return converter.apart != NULL;
}

static void numbers_that_lie_apart_are_converted_alike(void **state)
{
    (void)state;
    test_random random = test_random_make("numbers_that_lie_apart_are_converted_alike", 18);
    int ndone = 0;
    for (int i = 0; i < RANDOM_BOXES(400); i++) {
        const ndbuf_element truth = element_of(NDBUF_NUMBER_BOOL, false);
        const ndbuf_element halves = complex_of(element_of(NDBUF_NUMBER_FLOAT32, i % 2 != 0));
        ndone += check_apart(&random, &truth, &halves, 0);
    }
    for (int32_t dst_number = 1; dst_number < NDBUF_NUMBER_LONG_DOUBLE; dst_number++) {
        for (int32_t src_number = 1; src_number < NDBUF_NUMBER_LONG_DOUBLE; src_number++) {
            for (int variant = 0; variant < 8 * (RANDOM_BOXES(40) / 5 + 1); variant++) {
                const ndbuf_element dst = element_of(dst_number, variant % 2 != 0);
                const ndbuf_element src = element_of(src_number, variant / 2 % 2 != 0);
                ndone += check_apart(&random, &dst, &src, variant / 4 % 2 != 0 ? NDBUF_CAST_SATURATE : 0);
            }
        }
    }
    assert_true(ndone > 0 || !has_apart(NDBUF_NUMBER_FLOAT32, NDBUF_NUMBER_FLOAT64));
}

/* Each second number of so many bytes as make halves of what vectors read: nothing before the first one is read, nor
 * behind the last one, which the address sanitizer sees. Returns how many kernels did. */
static int check_halves(test_random *random, const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags)
{
    char block[(APART_MAX + 2) * 16];
    char expected[sizeof(block)];
    const int64_t count = test_random_range(random, 1, APART_MAX);
    char *from = malloc((size_t)((count - 1) * CPU_APART_NBYTES + src->nbytes));
    ndbuf__converter scalar;
    int ndone = 0;
    assert_non_null(from);
    assert_true(ndbuf__converter_init(&scalar, dst, src, flags));
    memset(expected, 0x5A, sizeof(expected));
    for (int64_t i = 0; i < count; i++) {
        random_numbers(random, src, from + i * CPU_APART_NBYTES, 1);
    }
    ndbuf__convert_row(&scalar, expected + 16, dst->nbytes, from, CPU_APART_NBYTES, count);
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        cpu_row_converter converter;
        ndbuf_cpu__row_converter_init(&converter, &scalar, dst, src, flags, kernels);
        const bool is_native = converter.dst_swap == 1 && converter.src_swap == 1;
        assert_int_equal(cpu_converts_apart(&converter, CPU_APART_NBYTES, false),
                         converter.by_steps != NULL && src->nbytes == 4 && is_native);
        if (!cpu_converts_apart(&converter, CPU_APART_NBYTES, false)) {
            continue;
        }
        assert_false(cpu_converts_apart(&converter, CPU_APART_NBYTES, true));
        assert_false(cpu_converts_apart(&converter, -CPU_APART_NBYTES, false));
        memset(block, 0x5A, sizeof(block));
        ndbuf_cpu__convert_row_apart(&converter, block + 16, from, CPU_APART_NBYTES, 2 * CPU_APART_NBYTES, count);
        if (memcmp(block, expected, sizeof(block)) != 0) {
            fail_msg("%s: number %d to %d, flags %u: %lld of them", kernels->name, src->number, dst->number, flags,
                     (long long)count);
        }
        ndone++;
    }
    free(from);
    return ndone;
}

static void each_second_number_is_converted_alike(void **state)
{
    (void)state;
    test_random random = test_random_make("each_second_number_is_converted_alike", 19);
    const int32_t sources[] = {NDBUF_NUMBER_INT32, NDBUF_NUMBER_UINT32, NDBUF_NUMBER_FLOAT32};
    int ndone = 0;
    for (int32_t dst_number = 1; dst_number < NDBUF_NUMBER_LONG_DOUBLE; dst_number++) {
        for (int variant = 0; variant < 36 * (RANDOM_BOXES(40) / 5 + 1); variant++) {
            const ndbuf_element part = element_of(dst_number, variant / 6 % 3 == 2);
            const ndbuf_element src = element_of(sources[variant % 3], variant / 6 % 6 == 0);
            const bool is_float = dst_number == NDBUF_NUMBER_FLOAT32 || dst_number == NDBUF_NUMBER_FLOAT64;
            const ndbuf_element dst = is_float && variant / 6 % 2 == 1 ? complex_of(part) : part;
            ndone += check_halves(&random, &dst, &src, variant / 3 % 2 != 0 ? NDBUF_CAST_SATURATE : 0);
        }
    }
    assert_true(ndone > 0 || !has_apart(NDBUF_NUMBER_FLOAT32, NDBUF_NUMBER_FLOAT64));
}

/* ---- layouts ---- */

typedef struct layout {
    int32_t ndim;
    int64_t shape[RANDOM_BOX_MAX_AXES];
    int64_t dst_strides[RANDOM_BOX_MAX_AXES];
    int64_t src_strides[RANDOM_BOX_MAX_AXES];
    int64_t dst_offset; /* of the first element, in a block of dst_nbytes */
    int64_t src_offset;
    int64_t dst_nbytes;
    int64_t src_nbytes;
} layout;

static void fail_layout(const char *how, const cpu_convert_box *convert)
{
    char text[400] = "";
    for (int32_t k = 0; k < convert->box.ndim; k++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, ", %lld: %lld <- %lld", (long long)convert->box.shape[k],
                 (long long)convert->box.dst_strides[k], (long long)convert->box.src_strides[k]);
    }
    fail_msg("%s: number %d to %d, swapped %d %d, flags %u%s", how, convert->src_element.number,
             convert->dst_element.number, convert->src_element.is_swapped, convert->dst_element.is_swapped,
             convert->flags, text);
}

static int nchecks; /* layouts, by each set of kernels */
static int nplans;  /* that were run */

/* A conversion of random numbers, against that of each by itself: at once, and by a plan that is kept. */
static void check_layout(test_random *random, const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags,
                         const layout *where)
{
    const int64_t dst_lead =
        test_random_range(random, 0, 3) * 16 + test_random_range(random, 0, 1) * test_random_range(random, 0, 15);
    const size_t nbytes = (size_t)(dst_lead + where->dst_nbytes);
    char *block = malloc(nbytes);
    char *expected = malloc(nbytes);
    char *numbers = malloc((size_t)where->src_nbytes);
    assert_true(block != NULL && expected != NULL && numbers != NULL);
    test_random_fill(random, numbers, (size_t)where->src_nbytes);
    memset(expected, 0x5A, nbytes);
    ndbuf__converter converter;
    assert_true(ndbuf__converter_init(&converter, dst, src, flags));
    char *to = expected + dst_lead + where->dst_offset;
    char *from = numbers + where->src_offset;
    int64_t index[RANDOM_BOX_MAX_AXES] = {0};
    do {
        if (src->number == NDBUF_NUMBER_LONG_DOUBLE || src->is_complex != 0) { /* not any bits, rarely zeros */
            random_numbers(random, src, from + random_box_place(index, where->src_strides, where->ndim),
                           1 + src->is_complex);
        }
    } while (random_box_next(index, where->shape, where->ndim));
    do {
        ndbuf__convert_row(&converter, to + random_box_place(index, where->dst_strides, where->ndim), 0,
                           from + random_box_place(index, where->src_strides, where->ndim), 0, 1);
    } while (random_box_next(index, where->shape, where->ndim));
    ndbuf__copy_axes axes = {.unit_nbytes = dst->nbytes, .convert = {.dst = *dst, .src = *src, .flags = flags}};
    for (int32_t k = 0; k < where->ndim; k++) {
        ndbuf__copy_axes_append(&axes, where->shape[k], where->dst_strides[k], where->src_strides[k]);
    }
    ndbuf__copy_axes_merge(&axes);
    const cpu_convert_box convert = {.box = {.dst = block + dst_lead + where->dst_offset + axes.dst_offset,
                                             .src = from + axes.src_offset,
                                             .ndim = axes.ndim,
                                             .shape = axes.shape,
                                             .dst_strides = axes.dst_strides,
                                             .src_strides = axes.src_strides},
                                     .dst_element = *dst,
                                     .src_element = *src,
                                     .flags = flags,
                                     .converter = converter};
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf__host_plan *plan;
        nchecks++;
        ndbuf_cpu__kernels_set(kernels);
        memset(block, 0x5A, nbytes);
        ndbuf_cpu__convert_box(&convert);
        if (memcmp(block, expected, nbytes) != 0) {
            fail_layout(kernels->name, &convert);
        }
        assert_int_equal(ndbuf__host_plan_create(&axes, NULL, convert.box.dst, &plan, NULL), NDBUF_OK);
        if (plan != NULL) {
            memset(block, 0x5A, nbytes);
            assert_true(ndbuf__host_plan_run(plan, convert.box.dst, convert.box.src));
            nplans++;
            if (memcmp(block, expected, nbytes) != 0) {
                fail_layout("by a plan", &convert);
            }
        }
        ndbuf__host_plan_destroy(plan);
    }
    free(block);
    free(expected);
    free(numbers);
}

static ndbuf_element random_real(test_random *random)
{
    const int32_t number = (int32_t)test_random_range(random, 1, NDBUF_NUMBER_LONG_DOUBLE);
    return element_of(number, number < NDBUF_NUMBER_LONG_DOUBLE && test_random_range(random, 0, 1) != 0);
}

/* Now and then one of them is complex: the destination, or a source that becomes BOOL. */
static void random_elements(test_random *random, ndbuf_element *out_dst, ndbuf_element *out_src)
{
    *out_dst = random_real(random);
    *out_src = random_real(random);
    if (out_src->number >= NDBUF_NUMBER_FLOAT16 && test_random_range(random, 0, 3) == 0) {
        *out_dst = element_of(NDBUF_NUMBER_BOOL, false);
        *out_src = complex_of(*out_src);
    } else if (out_dst->number >= NDBUF_NUMBER_FLOAT16 && test_random_range(random, 0, 1) != 0) {
        *out_dst = complex_of(*out_dst);
    }
}

static uint32_t random_flags(test_random *random)
{
    return test_random_range(random, 0, 1) != 0 ? NDBUF_CAST_SATURATE : 0;
}

static void check_random(test_random *random, int64_t max_nbytes)
{
    layout where = {0};
    ndbuf_element dst;
    ndbuf_element src;
    random_elements(random, &dst, &src);
    const uint32_t flags = random_flags(random);
    where.ndim = random_box_shape(where.shape, random, dst.nbytes > src.nbytes ? dst.nbytes : src.nbytes, max_nbytes);
    where.dst_offset =
        random_box_strides(where.dst_strides, random, where.ndim, where.shape, dst.nbytes, true, &where.dst_nbytes);
    where.src_offset = random_box_strides(where.src_strides, random, where.ndim, where.shape, src.nbytes,
                                          test_random_range(random, 0, 1) != 0, &where.src_nbytes);
    if (where.dst_nbytes <= 16 * max_nbytes && where.src_nbytes <= 16 * max_nbytes) { /* no gaps in gaps in gaps */
        check_layout(random, &dst, &src, flags, &where);
    }
}

/* Planes of which the source is columns, perhaps backwards, of one number or of some together; or rows with gaps. */
static void check_planes(test_random *random)
{
    ndbuf_element dst;
    ndbuf_element src;
    random_elements(random, &dst, &src);
    const bool are_columns = test_random_range(random, 0, 3) != 0;
    const int64_t nplanes = test_random_range(random, 1, 3);
    const int64_t nrows = test_random_range(random, 1, are_columns ? 150 : 3);
    const int64_t ncolumns = are_columns ? test_random_range(random, 2, 150) : test_random_range(random, 200, 1500);
    const int64_t numbers = test_random_range(random, 0, 3) == 0 ? test_random_range(random, 2, 3) : 1;
    const int64_t dst_unit = numbers * dst.nbytes + test_random_range(random, 0, 1) * test_random_range(random, 0, 24);
    const int64_t src_unit = numbers * src.nbytes;
    const int64_t dst_pitch = ncolumns * dst_unit + test_random_range(random, 0, 1) * test_random_range(random, 0, 64);
    const int64_t column = are_columns
                               ? nrows * src_unit + test_random_range(random, 0, 1) * test_random_range(random, 0, 64)
                               : src_unit + test_random_range(random, 0, 9) * src.nbytes;
    const int64_t row = are_columns ? src_unit : ncolumns * column;
    const bool backwards = test_random_range(random, 0, 3) == 0;
    const layout where = {
        .ndim = 4,
        .shape = {nplanes, nrows, ncolumns, numbers},
        .dst_strides = {nrows * dst_pitch, dst_pitch, dst_unit, dst.nbytes},
        .src_strides = {are_columns ? ncolumns * column : nrows * row, backwards ? -row : row, column, src.nbytes},
        .src_offset = backwards ? (nrows - 1) * row : 0,
        .dst_nbytes = nplanes * nrows * dst_pitch,
        .src_nbytes = nplanes * ncolumns * column * (are_columns ? 1 : nrows)};
    check_layout(random, &dst, &src, random_flags(random), &where);
}

static void all_kernels_turn_planes_into_other_numbers_alike(void **state)
{
    (void)state;
    test_random random = test_random_make("all_kernels_turn_planes_into_other_numbers_alike", 17);
    nchecks = 0;
    nplans = 0;
    for (int i = 0; i < RANDOM_BOXES(1500); i++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        tuning.stream_nbytes = test_random_range(&random, 0, 1) != 0 ? 1 : 1 << 30;
        tuning.strip_prefetch_nbytes = test_random_range(&random, 0, 1) != 0 ? 1 : 1 << 30;
        tuning.small_nbytes = 0;
        ndbuf_cpu__tuning_set(&tuning);
        check_planes(&random);
    }
    assert_true(nplans > nchecks / 4);
}

static void all_kernels_convert_random_layouts_alike(void **state)
{
    (void)state;
    test_random random = test_random_make("all_kernels_convert_random_layouts_alike", 15);
    nchecks = 0;
    nplans = 0;
    for (int i = 0; i < RANDOM_BOXES(4000); i++) {
        check_random(&random, (int64_t)1 << test_random_range(&random, 4, 16));
    }
    assert_true(nplans > nchecks / 2);
}

static void any_constants_give_right_conversions(void **state)
{
    (void)state;
    test_random random = test_random_make("any_constants_give_right_conversions", 16);
    for (int i = 0; i < RANDOM_BOXES(1500); i++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        tuning.stream_nbytes = test_random_range(&random, 0, 2) != 0 ? 1 : 1 << 30;
        tuning.stream_ways = test_random_range(&random, 1, 2);
        tuning.small_nbytes = test_random_range(&random, 0, 4096);
        tuning.thread_nbytes = test_random_range(&random, 1, 65536);
        tuning.thread_share_nbytes = test_random_range(&random, 1, 4096);
        tuning.stream_prefetch_nbytes = test_random_range(&random, 0, 4096);
        ndbuf_cpu__tuning_set(&tuning);
        ndbuf_cpu_threads_set((int32_t)test_random_range(&random, 1, 4), NULL);
        check_random(&random, (int64_t)1 << test_random_range(&random, 8, 17));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_pair_of_numbers_is_converted_as_one_by_one, all_kernels_teardown),
        cmocka_unit_test_teardown(rows_past_the_caches_are_converted_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(complex_numbers_are_converted_by_halves, all_kernels_teardown),
        cmocka_unit_test_teardown(the_floating_point_mode_of_the_program_does_not_matter, all_kernels_teardown),
        cmocka_unit_test_teardown(numbers_that_lie_apart_are_converted_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(each_second_number_is_converted_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(all_kernels_convert_random_layouts_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(all_kernels_turn_planes_into_other_numbers_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(any_constants_give_right_conversions, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert", tests, NULL, NULL);
}
