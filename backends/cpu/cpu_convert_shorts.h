/* SPDX-License-Identifier: Apache-2.0 */

/* Numbers of 1 and 2 bytes that become such numbers: four steps of them fill vectors, and need not be widened. A part
 * of cpu_convert_simd.h, which includes it once. In the native order; to constant `streams` only.
 *
 *   vb_min_unsigned, vb_set, vw_min_unsigned, vw_set   of numbers of 1 and 2 bytes
 *   vw_to_vb(lo, hi)                                   the low bytes of 2-byte numbers
 *   h_to_vw_signed, h_to_vw_unsigned                   numbers of 1 byte as 2-byte ones */

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
