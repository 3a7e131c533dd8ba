/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tuning_core.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/backend_registry.h"
#include "core/copy_core.h"
#include "core/environment.h"
#include "core/fork_guard.h"
#include "core/link_costs.h"
#include "core/sync.h"

#define LINK_PREFIX "link."
#define MAX_COST 1e12

static const struct {
    const char *name;
    const char *unit;
    const char *meaning;
} link_costs[] = {
#define LINK_COST_LINE(name, unit, meaning) {#name, unit, meaning},
    NDBUF__LINK_COST_LIST(LINK_COST_LINE)
#undef LINK_COST_LINE
};

/* Writers hold the guard; values are read without it. */
static ndbuf__fork_guard guard = NDBUF__FORK_GUARD_INIT;
static char machine[sizeof(((ndbuf_tuning_info *)0)->machine)];

/* What came of NDBUF_TUNING. */
_Atomic(bool) ndbuf__tuning_is_started;
static ndbuf__fork_guard start_guard = NDBUF__FORK_GUARD_INIT;
static ndbuf_tuning_info started; /* its nset and machine are not used */

/* -- the constants -- */

/* The next built-in backend that has constants, from *index on; NULL: no more. */
static const ndbuf__tunables *next_tunables(int32_t *index)
{
    while (*index < ndbuf__builtin_backend_count) {
        const ndbuf__tunables *tunables = ndbuf__builtin_backends[(*index)++].tunables;
        if (tunables != NULL) {
            tunables->prepare();
            return tunables;
        }
    }
    return NULL;
}

static ndbuf_status find_link(const char *name, size_t length, ndbuf__tuning_place *out_place)
{
    size_t prefix = strlen(LINK_PREFIX);
    size_t end = length;
    while (end > 0 && name[end - 1] != '.') {
        end--;
    }
    if (length <= prefix || memcmp(name, LINK_PREFIX, prefix) != 0 || end <= prefix) {
        return NDBUF_ERR_INVALID;
    }
    const char *cost = name + end;
    ndbuf__tuning_place place = {.link = name + prefix, .link_length = end - 1 - prefix};
    if (!ndbuf__link_is_name(place.link, place.link_length)) {
        return NDBUF_ERR_INVALID;
    }
    for (; place.index < NDBUF__LINK_NCOSTS; place.index++) {
        const char *known = link_costs[place.index].name;
        if (strlen(known) == length - end && memcmp(known, cost, length - end) == 0) {
            *out_place = place;
            return NDBUF_OK;
        }
    }
    return NDBUF_ERR_INVALID;
}

ndbuf_status ndbuf__tuning_find(const char *name, size_t length, ndbuf__tuning_place *out_place, ndbuf_error *err)
{
    int32_t backend = 0;
    for (const ndbuf__tunables *tunables; (tunables = next_tunables(&backend)) != NULL;) {
        for (int32_t i = 0; i < tunables->count; i++) {
            const char *known = tunables->list[i].name;
            if (strlen(known) == length && memcmp(known, name, length) == 0) {
                *out_place = (ndbuf__tuning_place){.tunables = tunables, .index = i};
                return NDBUF_OK;
            }
        }
    }
    return find_link(name, length, out_place) == NDBUF_OK
               ? NDBUF_OK
               : ndbuf_fail(err, NDBUF_ERR_INVALID, "no constant '%.*s'", length < 100 ? (int)length : 100, name);
}

bool ndbuf__tuning_is_same(const ndbuf__tuning_place *a, const ndbuf__tuning_place *b)
{
    return a->tunables == b->tunables && a->index == b->index && a->link_length == b->link_length &&
           (a->link == NULL || memcmp(a->link, b->link, a->link_length) == 0);
}

ndbuf_status ndbuf__tuning_check(const ndbuf__tuning_place *place, double value, ndbuf_error *err)
{
    if (place->tunables == NULL) {
        return value >= 0 && value <= MAX_COST ? NDBUF_OK
                                               : ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is %g: not from 0 to %g",
                                                            link_costs[place->index].name, value, MAX_COST);
    }
    const ndbuf__tunable *tunable = &place->tunables->list[place->index];
    if (!(value >= (double)tunable->min && value <= (double)tunable->max)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is %g: not from %lld to %lld", tunable->name, value,
                          (long long)tunable->min, (long long)tunable->max);
    }
    return value == (double)(int64_t)value
               ? NDBUF_OK
               : ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is %g: not an integer", tunable->name, value);
}

