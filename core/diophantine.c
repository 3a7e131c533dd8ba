/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diophantine.h"

#include <string.h>

#include "core/checked.h"

/* Sums and targets stay below 2^61, so that nothing here overflows with a factor of four to spare. */
#define MAX_SUM ((int64_t)1 << 61)

enum {
    TABLE_BITS = 65536,
    WORD_BITS = 64,
    TABLE_BITS_PER_WORK = 4096 /* bits of the table that cost as much to shift as one value tried in the search */
};

typedef struct search {
    const ndbuf__equation_term *terms;               /* coefficients ascending */
    int64_t sums[NDBUF__EQUATION_MAX_TERMS + 1];     /* of coefficient * limit of the first k terms */
    int64_t divisors[NDBUF__EQUATION_MAX_TERMS + 1]; /* greatest common divisors of the first k coefficients */
    int64_t *work;
    int32_t ntabulated;                     /* the first so many terms are in the table; 0: no table */
    uint64_t table[TABLE_BITS / WORD_BITS]; /* bit b: can those terms sum up to b? */
} search;

void ndbuf__equation_init(ndbuf__equation *out_equation, int64_t target)
{
    out_equation->target = target;
    out_equation->sum = 0;
    out_equation->nterms = 0;
    out_equation->overflow = target < -MAX_SUM || target > MAX_SUM;
}

