/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_TUNING_H
#define NDBUF_BACKENDS_CPU_CPU_TUNING_H

/* Every number that the host engine's decisions rest on. They change how fast a copy is, never what it does. */

#include <stdatomic.h>
#include <stdint.h>

#include "core/tuning_core.h"

#define NDBUF_CPU__KIB ((int64_t)1 << 10)
#define NDBUF_CPU__MIB ((int64_t)1 << 20)
#define NDBUF_CPU__NEVER NDBUF__TUNABLE_MAX /* of a threshold */

/* X(name, unit, default, least, largest, meaning): the struct below, the constants "cpu.<name>" of ndbuf/tuning.h and
 * their defaults. A default is an expression of `caches`, this machine's. The fixed ones were measured by
 * bench/bench_host_copy, one constant changed at a time, in interleaved rounds: on two virtual cores of an EPYC of Zen
 * 5 (48 KiB, 1 MiB, 32 MiB), and, where `third_is_near` does not hold, on two of a Xeon (48 KiB, 2 MiB); what concerns
 * vectors that are parts of a cache line on those of a Zen 3 (32 KiB, 512 KiB, 32 MiB). */
#define NDBUF_CPU__TUNING_LIST(X)                                                                                      \
    X(stream_nbytes, "bytes", caches.third_is_near ? caches.third_nbytes / 4 : caches.second_nbytes, 0,                \
      NDBUF_CPU__NEVER, "copies from this size on write past the caches")                                              \
    X(stream_conflict_nbytes, "bytes", caches.third_is_near ? caches.third_nbytes / 32 : caches.second_nbytes, 0,      \
      NDBUF_CPU__NEVER, "the same for transposes whose lines or rows share cache sets")                                \
    X(stream_direct_nbytes, "bytes", caches.third_is_near ? caches.third_nbytes / 8 : caches.second_nbytes, 0,         \
      NDBUF_CPU__NEVER, "the same for transposes whose rows in the destination are whole cache lines")                 \
    X(stream_parts_nbytes, "bytes", caches.third_is_near ? caches.third_nbytes / 32 * 3 : caches.second_nbytes, 0,     \
      NDBUF_CPU__NEVER, "the same for transposes whose blocks take parts of lines")                                    \
    X(stream_uneven_nbytes, "bytes", caches.third_is_near ? 0 : 16 * caches.second_nbytes, 0, NDBUF_CPU__NEVER,        \
      "the same, at least, for transposes whose rows in the destination begin within cache lines, and repeated units") \
    X(stream_uneven_row_nbytes, "bytes", caches.third_is_near ? 0 : 4096, 0, NDBUF_CPU__NEVER,                         \
      "the same for such rows: each has at least so many")                                                             \
    X(stream_prefetch_nbytes, "bytes", (caches.third_is_near ? 0 : 8) * NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,             \
      "how far ahead of a streamed copy its source is prefetched; 0: not")                                             \
    X(row_prefetch_nbytes, "bytes", (caches.third_is_near ? 2 : 8) * NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,                \
      "the same, but at least a row, where the source is rows with gaps")                                              \
    X(gather_prefetch_nbytes, "bytes", 8 * NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,                                          \
      "the same, but at least a step, where units are picked, or arranged, that make up no whole vectors")             \
    X(step_prefetch_nbytes, "bytes", NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,                                                \
      "the same, where they do, by vectors that are parts of a cache line")                                            \
    X(scatter_prefetch_nbytes, "bytes", 8 * NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,                                         \
      "how far ahead the destination is, where it takes only parts of lines")                                          \
    X(stream_ways, "pieces", caches.third_is_near ? 2 : 1, 1, 2,                                                       \
      "of a streamed copy side by side, a line of each in turn, unless vectors that are parts of it pick units")       \
    X(rep_movsb_nbytes, "bytes", NDBUF_CPU__NEVER, 0, NDBUF_CPU__NEVER,                                                \
      "contiguous copies that are not streamed go by 'rep movsb' from this size on, and by memcpy below")              \
    X(small_nbytes, "bytes", 4 * NDBUF_CPU__KIB, 0, NDBUF_CPU__MIB,                                                    \
      "copies up to this size take the path without a plan")                                                           \
    X(thread_nbytes, "bytes", 1 * NDBUF_CPU__MIB, 1, NDBUF_CPU__NEVER,                                                 \
      "copies from this size on are split over threads")                                                               \
    X(thread_share_nbytes, "bytes", 256 * NDBUF_CPU__KIB, 1, NDBUF_CPU__NEVER, "which get at least so much each")      \
    X(channels_nbytes, "bytes", caches.third_is_near ? 20 : 28, 1, NDBUF_CPU__KIB,                                     \
      "of streams that lie side by side in one, at most, which are picked from it, or put into it, by themselves")     \
    X(strip_nbytes, "bytes", 128, 1, NDBUF_CPU__MIB, "transposes: of the source's lines read at once")                 \
    X(strip_stream_nbytes, "bytes", 128, 1, NDBUF_CPU__MIB, "the same when streaming")                                 \
    X(panel_nbytes, "bytes", 512, 1, NDBUF_CPU__MIB, "of the destination's rows made at once")                         \
    X(panel_stream_nbytes, "bytes", 64, 1, NDBUF_CPU__MIB, "the same when streaming")                                  \
    X(send_nbytes, "bytes", 128, 1, NDBUF_CPU__MIB, "of a row that leave together when streaming")                     \
    X(stage_send_nbytes, "bytes", 256, 1, NDBUF_CPU__MIB,                                                              \
      "the same by way of the stage, at least, of units below 8 bytes whose blocks take parts of lines")               \
    X(panel_lines, "lines", 256, 1, NDBUF_CPU__MIB, "at most so many lines in a panel")                                \
    X(strip_rows, "rows", 32, 1, NDBUF_CPU__MIB, "at most so many rows in a strip")                                    \
    X(pass_nbytes, "bytes", caches.second_nbytes / 2, 0, NDBUF_CPU__NEVER,                                             \
      "transposes of copies from this size on whose blocks take parts of lines write few rows at a time")              \
    X(pass_rows, "rows", 4, 1, NDBUF_CPU__MIB,                                                                         \
      "namely so many, or a block's if it has more; units of 5 bytes and more")                                        \
    X(tile_rows, "rows", 128, 1, NDBUF_CPU__MIB, "of the destination in one tile")                                     \
    X(tile_stream_nbytes, "bytes", 1024, 1, NDBUF_CPU__MIB,                                                            \
      "of the lines in one tile, when streaming by way of the stage")                                                  \
    X(tile_direct_nbytes, "bytes", 256, 1, NDBUF_CPU__MIB, "the same right to the destination")                        \
    X(tile_paced_nbytes, "bytes", 512, 1, NDBUF_CPU__MIB, "the same where rows share cache sets")                      \
    X(tile_reach_nbytes, "bytes", (caches.third_is_near ? 0 : 32) * NDBUF_CPU__MIB, 0, NDBUF_CPU__NEVER,               \
      "up to 4 times as much there, as long as a tile's rows in the destination reach no further")                     \
    X(prefetch_level, "caches", caches.third_is_near ? 1 : 2, 1, 2,                                                    \
      "away from the processor is the one into which transposes past them, and rows at pointers, prefetch")            \
    X(line_prefetch_nbytes, "bytes", 128, 0, NDBUF_CPU__MIB,                                                           \
      "how far ahead lines that share cache sets are prefetched")                                                      \
    X(strip_prefetch_nbytes, "bytes", caches.third_is_near ? NDBUF_CPU__NEVER : NDBUF_CPU__MIB, 0, NDBUF_CPU__NEVER,   \
      "transposes of copies from this size on prefetch the next strip of each line; 0: and what lies behind it")       \
    X(conflict_nbytes, "bytes", 4 * NDBUF_CPU__KIB, 1, NDBUF_CPU__MIB,                                                 \
      "lines whose distance is a multiple of this share sets of the first cache")                                      \
    X(set_lines, "lines", caches.first_nbytes / (4 * NDBUF_CPU__KIB), 1, NDBUF_CPU__KIB,                               \
      "lines that share sets of the first cache and stay there")