/* With the guard held, and room for a link. value NAN: back to the default. */
static void apply_one(const ndbuf__tuning_place *place, double value)
{
    if (place->tunables != NULL) {
        int64_t integer = isnan(value) ? place->tunables->defaults[place->index] : (int64_t)value;
        atomic_store_explicit(&place->tunables->values[place->index], integer, memory_order_relaxed);
        atomic_fetch_add_explicit(place->tunables->changes, 1, memory_order_release);
        return;
    }
    int32_t link = ndbuf__link_find(place->link, place->link_length);
    if (link < 0 && !isnan(value)) {
        link = ndbuf__link_add(place->link, place->link_length);
    }
    if (link >= 0) {
        ndbuf__link_cost_set(link, place->index, value);
    }
}

/* How many links a list adds to those that there are. */
static int32_t count_new_links(const ndbuf__tuning_setting *settings, int32_t count)
{
    int32_t nnew = 0;
    for (int32_t i = 0; i < count; i++) {
        const ndbuf__tuning_place *place = &settings[i].place;
        bool is_new = place->tunables == NULL && !isnan(settings[i].value) &&
                      ndbuf__link_find(place->link, place->link_length) < 0;
        for (int32_t j = 0; j < i && is_new; j++) {
            const ndbuf__tuning_place *before = &settings[j].place;
            is_new = before->tunables != NULL || before->link_length != place->link_length ||
                     memcmp(before->link, place->link, place->link_length) != 0;
        }
        nnew += is_new;
    }
    return nnew;
}

ndbuf_status ndbuf__tuning_apply(const ndbuf__tuning_setting *settings, int32_t count, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    ndbuf__fork_guard_lock(&guard, NULL, NULL);
    if (ndbuf__link_count() + count_new_links(settings, count) > NDBUF__MAX_LINKS) {
        status = ndbuf_fail(err, NDBUF_ERR_BUSY, "constants of more than %d links", NDBUF__MAX_LINKS);
    }
    for (int32_t i = 0; i < count && status == NDBUF_OK; i++) {
        apply_one(&settings[i].place, settings[i].value);
    }
    ndbuf__fork_guard_unlock(&guard);
    return status;
}

static double value_of(const ndbuf__tuning_place *place)
{
    if (place->tunables != NULL) {
        return (double)atomic_load_explicit(&place->tunables->values[place->index], memory_order_relaxed);
    }
    int32_t link = ndbuf__link_find(place->link, place->link_length);
    return link >= 0 ? ndbuf__link_cost_get(link, place->index) : (double)NAN;
}

/* -- the file of the environment -- */

void ndbuf__tuning_start_now(void)
{
    (void)ndbuf__fork_guard_watch(); /* without memory for that, forks are as before */
    ndbuf__fork_guard_lock(&start_guard, NULL, NULL);
    if (!atomic_load_explicit(&ndbuf__tuning_is_started, memory_order_relaxed)) {
        const char *path = ndbuf__environment("NDBUF_TUNING");
        if (path != NULL && path[0] != '\0') {
            ndbuf_error why = {0};
            char made_on[sizeof(machine)] = "";
            snprintf(started.path, sizeof(started.path), "%s", path);
            started.status = ndbuf__tuning_load(path, made_on, &why);
            memcpy(started.reason, why.message, sizeof(started.reason));
            memcpy(machine, made_on, sizeof(machine));
        }
        atomic_store_explicit(&ndbuf__tuning_is_started, true, memory_order_release);
    }
    ndbuf__fork_guard_unlock(&start_guard);
}

/* -- for users -- */

int32_t ndbuf_tuning_count(void)
{
    ndbuf__tuning_start();
    int32_t count = ndbuf__link_count() * NDBUF__LINK_NCOSTS;
    int32_t backend = 0;
    for (const ndbuf__tunables *tunables; (tunables = next_tunables(&backend)) != NULL;) {
        count += tunables->count;
    }
    return count;
}

static void fill_tunable(ndbuf_tuning_entry *entry, const ndbuf__tunables *tunables, int32_t index)
{
    const ndbuf__tunable *tunable = &tunables->list[index];
    const ndbuf__tuning_place place = {.tunables = tunables, .index = index};
    snprintf(entry->name, sizeof(entry->name), "%s", tunable->name);
    entry->unit = tunable->unit;
    entry->meaning = tunable->meaning;
    entry->value = value_of(&place);
    entry->default_value = (double)tunables->defaults[index];
    entry->min = (double)tunable->min;
    entry->max = (double)tunable->max;
    entry->is_integer = 1;
}

static void fill_link(ndbuf_tuning_entry *entry, int32_t link, int32_t cost)
{
    snprintf(entry->name, sizeof(entry->name), LINK_PREFIX "%s.%s", ndbuf__link_name(link), link_costs[cost].name);
    entry->unit = link_costs[cost].unit;
    entry->meaning = link_costs[cost].meaning;
    entry->value = ndbuf__link_cost_get(link, cost);
    entry->default_value = (double)NAN;
    entry->max = MAX_COST;
}

