/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_VIEW_H
#define NDBUF_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/format.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"
#include "ndbuf/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NDBUF_MAX_NDIM 64   /* PEP 3118's PyBUF_MAX_NDIM */
#define NDBUF_INLINE_NDIM 8 /* views of up to this many dimensions allocate nothing */

/* What keeps the memory behind a view alive: the frozen head of a counted object. A program part that makes views
 * without the library provides its own. */
typedef struct ndbuf_owner ndbuf_owner;
struct ndbuf_owner {
    const void *library; /* the same address for all objects of one copy of the library; anything else: a foreign one */
    void (*retain)(ndbuf_owner *owner);  /* thread-safe */
    void (*release)(ndbuf_owner *owner); /* thread-safe; the last one frees */
};

enum {
    NDBUF_VIEW_READONLY = 1u << 0,
    NDBUF_VIEW_COPIED = 1u << 1 /* made by a copy on the exporter's side: writing to it does not reach the original */
};

/* A view: where (device, handle, byte offset), what (format, item size), how (shape, strides, suboffsets).
 *
 * It lives in the caller's memory. It may point into itself: never assign or memcpy one, use ndbuf_view_move. Every
 * view ends with ndbuf_view_release; one whose `release` is NULL (zero-initialised, moved away or released) is empty,
 * which that accepts. A view may be read by many threads at once, and changed by none meanwhile.
 *
 * Item (i0 .. in) of a view without suboffsets lies at handle + byte_offset + sum(ik * strides[k]). With suboffsets,
 * PEP 3118's rule: after adding ik * strides[k], where suboffsets[k] >= 0 the address is replaced by the pointer found
 * there plus suboffsets[k].
 *
 * The fields down to `release` are frozen: a program part that includes only this header may read them, and end the
 * view through `release`. Whoever fills in a view without the library sets all of them and leaves the rest zero. */
typedef struct ndbuf_view ndbuf_view;
struct ndbuf_view {
    uint32_t abi_version;              /* NDBUF_ABI_VERSION */
    uint32_t flags;                    /* NDBUF_VIEW_... bits */
    ndbuf_device_tag device;           /* where the memory is */
    void *handle;                      /* of the storage's byte 0: a host address, a CUDA pointer, a cl_mem */
    int64_t byte_offset;               /* of item 0..0 from byte 0 of the storage */
    int64_t storage_nbytes;            /* of the storage */
    int64_t nbytes;                    /* product of shape times itemsize: what a packed copy takes */
    int64_t itemsize;                  /* bytes */
    int32_t ndim;                      /* 0 .. NDBUF_MAX_NDIM; 0: one item, and no shape or strides */
    int32_t reserved;                  /* 0 */
    const char *format;                /* PEP 3118 text; NULL: "B", or not asked for */
    const int64_t *shape;              /* ndim entries, items; NULL: ndim 0, or not asked for */
    const int64_t *strides;            /* ndim entries, bytes, any sign; NULL: C-contiguous */
    const int64_t *suboffsets;         /* ndim entries, bytes; NULL: none. Never all negative, or without strides */
    ndbuf_event *ready;                /* the contents are valid when this is complete; NULL: now */
    ndbuf_owner *owner;                /* one reference of this view, or NULL: nothing to keep alive */
    void (*release)(ndbuf_view *view); /* ends the view and sets this to NULL; never NULL in a live view */

    /* From here on private to the library copy that made the view. */
    ndbuf_storage *storage; /* borrowed: the owner keeps it */
    ndbuf_format *layout;   /* the parsed format */
    uint32_t held;          /* what `release` lets go of besides the owner */
    int32_t has_left;       /* a pointer was followed on the way here, out of the storage */
    int64_t *dims;          /* shape, strides, suboffsets, 3 * ndim entries: dims_inline, the heap, or the owner's */
    int64_t dims_inline[3 * NDBUF_INLINE_NDIM];
};

/* Ends a view, however it was made; after that it is empty. NULL and empty views are accepted. Calls through the view,
 * so it needs no library at link time. */
static inline void ndbuf_view_release(ndbuf_view *view)
{
    if (view != NULL && view->release != NULL) {
        view->release(view);
    }
}

