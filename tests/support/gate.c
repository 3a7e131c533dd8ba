/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gate.h"

void test_gate_init(test_gate *gate)
{
    ndbuf__mutex_init(&gate->mutex);
    ndbuf__cond_init(&gate->opened);
    gate->is_open = false;
}

void test_gate_open(test_gate *gate)
{
    ndbuf__mutex_lock(&gate->mutex);
    gate->is_open = true;
    ndbuf__cond_broadcast(&gate->opened);
    ndbuf__mutex_unlock(&gate->mutex);
}

void *test_gate_open_later(void *context)
{
    ndbuf__thread_sleep_us(5000);
    test_gate_open(context);
    return NULL;
}

void test_gate_clear(test_gate *gate)
{
    ndbuf__cond_clear(&gate->opened);
    ndbuf__mutex_clear(&gate->mutex);
}

ndbuf_status test_gate_pass(void *context, ndbuf_error *err)
{
    (void)err;
    test_gate *gate = context;
    ndbuf__mutex_lock(&gate->mutex);
    while (!gate->is_open) {
        ndbuf__cond_wait(&gate->opened, &gate->mutex);
    }
    ndbuf__mutex_unlock(&gate->mutex);
    return NDBUF_OK;
}
