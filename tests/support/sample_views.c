/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/sample_views.h"

#include <string.h>

#include "core/view_core.h"

static void sample_retain(ndbuf_owner *owner)
{
    ((sample_storage *)owner)->nrefs++;
}

static void sample_release(ndbuf_owner *owner)
{
    ((sample_storage *)owner)->nrefs--;
}

void sample_storage_init(sample_storage *out_sample, ndbuf_device_type type, void *memory, int64_t nbytes)
{
    static const uintptr_t untouchable = 4096;
    memset(out_sample, 0, sizeof(*out_sample));
    out_sample->device.tag.type = (int32_t)type;
    bool on_host = type == NDBUF_DEVICE_CPU || type == NDBUF_DEVICE_CUDA_HOST || type == NDBUF_DEVICE_CUDA_MANAGED;
    ndbuf_storage *storage = &out_sample->storage;
    storage->owner = (ndbuf_owner){&ndbuf__library, sample_retain, sample_release};
    storage->mem.device = &out_sample->device;
    storage->mem.handle = memory != NULL ? memory : (void *)untouchable;
    storage->mem.host_address = on_host ? storage->mem.handle : NULL;
    storage->mem.nbytes = (size_t)nbytes;
}

void sample_view_init(ndbuf_view *out_view, sample_storage *sample, int64_t itemsize, int32_t ndim,
                      const int64_t *shape, const int64_t *strides, int64_t byte_offset)
{
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_OPAQUE, itemsize, '=', &format, err));
    ndbuf_view_spec spec = {
        .format = format, .byte_offset = byte_offset, .ndim = ndim, .shape = shape, .strides = strides};
    ASSERT_OK(ndbuf_view_init(out_view, &sample->storage, &spec, err));
    ndbuf_format_release(format);
}

sample_layout sample_layout_random(test_random *random, int32_t max_ndim, int64_t max_extent)
{
    sample_layout layout = {.ndim = (int32_t)test_random_range(random, 0, max_ndim),
                            .itemsize = test_random_range(random, 1, 9)};
    int64_t dense = layout.itemsize; /* the stride that continues the axes so far */
    for (int32_t k = layout.ndim - 1; k >= 0; k--) {
        layout.shape[k] = test_random_range(random, test_random_range(random, 0, 19) == 0 ? 0 : 1, max_extent);
        switch (test_random_range(random, 0, 5)) {
        case 0:
            layout.strides[k] = test_random_range(random, -24, 24);
            break;
        case 1:
            layout.strides[k] = 0;
            break;
        case 2:
            layout.strides[k] = dense * test_random_range(random, 1, 3);
            break;
        default:
            layout.strides[k] = dense;
            break;
        }
        if (test_random_range(random, 0, 3) == 0) {
            layout.strides[k] = -layout.strides[k];
        }
        dense *= layout.shape[k] > 1 ? layout.shape[k] : 1;
    }
    for (int32_t k = layout.ndim - 1; k > 0; k--) { /* in any order of axes */
        int32_t other = (int32_t)test_random_range(random, 0, test_random_range(random, 0, 1) == 0 ? k : 0);
        if (test_random_range(random, 0, 2) == 0) {
            int64_t extent = layout.shape[k];
            int64_t stride = layout.strides[k];
            layout.shape[k] = layout.shape[other];
            layout.strides[k] = layout.strides[other];
            layout.shape[other] = extent;
            layout.strides[other] = stride;
        }
    }
    return layout;
}

bool sample_next_index(int32_t ndim, const int64_t *shape, int64_t *index)
{
    for (int32_t k = ndim; k-- > 0;) {
        if (index[k] + 1 < shape[k]) {
            index[k]++;
            return true;
        }
        index[k] = 0;
    }
    return false;
}

bool sample_layout_range(const sample_layout *layout, int64_t *out_lo, int64_t *out_hi)
{
    for (int32_t k = 0; k < layout->ndim; k++) {
        if (layout->shape[k] == 0) {
            return false;
        }
    }
    int64_t index[NDBUF_MAX_NDIM] = {0};
    *out_lo = *out_hi = 0;
    do {
        int64_t offset = 0;
        for (int32_t k = 0; k < layout->ndim; k++) {
            offset += index[k] * layout->strides[k];
        }
        *out_lo = offset < *out_lo ? offset : *out_lo;
        *out_hi = offset + layout->itemsize > *out_hi ? offset + layout->itemsize : *out_hi;
    } while (sample_next_index(layout->ndim, layout->shape, index));
    return true;
}

int64_t sample_item_address(const ndbuf_view *view, const int64_t *index)
{
    int64_t address = (int64_t)(intptr_t)view->handle + view->byte_offset;
    for (int32_t k = 0; k < view->ndim; k++) {
        address += index[k] == 0 ? 0 : index[k] * view->strides[k];
        if (view->suboffsets != NULL && view->suboffsets[k] >= 0) {
            char *pointer;
            memcpy(&pointer, (const void *)(intptr_t)address, sizeof(pointer));
            address = (int64_t)(intptr_t)pointer + view->suboffsets[k];
        }
    }
    return address;
}

void sample_nth_index(int32_t ndim, const int64_t *shape, char order, int64_t k, int64_t *out_index)
{
    for (int32_t i = 0; i < ndim; i++) {
        int32_t axis = order == 'C' ? ndim - 1 - i : i;
        out_index[axis] = k % shape[axis];
        k /= shape[axis];
    }
}
