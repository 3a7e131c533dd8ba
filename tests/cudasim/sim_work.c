/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/cudasim/sim.h"

/* Doing the work: without the lock, and for the thread sanitizer in a lane's thread, so that it sees what the host
 * touches at the same time. */

static char *work_host_address(const sim_work *work, int region, uint64_t address)
{
    const sim_block *block = region < work->nregions ? work->regions[region].block : NULL;
    if (block == NULL) {
        return (char *)(uintptr_t)address;
    }
    return (char *)((uintptr_t)block->alias + (uintptr_t)(address - block->base));
}

/* Moves the rows, or only compares them: whether they are equal. */
static bool work_rows(const sim_work *work, char *dst, const sim_side *dst_side, const char *src,
                      const sim_side *src_side, bool compare)
{
    bool is_one = work->width == dst_side->pitch && work->width == src_side->pitch && work->depth == 1;
    uint64_t width = is_one ? work->width * work->height : work->width;
    uint64_t height = is_one ? 1 : work->height;
    bool equal = true;
    for (uint64_t z = 0; z < work->depth; z++) {
        for (uint64_t y = 0; y < height; y++) {
            char *to = dst + z * dst_side->slice + y * dst_side->pitch;
            const char *from = src + z * src_side->slice + y * src_side->pitch;
            if (compare) {
                equal = memcmp(to, from, width) == 0 && equal;
            } else {
                memmove(to, from, width);
            }
        }
    }
    return equal;
}

static void work_copy(sim_work *work)
{
    char *dst = work_host_address(work, 0, work->dst.address);
    if (work->staged == NULL) {
        (void)work_rows(work, dst, &work->dst, work_host_address(work, 1, work->src.address), &work->src, false);
        return;
    }
    const sim_side staged = {0, work->width, work->width * work->height};
    (void)work_rows(work, dst, &work->dst, work->staged, &staged, false);
    if (work->must_last) {
        /* Memory that was freed too early is found here, by the address sanitizer. */
        const char *src = work_host_address(work, 1, work->src.address);
        work->changed = !work_rows(work, work->staged, &staged, src, &work->src, true);
    }
}

static void work_fill(const sim_work *work)
{
    char *dst = work_host_address(work, 0, work->dst.address);
    for (uint64_t y = 0; y < work->height; y++) {
        memset(dst + y * work->dst.pitch, work->value, work->width);
    }
}

static void work_launch(const sim_work *work)
{
    char *dst = work_host_address(work, 0, work->dst.address);
    const char *src = work_host_address(work, work->nregions > 1 ? 1 : 0, work->src.address);
    for (uint32_t group = 0; group < work->ngroups; group++) {
        work->kernel(dst, src, &work->params, group, work->ngroups, work->group_nitems);
    }
}

void sim_work_run(sim_op *op)
{
    sim_work *work = &op->work;
    switch (work->kind) {
    case SIM_COPY:
        work_copy(work);
        break;
    case SIM_FILL:
        work_fill(work);
        break;
    case SIM_LAUNCH:
        work_launch(work);
        break;
    case SIM_HOST_CALL:
        sim_self.in_host_fn = true;
        work->host_fn(work->host_data);
        sim_self.in_host_fn = false;
        break;
    default:
        break;
    }
}
