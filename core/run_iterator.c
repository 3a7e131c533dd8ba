/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ndbuf/view.h"

#include "core/view_core.h"

ndbuf_status ndbuf_run_iterator_init(ndbuf_run_iterator *out_iterator, const ndbuf_view *view, ndbuf_error *err)
{
    if (view == NULL || view->release == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "view is %s", view == NULL ? "NULL" : "empty");
    }
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(view, scratch);
    bool has_bytes = layout.itemsize > 0 && ndbuf__layout_has_items(&layout);
    if (ndbuf_view_host_address(view) == NULL && (has_bytes || !ndbuf__device_is_host(view->device))) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the host cannot touch memory of device type %d, number %d",
                          (int)view->device.type, (int)view->device.id);
    }
    out_iterator->view = view;
    out_iterator->run_nbytes = layout.itemsize;
    out_iterator->outer_ndim = layout.ndim;
    out_iterator->done = !has_bytes;
    /* The last axes belong to the run as long as each continues it, up to the last pointer. */
    while (has_bytes && out_iterator->outer_ndim > 0) {
        int32_t k = out_iterator->outer_ndim - 1;
        if ((layout.suboffsets != NULL && layout.suboffsets[k] >= 0) ||
            (layout.shape[k] > 1 && layout.strides[k] != out_iterator->run_nbytes)) {
            break;
        }
        out_iterator->run_nbytes *= layout.shape[k];
        out_iterator->outer_ndim--;
    }
    memset(out_iterator->index, 0, (size_t)out_iterator->outer_ndim * sizeof(out_iterator->index[0]));
    return NDBUF_OK;
}

size_t ndbuf_run_iterator_next(ndbuf_run_iterator *iterator, ndbuf_iovec *out_runs, size_t max_runs)
{
    if (iterator->done || max_runs == 0) {
        return 0;
    }
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(iterator->view, scratch);
    char *base = ndbuf_view_host_address(iterator->view);
    int32_t ndim = iterator->outer_ndim;
    size_t length = (size_t)iterator->run_nbytes;
    size_t nruns = 0;
    char *end = NULL; /* of the last run */
    while (!iterator->done) {
        char *address = ndbuf__address_at(&layout, base, iterator->index, ndim);
        if (address == end) {
            out_runs[nruns - 1].iov_len += length;
        } else if (nruns < max_runs) {
            out_runs[nruns++] = (ndbuf_iovec){address, length};
        } else {
            break;
        }
        end = address + length;
        iterator->done = !ndbuf__layout_advance(&layout, iterator->index, ndim);
    }
    return nruns;
}
