/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_GATE_H
#define NDBUF_TESTS_SUPPORT_GATE_H

/* A gate that holds up a queue until the test opens it. */

#include <stdbool.h>

#include "ndbuf/status.h"

#include "core/sync.h"

typedef struct test_gate {
    ndbuf__mutex mutex;
    ndbuf__cond opened;
    bool is_open;
} test_gate;

void test_gate_init(test_gate *gate);
void test_gate_open(test_gate *gate);

/* A thread's function: opens `context`, a gate, when others have had the time to come to it. Returns NULL. */
void *test_gate_open_later(void *context);

/* Nobody waits at it any more. */
void test_gate_clear(test_gate *gate);

/* A host function for a queue: waits until `context`, a gate, is open. */
ndbuf_status test_gate_pass(void *context, ndbuf_error *err);

#endif
