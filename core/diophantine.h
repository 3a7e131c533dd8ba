/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_DIOPHANTINE_H
#define NDBUF_CORE_DIOPHANTINE_H

/* The question behind every overlap test: does
 *
 *     sum(coefficient[k] * x[k]) = target,   0 <= x[k] <= limit[k]
 *
 * have a solution in integers? Hard in general, easy for the layouts that occur. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/view.h"

enum { NDBUF__EQUATION_MAX_TERMS = 2 * NDBUF_MAX_NDIM + 2 };

typedef struct ndbuf__equation_term {
    int64_t coefficient; /* > 0 */
    int64_t limit;       /* > 0 */
} ndbuf__equation_term;

typedef struct ndbuf__equation {
    int64_t target;
    int64_t sum; /* of coefficient * limit: the largest value of the left side */
    int32_t nterms;
    bool overflow; /* something exceeded 62 bits: no answer */
    ndbuf__equation_term terms[NDBUF__EQUATION_MAX_TERMS];
} ndbuf__equation;

/* Begins an equation without terms. */
void ndbuf__equation_init(ndbuf__equation *out_equation, int64_t target);

/* Adds a term; the coefficient may be negative or 0, limit >= 0. */
void ndbuf__equation_add(ndbuf__equation *equation, int64_t coefficient, int64_t limit);

/* Answers, and leaves the equation unspecified. The cost is taken from *work. Exact whatever is left of that if the
 * terms reduce to two, or to three with a common step, or if target or (sum - target) is below 65536 steps; otherwise a
 * search ends with NDBUF_UNDECIDED when nothing is left. */
ndbuf_answer ndbuf__equation_solve(ndbuf__equation *equation, int64_t *work);

#endif