/* What a new view is to be. Zero-initialised: one byte at offset 0. */
typedef struct ndbuf_view_spec {
    ndbuf_format *format;      /* NULL: "B"; the view takes a reference of its own */
    int64_t byte_offset;       /* of item 0..0 from the start of the storage */
    int32_t ndim;              /* 0 .. NDBUF_MAX_NDIM */
    uint32_t flags;            /* NDBUF_VIEW_READONLY or 0 */
    const int64_t *shape;      /* ndim entries, >= 0 */
    const int64_t *strides;    /* ndim entries, bytes; NULL: C-contiguous. Those of extents 0 and 1 are free */
    const int64_t *suboffsets; /* ndim entries; NULL: none. Host memory and given strides only. The pointers are
                                * followed as they are: that they lead to valid memory, kept alive by the storage, is
                                * the caller's word */
} ndbuf_view_spec;

/* A view of a storage, proved to lie inside it: every byte that any index can reach (down to the pointers, with
 * suboffsets). A view without items must have 0 <= byte_offset <= nbytes of the storage.
 *
 * out_view  holds a reference to the storage; read-only if the spec or the storage says so.
 *
 * NDBUF_ERR_INVALID      ndim outside 0 .. 64, a negative extent, no shape; suboffsets on a device, or without
 *                        strides
 * NDBUF_ERR_OVERFLOW     sizes beyond 63 bits
 * NDBUF_ERR_BOUNDS       the view leaves the storage; the text gives both ranges
 * NDBUF_ERR_UNSUPPORTED  the format holds pointers or objects, and the storage is not on the host
 * NDBUF_ERR_NOMEM        more than NDBUF_INLINE_NDIM dimensions, and no memory for them */
NDBUF_API ndbuf_status ndbuf_view_init(ndbuf_view *out_view, ndbuf_storage *storage, const ndbuf_view_spec *spec,
                                       ndbuf_error *err);

/* A new storage on `device` with a C-contiguous view of it. Contents unspecified. The statuses of ndbuf_storage_create
 * and ndbuf_view_init. */
NDBUF_API ndbuf_status ndbuf_view_create(ndbuf_view *out_view, ndbuf_device *device, ndbuf_format *format, int32_t ndim,
                                         const int64_t *shape, ndbuf_error *err);

/* Moves a view to another place; `view` is empty afterwards. `out_view` must not be a live view. */
NDBUF_API void ndbuf_view_move(ndbuf_view *out_view, ndbuf_view *view);

/* The functions below make a view of the same memory from `view`, without copying, and share its owner, its read-only
 * bit and its ready event. `out_view` may be `view` itself, which is replaced on success. No result can leave the
 * bounds that were proved for `view`; but one that follows a pointer on the way has a byte_offset anywhere in host
 * memory, and where that is not in the storage, the CPU as its device.
 * NDBUF_ERR_UNSUPPORTED is also returned where a suboffset would become negative. Axes are numbered from 0. All of them
 * may return NDBUF_ERR_NOMEM for more than NDBUF_INLINE_NDIM dimensions, and NDBUF_ERR_ABI for a view that this copy of
 * the library did not make (import it first, see exporter.h). */

NDBUF_API ndbuf_status ndbuf_view_copy(ndbuf_view *out_view, const ndbuf_view *view, ndbuf_error *err);

enum { NDBUF_SLICE_START = 1u << 0, NDBUF_SLICE_STOP = 1u << 1, NDBUF_SLICE_STEP = 1u << 2 };

/* Python's start:stop:step. A member counts only if its bit is in `given`; zero-initialised is ":". */
typedef struct ndbuf_slice {
    int64_t start;
    int64_t stop;
    int64_t step;
    uint32_t given; /* NDBUF_SLICE_... bits */
} ndbuf_slice;

/* Python's arithmetic of slices: the indices first, first + step, ... , `count` of them, for an axis of `extent` items.
 * A step beyond +-(2^63 - 1) is clipped to that.
 *
 * NDBUF_ERR_INVALID  step is 0, or extent < 0 */
NDBUF_API ndbuf_status ndbuf_slice_indices(const ndbuf_slice *slice, int64_t extent, int64_t *out_count,
                                           int64_t *out_first, int64_t *out_step, ndbuf_error *err);

/* Reads "start:stop:step" in Python's syntax, members may be missing or negative; `text` need not be terminated.
 *
 * NDBUF_ERR_INVALID  not a slice; the text tells where */
NDBUF_API ndbuf_status ndbuf_slice_parse(const char *text, size_t length, ndbuf_slice *out_slice, ndbuf_error *err);

/* One axis sliced.
 *
 * NDBUF_ERR_INDEX    no such axis
 * NDBUF_ERR_INVALID  step is 0 */