typedef struct ndbuf_cpu__tuning {
#define NDBUF_CPU__TUNING_FIELD(name, ...) int64_t name;
    NDBUF_CPU__TUNING_LIST(NDBUF_CPU__TUNING_FIELD)
#undef NDBUF_CPU__TUNING_FIELD
} ndbuf_cpu__tuning;

enum {
#define NDBUF_CPU__TUNING_INDEX(name, ...) NDBUF_CPU__TUNING_##name,
    NDBUF_CPU__TUNING_LIST(NDBUF_CPU__TUNING_INDEX)
#undef NDBUF_CPU__TUNING_INDEX
        NDBUF_CPU__TUNING_COUNT
};

/* The constants in use. They are set at any time, so a copy takes them once. */
ndbuf_cpu__tuning ndbuf_cpu__tuning_get(void);

/* Replaces them; NULL: back to those for this machine. */
void ndbuf_cpu__tuning_set(const ndbuf_cpu__tuning *values);

extern _Atomic(uint32_t) ndbuf_cpu__tuning_changes;

/* One of them, in the short time that small copies have: 0 before the first ndbuf_cpu__tuning_get. */
#define NDBUF_CPU__TUNING_PEEK(name)                                                                                   \
    atomic_load_explicit(&ndbuf_cpu__tuning_values[NDBUF_CPU__TUNING_##name], memory_order_relaxed)

extern _Atomic(int64_t) ndbuf_cpu__tuning_values[NDBUF_CPU__TUNING_COUNT];

/* How often any was set. What was decided by constants taken behind a look at this is as it would be decided now while
 * it stays the same. */
static inline uint32_t ndbuf_cpu__tuning_changes_get(void)
{
    return atomic_load_explicit(&ndbuf_cpu__tuning_changes, memory_order_acquire);
}

/* What core/tuning.c knows of this backend. */
extern const ndbuf__tunables ndbuf_cpu__tunables;

#endif
