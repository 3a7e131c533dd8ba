/* SPDX-License-Identifier: Apache-2.0 */

/* Blocks of short axes by lanes, for instruction sets that neither shuffle across a vector nor leave out bytes. A part
 * of cpu_simd_kernels.h, which includes it once. */

#if !defined(ARRANGE_BLOCKS)
#define ARRANGE_BLOCKS NULL
#define LANE_BLOCKS lane_blocks_any
#define SHARED_VECTORS (CPU_SHARED_NBYTES / WIDE_NBYTES)
#define SHARED_WINDOWS (CPU_SHARED_NBYTES / CPU_LANE_NBYTES)

/* For constant numbers of windows only: vectors with windows of their own. */
__attribute__((always_inline)) static inline void lane_blocks(const cpu_lane_block *block, char *dst, int64_t dst_step,
                                                              const char *src, int64_t src_step, int64_t count,
                                                              int64_t prefetch_nbytes, const int nin)
{
    const int32_t nout = block->nout;
    for (int64_t n = 0; n < count; n++) {
        for (int64_t at = 0; prefetch_nbytes != 0 && at < block->src_nbytes; at += CPU_LINE_NBYTES) {
            __builtin_prefetch(src + at + prefetch_nbytes, 0, 2);
        }
        for (int32_t j = 0; j < nout; j++) {
            const int32_t *windows = block->in_offsets[j];
            const char *index = (const char *)block->index + (ptrdiff_t)j * CPU_LANE_WINDOWS * WIDE_NBYTES;
            lanes v = lanes_pick(lanes_repeat((const uint8_t *)src + windows[0]), wide_load(index));
            UNROLL for (int i = 1; i < nin; i++)
            {
                const lanes window = lanes_repeat((const uint8_t *)src + windows[i]);
                v = lanes_or(v, lanes_pick(window, wide_load(index + (ptrdiff_t)i * WIDE_NBYTES)));
            }
            wide_store(dst + block->out_offsets[j], v);
        }
        dst += dst_step;
        src += src_step;
    }
}

/* For constant numbers only: vectors that share their windows. */
__attribute__((always_inline)) static inline void shared_blocks(const cpu_lane_block *block, char *dst,
                                                                int64_t dst_step, const char *src, int64_t src_step,
                                                                int64_t count, int64_t prefetch_nbytes, const int nin,
                                                                const int nout)
{
    lanes index[SHARED_VECTORS][SHARED_WINDOWS];
    int64_t windows[SHARED_WINDOWS];
    int64_t out_offsets[SHARED_VECTORS];
    UNROLL for (int i = 0; i < nin; i++)
    {
        windows[i] = block->in_offsets[0][i];
    }
    UNROLL for (int j = 0; j < nout; j++)
    {
        out_offsets[j] = block->out_offsets[j];
        UNROLL for (int i = 0; i < nin; i++)
        {
            index[j][i] = wide_load((const char *)block->index + ((ptrdiff_t)j * CPU_LANE_WINDOWS + i) * WIDE_NBYTES);
        }
    }
    for (int64_t n = 0; n < count; n++) {
        lanes in[SHARED_WINDOWS];
        UNROLL for (int i = 0; i < nin; i++)
        {
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(src + windows[i] + prefetch_nbytes, 0, 2);
            }
            in[i] = lanes_repeat((const uint8_t *)src + windows[i]);
        }
        UNROLL for (int j = 0; j < nout; j++)
        {
            lanes v = lanes_pick(in[0], index[j][0]);
            UNROLL for (int i = 1; i < nin; i++)
            {
                v = lanes_or(v, lanes_pick(in[i], index[j][i]));
            }
            wide_store(dst + out_offsets[j], v);
        }
        dst += dst_step;
        src += src_step;
    }
}

#define LANE_BLOCKS_OF(nin)                                                                                            \
    case nin:                                                                                                          \
        lane_blocks(block, dst, dst_step, src, src_step, count, prefetch_nbytes, nin);                                 \
        break;
#define SHARED_BLOCKS_OF(nin, nout)                                                                                    \
    case (nin) * (SHARED_VECTORS + 1) + (nout):                                                                        \
        shared_blocks(block, dst, dst_step, src, src_step, count, prefetch_nbytes, nin, nout);                         \
        break;
#if LANES == 1
#define SHARED_BLOCKS_BY(nin)                                                                                          \
    SHARED_BLOCKS_OF(nin, 1)                                                                                           \
    SHARED_BLOCKS_OF(nin, 2)                                                                                           \
    SHARED_BLOCKS_OF(nin, 3)                                                                                           \
    SHARED_BLOCKS_OF(nin, 4)
#else
#define SHARED_BLOCKS_BY(nin)                                                                                          \
    SHARED_BLOCKS_OF(nin, 1)                                                                                           \
    SHARED_BLOCKS_OF(nin, 2)
#endif

static void lane_blocks_any(const cpu_lane_block *block, char *dst, int64_t dst_step, const char *src, int64_t src_step,
                            int64_t count, int64_t prefetch_nbytes)
{
    dst += block->dst_offset;
    src += block->src_offset;
    if (block->is_shared) {
        switch (block->nin * (SHARED_VECTORS + 1) + block->nout) {
            SHARED_BLOCKS_BY(1)
            SHARED_BLOCKS_BY(2)
            SHARED_BLOCKS_BY(3)
            SHARED_BLOCKS_BY(4)
        default:
            break;
        }
        return;
    }
    switch (block->nin) {
        LANE_BLOCKS_OF(1)
        LANE_BLOCKS_OF(2)
        LANE_BLOCKS_OF(3)
        LANE_BLOCKS_OF(4)
        LANE_BLOCKS_OF(5)
        LANE_BLOCKS_OF(6)
        LANE_BLOCKS_OF(7)
        LANE_BLOCKS_OF(8)
    default:
        break;
    }
}
#else
#define LANE_BLOCKS NULL
#endif
