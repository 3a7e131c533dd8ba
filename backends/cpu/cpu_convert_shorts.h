/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers that become such of 1 and 2 bytes, of which four steps fill vectors; those of 1 and 2 bytes need not be
 * widened for that. A part of cpu_convert_simd.h, which includes it once. In the native order; to constant `streams`
 * only.
 *
 *   vb_min_unsigned, vb_set, vw_min_unsigned, vw_set   of numbers of 1 and 2 bytes
 *   vw_to_vb(lo, hi)                                   the low bytes of 2-byte numbers
 *   h_to_vw_signed, h_to_vw_unsigned                   numbers of 1 byte as 2-byte ones
 *   HAS_PACKS          whether to cut four vectors together takes less than each by itself: then
 *   four_to_vb, two_to_vw                              of four vectors of 4-byte numbers, and of two */

INLINE void put_short(char *dst, vi v, bool streams)
{
    if (streams) {
        vi_stream(dst, v);
    } else {
        vi_store(dst, v);
    }
}

INLINE vi bytes_at(const char *src)
{
    return vi_load(src);
}
INLINE vi truths_at(const char *src)
{
    return vb_min_unsigned(vi_load(src), vb_set(1));
}
INLINE vi low_bytes_at(const char *src)
{
    return vw_to_vb(vi_load(src), vi_load(src + sizeof(vi)));
}
INLINE vi truths_of_words_at(const char *src)
{
    const vi one = vw_set(1);
    return vw_to_vb(vw_min_unsigned(vi_load(src), one), vw_min_unsigned(vi_load(src + sizeof(vi)), one));
}

INLINE void four_bytes(char *dst, vi v, bool streams)
{
    put_short(dst, v, streams);
}
INLINE void four_words_signed(char *dst, vi v, bool streams)
{
    put_short(dst, h_to_vw_signed(vi_lo(v)), streams);
    put_short(dst + sizeof(vi), h_to_vw_signed(vi_hi(v)), streams);
}
INLINE void four_words_unsigned(char *dst, vi v, bool streams)
{
    put_short(dst, h_to_vw_unsigned(vi_lo(v)), streams);
    put_short(dst + sizeof(vi), h_to_vw_unsigned(vi_hi(v)), streams);
}

/* X(destination, its size, source, its size, what it is converted from, by what, how four steps are read and written).
 * Numbers that are cut to as many bytes as they have, and BOOL itself, stay as they are, and are no conversions. */
#define ALL_SHORTS(X)                                                                                                  \
    X(BOOL, 1, INT8, 1, S, S_to_BOOL, truths_at, four_bytes)                                                           \
    X(BOOL, 1, UINT8, 1, S, S_to_BOOL, truths_at, four_bytes)                                                          \
    X(BOOL, 1, INT16, 2, S, S_to_BOOL, truths_of_words_at, four_bytes)                                                 \
    X(BOOL, 1, UINT16, 2, S, S_to_BOOL, truths_of_words_at, four_bytes)                                                \
    X(INT8, 1, BOOL, 1, S, S_to_bits, truths_at, four_bytes)                                                           \
    X(INT8, 1, INT16, 2, S, S_to_bits, low_bytes_at, four_bytes)                                                       \
    X(INT8, 1, UINT16, 2, S, S_to_bits, low_bytes_at, four_bytes)                                                      \
    X(INT16, 2, BOOL, 1, S, S_to_bits, truths_at, four_words_unsigned)                                                 \
    X(INT16, 2, INT8, 1, S, S_to_bits, bytes_at, four_words_signed)                                                    \
    X(INT16, 2, UINT8, 1, S, S_to_bits, bytes_at, four_words_unsigned)

/* Between numbers of 1 and 2 bytes: how four steps of them are read, and written. */
#define DEFINE_SHORTS(name, dst_name, dst_nbytes, src_name, src_nbytes, how, read, write)                              \
    INLINE void name##_four(char *dst, const char *src, bool streams)                                                  \
    {                                                                                                                  \
        write(dst, read(src), streams);                                                                                \
    }                                                                                                                  \
    DEFINE_LOOPS(name, dst_name, dst_nbytes, src_name, src_nbytes, how, 1)

/* Four steps of integers that are cut, within the caches. */
INLINE void put_four_1(char *dst, vi a, vi b, vi c, vi d)
{
#if HAS_PACKS
    vi_store(dst, four_to_vb(a, b, c, d));
#else
    q_store(dst, vi_to_q(a));
    q_store(dst + STEP, vi_to_q(b));
    q_store(dst + 2 * (ptrdiff_t)STEP, vi_to_q(c));
    q_store(dst + 3 * (ptrdiff_t)STEP, vi_to_q(d));
#endif
}
INLINE void put_four_2(char *dst, vi a, vi b, vi c, vi d)
{
#if HAS_PACKS
    vi_store(dst, two_to_vw(a, b));
    vi_store(dst + sizeof(vi), two_to_vw(c, d));
#else
    put_2(dst, vi_to_h(a), false);
    put_2(dst + sizeof(h), vi_to_h(b), false);
    put_2(dst + 2 * sizeof(h), vi_to_h(c), false);
    put_2(dst + 3 * sizeof(h), vi_to_h(d), false);
#endif
}

/* Other numbers that become integers of 1 and 2 bytes. */
#define DEFINE_SHORTENED(name, dst_name, dst_nbytes, src_name, src_nbytes, how)                                        \
    INLINE void name##_four(char *dst, const char *src, bool streams)                                                  \
    {                                                                                                                  \
        const byte_order native = {.is_native = 1};                                                                    \
        const ptrdiff_t step = STEP * (ptrdiff_t)(src_nbytes);                                                         \
        (void)streams;                                                                                                 \
        put_four_##dst_nbytes(dst, how(load_##src_name(src, native)), how(load_##src_name(src + step, native)),        \
                              how(load_##src_name(src + 2 * step, native)),                                            \
                              how(load_##src_name(src + 3 * step, native)));                                           \
    }                                                                                                                  \
    DEFINE_LOOPS(name, dst_name, dst_nbytes, src_name, src_nbytes, how, 0)
