/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cudasim/sim_graph.h"

#include <stdlib.h>
#include <string.h>

typedef struct graph {
    sim_object object;
    int device;
    sim_nodes *nodes;
    sim_op *last; /* of an executable: its last launch is over */
    struct graph *next;
} graph;

static graph *graph_all; /* executables, too */

sim_nodes *sim_nodes_make(void)
{
    sim_nodes *nodes = sim_alloc(sizeof(*nodes));
    nodes->nrefs = 1;
    return nodes;
}

int sim_nodes_add(sim_nodes *nodes, const sim_work *work, const int *deps, int ndeps)
{
    if (nodes->n == nodes->room) {
        nodes->room = nodes->room == 0 ? 16 : 2 * nodes->room;
        sim_node *grown = realloc(nodes->all, (size_t)nodes->room * sizeof(*grown));
        if (grown == NULL) {
            abort();
        }
        nodes->all = grown;
    }
    sim_node *node = &nodes->all[nodes->n];
    node->work = *work;
    node->ndeps = ndeps;
    node->deps = sim_alloc((size_t)ndeps * sizeof(*deps));
    if (ndeps > 0) {
        memcpy(node->deps, deps, (size_t)ndeps * sizeof(*deps));
    }
    if (work->block != NULL) {
        sim_block_retain(work->block);
    }
    return nodes->n++;
}

void sim_nodes_release(sim_nodes *nodes)
{
    if (--nodes->nrefs > 0) {
        return;
    }
    for (int i = 0; i < nodes->n; i++) {
        sim_node *node = &nodes->all[i];
        if (node->work.block != NULL) {
            if (node->work.kind == SIM_ALLOC) {
                sim_block_remove(node->work.block);
            }
            sim_block_release(node->work.block);
        }
        free(node->deps);
    }
    free(nodes->all);
    free(nodes);
}

static cudaError_t graph_find(const void *handle, sim_kind kind, graph **out_graph)
{
    *out_graph = sim_object_find(handle, kind);
    return *out_graph == NULL ? cudaErrorInvalidValue : cudaSuccess;
}

static graph *graph_add(sim_nodes *nodes, int device, sim_kind kind)
{
    graph *g = sim_alloc(sizeof(*g));
    g->nodes = nodes;
    g->device = device;
    g->next = graph_all;
    graph_all = g;
    (void)sim_handle_make(&g->object, kind);
    return g;
}

cudaGraph_t sim_graph_make(sim_nodes *nodes, int device)
{
    return sim_handle_of(&graph_add(nodes, device, SIM_GRAPH)->object);
}

static void graph_free(graph *g)
{
    graph **at = &graph_all;
    while (*at != g) {
        at = &(*at)->next;
    }
    *at = g->next;
    sim_object_drop(&g->object);
    if (g->last != NULL) {
        sim_op_wait(g->last); /* the memory of its nodes is gone afterwards */
        sim_op_release(g->last);
    }
    sim_nodes_release(g->nodes);
    free(g);
}

void sim_graph_reset(void)
{
    while (graph_all != NULL) {
        graph_free(graph_all);
    }
}