NDBUF_API ndbuf_status ndbuf_view_slice(const ndbuf_view *view, int32_t axis, const ndbuf_slice *slice,
                                        ndbuf_view *out_view, ndbuf_error *err);

/* One axis fixed at `index` (negative: from the end); the axis disappears.
 *
 * NDBUF_ERR_INDEX        no such axis or index
 * NDBUF_ERR_UNSUPPORTED  the axis leads to pointers and no axis before it can take the place: see suboffsets; cannot
 *                        happen with a first axis, whose pointer is followed */
NDBUF_API ndbuf_status ndbuf_view_index(const ndbuf_view *view, int32_t axis, int64_t index, ndbuf_view *out_view,
                                        ndbuf_error *err);

/* Axis k of the result is axis axes[k]. `axes` has view->ndim entries.
 *
 * NDBUF_ERR_INVALID      not a permutation
 * NDBUF_ERR_UNSUPPORTED  it would move an axis across one that leads to pointers */
NDBUF_API ndbuf_status ndbuf_view_permute(const ndbuf_view *view, const int32_t *axes, ndbuf_view *out_view,
                                          ndbuf_error *err);

/* All axes reversed. Statuses of ndbuf_view_permute. */
NDBUF_API ndbuf_status ndbuf_view_transpose(const ndbuf_view *view, ndbuf_view *out_view, ndbuf_error *err);

/* An axis of extent 1 before axis `axis`, which may be view->ndim.
 *
 * NDBUF_ERR_INDEX     no such place
 * NDBUF_ERR_OVERFLOW  more than NDBUF_MAX_NDIM axes */
NDBUF_API ndbuf_status ndbuf_view_newaxis(const ndbuf_view *view, int32_t axis, ndbuf_view *out_view, ndbuf_error *err);

/* Axis `axis`, of extent 1, dropped.
 *
 * NDBUF_ERR_INDEX        no such axis
 * NDBUF_ERR_INVALID      its extent is not 1
 * NDBUF_ERR_UNSUPPORTED  as ndbuf_view_index */
NDBUF_API ndbuf_status ndbuf_view_squeeze(const ndbuf_view *view, int32_t axis, ndbuf_view *out_view, ndbuf_error *err);

/* Broadcast to `shape` by NumPy's rules: new axes in front, extents of 1 repeated with stride 0. The result is
 * read-only wherever an item would be reached by two indices.
 *
 * NDBUF_ERR_INVALID   the shapes do not fit, or ndim < view->ndim
 * NDBUF_ERR_OVERFLOW  nbytes beyond 63 bits */
NDBUF_API ndbuf_status ndbuf_view_broadcast(const ndbuf_view *view, int32_t ndim, const int64_t *shape,
                                            ndbuf_view *out_view, ndbuf_error *err);

/* The same items, in the same order of indices, under another shape.
 *
 * order  'C': last index fastest; 'F': first index fastest.
 *
 * NDBUF_ERR_INVALID      another number of items, a negative extent, or another order
 * NDBUF_ERR_OVERFLOW     strides beyond 63 bits, which shapes without items may have
 * NDBUF_ERR_COPY_NEEDED  the strides allow no such view */
NDBUF_API ndbuf_status ndbuf_view_reshape(const ndbuf_view *view, int32_t ndim, const int64_t *shape, char order,
                                          ndbuf_view *out_view, ndbuf_error *err);

/* A field of a record by path: names joined by '.', "pos.x". A name that itself contains a '.' is matched whole before
 * it is split. Subarrays of the field, and of the records around it, become axes at the end.
 *
 * NDBUF_ERR_INDEX     no such field, or the name is not unique
 * NDBUF_ERR_OVERFLOW  more than NDBUF_MAX_NDIM axes together */
NDBUF_API ndbuf_status ndbuf_view_field(const ndbuf_view *view, const char *path, ndbuf_view *out_view,
                                        ndbuf_error *err);

/* The items read as another format. Of the same item size: any strides. Of another one: the last axis must be packed,
 * and its bytes a multiple of the new size; its extent changes. A 0-d view takes only equal sizes.
 *
 * NDBUF_ERR_INVALID      the sizes do not divide
 * NDBUF_ERR_OVERFLOW     the last axis of a view without items is beyond 63 bits
 * NDBUF_ERR_COPY_NEEDED  the last axis is not packed
 * NDBUF_ERR_UNSUPPORTED  to or from a format with objects or pointers, or the last axis leads to pointers */
