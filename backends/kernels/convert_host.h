/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_CONVERT_HOST_H
#define NDBUF_BACKENDS_KERNELS_CONVERT_HOST_H

/* Conversion of rows of elements on the host, in plain C, in the library whatever its backends: for the host engine,
 * and what the kernels are compared with. Elements need no alignment. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/backend.h"

typedef struct ndbuf__converter ndbuf__converter;

/* `count` numbers, strides in bytes of any sign. */
typedef void (*ndbuf__convert_fn)(const ndbuf__converter *converter, char *dst, int64_t dst_stride, const char *src,
                                  int64_t src_stride, int64_t count);

/* How elements of one type become elements of another one. Nothing to clear. */
struct ndbuf__converter {
    ndbuf__convert_fn fn;
    bool swaps_dst; /* the bytes of each number */
    bool swaps_src;
    bool has_imaginary;  /* the destination is complex: as many zeros follow each number */
    bool converts_pairs; /* each element is two numbers, which are both converted; set by who wants that */
    bool is_quick;       /* fn takes the processor few instructions for each number */
};

/* False: there is no such conversion (complex to complex and to real numbers comes as one of the halves; no long double
 * in the other byte order; numbers or sizes that do not exist). */
bool ndbuf__converter_init(ndbuf__converter *out_converter, const ndbuf_element *dst, const ndbuf_element *src,
                           uint32_t flags);

/* Whether there is that: both are floats, and parts of complex numbers at most. */
bool ndbuf__converts_pairs(const ndbuf_element *dst, const ndbuf_element *src);

/* Converts `count` elements; source and destination do not overlap. */
void ndbuf__convert_row(const ndbuf__converter *converter, char *dst, int64_t dst_stride, const char *src,
                        int64_t src_stride, int64_t count);

#endif
