/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_sanitizers.h"

/* Operations are done by lanes, each a list of what is ready with a thread that is there for those who do not wait.
 * Host functions have a lane of their own: they may block. */
#define OP_HOST_LANE 0
#define OP_WORK_LANE 1
#define OP_NLANES 17
#define OP_QUERIES 3        /* so many say "not ready" before the work is asked for */
#define OP_HOST_DELAY_MS 20 /* somebody may wait for a host function without a call of CUDA */

typedef struct op_lane {
    bool started;
    bool idle;
    bool busy; /* with an operation: one at a time */
    pthread_cond_t wake;
    sim_op *first;
    sim_op *last;
} op_lane;

static op_lane op_lanes[OP_NLANES];
static struct {
    sim_op *first; /* all that are not done, oldest first */
    sim_op *last;
    int64_t nwork;       /* pending, without mere points in streams */
    int64_t nhost_calls; /* pending */
    int nrunning;
    int nhelpers;     /* callers that do what they wait for */
    bool is_dropping; /* all: the end of any is waited for */
    uint64_t visit;
    pthread_cond_t done;
} ops = {.done = PTHREAD_COND_INITIALIZER};

static void op_push(sim_op *op);
static bool op_lane_step(op_lane *lane);
static void op_end_help(void);

void sim_op_retain(sim_op *op)
{
    op->nrefs++;
}

void sim_op_release(sim_op *op)
{
    if (--op->nrefs > 0) {
        return;
    }
    for (int i = 0; i < op->npreds; i++) {
        sim_op_release(op->preds[i]);
    }
    free(op->preds);
    free(op->succs);
    free(op);
}

int64_t sim_op_nwork(void)
{
    return ops.nwork;
}

/* ---- demand ---- */

/* Asks for the operation and all that it depends on. */
void sim_op_demand(sim_op *op)
{
    size_t room = 16;
    size_t n = 0;
    sim_op **stack = sim_alloc(room * sizeof(*stack));
    stack[n++] = op;
    while (n > 0) {
        sim_op *at = stack[--n];
        if (at->demanded || at->state == SIM_DONE) {
            continue;
        }
        at->demanded = true;
        if (at->npending == 0 && at->state == SIM_WAITING) {
            op_push(at);
        }
        for (int i = 0; i < at->npreds; i++) {
            if (at->preds[i]->demanded || at->preds[i]->state == SIM_DONE) {
                continue;
            }
            if (n == room) {
                room *= 2;
                sim_op **grown = realloc(stack, room * sizeof(*stack));
                if (grown == NULL) {
                    abort();
                }
                stack = grown;
            }
            stack[n++] = at->preds[i];
        }
    }
    free(stack);
}

void sim_op_demand_all(void)
{
    for (sim_op *op = ops.first; op != NULL; op = op->next) {
        sim_op_demand(op);
    }
}

void sim_op_await(sim_op *op)
{
    /* Where there is one lane for work, who waits does it, which spares the threads their turns. */
    const bool helps = SIM_MAY_HELP && sim.schedule != CUDASIM_THREADS;
    sim_op_retain(op);
    op->nwaiting++;
    ops.nhelpers += helps;
    sim_op_demand(op);
    while (op->state != SIM_DONE) {
        if (!helps || !op_lane_step(&op_lanes[OP_WORK_LANE])) {
            sim_wait(&ops.done);
        }
    }
    if (helps) {
        op_end_help();
    }
    op->nwaiting--;
    sim_op_release(op);
}

void sim_op_wait(sim_op *op)
{
    sim_op_retain(op);
    sim_op_await(op);
    SIM_HAPPENS_AFTER(op);
    sim_op_release(op);
}

cudaError_t sim_op_query(sim_op *op)
{
    if (op->state == SIM_DONE) {
        SIM_HAPPENS_AFTER(op);
        return cudaSuccess;
    }
    if (++op->nqueries >= OP_QUERIES) {
        sim_op_demand(op);
    }
    return cudaErrorNotReady;
}

