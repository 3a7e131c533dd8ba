/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/cudasim/sim.h"

/* A handle is an address where nothing is, which tells the object's number. */
#define OBJECT_BASE 0x5C0000000000ULL
#define OBJECT_STEP 16U

static struct {
    sim_object **all; /* by number; NULL: dropped */
    uint64_t n;
    uint64_t room;
    int64_t nlive[SIM_NKINDS];
} objects = {.n = 1};

void *sim_handle_of(const sim_object *object)
{
    return (void *)(uintptr_t)(OBJECT_BASE + object->number * OBJECT_STEP);
}

void *sim_handle_make(sim_object *object, sim_kind kind)
{
    if (objects.n >= objects.room) {
        uint64_t room = objects.room == 0 ? 256 : 2 * objects.room;
        sim_object **grown = realloc(objects.all, room * sizeof(*grown));
        if (grown == NULL) {
            abort();
        }
        objects.all = grown;
        objects.room = room;
    }
    object->kind = kind;
    object->number = objects.n++;
    objects.all[object->number] = object;
    objects.nlive[kind]++;
    return sim_handle_of(object);
}

void *sim_object_find(const void *handle, sim_kind kind)
{
    static const char *const names[] = {"stream",           "event",       "pool", "library", "kernel", "graph",
                                        "graph executable", "default pool"};
    uint64_t number = ((uintptr_t)handle - OBJECT_BASE) / OBJECT_STEP;
    if ((uintptr_t)handle < OBJECT_BASE || (uintptr_t)handle % OBJECT_STEP != 0 || number == 0 || number >= objects.n) {
        if (handle != NULL) {
            sim_violate("%p is no %s and never was", handle, names[kind]);
        }
        return NULL;
    }
    sim_object *object = objects.all[number];
    if (object == NULL) {
        sim_violate("the %s %p was destroyed before this use", names[kind], handle);
        return NULL;
    }
    if (object->kind != kind) {
        sim_violate("%p is not a %s, but a %s", handle, names[kind], names[object->kind]);
        return NULL;
    }
    return object;
}

void sim_object_drop(sim_object *object)
{
    objects.all[object->number] = NULL;
    objects.nlive[object->kind]--;
}

int64_t sim_object_count(sim_kind kind)
{
    return objects.nlive[kind];
}
