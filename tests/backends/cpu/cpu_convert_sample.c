/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cpu/cpu_convert_sample.h"

#include "backends/cpu/cpu_tuning.h"
#include "tests/support/test.h"

void plan_box(cpu_convert_plan *plan, ndbuf_element dst, ndbuf_element src, const cpu_box *box)
{
    cpu_convert_box convert = {.box = *box, .dst_element = dst, .src_element = src};
    assert_true(ndbuf__converter_init(&convert.converter, &dst, &src, 0));
    assert_true(ndbuf_cpu__plan_conversion(plan, &convert));
    plan->box = NULL;
}

static void spread_nothing(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps,
                           int64_t prefetch_nbytes)
{
    (void)shuffle;
    (void)dst;
    (void)src;
    (void)nsteps;
    (void)prefetch_nbytes;
}

void plan_for(bool scatters)
{
    static cpu_kernels kernels;
    ndbuf_cpu__kernels_set(NULL);
    kernels = *ndbuf_cpu__kernels_get();
    kernels.shuffle_nbytes = scatters ? CPU_VECTOR_MAX : kernels.shuffle_nbytes;
    kernels.scatter = scatters ? spread_nothing : NULL;
    ndbuf_cpu__kernels_set(&kernels);
}

int convert_sample_setup(void **state)
{
    (void)state;
    ndbuf_cpu__tuning_get();
    return 0;
}
