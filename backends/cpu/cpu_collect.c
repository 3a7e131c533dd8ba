/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_collect.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu_minmax.h"

static void run_append(cpu_item_sources *sources, int64_t place, int64_t nbytes, int32_t stream, int64_t at,
                       bool is_reversed)
{
    sources->runs[sources->nruns++] = (cpu_run_source){.place = (int32_t)place,
                                                       .nbytes = (int32_t)nbytes,
                                                       .stream = stream,
                                                       .at = (int32_t)at,
                                                       .swap_nbytes = is_reversed ? (int32_t)nbytes : 0};
}

/* A run is made in one vector: those of large items begin at multiples of one. */
void ndbuf_cpu__sources_put(cpu_item_sources *sources, int64_t place, int64_t nbytes, int32_t stream, int64_t at,
                            bool is_reversed)
{
    while (nbytes > 0) {
        int64_t n = cpu_smaller(nbytes, CPU_VECTOR_MAX - place % CPU_VECTOR_MAX);
        run_append(sources, place, n, stream, is_reversed ? at + nbytes - n : at, is_reversed);
        place += n;
        at += is_reversed ? 0 : n;
        nbytes -= n;
    }
}

static int compare_runs(const void *left, const void *right)
{
    const cpu_run_source *a = left;
    const cpu_run_source *b = right;
    return a->stream != b->stream ? a->stream - b->stream : a->at - b->at;
}

/* Gives a run of item `item` an input; false: there is none left. */
static bool collect_run(cpu_collect *collect, const cpu_run_source *run, int64_t place, int64_t item,
                        const cpu_collect_streams *streams)
{
    const int64_t at = item * streams->steps[run->stream] + run->at;
    int32_t i = 0;
    while (i < collect->nin && (collect->in[i].stream != run->stream || at < collect->in[i].offset ||
                                at + run->nbytes > collect->in[i].offset + CPU_VECTOR_MAX)) {
        i++;
    }
    if (i == CPU_SHUFFLE_MAX) {
        return false;
    }
    cpu_collect_input *in = &collect->in[i];
    if (i == collect->nin) {
        collect->nin++;
        in->stream = run->stream;
        in->offset = at;
        in->item_step = streams->steps[run->stream];
        in->reads = 0;
        memset(in->index, CPU_SHUFFLE_NONE, sizeof(in->index));
    }
    const int64_t reversed = run->swap_nbytes != 0 ? run->swap_nbytes - 1 : 0;
    for (int64_t byte = 0; byte < run->nbytes; byte++) {
        const int64_t from = reversed != 0 ? at + reversed - byte : at + byte;
        in->index[place + byte] = (uint8_t)(from - in->offset);
        in->reads |= (uint64_t)1 << (from - in->offset);
        collect->writes |= (uint64_t)1 << (place + byte);
    }
    return true;
}

/* How many steps from either end read the foreign stream byte by byte, because whole vectors might reach beyond it. */
static void measure_ends(cpu_collect *collect, const cpu_collect_streams *streams)
{
    collect->exact_head = 0;
    collect->exact_tail = 0;
    for (int32_t i = 0; i < collect->nin; i++) {
        const cpu_collect_input *in = &collect->in[i];
        if (in->stream != streams->foreign) {
            continue;
        }
        const int64_t stride = in->item_step;
        const int64_t step = (stride < 0 ? -stride : stride) * collect->nitems;
        const int64_t beyond = in->offset + CPU_VECTOR_MAX - streams->foreign_nbytes; /* of item 0 */
        if (step == 0) {
            collect->exact_head = INT64_MAX;
        } else if (stride < 0) {
            collect->exact_head = cpu_larger(collect->exact_head, cpu_larger(0, beyond + step - 1) / step);
        } else {
            collect->exact_tail = cpu_larger(collect->exact_tail, cpu_larger(0, beyond + stride - 1) / step);
        }
    }
}

/* One more collect, of the next `nitems` items' runs from place `first` on that are not done. Returns how many of them
 * it has no inputs for. */
static int64_t collect_begin(cpu_collect *collect, const cpu_item_sources *sources, bool *io_done, int32_t stream,
                             int64_t first, int64_t nitems, const cpu_collect_streams *streams)
{
    int64_t nmissing = 0;
    collect->nin = 0;
    collect->nitems = (int32_t)nitems;
    collect->stream = stream;
    collect->offset = first;
    collect->item_step = streams->steps[stream];
    collect->writes = 0;
    for (int32_t backwards = 0; backwards <= 1; backwards++) { /* inputs begin at their lowest byte */
        for (int64_t i = 0; i < nitems; i++) {
            const int64_t item = backwards ? nitems - 1 - i : i;
            for (int32_t r = 0; r < sources->nruns; r++) {
                const cpu_run_source *run = &sources->runs[r];
                const int64_t place = run->place - first;
                if (io_done[r] || place < 0 || place >= CPU_VECTOR_MAX ||
                    (streams->steps[run->stream] < 0) != (backwards != 0)) {
                    continue;
                }
                bool is_there = collect_run(collect, run, place + item * streams->steps[stream], item, streams);
                nmissing += is_there ? 0 : 1;
                io_done[r] = nitems == 1 && is_there;
            }
        }
    }
    measure_ends(collect, streams);
    return nmissing;
}

bool ndbuf_cpu__collects_add(cpu_collects *collects, cpu_item_sources *sources, int32_t stream, int64_t most,
                             const cpu_collect_streams *streams)
{
    bool done[CPU_COLLECT_MAX_NBYTES] = {false};
    int64_t nitems = 1;
    qsort(sources->runs, (size_t)sources->nruns, sizeof(sources->runs[0]), compare_runs);
    if (sources->nbytes <= CPU_VECTOR_MAX) {
        nitems = cpu_smaller((CPU_VECTOR_MAX - sources->nbytes) / streams->steps[stream] + 1, most);
    }
    int64_t first = 0;
    while (first < sources->nbytes) {
        if (collects->count == CPU_COLLECTS) {
            return false;
        }
        cpu_collect *collect = &collects->list[collects->count];
        int64_t nmissing = collect_begin(collect, sources, done, stream, first, nitems, streams);
        if (nitems > 1 && nmissing > 0) { /* fewer items, which lie in fewer vectors */
            nitems -= (nitems + 7) / 8;
            continue;
        }
        collects->count += collect->nin > 0 ? 1 : 0;
        if (nmissing == 0) { /* else other bytes of the same vector are next */
            first += CPU_VECTOR_MAX;
        }
    }
    collects->least = cpu_larger(collects->least, nitems);
    return true;
}

void ndbuf_cpu__collects_run(const cpu_collects *collects, const cpu_kernels *kernels, int32_t first, int32_t last,
                             char *const *streams, int64_t count, bool goes_on, int64_t prefetch_nbytes)
{
    for (int32_t i = first; i < last; i++) {
        const cpu_collect *collect = &collects->list[i];
        const int64_t nsteps = count / collect->nitems;
        const int64_t head = goes_on ? 0 : cpu_smaller(collect->exact_head, nsteps);
        const int64_t tail = goes_on ? 0 : cpu_smaller(collect->exact_tail, nsteps - head);
        kernels->collect(collect, streams, count, head, tail, prefetch_nbytes);
    }
}
