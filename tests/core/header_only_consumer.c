/* SPDX-License-Identifier: Apache-2.0 */
/* A program part that knows ndbuf by its header alone: it is linked with nothing, and loaded beside the library. */
#include "ndbuf/exporter.h"

#include <stddef.h>

/* The sum of a 2-d array of float64 on the host, in whatever strides it comes; negative: refused. */
__attribute__((visibility("default"))) double consume_sum(ndbuf_exporter *exporter, ndbuf_error *err);

double consume_sum(ndbuf_exporter *exporter, ndbuf_error *err)
{
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_RECORDS_RO);
    ndbuf_view view = {0};
    double sum = 0;
    if (exporter->acquire(exporter, &request, &view, err) != NDBUF_OK) {
        return -1;
    }
    const char *first = (const char *)view.handle + view.byte_offset;
    for (int64_t i = 0; i < view.shape[0]; i++) {
        for (int64_t j = 0; j < view.shape[1]; j++) {
            sum += *(const double *)(const void *)(first + i * view.strides[0] + j * view.strides[1]);
        }
    }
    ndbuf_view_release(&view);
    return sum;
}
