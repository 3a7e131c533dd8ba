/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FLOAT_MODE_H
#define NDBUF_CORE_FLOAT_MODE_H

/* The thread's floating-point mode. A program may have chosen another rounding, zeros for subnormals, or signals for
 * what is not exact; conversions want none of them, and leave no marks in its flags. */

#include <float.h>
#include <stdint.h>

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0
#error "infinities and NaNs are converted too: not with -ffast-math or -ffinite-math-only"
#endif

#if defined(__x86_64__)
#include <xmmintrin.h>

static inline uint64_t ndbuf__float_mode_begin(void)
{
    const uint32_t before = _mm_getcsr();
    _mm_setcsr(0x1F80); /* what a process begins with */
    return before;
}

static inline void ndbuf__float_mode_end(uint64_t before)
{
    _mm_setcsr((uint32_t)before);
}
#elif defined(__aarch64__)
static inline uint64_t ndbuf__float_mode_begin(void)
{
    uint64_t control;
    uint64_t status;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(status));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return control << 32 | (uint32_t)status;
}

static inline void ndbuf__float_mode_end(uint64_t before)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(before >> 32));
    __asm__ volatile("msr fpsr, %0" : : "r"(before & 0xFFFFFFFF));
}
#elif defined(__s390x__)
static inline uint64_t ndbuf__float_mode_begin(void)
{
    uint32_t before;
    __asm__ volatile("efpc %0" : "=r"(before));
    __asm__ volatile("sfpc %0" : : "r"(0));
    return before;
}

static inline void ndbuf__float_mode_end(uint64_t before)
{
    __asm__ volatile("sfpc %0" : : "r"((uint32_t)before));
}
#else
static inline uint64_t ndbuf__float_mode_begin(void)
{
    return 0;
}

static inline void ndbuf__float_mode_end(uint64_t before)
{
    (void)before;
}
#endif

/* The same of long doubles, where these have a mode of their own: the processor's older unit, whose state is slow to
 * save. */
typedef struct ndbuf__long_double_mode {
    uint32_t words[7];
} ndbuf__long_double_mode;

#if defined(__x86_64__) && LDBL_MANT_DIG == 64
#define NDBUF__LONG_DOUBLE_REGISTERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

static inline void ndbuf__long_double_mode_begin(ndbuf__long_double_mode *out_before)
{
    static const uint16_t control = 0x37F; /* what a process begins with */
    __asm__ volatile("fnstenv %0\n\tfldcw %1"
                     : "=m"(*out_before)
                     : "m"(control)
                     : "memory", NDBUF__LONG_DOUBLE_REGISTERS);
}

static inline void ndbuf__long_double_mode_end(const ndbuf__long_double_mode *before)
{
    __asm__ volatile("fldenv %0" : : "m"(*before) : "memory", NDBUF__LONG_DOUBLE_REGISTERS);
}
#else
static inline void ndbuf__long_double_mode_begin(ndbuf__long_double_mode *out_before)
{
    (void)out_before;
}

static inline void ndbuf__long_double_mode_end(const ndbuf__long_double_mode *before)
{
    (void)before;
}
#endif

#endif
