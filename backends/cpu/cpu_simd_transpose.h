/* SPDX-License-Identifier: Apache-2.0 */

/* Transposes. A part of cpu_simd_kernels.h, which includes it once and has the vectors. */

/* Keeps the compiler from making a pointer of each element in advance, for which there are not enough registers. */
#define ADDRESS_ANEW(pointer) __asm__("" : "+r"(pointer))

/* Whether a block, counted along its rows, fetches what the next ones write: one in each line's length does. */
static inline bool is_with_line(int64_t block)
{
    return block % (CPU_LINE_NBYTES / CPU_LANE_NBYTES / LANES) == 0;
}

/* A block is a square with sides of a vector of units. R of its lines have R units in each lane, and log2(R) rounds of
 * the same perfect shuffle transpose them there; vectors of LANES such groups then exchange their lanes.
 *
 * The blocks of short lines follow each other; those of lines from CPU_DIAGONAL_NBYTES on are taken along diagonals, so
 * that where lines, or rows, lie powers of two apart, those of neighbours are in different sets of the first cache. */
#define DEFINE_TRANSPOSE(UNIT, R)                                                                                      \
    __attribute__((always_inline)) static inline void turn_group_##UNIT(lanes x[R])                                    \
    {                                                                                                                  \
        lanes y[R];                                                                                                    \
        UNROLL for (int round = 1; round < (R); round *= 2)                                                            \
        {                                                                                                              \
            UNROLL for (int i = 0; i < (R) / 2; i++)                                                                   \
            {                                                                                                          \
                y[2 * i] = lanes_unpack_lo(UNIT, x[i], x[i + (R) / 2]);                                                \
                y[2 * i + 1] = lanes_unpack_hi(UNIT, x[i], x[i + (R) / 2]);                                            \
            }                                                                                                          \
            UNROLL for (int i = 0; i < (R); i++)                                                                       \
            {                                                                                                          \
                x[i] = y[i];                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    __attribute__((always_inline)) static inline void turn_in_lanes_##UNIT(lanes x[LANES][R])                          \
    {                                                                                                                  \
        UNROLL for (int g = 0; g < LANES; g++)                                                                         \
        {                                                                                                              \
            turn_group_##UNIT(x[g]);                                                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    __attribute__((always_inline)) static inline void turned_rows_##UNIT(lanes x[LANES][R], const int i,               \
                                                                         lanes row[LANES])                             \
    {                                                                                                                  \
        UNROLL for (int g = 0; g < LANES; g++)                                                                         \
        {                                                                                                              \
            row[g] = x[g][i];                                                                                          \
        }                                                                                                              \
        lanes_exchange(row);                                                                                           \
    }                                                                                                                  \
    __attribute__((always_inline)) static inline void block_##UNIT(                                                    \
        char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, lanes order,               \
        const int swaps, const int streams, bool fetches)                                                              \
    {                                                                                                                  \
        ADDRESS_ANEW(src_offsets);                                                                                     \
        ADDRESS_ANEW(dst_offsets);                                                                                     \
        lanes x[LANES][R];                                                                                             \
        UNROLL for (int g = 0; g < LANES; g++)                                                                         \
        {                                                                                                              \
            UNROLL for (int i = 0; i < (R); i++)                                                                       \
            {                                                                                                          \
                x[g][i] = wide_load(src + src_offsets[g * (R) + i]);                                                   \
                if (swaps) {                                                                                           \
                    x[g][i] = lanes_pick(x[g][i], order);                                                              \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        turn_in_lanes_##UNIT(x);                                                                                       \
        UNROLL for (int i = 0; i < (R); i++)                                                                           \
        {                                                                                                              \
            lanes row[LANES];                                                                                          \
            turned_rows_##UNIT(x, i, row);                                                                             \
            if (fetches) {                                                                                             \
                UNROLL for (int g = 0; g < LANES; g++)                                                                 \
                {                                                                                                      \
                    cpu_prefetch_next(dst + dst_offsets[g * (R) + i]);                                                 \
                }                                                                                                      \
            }                                                                                                          \
            UNROLL for (int g = 0; g < LANES; g++)                                                                     \
            {                                                                                                          \
                if (streams) {                                                                                         \
                    wide_stream(dst + dst_offsets[g * (R) + i], row[g]);                                               \
                } else {                                                                                               \
                    wide_store(dst + dst_offsets[g * (R) + i], row[g]);                                                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    __attribute__((always_inline)) static inline void turn_##UNIT(                                                     \
        char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, int64_t nlines,            \
        int64_t nrows, cpu_prefetch prefetch, lanes order, const int swaps)                                            \
    {                                                                                                                  \
        const int64_t side = (int64_t)(R)*LANES;                                                                       \
        const int64_t width =                                                                                          \
            nrows * (UNIT) < CPU_DIAGONAL_NBYTES ? nrows : side; /* of rows in one pass over the lines */              \
        for (int64_t first = 0; first < nrows; first += width) {                                                       \
            int64_t b = first;                                                                                         \
            for (int64_t a = 0; a < nlines; a += side) {                                                               \
                a = a + side <= nlines ? a : nlines - side; /* the last blocks may overlap those before */             \
                if (first == 0 && prefetch.nbytes != 0) {                                                              \
                    cpu_prefetch_lines(src + prefetch.nbytes, src_offsets + a, side, nrows * (UNIT));                  \
                }                                                                                                      \
                for (int64_t done = 0; done < width; done += side) {                                                   \
                    const int64_t row = b + side <= nrows ? b : nrows - side;                                          \
                    block_##UNIT(dst + a * (UNIT), dst_offsets + row, src + row * (UNIT), src_offsets + a, order,      \
                                 swaps, 0, prefetch.rows && is_with_line(a / side));                                   \
                    b = b + side < nrows ? b + side : 0;                                                               \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void transpose_##UNIT(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,   \
                                 int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch, int32_t swap_nbytes)     \
    {                                                                                                                  \
        const cpu_prefetch beside = prefetch != NULL ? *prefetch : (cpu_prefetch){.nbytes = 0};                        \
        if ((UNIT) > 1 && swap_nbytes != 0) {                                                                          \
            turn_##UNIT(dst, dst_offsets, src, src_offsets, nlines, nrows, beside, swap_order(swap_nbytes), 1);        \
        } else {                                                                                                       \
            turn_##UNIT(dst, dst_offsets, src, src_offsets, nlines, nrows, beside, swap_order(0), 0);                  \
        }                                                                                                              \
    }

DEFINE_TRANSPOSE(1, 16)
DEFINE_TRANSPOSE(2, 8)
DEFINE_TRANSPOSE(4, 4)
DEFINE_TRANSPOSE(8, 2)
DEFINE_TRANSPOSE(16, 1)

#if LANES > 1
/* Neighbouring lines of a row leave one after the other. Rows that are less than a block are taken R at a time: 16
 * bytes of each line are loaded into the lanes where they belong. */
#define DEFINE_STREAM_TRANSPOSE(UNIT, R)                                                                               \
    static NDBUF__NOINLINE void few_rows_##UNIT(char *dst, const int64_t *dst_offsets, const char *src,                \
                                                const int64_t *src_offsets, int64_t nlines, int64_t nrows,             \
                                                cpu_prefetch prefetch, int32_t swap_nbytes, bool streams)              \
    {                                                                                                                  \
        const bool swaps = (UNIT) > 1 && swap_nbytes != 0;                                                             \
        const lanes order = swap_order(swap_nbytes);                                                                   \
        const int64_t side = LANES * (R);                                                                              \
        for (int64_t b = 0; b < nrows; b += (R)) {                                                                     \
            for (int64_t a = 0; a < nlines; a += side) {                                                               \
                const int64_t *offsets = src_offsets + a;                                                              \
                lanes x[R];                                                                                            \
                for (int64_t i = 0; prefetch.nbytes != 0 && i < side; i++) {                                           \
                    cpu_prefetch_line(src + b * (UNIT) + offsets[i] + prefetch.nbytes, prefetch.is_far);               \
                }                                                                                                      \
                UNROLL for (int i = 0; i < (R); i++)                                                                   \
                {                                                                                                      \
                    x[i] = lanes_join(src + b * (UNIT), offsets + i, R);                                               \
                    x[i] = swaps ? lanes_pick(x[i], order) : x[i];                                                     \
                }                                                                                                      \
                turn_group_##UNIT(x);                                                                                  \
                UNROLL for (int i = 0; i < (R); i++)                                                                   \
                {                                                                                                      \
                    char *to = dst + dst_offsets[b + i] + a * (UNIT);                                                  \
                    if (streams) {                                                                                     \
                        wide_stream(to, x[i]);                                                                         \
                    } else {                                                                                           \
                        wide_store(to, x[i]);                                                                          \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    __attribute__((always_inline)) static inline void stream_turn_##UNIT(                                              \
        char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, int64_t nlines,            \
        int64_t nrows, cpu_prefetch prefetch, lanes order, const int swaps)                                            \
    {                                                                                                                  \
        const int64_t side = LANES * (R);                                                                              \
        for (int64_t b = 0; b < nrows; b += side) {                                                                    \
            const char *column = src + b * (UNIT);                                                                     \
            for (int64_t a = 0; a < nlines; a += side) {                                                               \
                for (int64_t i = a; prefetch.nbytes != 0 && i < a + side; i++) {                                       \
                    cpu_prefetch_line(column + src_offsets[i] + prefetch.nbytes, prefetch.is_far);                     \
                }                                                                                                      \
                block_##UNIT(dst + a * (UNIT), dst_offsets + b, column, src_offsets + a, order, swaps, 1, false);      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void stream_transpose_##UNIT(char *dst, const int64_t *dst_offsets, const char *src,                        \
                                        const int64_t *src_offsets, int64_t nlines, int64_t nrows,                     \
                                        cpu_prefetch prefetch, int32_t swap_nbytes)                                    \
    {                                                                                                                  \
        const int64_t whole = nrows - nrows % (LANES * (R));                                                           \
        const bool swaps = (UNIT) > 1 && swap_nbytes != 0;                                                             \
        if (swaps) {                                                                                                   \
            stream_turn_##UNIT(dst, dst_offsets, src, src_offsets, nlines, whole, prefetch, swap_order(swap_nbytes),   \
                               1);                                                                                     \
        } else {                                                                                                       \
            stream_turn_##UNIT(dst, dst_offsets, src, src_offsets, nlines, whole, prefetch, swap_order(0), 0);         \
        }                                                                                                              \
        if (whole < nrows) {                                                                                           \
            few_rows_##UNIT(dst, dst_offsets + whole, src + whole * (UNIT), src_offsets, nlines, nrows - whole,        \
                            prefetch, swap_nbytes, true);                                                              \
        }                                                                                                              \
    }

DEFINE_STREAM_TRANSPOSE(1, 16)
DEFINE_STREAM_TRANSPOSE(2, 8)
DEFINE_STREAM_TRANSPOSE(4, 4)
DEFINE_STREAM_TRANSPOSE(8, 2)
DEFINE_STREAM_TRANSPOSE(16, 1)

#define STREAM_TRANSPOSE                                                                                               \
    .stream_transpose = {stream_transpose_1, stream_transpose_2, stream_transpose_4, stream_transpose_8,               \
                         stream_transpose_16},
#else
#define STREAM_TRANSPOSE
#endif

/* -- units that have slots -- */

#define DEFINE_ODD(SLOT, R)                                                                                            \
    static void odd_##SLOT(const cpu_slots *slots, char *dst, const int64_t *dst_offsets, const char *src,             \
                           const int64_t *src_offsets, int64_t nlines, int64_t nrows, cpu_prefetch prefetch)           \
    {                                                                                                                  \
        const int64_t side = (int64_t)(R)*LANES;                                                                       \
        const int64_t unit = slots->unit_nbytes;                                                                       \
        const int64_t nbytes = slots->nbytes;                                                                          \
        const lanes spread = wide_load((const char *)slots->spread);                                                   \
        const lanes close = wide_load((const char *)slots->close);                                                     \
        for (int64_t a = 0; a < nlines; a += side) {                                                                   \
            a = a + side <= nlines ? a : nlines - side;                                                                \
            if (prefetch.nbytes != 0) {                                                                                \
                cpu_prefetch_lines(src + prefetch.nbytes, src_offsets + a, side, nrows * unit);                        \
            }                                                                                                          \
            for (int64_t b = 0; b < nrows; b += side) {                                                                \
                b = b + side <= nrows ? b : nrows - side;                                                              \
                const int64_t *from = src_offsets + a;                                                                 \
                const int64_t *to = dst_offsets + b;                                                                   \
                ADDRESS_ANEW(from);                                                                                    \
                ADDRESS_ANEW(to);                                                                                      \
                lanes x[LANES][R];                                                                                     \
                UNROLL for (int i = 0; i < LANES * (R); i++)                                                           \
                {                                                                                                      \
                    x[i / (R)][i % (R)] = slots_load(src + from[i] + b * unit, nbytes, spread);                        \
                }                                                                                                      \
                turn_in_lanes_##SLOT(x);                                                                               \
                UNROLL for (int i = 0; i < (R); i++)                                                                   \
                {                                                                                                      \
                    lanes row[LANES];                                                                                  \
                    turned_rows_##SLOT(x, i, row);                                                                     \
                    UNROLL for (int g = 0; g < LANES; g++)                                                             \
                    {                                                                                                  \
                        if (prefetch.rows) {                                                                           \
                            cpu_prefetch_next(dst + to[g * (R) + i] + a * unit);                                       \
                        }                                                                                              \
                        slots_store(dst + to[g * (R) + i] + a * unit, nbytes, row[g], close);                          \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_ODD(4, 4)
#if LANES > 1
DEFINE_ODD(8, 2)
#endif
#if LANES > 2
DEFINE_ODD(16, 1)
#endif

/* Blocks of fewer than CPU_SLOTS_MIN units are none, see cpu_block_side. */
static void transpose_odd(const cpu_slots *slots, char *dst, const int64_t *dst_offsets, const char *src,
                          const int64_t *src_offsets, int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch)
{
    const cpu_prefetch beside = prefetch != NULL ? *prefetch : (cpu_prefetch){.nbytes = 0};
    switch (slots->slot_nbytes) {
#if LANES > 2
    case 16:
        odd_16(slots, dst, dst_offsets, src, src_offsets, nlines, nrows, beside);
        break;
#endif
#if LANES > 1
    case 8:
        odd_8(slots, dst, dst_offsets, src, src_offsets, nlines, nrows, beside);
        break;
#endif
    default:
        odd_4(slots, dst, dst_offsets, src, src_offsets, nlines, nrows, beside);
        break;
    }
}
