/* SPDX-License-Identifier: Apache-2.0 */
#include "core/link_costs.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/device_core.h"

/* -- the defaults -- */

/* The host, and OpenCL on a CPU: measured with bench_transfer --rows on two virtual cores of an EPYC of Zen 5,
 * PoCL 3.1. OpenCL elsewhere, and CUDA 9: fitted by 'ndbuf bench --calibrate' on an H200 with driver 580, whose OpenCL
 * that is; peers and the older ones are estimates, put together from published figures. */
static const ndbuf_link_costs defaults[] = {
    [NDBUF__LINK_HOST] = {20, 0, 0.5, 0.5, 20, 0},
    [NDBUF__LINK_OPENCL_CPU_LOCAL] = {1500, 45000, 2, 3, 18, 40000},
    [NDBUF__LINK_OPENCL_CPU_WRITE] = {1500, 45000, 2, 0, 18, 2500},
    [NDBUF__LINK_OPENCL_CPU_READ] = {1500, 45000, 2, 0, 18, 2500},
    [NDBUF__LINK_OPENCL_LOCAL] = {9200, 6500, 0.17, 0.001, 2000, 40000},
    [NDBUF__LINK_OPENCL_HOST] = {11600, 16400, 3.1, 0, 10.9, 40000},
    [NDBUF__LINK_CUDA_9_LOCAL] = {3900, 5800, 0.17, 0.001, 2500, 0},
    [NDBUF__LINK_CUDA_9_PEER] = {5000, 6000, 0.2, 0.1, 100, 0},
    [NDBUF__LINK_CUDA_9_PINNED] = {2100, 5600, 1.2, 0.03, 57, 0},
    [NDBUF__LINK_CUDA_9_PAGEABLE] = {4500, 4600, 4, 0.1, 16.7, 0},
    [NDBUF__LINK_CUDA_8_LOCAL] = {4500, 10000, 3, 0.04, 1300, 0},
    [NDBUF__LINK_CUDA_8_PEER] = {5500, 10000, 3, 0.2, 50, 0},
    [NDBUF__LINK_CUDA_8_PINNED] = {4500, 10000, 5, 0.2, 24, 0},
    [NDBUF__LINK_CUDA_8_PAGEABLE] = {9000, 10000, 10, 0.2, 6, 0},
    [NDBUF__LINK_CUDA_OLD_LOCAL] = {5000, 12000, 4, 0.1, 500, 0},
    [NDBUF__LINK_CUDA_OLD_PEER] = {6000, 12000, 4, 0.4, 20, 0},
    [NDBUF__LINK_CUDA_OLD_PINNED] = {5000, 12000, 6, 0.4, 12, 0},
    [NDBUF__LINK_CUDA_OLD_PAGEABLE] = {10000, 12000, 12, 0.4, 4, 0},
};

void ndbuf__link_costs_default(ndbuf_copy_caps *caps, ndbuf__link link)
{
    const ndbuf_link_costs *costs = &defaults[link];
#define TAKE_COST(name, ...) caps->name = costs->name;
    NDBUF__LINK_COST_LIST(TAKE_COST)
#undef TAKE_COST
}

/* -- what users set -- */

#define MAX_KIND 32 /* with the terminator, as of ndbuf_backend_info */
#define ANY_DEVICE (-1)
#define MAX_ORDINAL 9999

typedef struct link_end {
    char kind[MAX_KIND];
    int32_t ordinal; /* ANY_DEVICE: all of this kind */
} link_end;

/* A link of which a cost was set. Its costs change, all else is written once, before the number of links covers it. */
typedef struct set_link {
    char name[2 * MAX_KIND + 16];
    link_end from;
    link_end to;
    _Atomic(double) costs[NDBUF__LINK_NCOSTS];
} set_link;

static set_link links[NDBUF__MAX_LINKS];
static _Atomic(int32_t) nlinks;

int32_t ndbuf__link_count(void)
{
    return atomic_load_explicit(&nlinks, memory_order_acquire);
}

const char *ndbuf__link_name(int32_t index)
{
    return links[index].name;
}

