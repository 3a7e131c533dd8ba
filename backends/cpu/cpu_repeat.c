/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_repeat.h"

#include <stdbool.h>

#include "core/copy_axes.h"

static bool is_repeated(const cpu_box *box, int32_t k)
{
    return k < box->ndim - 1 && box->src_strides[k] == 0 && box->shape[k] > 1;
}

bool ndbuf_cpu__repeats_rows(const cpu_box *box, int64_t unit_nbytes, int64_t most_nbytes)
{
    int64_t nbytes = unit_nbytes; /* without repetitions */
    int64_t span = unit_nbytes;   /* of the axes so far, none of which overlaps itself */
    bool repeats = false;
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        if (box->dst_strides[k] < span) {
            return false;
        }
        span += box->dst_strides[k] * (box->shape[k] - 1);
        nbytes *= is_repeated(box, k) ? 1 : box->shape[k];
        repeats = repeats || is_repeated(box, k);
    }
    return repeats && nbytes <= most_nbytes;
}

void ndbuf_cpu__shape_once(const cpu_box *box, int64_t *out_shape)
{
    for (int32_t k = 0; k < box->ndim; k++) {
        out_shape[k] = is_repeated(box, k) ? 1 : box->shape[k];
    }
}

/* Along the innermost axis first. */
void ndbuf_cpu__repeat_rows(const cpu_box *box, int64_t unit_nbytes)
{
    int64_t shape[NDBUF__MAX_AXES];
    ndbuf_cpu__shape_once(box, shape);
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        if (!is_repeated(box, k)) {
            continue;
        }
        shape[k] = box->shape[k] - 1;
        ndbuf__copy_axes axes;
        ndbuf__copy_axes_init(&axes, unit_nbytes, box->ndim, shape, box->dst_strides, box->dst_strides);
        axes.src_strides[k] = 0;
        ndbuf__copy_axes_merge(&axes);
        const cpu_box copy = {.dst = box->dst + box->dst_strides[k],
                              .src = box->dst,
                              .ndim = axes.ndim,
                              .unit_nbytes = axes.unit_nbytes,
                              .shape = axes.shape,
                              .dst_strides = axes.dst_strides,
                              .src_strides = axes.src_strides};
        ndbuf_cpu__copy_box(&copy);
        shape[k] = box->shape[k];
    }
}