ndbuf_status ndbuf_tuning_entry_get(int32_t index, ndbuf_tuning_entry *out_entry, ndbuf_error *err)
{
    int32_t count = ndbuf_tuning_count();
    if (index < 0 || index >= count) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "constant %d of %d", (int)index, (int)count);
    }
    memset(out_entry, 0, sizeof(*out_entry));
    int32_t backend = 0;
    for (const ndbuf__tunables *tunables; (tunables = next_tunables(&backend)) != NULL; index -= tunables->count) {
        if (index < tunables->count) {
            fill_tunable(out_entry, tunables, index);
            return NDBUF_OK;
        }
    }
    fill_link(out_entry, index / NDBUF__LINK_NCOSTS, index % NDBUF__LINK_NCOSTS);
    return NDBUF_OK;
}

ndbuf_status ndbuf_tuning_get(const char *name, double *out_value, ndbuf_error *err)
{
    ndbuf__tuning_start();
    ndbuf__tuning_place place;
    ndbuf_status status = ndbuf__tuning_find(name, strlen(name), &place, err);
    if (status == NDBUF_OK) {
        *out_value = value_of(&place);
    }
    return status;
}

ndbuf_status ndbuf_tuning_set(const char *name, double value, ndbuf_error *err)
{
    ndbuf__tuning_start();
    ndbuf__tuning_setting setting = {.value = value};
    ndbuf_status status = ndbuf__tuning_find(name, strlen(name), &setting.place, err);
    if (status == NDBUF_OK && !isnan(value)) {
        status = ndbuf__tuning_check(&setting.place, value, err);
    }
    return status == NDBUF_OK ? ndbuf__tuning_apply(&setting, 1, err) : status;
}

void ndbuf_tuning_reset(void)
{
    ndbuf__tuning_start();
    ndbuf__fork_guard_lock(&guard, NULL, NULL);
    int32_t backend = 0;
    for (const ndbuf__tunables *tunables; (tunables = next_tunables(&backend)) != NULL;) {
        for (int32_t i = 0; i < tunables->count; i++) {
            apply_one(&(ndbuf__tuning_place){.tunables = tunables, .index = i}, (double)NAN);
        }
    }
    int32_t nlinks = ndbuf__link_count();
    for (int32_t link = 0; link < nlinks; link++) {
        for (int32_t cost = 0; cost < NDBUF__LINK_NCOSTS; cost++) {
            ndbuf__link_cost_set(link, cost, (double)NAN);
        }
    }
    machine[0] = '\0';
    ndbuf__fork_guard_unlock(&guard);
}

static void set_machine(const char *made_on)
{
    ndbuf__fork_guard_lock(&guard, NULL, NULL);
    memcpy(machine, made_on, sizeof(machine));
    ndbuf__fork_guard_unlock(&guard);
}

ndbuf_status ndbuf_tuning_parse(const char *text, size_t length, const char *name, ndbuf_error *err)
{
    ndbuf__tuning_start();
    char made_on[sizeof(machine)] = "";
    ndbuf_status status = ndbuf__tuning_parse(text, length, name, made_on, err);
    if (status == NDBUF_OK) {
        set_machine(made_on);
    }
    return status;
}

ndbuf_status ndbuf_tuning_load(const char *path, ndbuf_error *err)
{
    ndbuf__tuning_start();
    char made_on[sizeof(machine)] = "";
    ndbuf_status status = ndbuf__tuning_load(path, made_on, err);
    if (status == NDBUF_OK) {
        set_machine(made_on);
    }
    return status;
}

void ndbuf_tuning_info_get(ndbuf_tuning_info *out_info)
{
    int32_t count = ndbuf_tuning_count();
    *out_info = started; /* not written any more */
    ndbuf__fork_guard_lock(&guard, NULL, NULL);
    memcpy(out_info->machine, machine, sizeof(machine));
    ndbuf__fork_guard_unlock(&guard);
    out_info->nset = 0;
    for (int32_t i = 0; i < count; i++) {
        ndbuf_tuning_entry entry;
        out_info->nset += ndbuf_tuning_entry_get(i, &entry, NULL) == NDBUF_OK && !isnan(entry.value) &&
                          !(entry.value == entry.default_value);
    }
}

ndbuf_status ndbuf_link_costs_get(ndbuf_device *from, ndbuf_device *to, ndbuf_link_costs *out_costs, ndbuf_error *err)
{
    ndbuf_copy_caps caps;
    ndbuf__tuning_start();
    (void)ndbuf__copy_direct(to, from, &caps);
    if (caps.flags == 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no backend copies directly from '%s' to '%s'", from->ops->name,
                          to->ops->name);
    }
    *out_costs = (ndbuf_link_costs){
#define COST_OF(name, ...) .name = caps.name,
        NDBUF__LINK_COST_LIST(COST_OF)
#undef COST_OF
    };
    return NDBUF_OK;
}
