/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/cudasim/sim.h"

/* Doing the work: in a lane's thread and without the lock, so that the thread sanitizer sees what the host touches at
 * the same time. */

static char *work_host_address(const sim_work *work, int region, uint64_t address)
{
    const sim_block *block = region < work->nregions ? work->regions[region].block : NULL;
    if (block == NULL) {
        return (char *)(uintptr_t)address;
    }
    return (char *)((uintptr_t)block->alias + (uintptr_t)(address - block->base));
}

static void work_copy(const sim_work *work)
{
    char *dst = work_host_address(work, 0, work->dst.address);
    const char *src = work->staged != NULL ? work->staged : work_host_address(work, 1, work->src.address);
    if (work->width == work->dst.pitch && work->width == work->src.pitch && work->depth == 1) {
        memmove(dst, src, work->width * work->height);
        return;
    }
    for (uint64_t z = 0; z < work->depth; z++) {
        for (uint64_t y = 0; y < work->height; y++) {
            memmove(dst + z * work->dst.slice + y * work->dst.pitch, src + z * work->src.slice + y * work->src.pitch,
                    work->width);
        }
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
    const sim_work *work = &op->work;
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