void sim_op_wait_device(int device)
{
    sim_op *at = ops.first;
    while (at != NULL) {
        if (at->device != device) {
            at = at->next;
            continue;
        }
        sim_op_wait(at);
        at = ops.first;
    }
    SIM_HAPPENS_AFTER(&sim.devices[device]); /* also work that was done before */
}

void sim_op_await_device(int device)
{
    sim_op *at = ops.first;
    while (at != NULL) {
        if (at->device != device) {
            at = at->next;
            continue;
        }
        sim_op_await(at);
        at = ops.first;
    }
}

/* ---- lanes ---- */

static void op_unlink(sim_op *op)
{
    *(op->prev == NULL ? &ops.first : &op->prev->next) = op->next;
    *(op->next == NULL ? &ops.last : &op->next->prev) = op->prev;
    ops.nwork -= op->work.kind != SIM_NOTHING;
    ops.nhost_calls -= op->work.kind == SIM_HOST_CALL;
}

/* What the work held. */
static void op_drop_work(sim_op *op)
{
    sim_block *block = op->work.block;
    for (int i = 0; i < op->work.nregions; i++) {
        if (op->work.regions[i].block != NULL) {
            sim_block_release(op->work.regions[i].block);
        }
    }
    if (block != NULL && block->alloc_op == op) {
        block->alloc_op = NULL;
        sim_op_release(op);
    }
    if (block != NULL) {
        sim_block_release(block);
    }
    free(op->work.staged);
    op->work.nregions = 0;
    op->work.block = NULL;
    op->work.staged = NULL;
}

static void op_finish(sim_op *op)
{
    op->state = SIM_DONE;
    op->done_at = sim_now_ms();
    op_unlink(op);
    sim_race_leave(op);
    op_drop_work(op);
    for (int i = 0; i < op->nsuccs; i++) {
        sim_op *succ = op->succs[i];
        if (--succ->npending == 0 && succ->demanded && succ->state == SIM_WAITING) {
            op_push(succ);
        }
    }
    op->nsuccs = 0;
    for (int i = 0; i < op->npreds; i++) {
        sim_op_release(op->preds[i]);
    }
    op->npreds = 0;
    if (op->nwaiting > 0 || ops.is_dropping) {
        pthread_cond_broadcast(&ops.done);
    }
    sim_op_release(op);
}

void sim_op_void_all(void)
{
    for (sim_op *op = ops.first; op != NULL; op = op->next) {
        op->is_void = true;
    }
}

/* What must be known before the lock is left; the work itself is done without it. */
static void op_prepare(sim_op *op)
{
    sim_work *work = &op->work;
    if (op->is_void || work->kind == SIM_NOTHING) {
        return;
    }
    if (work->kind != SIM_ALLOC && work->kind != SIM_FREE) {
        cudaError_t fault = sim_fault_of_work();
        fault = fault == cudaSuccess ? work->fault : fault;
        if (fault != cudaSuccess) {
            sim.sticky = fault;
            sim_op_void_all();
        }
    }
    for (int i = 0; i < work->nregions && !op->is_void; i++) {
        if (work->regions[i].block != NULL && work->regions[i].block->gone) {
            sim_violate("%s runs after the block " SIM_ADDRESS_FORMAT " was freed", work->what,
                        (unsigned long long)work->regions[i].block->base);
            op->is_void = true;
        }
    }
}

static void op_run(sim_op *op)
{
    op->state = SIM_RUNNING;
    ops.nrunning++;
    for (int i = 0; i < op->npreds; i++) {
        SIM_HAPPENS_AFTER(op->preds[i]);
    }
    SIM_HAPPENS_AFTER(op);
    if (op->after_device) {
        SIM_HAPPENS_AFTER(&sim.devices[op->device]);
    }
    op_prepare(op);
    if (op->work.kind == SIM_ALLOC && !op->is_void && !op->work.block->gone) {
        sim_block_refill(op->work.block, SIM_FILL_FRESH);
    } else if (op->work.kind == SIM_FREE) {
        if (op->work.block->of_graph) {
            sim_block_refill(op->work.block, SIM_FILL_FREED);
        } else {
            sim_block_remove(op->work.block);
        }
    } else if (op->work.kind != SIM_NOTHING && !op->is_void) {
        sim_unlock();
        sim_work_run(op);
        sim_lock();
        if (op->work.changed) {
            sim_violate("%s: the pageable memory " SIM_ADDRESS_FORMAT
                        " changed between the copy's call, or the launch of its graph, and its execution: which bytes "
                        "it takes, nobody promises",
                        op->work.what, (unsigned long long)op->work.src.address);
        }
    }
    SIM_HAPPENS_BEFORE(op);
    SIM_HAPPENS_BEFORE(&sim.devices[op->device]);
    ops.nrunning--;
    op_finish(op);
}