void ndbuf__equation_add(ndbuf__equation *equation, int64_t coefficient, int64_t limit)
{
    if (coefficient == 0 || limit == 0 || equation->overflow) {
        return;
    }
    bool overflow = coefficient < -MAX_SUM;
    int64_t size = coefficient < 0 && !overflow ? -coefficient : coefficient;
    int64_t span = ndbuf__mul_i64(size, limit, &overflow);
    if (overflow || span > MAX_SUM - equation->sum) {
        equation->overflow = true;
        return;
    }
    if (coefficient < 0) { /* x counts from the other end */
        equation->target += span;
        equation->overflow = equation->target > MAX_SUM;
    }
    equation->sum += span;
    equation->terms[equation->nterms++] = (ndbuf__equation_term){size, limit};
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t ceil_div(int64_t a, int64_t b) /* b > 0 */
{
    return a / b + (a % b > 0);
}

static void sort_terms(ndbuf__equation *equation)
{
    for (int32_t k = 1; k < equation->nterms; k++) {
        ndbuf__equation_term term = equation->terms[k];
        int32_t to = k;
        for (; to > 0 && equation->terms[to - 1].coefficient > term.coefficient; to--) {
            equation->terms[to] = equation->terms[to - 1];
        }
        equation->terms[to] = term;
    }
}

/* Merges terms. Where a term steps by a multiple of a smaller one, and not farther than that reaches, the two together
 * reach every step of the smaller one: they are one longer term. Contiguous and densely nested axes vanish here. */
static void merge_terms(ndbuf__equation *equation)
{
    ndbuf__equation_term *terms = equation->terms;
    for (int32_t k = 0; k < equation->nterms; k++) {
        int32_t kept = k + 1;
        for (int32_t j = k + 1; j < equation->nterms; j++) {
            int64_t steps = terms[j].coefficient / terms[k].coefficient;
            if (terms[j].coefficient % terms[k].coefficient == 0 && steps - 1 <= terms[k].limit) {
                terms[k].limit += steps * terms[j].limit;
            } else {
                terms[kept++] = terms[j];
            }
        }
        equation->nterms = kept;
    }
}

/* Brings the target into the lower half of what can be reached, and limits what can be part of it. */
static void clip_terms(ndbuf__equation *equation)
{
    if (equation->target > equation->sum - equation->target) {
        equation->target = equation->sum - equation->target;
    }
    int32_t kept = 0;
    for (int32_t k = 0; k < equation->nterms; k++) {
        ndbuf__equation_term term = equation->terms[k];
        int64_t limit = equation->target / term.coefficient;
        term.limit = limit < term.limit ? limit : term.limit;
        if (term.limit > 0) {
            equation->terms[kept++] = term;
        }
    }
    equation->nterms = kept;
}

/* The smallest x >= 0 with lo <= a * x mod m <= hi, where 0 <= a < m and 0 <= lo <= hi < m; -1 if there is none with
 * a * x below 2^63. Each step replaces m by a, as in Euclid's algorithm. */
static int64_t first_in_residues(int64_t a, int64_t m, int64_t lo, int64_t hi)
{
    if (lo == 0) {
        return 0;
    }
    if (a == 0) {
        return -1;
    }
    if (a > m - a) {
        return first_in_residues(m - a, m, m - hi, m - lo);
    }
    int64_t first = ceil_div(lo, a);
    if (first * a <= hi) {
        return first;
    }
    /* No multiple of a lies in [lo, hi], but one may in [lo, hi] + m * y. */
    int64_t y = first_in_residues(m % a, a, a - hi % a, a - lo % a);
    if (y < 0) {
        return -1;
    }
    bool overflow = false;
    int64_t x = ceil_div(ndbuf__add_i64(lo, ndbuf__mul_i64(m, y, &overflow), &overflow), a);
    return overflow ? -1 : x;
}

/* Three terms whose step is that of the smallest: its x takes up what the other two leave, up to its limit. */
static bool solve_three(const ndbuf__equation_term *terms, int64_t target)
{
    int64_t step = terms[0].coefficient;
    int64_t slack = terms[0].limit;
    int64_t a = terms[1].coefficient / step;
    int64_t c = terms[2].coefficient / step;
    int64_t b = target / step;
    /* For each x of `a`, the only useful y of `c` is the largest: slack < c - 1, or the terms had been merged. */
    int64_t least = b - c * terms[2].limit - c + 1;
    int64_t lo = least > 0 ? ceil_div(least, a) : 0;
    int64_t hi = b / a < terms[1].limit ? b / a : terms[1].limit;
    if (lo > hi) {
        return false;
    }
    int64_t rest = (b - a * lo) % c;
    int64_t more = rest <= slack ? 0 : first_in_residues(a % c, c, rest - slack, rest);
    return more >= 0 && more <= hi - lo;
}

/* Can the first `nterms` terms sum up to `target`? */
static ndbuf_answer search_terms(search *s, int32_t nterms, int64_t target)
{
    if (target < 0 || target > s->sums[nterms]) {
        return NDBUF_NO;
    }
    if (nterms <= 0) {
        return NDBUF_YES;
    }
    if (nterms == s->ntabulated) {
        return (s->table[target / WORD_BITS] >> (target % WORD_BITS) & 1) != 0 ? NDBUF_YES : NDBUF_NO;
    }
    if (target % s->divisors[nterms] != 0) {
        return NDBUF_NO;
    }
    if (nterms == 1) {
        return NDBUF_YES;
    }
    if (nterms == 3 && s->terms[0].coefficient == s->divisors[3]) {
        return solve_three(s->terms, target) ? NDBUF_YES : NDBUF_NO;
    }
    /* The values of the largest term that leave the others something within their reach, and divisible by their common
     * divisor. */
    int64_t coefficient = s->terms[nterms - 1].coefficient;
    int64_t limit = s->terms[nterms - 1].limit;
    int64_t divisor = s->divisors[nterms - 1];
    int64_t least = target - s->sums[nterms - 1];
    int64_t lo = least > 0 ? ceil_div(least, coefficient) : 0;
    int64_t hi = target / coefficient < limit ? target / coefficient : limit;
    if (lo > hi) {
        return NDBUF_NO;
    }
    int64_t rest = (target - coefficient * lo) % divisor;
    int64_t first = first_in_residues(coefficient % divisor, divisor, rest, rest);
    if (first < 0 || first > hi - lo) {
        return NDBUF_NO;
    }
    if (nterms == 2) {
        return NDBUF_YES;
    }
    int64_t step = divisor / greatest_divisor(coefficient, divisor);
    for (int64_t x = lo + first;; x += step) {
        if ((*s->work)-- <= 0) {
            return NDBUF_UNDECIDED;
        }
        ndbuf_answer answer = search_terms(s, nterms - 1, target - coefficient * x);
        if (answer != NDBUF_NO) {
            return answer;
        }
        if (step > hi - x) {
            return NDBUF_NO;
        }
    }
}

/* table |= table << distance, for sums up to `last`. */
static void table_add(uint64_t *table, int64_t distance, int64_t last)
{
    int64_t words = distance / WORD_BITS;
    int64_t bits = distance % WORD_BITS;
    for (int64_t k = last / WORD_BITS; k >= words; k--) {
        uint64_t moved = table[k - words] << bits;
        if (bits > 0 && k > words) {
            moved |= table[k - words - 1] >> (WORD_BITS - bits);
        }
        table[k] |= moved;
    }
}

/* Tabulates the sums of as many of the smallest terms as the table can hold. */
static void tabulate(search *s, int32_t nterms, int64_t target)
{
    if (target < TABLE_BITS) {
        s->ntabulated = nterms;
    } else {
        while (s->ntabulated < nterms && s->sums[s->ntabulated + 1] < TABLE_BITS) {
            s->ntabulated++;
        }
    }
    if (s->ntabulated <= 2) { /* these need no table */
        s->ntabulated = 0;
        return;
    }
    int64_t last = target < TABLE_BITS ? target : TABLE_BITS - 1;
    memset(s->table, 0, (size_t)(last / WORD_BITS + 1) * sizeof(*s->table));
    s->table[0] = 1;
    for (int32_t k = 0; k < s->ntabulated; k++) {
        /* 0 .. limit of one step each, as sums of 1, 2, 4, ... and what is left. */
        int64_t left = s->terms[k].limit;
        for (int64_t steps = 1; left > 0; steps *= 2) {
            steps = steps < left ? steps : left;
            left -= steps;
            if (steps > last / s->terms[k].coefficient) {
                break; /* beyond what is asked for, and so is all that follows */
            }
            table_add(s->table, steps * s->terms[k].coefficient, last);
            *s->work -= 1 + last / TABLE_BITS_PER_WORK;
        }
    }
}

ndbuf_answer ndbuf__equation_solve(ndbuf__equation *equation, int64_t *work)
{
    if (equation->overflow) {
        return NDBUF_UNDECIDED;
    }
    if (equation->target < 0 || equation->target > equation->sum) {
        return NDBUF_NO;
    }
    sort_terms(equation);
    merge_terms(equation);
    clip_terms(equation);
    int64_t divisor = 0;
    for (int32_t k = 0; k < equation->nterms; k++) {
        divisor = greatest_divisor(equation->terms[k].coefficient, divisor);
    }
    if (equation->nterms == 0 || equation->target % divisor != 0) {
        return equation->target == 0 ? NDBUF_YES : NDBUF_NO;
    }
    search s; /* the table is written where it is used */
    s.terms = equation->terms;
    s.work = work;
    s.ntabulated = 0;
    s.sums[0] = 0;
    s.divisors[0] = 0;
    for (int32_t k = 0; k < equation->nterms; k++) {
        ndbuf__equation_term *term = &equation->terms[k];
        term->coefficient /= divisor;
        s.sums[k + 1] = s.sums[k] + term->coefficient * term->limit;
        s.divisors[k + 1] = greatest_divisor(term->coefficient, s.divisors[k]);
    }
    int64_t target = equation->target / divisor;
    if (equation->nterms > 3 || s.terms[0].coefficient != 1) {
        tabulate(&s, equation->nterms, target);
    }
    return search_terms(&s, equation->nterms, target);
}
