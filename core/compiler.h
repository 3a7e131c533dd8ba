/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COMPILER_H
#define NDBUF_CORE_COMPILER_H

/* Hints for the few functions where nanoseconds count. */
#if defined(__GNUC__)
#define NDBUF__LIKELY(condition) __builtin_expect(!!(condition), 1)
#define NDBUF__NOINLINE __attribute__((noinline)) /* keeps a rare path out of a short function */
#else
#define NDBUF__LIKELY(condition) (condition)
#define NDBUF__NOINLINE
#endif

#endif