/* ---- the API ---- */

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *pGraphExec, cudaGraph_t handle, unsigned long long flags)
{
    graph *g;
    const unsigned long long known = cudaGraphInstantiateFlagAutoFreeOnLaunch | cudaGraphInstantiateFlagUpload |
                                     cudaGraphInstantiateFlagDeviceLaunch | cudaGraphInstantiateFlagUseNodePriority;
    SIM_ENTER(cudaGraphInstantiate);
    SIM_FAIL_IF(pGraphExec == NULL || (flags & ~known) != 0, cudaErrorInvalidValue);
    SIM_TRY(graph_find(handle, SIM_GRAPH, &g));
    g->nodes->nrefs++;
    *pGraphExec = sim_handle_of(&graph_add(g->nodes, g->device, SIM_GRAPH_EXEC)->object);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle)
{
    graph *g;
    SIM_ENTER_AS(cudaGraphDestroy, SIM_RELEASES);
    SIM_TRY(graph_find(handle, SIM_GRAPH, &g));
    graph_free(g);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graphExec)
{
    graph *g;
    SIM_ENTER_AS(cudaGraphExecDestroy, SIM_RELEASES);
    SIM_TRY(graph_find(graphExec, SIM_GRAPH_EXEC, &g));
    graph_free(g);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes, size_t *numNodes)
{
    graph *g;
    SIM_ENTER(cudaGraphGetNodes);
    SIM_FAIL_IF(numNodes == NULL, cudaErrorInvalidValue);
    SIM_TRY(graph_find(handle, SIM_GRAPH, &g));
    size_t n = (size_t)g->nodes->n;
    for (size_t i = 0; nodes != NULL && i < *numNodes; i++) {
        nodes[i] = i < n ? (void *)((uintptr_t)sim_handle_of(&g->object) + i + 1) : NULL;
    }
    *numNodes = nodes == NULL || n < *numNodes ? n : *numNodes;
    return sim_leave(cudaSuccess);
}

static cudaError_t graph_resolve(sim_work *work)
{
    for (int i = 0; i < work->nregions; i++) {
        cudaError_t status = sim_region_resolve(&work->regions[i], work->what);
        if (status != cudaSuccess) {
            return status;
        }
    }
    return cudaSuccess;
}

/* Each node is work of a stream of its own: only their dependencies order them. */
static cudaError_t graph_submit(const graph *g, sim_stream *stream, sim_op **out_ops, int *out_n)
{
    sim_op **stream_preds;
    int nstream_preds = sim_stream_preds(stream, &stream_preds);
    sim_op **preds = sim_alloc((size_t)(nstream_preds + g->nodes->n + 2) * sizeof(*preds));
    cudaError_t status = cudaSuccess;
    if (g->last != NULL) {
        stream_preds[nstream_preds++] = g->last;
    }
    int n = 0;
    for (; n < g->nodes->n && status == cudaSuccess; n++) {
        const sim_node *node = &g->nodes->all[n];
        int npreds = 0;
        for (int i = 0; i < node->ndeps; i++) {
            preds[npreds++] = out_ops[node->deps[i]];
        }
        for (int i = 0; i < nstream_preds && node->ndeps == 0; i++) {
            preds[npreds++] = stream_preds[i];
        }
        sim_work work = node->work;
        status = graph_resolve(&work);
        if (status != cudaSuccess) {
            break;
        }
        sim_copy_take_source(&work);
        out_ops[n] = sim_op_submit(&work, preds, npreds, stream->device, sim.next_number++);
    }
    *out_n = n;
    free(preds);
    free(stream_preds);
    return status;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graphExec, cudaStream_t stream)
{
    graph *g;
    sim_stream *s;
    SIM_ENTER(cudaGraphLaunch);
    SIM_TRY(graph_find(graphExec, SIM_GRAPH_EXEC, &g));
    SIM_TRY(sim_stream_find(stream, &s));
    if (s->capture != NULL) {
        sim_capture_invalidate(s->capture);
        return sim_leave(cudaErrorStreamCaptureUnsupported); /* the simulator knows no graphs within graphs */
    }
    SIM_TRY(sim_capture_check_legacy(s));
    int n = 0;
    sim_op **ops = sim_alloc((size_t)g->nodes->n * sizeof(*ops));
    cudaError_t status = graph_submit(g, s, ops, &n);
    sim_work end = {.kind = SIM_NOTHING, .what = what};
    sim_op *last = sim_stream_enqueue(s, &end, ops, n);
    for (int i = 0; i < n; i++) {
        sim_op_release(ops[i]);
    }
    free(ops);
    if (g->last != NULL) {
        sim_op_release(g->last);
    }
    g->last = last;
    return sim_leave(status);
}
