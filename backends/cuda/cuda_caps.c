/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include <string.h>

#include "core/link_costs.h"

/* The costs of a device's links. */
typedef struct cuda_class {
    int major; /* compute capability, from this one on */
    ndbuf__link local;
    ndbuf__link peer;
    ndbuf__link pinned;
    ndbuf__link pageable;
} cuda_class;

#define CUDA_CLASS(major, name)                                                                                        \
    {                                                                                                                  \
        major, NDBUF__LINK_CUDA_##name##_LOCAL, NDBUF__LINK_CUDA_##name##_PEER, NDBUF__LINK_CUDA_##name##_PINNED,      \
            NDBUF__LINK_CUDA_##name##_PAGEABLE                                                                         \
    }

static const cuda_class classes[] = {CUDA_CLASS(9, 9), CUDA_CLASS(8, 8), CUDA_CLASS(0, OLD)};

static const cuda_class *class_of(const cuda_device *device)
{
    const cuda_class *found = classes;
    while (found->major > device->traits.major) {
        found++;
    }
    return found;
}

static const cuda_place *place_of(const ndbuf_device *device)
{
    return ndbuf_cuda__is_own(device) ? (const cuda_place *)device : NULL;
}

static bool is_host_accessible(const ndbuf_device *device)
{
    return (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* Whether kernels of both devices reach both memories. */
static bool is_reachable(const cuda_device *a, const cuda_device *b)
{
    int other = b->place.ordinal;
    if (a->place.ordinal == other) {
        return true;
    }
    return other < 64 && (atomic_load_explicit(&a->peers, memory_order_acquire) >> other & 1) != 0;
}

static void set_caps(ndbuf_copy_caps *caps, uint32_t flags, const cuda_device *device, ndbuf__link link)
{
    caps->flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | flags;
    caps->max_pitch = device->traits.max_pitch;
    ndbuf__link_costs_default(caps, link);
}

/* What kernels do between two pieces of memory. */
#define CUDA_BY_KERNEL (NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64)

/* Between memory of devices and managed memory. */
static void set_device_caps(ndbuf_copy_caps *caps, const cuda_device *dst, const cuda_device *src)
{
    uint32_t flags = 0;
    if (ndbuf_cuda__has_kernels(dst) && ndbuf_cuda__has_kernels(src) && is_reachable(dst, src) &&
        is_reachable(src, dst)) {
        flags = CUDA_BY_KERNEL | (dst == src ? NDBUF_CAN_FILL : 0u);
    }
    const cuda_class *class = class_of(dst);
    set_caps(caps, flags, dst, dst->place.ordinal == src->place.ordinal ? class->local : class->peer);
}

void ndbuf_cuda__copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    const cuda_place *to = place_of(dst);
    const cuda_place *from = place_of(src);
    memset(out_caps, 0, sizeof(*out_caps));
    if (is_host_accessible(dst) && is_host_accessible(src)) {
        return; /* the host does that itself */
    }
    if (to != NULL && from != NULL && to->kind != CUDA_KIND_HOST && from->kind != CUDA_KIND_HOST) {
        set_device_caps(out_caps, (const cuda_device *)to, (const cuda_device *)from);
        return;
    }
    /* One side is a device, the other one a host's. */
    bool to_device = to != NULL && to->kind != CUDA_KIND_HOST;
    const cuda_place *near = to_device ? to : from;
    const cuda_place *far = to_device ? from : to;
    if (near == NULL || near->kind == CUDA_KIND_HOST || !is_host_accessible(to_device ? src : dst)) {
        return;
    }
    const cuda_device *device = (const cuda_device *)near;
    const cuda_class *class = class_of(device);
    if (far != NULL) {
        set_caps(out_caps, ndbuf_cuda__has_kernels(device) ? CUDA_BY_KERNEL : 0u, device, class->pinned);
    } else {
        set_caps(out_caps, NDBUF_COPY_MAY_BLOCK, device, class->pageable);
    }
}

/* Pinned and managed memory have their queues on the first device: what another device takes part in is better done by
 * that one. */
void ndbuf_cuda__shared_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    const cuda_place *to = place_of(dst);
    const cuda_place *from = place_of(src);
    if ((to != NULL && to->ordinal != 0) || (from != NULL && from->ordinal != 0)) {
        memset(out_caps, 0, sizeof(*out_caps));
        return;
    }
    ndbuf_cuda__copy_caps(dst, src, out_caps);
}
