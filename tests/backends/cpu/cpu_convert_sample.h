/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_CPU_CONVERT_SAMPLE_H
#define NDBUF_TESTS_BACKENDS_CPU_CPU_CONVERT_SAMPLE_H

/* What the tests of planned conversions share. Only addresses are given, never memory. */

#include <stdbool.h>

#include "backends/cpu/cpu_convert_plan.h"

static const ndbuf_element int16 = {.number = NDBUF_NUMBER_INT16, .nbytes = 2};
static const ndbuf_element int32 = {.number = NDBUF_NUMBER_INT32, .nbytes = 4};
static const ndbuf_element int64 = {.number = NDBUF_NUMBER_INT64, .nbytes = 8};
static const ndbuf_element half = {.number = NDBUF_NUMBER_FLOAT16, .nbytes = 2};
static const ndbuf_element single = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4};
static const ndbuf_element twice = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8};
static const ndbuf_element pair = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 16, .is_complex = 1};

/* Plans a box of these elements. */
void plan_box(cpu_convert_plan *plan, ndbuf_element dst, ndbuf_element src, const cpu_box *box);

/* What is planned from now on is for vectors that leave bytes out where they write, or for none that do. */
void plan_for(bool scatters);

/* Of a group of tests: constants are there before the first decision. */
int convert_sample_setup(void **state);

#endif
