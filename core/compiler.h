/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COMPILER_H
#define NDBUF_CORE_COMPILER_H

/* Hints for the few functions where nanoseconds count. */
#if defined(__GNUC__)
#define NDBUF__LIKELY(condition) __builtin_expect(!!(condition), 1)
#define NDBUF__NOINLINE __attribute__((noinline)) /* keeps a rare path out of a short function */
/* In a loop of few steps, of which the compiler would make vectors. */
#define NDBUF__KEEP_AS_LOOP(value) __asm__("" : "+r"(value))
/* What is known, as the address of a thread's variable, is not to be found out again. */
#define NDBUF__KEEP_IN_REGISTER(value) __asm__("" : "+r"(value))
#else
#define NDBUF__LIKELY(condition) (condition)
#define NDBUF__NOINLINE
#define NDBUF__KEEP_AS_LOOP(value) ((void)0)
#define NDBUF__KEEP_IN_REGISTER(value) ((void)0)
#endif

#if defined(__clang__)
#define NDBUF__UNROLL_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define NDBUF__UNROLL_4 _Pragma("GCC unroll 4")
#else
#define NDBUF__UNROLL_4
#endif

#endif