NDBUF_API ndbuf_status ndbuf_view_reinterpret(const ndbuf_view *view, ndbuf_format *format, ndbuf_view *out_view,
                                              ndbuf_error *err);

/* A read-only view of the same. */
NDBUF_API ndbuf_status ndbuf_view_readonly(const ndbuf_view *view, ndbuf_view *out_view, ndbuf_error *err);

/* Facts about a view. These work on any valid view, whoever made it. */

/* Product of the shape: 1 for 0-d views. */
NDBUF_API int64_t ndbuf_view_nitems(const ndbuf_view *view);

/* Contiguity in memory with the last ('C') or the first ('F') index fastest. Extents of 1 do not matter; a view without
 * items is both; one with suboffsets neither. */
NDBUF_API int32_t ndbuf_view_is_contiguous(const ndbuf_view *view, char order);

/* The bytes of the storage that the view can reach: [*out_lo, *out_hi). Both are byte_offset if it has no items. With
 * suboffsets: the bytes down to the first pointers. */
NDBUF_API void ndbuf_view_byte_range(const ndbuf_view *view, int64_t *out_lo, int64_t *out_hi);

/* Whether something is so, where the question may be too hard to answer exactly. */
typedef enum ndbuf_answer {
    NDBUF_NO = 0,
    NDBUF_YES = 1,
    NDBUF_UNDECIDED = 2 /* the bounded search ended without an answer: treat as yes */
} ndbuf_answer;

/* Do two views share a byte? Exact; the work is bounded, and beyond the bound the answer is NDBUF_UNDECIDED. Memory
 * that has addresses (CPU, CUDA, CUDA_HOST, CUDA_MANAGED, and of this library's own views what the host can touch) is
 * compared by address, since one piece can be seen under two tags; other memory is shared only under the same device
 * and handle, but for OpenCL's: a buffer is that of all devices of its context, and sub-buffers are compared as parts
 * of it, where both views are this library's. Suboffsets are followed, up to 2^20 pointers; where one view's items
 * cover the other's pointers, of any level, the answer is NDBUF_UNDECIDED. */
NDBUF_API ndbuf_answer ndbuf_view_overlap(const ndbuf_view *a, const ndbuf_view *b);

/* Do two different indices of the view reach a common byte? */
NDBUF_API ndbuf_answer ndbuf_view_self_overlap(const ndbuf_view *view);

/* The host address of item 0..0 (of the first pointer, with suboffsets), or NULL if the host cannot touch the memory.
 * This is how host code reaches a view: device memory gives NULL, never a crash. */
NDBUF_API void *ndbuf_view_host_address(const ndbuf_view *view);

/* All three are borrowed, and NULL if this library did not make the view. The device is the storage's, but the CPU
 * where a pointer was followed out of the storage. */
NDBUF_API ndbuf_storage *ndbuf_view_storage(const ndbuf_view *view);
NDBUF_API ndbuf_device *ndbuf_view_device(const ndbuf_view *view);
NDBUF_API ndbuf_format *ndbuf_view_format(const ndbuf_view *view);

/* The event after which the contents are valid: NULL for now. The view takes a reference. */
NDBUF_API void ndbuf_view_set_ready(ndbuf_view *view, ndbuf_event *event);

/* A contiguous piece of host memory; laid out as POSIX's struct iovec. */
typedef struct ndbuf_iovec {
    void *iov_base;
    size_t iov_len; /* bytes */
} ndbuf_iovec;

/* Walks through a host view in C order of indices as maximal contiguous runs. Lives in the caller's memory. */
typedef struct ndbuf_run_iterator {
    const ndbuf_view *view; /* must outlive the iterator */
    int64_t run_nbytes;     /* bytes of each run but those that merge across the end of one */
    int32_t outer_ndim;     /* axes that are walked through */
    int32_t done;
    int64_t index[NDBUF_MAX_NDIM];
} ndbuf_run_iterator;

/* NDBUF_ERR_UNSUPPORTED  the host cannot touch the view */
NDBUF_API ndbuf_status ndbuf_run_iterator_init(ndbuf_run_iterator *out_iterator, const ndbuf_view *view,
                                               ndbuf_error *err);

/* Fills up to `max_runs` runs and returns how many; 0 at the end. Neighbouring runs that touch are given as one. */
NDBUF_API size_t ndbuf_run_iterator_next(ndbuf_run_iterator *iterator, ndbuf_iovec *out_runs, size_t max_runs);

#ifdef __cplusplus
}
#endif

#endif