/* "opencl" or "opencl:1". False: it is neither. */
static bool link_end_read(const char *text, size_t length, link_end *out_end)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    size_t kind_length = 0;
    while (kind_length < length && text[kind_length] != '\0' && strchr(letters, text[kind_length]) != NULL) {
        kind_length++;
    }
    if (kind_length == 0 || kind_length >= MAX_KIND) {
        return false;
    }
    memset(out_end, 0, sizeof(*out_end));
    memcpy(out_end->kind, text, kind_length);
    out_end->ordinal = ANY_DEVICE;
    if (kind_length == length) {
        return true;
    }
    if (text[kind_length] != ':' || kind_length + 1 == length) {
        return false;
    }
    int32_t ordinal = 0;
    for (size_t k = kind_length + 1; k < length; k++) {
        if (text[k] < '0' || text[k] > '9' || ordinal > MAX_ORDINAL / 10) {
            return false;
        }
        ordinal = ordinal * 10 + (text[k] - '0');
    }
    out_end->ordinal = ordinal;
    return length == kind_length + 2 || text[kind_length + 1] != '0'; /* one name for each device */
}

static bool link_ends_read(const char *name, size_t length, link_end *out_from, link_end *out_to)
{
    const char *dot = memchr(name, '.', length);
    if (dot == NULL) {
        return false;
    }
    size_t from_length = (size_t)(dot - name);
    return link_end_read(name, from_length, out_from) && link_end_read(dot + 1, length - from_length - 1, out_to);
}

bool ndbuf__link_is_name(const char *name, size_t length)
{
    link_end from;
    link_end to;
    return link_ends_read(name, length, &from, &to);
}

int32_t ndbuf__link_find(const char *name, size_t length)
{
    int32_t count = ndbuf__link_count();
    for (int32_t i = 0; i < count; i++) {
        if (strlen(links[i].name) == length && memcmp(links[i].name, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

int32_t ndbuf__link_add(const char *name, size_t length)
{
    int32_t index = ndbuf__link_count();
    set_link *link = &links[index];
    (void)link_ends_read(name, length, &link->from, &link->to);
    memcpy(link->name, name, length);
    for (int32_t k = 0; k < NDBUF__LINK_NCOSTS; k++) {
        atomic_store_explicit(&link->costs[k], (double)NAN, memory_order_relaxed);
    }
    atomic_store_explicit(&nlinks, index + 1, memory_order_release);
    return index;
}

double ndbuf__link_cost_get(int32_t index, int32_t cost)
{
    return atomic_load_explicit(&links[index].costs[cost], memory_order_relaxed);
}

void ndbuf__link_cost_set(int32_t index, int32_t cost, double value)
{
    atomic_store_explicit(&links[index].costs[cost], value, memory_order_relaxed);
}

/* How closely an end describes a device: 0 by its kind, 1 by its number; -1: it is another one. */
static int link_end_match(const link_end *end, const ndbuf_device *device)
{
    if (strcmp(end->kind, device->ops->name) != 0) {
        return -1;
    }
    if (end->ordinal == ANY_DEVICE) {
        return 0;
    }
    int32_t ordinal = device->core != NULL ? device->core->ordinal : 0; /* memory that goes with a device has no core */
    return end->ordinal == ordinal ? 1 : -1;
}

/* Each cost is the one set for the closest description, of which the destination's counts first. */
static void use_set_costs(const ndbuf_device *dst, const ndbuf_device *src, int32_t count, ndbuf_copy_caps *caps)
{
    double *costs[] = {
#define PLACE_OF_COST(name, ...) &caps->name,
        NDBUF__LINK_COST_LIST(PLACE_OF_COST)
#undef PLACE_OF_COST
    };
    int closest[NDBUF__LINK_NCOSTS]; /* of what each cost was taken from, plus 1; 0: the backend's */
    memset(closest, 0, sizeof(closest));
    for (int32_t i = 0; i < count; i++) {
        int to = link_end_match(&links[i].to, dst);
        int from = link_end_match(&links[i].from, src);
        if (to < 0 || from < 0) {
            continue;
        }
        for (int32_t k = 0; k < NDBUF__LINK_NCOSTS; k++) {
            double value = ndbuf__link_cost_get(i, k);
            if (!isnan(value) && 2 * to + from >= closest[k]) {
                closest[k] = 2 * to + from + 1;
                *costs[k] = value;
            }
        }
    }
}

void ndbuf__copy_caps_get(const ndbuf_backend_ops *ops, const ndbuf_device *dst, const ndbuf_device *src,
                          ndbuf_copy_caps *out_caps)
{
    memset(out_caps, 0, sizeof(*out_caps));
    ops->copy_caps(dst, src, out_caps);
    int32_t count = ndbuf__link_count();
    if (count > 0 && out_caps->flags != 0) {
        use_set_costs(dst, src, count, out_caps);
    }
}
