/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_FLOAT_MODE_H
#define NDBUF_BACKENDS_CPU_CPU_FLOAT_MODE_H

/* The thread's floating-point mode. A program may have chosen another rounding, zeros for subnormals, or signals for
 * what is not exact; conversions want none of them, and leave no marks in its flags. */

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

static inline uint64_t cpu_float_mode_begin(void)
{
    const uint32_t before = _mm_getcsr();
    _mm_setcsr(0x1F80); /* what a process begins with */
    return before;
}

static inline void cpu_float_mode_end(uint64_t before)
{
    _mm_setcsr((uint32_t)before);
}
#elif defined(__aarch64__)
static inline uint64_t cpu_float_mode_begin(void)
{
    uint64_t control;
    uint64_t status;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("mrs %0, fpsr" : "=r"(status));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return control << 32 | (uint32_t)status;
}

static inline void cpu_float_mode_end(uint64_t before)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(before >> 32));
    __asm__ volatile("msr fpsr, %0" : : "r"(before & 0xFFFFFFFF));
}
#else
static inline uint64_t cpu_float_mode_begin(void)
{
    return 0;
}

static inline void cpu_float_mode_end(uint64_t before)
{
    (void)before;
}
#endif

#endif
