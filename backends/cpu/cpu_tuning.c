/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_tuning.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/fork_guard.h"

#include "backends/cpu/cpu_caches.h"

_Atomic(int64_t) ndbuf_cpu__tuning_values[NDBUF_CPU__TUNING_COUNT];
_Atomic(uint32_t) ndbuf_cpu__tuning_changes;

static int64_t defaults[NDBUF_CPU__TUNING_COUNT];
static _Atomic(bool) is_prepared;
static ndbuf__fork_guard prepare_guard = NDBUF__FORK_GUARD_INIT;

static void values_store(const int64_t *values)
{
    for (int i = 0; i < NDBUF_CPU__TUNING_COUNT; i++) {
        atomic_store_explicit(&ndbuf_cpu__tuning_values[i], values[i], memory_order_relaxed);
    }
}

static void prepare_now(void)
{
    (void)ndbuf__fork_guard_watch();
    ndbuf__fork_guard_lock(&prepare_guard, NULL, NULL);
    if (!atomic_load_explicit(&is_prepared, memory_order_relaxed)) {
        const cpu_caches caches = ndbuf_cpu__caches();
#define DEFAULT_VALUE(name, unit, value, ...) defaults[NDBUF_CPU__TUNING_##name] = (value);
        NDBUF_CPU__TUNING_LIST(DEFAULT_VALUE)
#undef DEFAULT_VALUE
        values_store(defaults);
        atomic_store_explicit(&is_prepared, true, memory_order_release);
    }
    ndbuf__fork_guard_unlock(&prepare_guard);
}

static void prepare(void)
{
    if (!NDBUF__LIKELY(atomic_load_explicit(&is_prepared, memory_order_acquire))) {
        prepare_now();
    }
}

static const ndbuf__tunable list[] = {
#define TUNABLE_LINE(name, unit, value, least, largest, meaning) {"cpu." #name, unit, meaning, least, largest},
    NDBUF_CPU__TUNING_LIST(TUNABLE_LINE)
#undef TUNABLE_LINE
};

const ndbuf__tunables ndbuf_cpu__tunables = {.count = NDBUF_CPU__TUNING_COUNT,
                                             .list = list,
                                             .values = ndbuf_cpu__tuning_values,
                                             .changes = &ndbuf_cpu__tuning_changes,
                                             .defaults = defaults,
                                             .prepare = prepare};

ndbuf_cpu__tuning ndbuf_cpu__tuning_get(void)
{
    prepare();
    return (ndbuf_cpu__tuning){
#define FIELD_VALUE(name, ...) .name = NDBUF_CPU__TUNING_PEEK(name),
        NDBUF_CPU__TUNING_LIST(FIELD_VALUE)
#undef FIELD_VALUE
    };
}

void ndbuf_cpu__tuning_set(const ndbuf_cpu__tuning *values)
{
    prepare();
    if (values == NULL) {
        values_store(defaults);
    } else {
        const int64_t listed[] = {
#define LISTED_VALUE(name, ...) values->name,
            NDBUF_CPU__TUNING_LIST(LISTED_VALUE)
#undef LISTED_VALUE
        };
        values_store(listed);
    }
    atomic_fetch_add_explicit(&ndbuf_cpu__tuning_changes, 1, memory_order_release);
}