/* Asks for the oldest host function that nobody asked for. */
static void op_demand_host_call(void)
{
    double now = sim_now_ms();
    for (sim_op *op = ops.first; op != NULL; op = op->next) {
        if (op->work.kind == SIM_HOST_CALL && !op->demanded && now - op->queued_at >= OP_HOST_DELAY_MS) {
            sim_op_demand(op);
            return;
        }
    }
}

/* Does the next operation of a lane, if it has one and is not at work. */
static bool op_lane_step(op_lane *lane)
{
    sim_op *op = lane->first;
    if (op == NULL || lane->busy) {
        return false;
    }
    lane->first = op->lane_next;
    lane->busy = true;
    op_run(op);
    lane->busy = false;
    return true;
}

static void *op_lane_main(void *argument)
{
    op_lane *lane = argument;
    sim_lock();
    for (;;) {
        if (op_lane_step(lane)) {
            continue;
        }
        lane->idle = true;
        if (lane == &op_lanes[OP_HOST_LANE] && ops.nhost_calls > 0) {
            if (!sim_wait_ms(&lane->wake, OP_HOST_DELAY_MS)) {
                op_demand_host_call();
            }
        } else {
            sim_wait(&lane->wake);
        }
        lane->idle = false;
    }
    return NULL;
}

static void op_lane_wake(int i)
{
    op_lane *lane = &op_lanes[i];
    if (!lane->started) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_cond_init(&lane->wake, NULL);
        if (pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0) {
            abort();
        }
        SIM_HIDE_SYNC_BEGIN();
        if (pthread_create(&thread, &attributes, op_lane_main, lane) != 0) {
            abort();
        }
        SIM_HIDE_SYNC_END();
        pthread_attr_destroy(&attributes);
        lane->started = true;
    } else if (lane->idle) {
        lane->idle = false; /* once is enough */
        pthread_cond_signal(&lane->wake);
    }
}

/* Everything before it is done and somebody asked for it. */
static void op_push(sim_op *op)
{
    int number = OP_WORK_LANE;
    if (op->work.kind == SIM_HOST_CALL) {
        number = OP_HOST_LANE;
    } else if (sim.schedule == CUDASIM_THREADS) {
        number = OP_WORK_LANE + (int)(op->stream % (OP_NLANES - OP_WORK_LANE));
    }
    op_lane *lane = &op_lanes[number];
    if (number == OP_WORK_LANE && ops.nhelpers > 0) {
        pthread_cond_broadcast(&ops.done);
    } else {
        op_lane_wake(number);
    }
    op->state = SIM_QUEUED;
    op->lane_next = NULL;
    *(lane->first == NULL ? &lane->first : &lane->last->lane_next) = op;
    lane->last = op;
}

/* What is left is for other helpers, or the lane's thread. */
static void op_end_help(void)
{
    ops.nhelpers--;
    if (op_lanes[OP_WORK_LANE].first == NULL) {
        return;
    }
    if (ops.nhelpers > 0) {
        pthread_cond_broadcast(&ops.done);
    } else {
        op_lane_wake(OP_WORK_LANE);
    }
}

/* ---- submission ---- */

