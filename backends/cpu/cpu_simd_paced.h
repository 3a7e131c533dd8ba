/* SPDX-License-Identifier: Apache-2.0 */

/* Transposes that go in step with what leaves and what is fetched. A part of cpu_simd_kernels.h, which includes it once
 * and has the blocks. */

#if defined(HAS_STREAM) && LANES > 1
/* Where a cpu_pace stands. */
typedef struct pace_place {
    const char *fetch; /* the next cache line to prefetch, of the line before `line`, which ends at `fetch_end` */
    const char *fetch_end;
    int64_t line;
    char *to; /* the next cache line to send, of the row before `row`, which ends at `to_end` */
    char *to_end;
    const char *from;
    int64_t row;
} pace_place;

static inline void pace_fetch(const cpu_pace *pace, const int64_t *offsets, pace_place *place)
{
    if (place->fetch >= place->fetch_end) {
        if (place->line >= pace->ahead_nlines) {
            return;
        }
        const char *line = pace->ahead + offsets[place->line++];
        place->fetch = line - (uintptr_t)line % CPU_LINE_NBYTES;
        place->fetch_end = line + pace->ahead_nbytes;
    }
    cpu_prefetch_line(place->fetch, pace->ahead_is_far);
    place->fetch += CPU_LINE_NBYTES;
}

/* False: there is nothing left. */
static inline bool pace_send(const cpu_pace *pace, pace_place *place)
{
    if (place->to == place->to_end) {
        if (place->row >= pace->staged_nrows) {
            return false;
        }
        place->to = pace->dst + pace->dst_offsets[place->row];
        place->to_end = place->to + pace->staged_nbytes;
        place->from = pace->staged + place->row++ * pace->staged_pitch;
    }
    line_stream(place->to, place->from);
    place->to += CPU_LINE_NBYTES;
    place->from += CPU_LINE_NBYTES;
    return true;
}

#define DEFINE_PACED_TRANSPOSE(UNIT)                                                                                   \
    __attribute__((always_inline)) static inline void paced_turn_##UNIT(                                               \
        char *stage, const int64_t *stage_offsets, const char *src, const int64_t *src_offsets, int64_t nlines,        \
        int64_t nrows, const cpu_pace *beside, lanes order, const int swaps)                                           \
    {                                                                                                                  \
        const int64_t side = LANES * 16 / (UNIT);                                                                      \
        const int64_t block_lines = side * LANES * 16 / CPU_LINE_NBYTES;                                               \
        const cpu_pace pace = *beside; /* which no store changes */                                                    \
        pace_place place = {.line = pace.ahead != NULL ? 0 : pace.ahead_nlines};                                       \
        for (int64_t b = 0; b < nrows; b += side) {                                                                    \
            for (int64_t a = 0; a < nlines; a += side) {                                                               \
                for (int64_t i = 0; i < block_lines; i++) {                                                            \
                    pace_fetch(&pace, src_offsets, &place);                                                            \
                    pace_send(&pace, &place);                                                                          \
                }                                                                                                      \
                block_##UNIT(stage + a * (UNIT), stage_offsets + b, src + b * (UNIT), src_offsets + a, order, swaps,   \
                             0, false);                                                                                \
            }                                                                                                          \
        }                                                                                                              \
        while (pace_send(&pace, &place)) {                                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void paced_transpose_##UNIT(char *stage, const int64_t *stage_offsets, const char *src,                     \
                                       const int64_t *src_offsets, int64_t nlines, int64_t nrows,                      \
                                       const cpu_pace *pace, int32_t swap_nbytes)                                      \
    {                                                                                                                  \
        const int64_t whole = nrows - nrows % (LANES * 16 / (UNIT));                                                   \
        if (whole < nrows) {                                                                                           \
            few_rows_##UNIT(stage, stage_offsets + whole, src + whole * (UNIT), src_offsets, nlines, nrows - whole,    \
                            (cpu_prefetch){.nbytes = 0}, swap_nbytes, false);                                          \
        }                                                                                                              \
        if ((UNIT) > 1 && swap_nbytes != 0) {                                                                          \
            paced_turn_##UNIT(stage, stage_offsets, src, src_offsets, nlines, whole, pace, swap_order(swap_nbytes),    \
                              1);                                                                                      \
        } else {                                                                                                       \
            paced_turn_##UNIT(stage, stage_offsets, src, src_offsets, nlines, whole, pace, swap_order(0), 0);          \
        }                                                                                                              \
    }

DEFINE_PACED_TRANSPOSE(1)
DEFINE_PACED_TRANSPOSE(2)
DEFINE_PACED_TRANSPOSE(4)
DEFINE_PACED_TRANSPOSE(8)
DEFINE_PACED_TRANSPOSE(16)
#define PACED_TRANSPOSE                                                                                                \
    .paced_transpose = {paced_transpose_1, paced_transpose_2, paced_transpose_4, paced_transpose_8, paced_transpose_16},
#else
#define PACED_TRANSPOSE
#endif
