/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_TUNING_CORE_H
#define NDBUF_CORE_TUNING_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/tuning.h"

#include "core/compiler.h"

/* A constant of a built-in backend. */
typedef struct ndbuf__tunable {
    const char *name; /* "cpu.stream_nbytes" */
    const char *unit;
    const char *meaning;
    int64_t min;
    int64_t max; /* not above NDBUF__TUNABLE_MAX */
} ndbuf__tunable;

/* The largest value; for thresholds, what is never reached. A double holds it exactly. */
#define NDBUF__TUNABLE_MAX ((int64_t)1 << 62)

/* What the table of built-in backends (core/backend_registry.h) says of a backend that has constants. */
typedef struct ndbuf__tunables {
    int32_t count;
    const ndbuf__tunable *list;
    _Atomic(int64_t) *values;   /* read without a lock */
    _Atomic(uint32_t) *changes; /* grows behind each value that is set */
    const int64_t *defaults;
    void (*prepare)(void); /* fills both, once; any number of calls, from any thread */
} ndbuf__tunables;

/* Where NDBUF_TUNING's file stands. */
extern _Atomic(bool) ndbuf__tuning_is_started;

void ndbuf__tuning_start_now(void);

/* Reads the file that NDBUF_TUNING names, unless that was done. Before the first decision. */
static inline void ndbuf__tuning_start(void)
{
    if (!NDBUF__LIKELY(atomic_load_explicit(&ndbuf__tuning_is_started, memory_order_acquire))) {
        ndbuf__tuning_start_now();
    }
}

/* -- between core/tuning.c and core/tuning_text.c -- */

/* A constant, found by its name. */
typedef struct ndbuf__tuning_place {
    const ndbuf__tunables *tunables; /* NULL: of a link */
    int32_t index;                   /* in the tunables; the cost of a link */
    const char *link;                /* "FROM.TO", link_length bytes long */
    size_t link_length;
} ndbuf__tuning_place;

/* One setting of a list. */
typedef struct ndbuf__tuning_setting {
    ndbuf__tuning_place place;
    double value;
} ndbuf__tuning_setting;

/* The constant of a name `length` bytes long. NDBUF_ERR_INVALID: there is none. */
ndbuf_status ndbuf__tuning_find(const char *name, size_t length, ndbuf__tuning_place *out_place, ndbuf_error *err);

/* Whether both are the same constant. */
bool ndbuf__tuning_is_same(const ndbuf__tuning_place *a, const ndbuf__tuning_place *b);

/* NDBUF_ERR_INVALID: not a value of the constant. */
ndbuf_status ndbuf__tuning_check(const ndbuf__tuning_place *place, double value, ndbuf_error *err);

/* Makes all settings, which were checked, or none. NDBUF_ERR_BUSY: too many links. */
ndbuf_status ndbuf__tuning_apply(const ndbuf__tuning_setting *settings, int32_t count, ndbuf_error *err);

/* The text of a file. `machine` (128 bytes) is written on success. Statuses of ndbuf_tuning_load. */
ndbuf_status ndbuf__tuning_load(const char *path, char *out_machine, ndbuf_error *err);
ndbuf_status ndbuf__tuning_parse(const char *text, size_t length, const char *name, char *out_machine,
                                 ndbuf_error *err);

#endif