static void op_add_pred(sim_op *op, sim_op *pred)
{
    for (int i = 0; i < op->npreds; i++) {
        if (op->preds[i] == pred) {
            return;
        }
    }
    op->preds[op->npreds++] = pred;
    sim_op_retain(pred);
    if (pred->state == SIM_DONE) {
        return;
    }
    op->npending++;
    if (pred->nsuccs == pred->succs_room) {
        pred->succs_room = pred->succs_room == 0 ? 4 : 2 * pred->succs_room;
        sim_op **grown = realloc(pred->succs, (size_t)pred->succs_room * sizeof(*grown));
        if (grown == NULL) {
            abort();
        }
        pred->succs = grown;
    }
    pred->succs[pred->nsuccs++] = op;
}

sim_op *sim_op_submit(const sim_work *work, sim_op *const *preds, int npreds, int device, uint64_t stream)
{
    sim_op *op = sim_alloc(sizeof(*op));
    op->work = *work;
    op->nrefs = 2; /* the caller's, and that of the pending list */
    op->device = device;
    op->stream = stream;
    op->number = sim.next_number++;
    op->queued_at = sim_now_ms();
    op->is_void = sim.sticky != cudaSuccess;
    op->preds = sim_alloc(((size_t)npreds + 1) * sizeof(*op->preds));
    for (int i = 0; i < npreds; i++) {
        if (preds[i] != NULL) {
            op_add_pred(op, preds[i]);
        }
    }
    for (int i = 0; i < op->work.nregions; i++) {
        if (op->work.regions[i].block != NULL) {
            sim_block_retain(op->work.regions[i].block);
        }
    }
    if (op->work.block != NULL) {
        sim_block_retain(op->work.block);
    }
    op->prev = ops.last;
    *(ops.last == NULL ? &ops.first : &ops.last->next) = op;
    ops.last = op;
    ops.nwork += op->work.kind != SIM_NOTHING;
    if (op->work.kind == SIM_HOST_CALL) {
        ops.nhost_calls++;
        op_lane_wake(OP_HOST_LANE);
    }
    if (op->work.kind == SIM_FREE) {
        sim_race_free(op);
    }
    sim_race_enter(op);
    SIM_HAPPENS_BEFORE(op);
    if (sim.schedule == CUDASIM_EAGER || sim.schedule == CUDASIM_THREADS) {
        sim_op_demand(op);
    }
    return op;
}

void sim_op_mark_ancestors(sim_op *op, uint64_t *out_mark)
{
    uint64_t mark = ++ops.visit;
    size_t room = 16;
    size_t n = 0;
    sim_op **stack = sim_alloc(room * sizeof(*stack));
    op->visited = mark;
    stack[n++] = op;
    while (n > 0) {
        const sim_op *at = stack[--n];
        for (int i = 0; i < at->npreds; i++) {
            sim_op *pred = at->preds[i];
            if (pred->visited == mark || pred->state == SIM_DONE) {
                continue;
            }
            pred->visited = mark;
            if (n == room) {
                room *= 2;
                sim_op **grown = realloc(stack, room * sizeof(*stack));
                if (grown == NULL) {
                    abort();
                }
                stack = grown;
            }
            stack[n++] = pred;
        }
    }
    free(stack);
    *out_mark = mark;
}

/* The schedule "random": now and then one ready operation, and mostly its end is waited for, so that a seed repeats. */
void sim_op_random_step(void)
{
    sim_op *ready[32];
    size_t n = 0;
    if (sim_random_next() % 4 == 0) {
        return;
    }
    for (sim_op *op = ops.first; op != NULL && n < sizeof(ready) / sizeof(ready[0]); op = op->next) {
        if (op->npending == 0 && op->state == SIM_WAITING) {
            ready[n++] = op;
        }
    }
    if (n == 0) {
        return;
    }
    sim_op *op = ready[sim_random_next() % n];
    if (op->work.kind == SIM_HOST_CALL) {
        sim_op_demand(op);
        return;
    }
    sim_op_await(op); /* the caller does not know that it is done */
}

void sim_op_drop_all(void)
{
    ops.is_dropping = true;
    while (ops.nrunning > 0) {
        sim_wait(&ops.done);
    }
    sim_op_void_all();
    while (ops.first != NULL) {
        sim_op *op = ops.first;
        sim_op_demand(op);
        sim_wait(&ops.done);
    }
    ops.is_dropping = false;
}
