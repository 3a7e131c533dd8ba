/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_PROBE_SIDE_H
#define NDBUF_TOOLS_PROBE_SIDE_H

/* Buffers on devices, and views of them, as requests describe them. */

#include "probe.h"

/* One side of a copy. Zero-initialised is valid for probe_side_clear. */
typedef struct probe_side {
    ndbuf_storage *buffer;
    ndbuf_storage *table; /* pointers into `buffer`, in the request's memory; NULL: none */
    ndbuf_view view;
} probe_side;

/* The keys that describe a side. */
typedef struct probe_side_keys {
    const char *device; /* NULL: the host */
    const char *nbytes;
    const char *offset;
    const char *strides;
    const char *pointers; /* present: a pointer table takes the place of the offset */
    const char *first;
    const char *axis;
    const char *suboffset;
} probe_side_keys;

extern const probe_side_keys probe_source_keys;
extern const probe_side_keys probe_destination_keys;

/* The device that a side is on: the one that the request names, or the host. Borrowed. */
ndbuf_status probe_side_device(const probe_request *request, const probe_side_keys *keys, ndbuf_device **out_device,
                               ndbuf_error *err);

/* A buffer on `device` with the contents of `bytes`. */
ndbuf_status probe_buffer_create(ndbuf_device *device, void *bytes, int64_t nbytes, ndbuf_storage **out_buffer,
                                 ndbuf_error *err);

/* Reads a buffer back to the host and puts its CRC-32 into the answer. */
ndbuf_status probe_put_crc(probe_request *request, probe_answer *answer, ndbuf_storage *buffer, ndbuf_error *err);

/* Memory of the request: the pattern of its seed, or 0xA5 throughout. */
ndbuf_status probe_alloc_pattern(probe_request *request, int64_t nbytes, unsigned char **out_bytes, ndbuf_error *err);
ndbuf_status probe_alloc_blank(probe_request *request, int64_t nbytes, unsigned char **out_bytes, ndbuf_error *err);

/* The buffer and the view that the request describes. `filled` says whether the buffer holds the pattern, or is blank.
 * On failure the side is to be cleared, too. */
ndbuf_status probe_side_init(probe_side *side, probe_request *request, const probe_side_keys *keys,
                             ndbuf_format *format, const probe_list *shape, bool filled, ndbuf_error *err);

/* A view of `side->buffer`, which is there already, at the offset and with the strides of the request. */
ndbuf_status probe_side_init_view(probe_side *side, probe_request *request, const probe_side_keys *keys,
                                  ndbuf_format *format, const probe_list *shape, ndbuf_error *err);

/* A contiguous view of a buffer of its own on `device`; `order` is 'C' or 'F'. */
ndbuf_status probe_side_init_packed(probe_side *side, probe_request *request, ndbuf_device *device,
                                    ndbuf_format *format, const probe_list *shape, char order, bool filled,
                                    ndbuf_error *err);

void probe_side_clear(probe_side *side);

#endif
