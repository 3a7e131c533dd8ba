/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_SIM_GRAPH_H
#define NDBUF_TESTS_CUDASIM_SIM_GRAPH_H

#include "tests/cudasim/sim.h"

typedef struct sim_node {
    sim_work work;
    int ndeps;
    int *deps; /* indices of earlier nodes */
} sim_node;

/* Shared by a graph and what was instantiated from it. */
typedef struct sim_nodes {
    int nrefs;
    int n;
    int room;
    sim_node *all;
} sim_nodes;

sim_nodes *sim_nodes_make(void);
int sim_nodes_add(sim_nodes *nodes, const sim_work *work, const int *deps, int ndeps);
void sim_nodes_release(sim_nodes *nodes);
cudaGraph_t sim_graph_make(sim_nodes *nodes, int device); /* takes the reference */
void sim_graph_reset(void);

#endif
