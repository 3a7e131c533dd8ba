/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_MPI_H
#define NDBUF_MPI_H

/* Views as MPI datatypes, so that strided memory travels between machines without packing it first. All of it is in
 * this header, over the user's own <mpi.h>: libndbuf itself knows nothing of MPI, and works beside any. ndbuf.h does
 * not bring it in.
 *
 *     void *base;
 *     MPI_Datatype type;
 *     ndbuf_mpi_type_create(&view, 0, 0, &base, &type, NULL, &err);
 *     MPI_Send(base, 1, type, peer, tag, comm);
 *     MPI_Type_free(&type);
 */

#include <limits.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ndbuf/format.h"
#include "ndbuf/loss.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NDBUF_MPI_RECEIVE = 1u << 0 /* the view is to be written to: refused if read-only, or if indices share a byte */
};

/* -- private to this header: see ndbuf_mpi_type_create below -- */

typedef struct ndbuf_mpi__type {
    MPI_Datatype type; /* always one of our own, never a predefined one */
    int64_t extent;    /* bytes from one of them to the next, side by side; 0: not known */
    uint32_t accept;
    ndbuf_loss *loss;
    ndbuf_error *err;
} ndbuf_mpi__type;

static inline ndbuf_status ndbuf_mpi__check(int code, const char *call, ndbuf_error *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS) {
        return NDBUF_OK;
    }
    MPI_Error_string(code, text, &length);
    return ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "%s: %.160s", call, text);
}

/* Notes a loss; an error unless it is accepted. */
static inline ndbuf_status ndbuf_mpi__lose(const ndbuf_mpi__type *self, uint32_t flag, const char *what,
                                           const char *text)
{
    if (self->loss != NULL && (self->loss->flags & flag) == 0) {
        size_t length = strlen(self->loss->message);
        self->loss->flags |= flag;
        snprintf(self->loss->message + length, sizeof(self->loss->message) - length, "%s%s: '%.60s'",
                 length > 0 ? "; " : "", what, text);
    }
    return (self->accept & flag) != 0 ? NDBUF_OK
                                      : ndbuf_fail(self->err, NDBUF_ERR_UNSUPPORTED, "MPI: %s: '%.100s'", what, text);
}

/* The predefined datatype of a number in the host's byte order. */
static inline MPI_Datatype ndbuf_mpi__number(int32_t kind, int64_t size)
{
    switch (kind) {
    case NDBUF_KIND_BOOL:
        return MPI_C_BOOL;
    case NDBUF_KIND_INT:
        return size == 1 ? MPI_INT8_T : size == 2 ? MPI_INT16_T : size == 4 ? MPI_INT32_T : MPI_INT64_T;
    case NDBUF_KIND_UINT:
        return size == 1 ? MPI_UINT8_T : size == 2 ? MPI_UINT16_T : size == 4 ? MPI_UINT32_T : MPI_UINT64_T;
    case NDBUF_KIND_FLOAT:
        return size == 4 ? MPI_FLOAT : size == 8 ? MPI_DOUBLE : size == 16 ? MPI_LONG_DOUBLE : MPI_DATATYPE_NULL;
    case NDBUF_KIND_COMPLEX:
        return size == 8 ? MPI_C_FLOAT_COMPLEX : size == 16 ? MPI_C_DOUBLE_COMPLEX : MPI_C_LONG_DOUBLE_COMPLEX;
    default:
        return MPI_DATATYPE_NULL;
    }
}

/* `count` of a type, byte by byte downwards, as pairs at a stride of -2, and one more if they are odd. Open MPI (seen
 * in 4.1.4) takes a stride of -1 for "side by side". */
static inline int ndbuf_mpi__downwards(int count, MPI_Datatype inner, MPI_Datatype *out_outer)
{
    MPI_Aint places[2] = {0, -1};
    int lengths[2] = {1, 1};
    MPI_Datatype pair = MPI_DATATYPE_NULL;
    MPI_Datatype pairs = MPI_DATATYPE_NULL;
    int code = MPI_Type_create_hindexed_block(2, 1, places, inner, &pair);
    if (code == MPI_SUCCESS) {
        code = MPI_Type_create_hvector(count / 2, 1, -2, pair, &pairs);
        MPI_Type_free(&pair);
    }
    if (code == MPI_SUCCESS && count % 2 != 0) {
        MPI_Datatype types[2] = {pairs, inner};
        places[1] = (MPI_Aint)(1 - count);
        code = MPI_Type_create_struct(2, lengths, places, types, out_outer);
        MPI_Type_free(&pairs);
    } else if (code == MPI_SUCCESS) {
        *out_outer = pairs;
    }
    return code;
}

/* Puts `count` of the type at a byte stride from each other in its place. */
static inline ndbuf_status ndbuf_mpi__nest(ndbuf_mpi__type *self, int64_t count, int64_t stride)
{
    MPI_Datatype inner = self->type;
    MPI_Datatype outer = MPI_DATATYPE_NULL;
    const int is_dense = self->extent > 0 && stride == self->extent;
    const char *call = is_dense ? "MPI_Type_contiguous" : "MPI_Type_create_hvector";
    int code;
    if (count > INT_MAX) {
#if MPI_VERSION >= 4
        code = is_dense ? MPI_Type_contiguous_c(count, inner, &outer)
                        : MPI_Type_create_hvector_c(count, 1, stride, inner, &outer);
#else
        return ndbuf_fail(self->err, NDBUF_ERR_OVERFLOW, "MPI before 4.0 counts to %d, not to %lld", INT_MAX,
                          (long long)count);
#endif
    } else if (stride == -1 && count > 1) {
        code = ndbuf_mpi__downwards((int)count, inner, &outer);
    } else {
        code = is_dense ? MPI_Type_contiguous((int)count, inner, &outer)
                        : MPI_Type_create_hvector((int)count, 1, (MPI_Aint)stride, inner, &outer);
    }
    ndbuf_status status = ndbuf_mpi__check(code, call, self->err);
    if (status == NDBUF_OK) {
        MPI_Type_free(&self->type);
        self->type = outer;
        self->extent = is_dense ? self->extent * count : 0;
    }
    return status;
}

/* The type of one leaf of an item. */
static inline ndbuf_status ndbuf_mpi__leaf(ndbuf_mpi__type *self, const ndbuf_field *field, const char *text)
{
    static const uint16_t one = 1;
    const char host_order = *(const unsigned char *)&one == 1 ? '<' : '>';
    ndbuf_status status = NDBUF_OK;
    MPI_Datatype number = ndbuf_mpi__number(field->kind, field->size);
    if (field->kind == NDBUF_KIND_OBJECT || field->kind == NDBUF_KIND_POINTER) {
        return ndbuf_fail(self->err, NDBUF_ERR_UNSUPPORTED, "MPI: pointers mean nothing elsewhere: '%.100s'", text);
    }
    if (field->byte_order != '|' && field->byte_order != host_order) {
        number = MPI_DATATYPE_NULL;
        status = ndbuf_mpi__lose(self, NDBUF_LOSS_BYTE_ORDER, "not in the host's byte order", text);
    } else if (number == MPI_DATATYPE_NULL && field->byte_order != '|') {
        status = ndbuf_mpi__lose(self, NDBUF_LOSS_TYPE, "no datatype for", text);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (number != MPI_DATATYPE_NULL) {
        self->extent = field->size;
        status = ndbuf_mpi__check(MPI_Type_dup(number, &self->type), "MPI_Type_dup", self->err);
    } else {
        self->extent = 1;
        status = ndbuf_mpi__check(MPI_Type_dup(MPI_BYTE, &self->type), "MPI_Type_dup", self->err);
        if (status == NDBUF_OK) {
            status = ndbuf_mpi__nest(self, field->size, 1);
        }
    }
    for (int32_t k = field->ndim - 1; status == NDBUF_OK && k >= 0; k--) {
        status = ndbuf_mpi__nest(self, field->extents[k], field->strides[k]);
    }
    if (status != NDBUF_OK && self->type != MPI_DATATYPE_NULL) {
        MPI_Type_free(&self->type);
    }
    return status;
}

/* Adds a leaf to what `self` holds of an item. */
static inline ndbuf_status ndbuf_mpi__append(ndbuf_mpi__type *self, ndbuf_mpi__type *leaf, int64_t offset)
{
    int lengths[2] = {1, 1};
    MPI_Aint places[2] = {0, (MPI_Aint)offset};
    MPI_Datatype types[2] = {self->type, leaf->type};
    MPI_Datatype both = MPI_DATATYPE_NULL;
    const int skip = self->type == MPI_DATATYPE_NULL ? 1 : 0; /* the first leaf */
    ndbuf_status status =
        ndbuf_mpi__check(MPI_Type_create_struct(2 - skip, lengths + skip, places + skip, types + skip, &both),
                         "MPI_Type_create_struct", self->err);
    MPI_Type_free(&leaf->type);
    if (status == NDBUF_OK) {
        if (self->type != MPI_DATATYPE_NULL) {
            MPI_Type_free(&self->type);
        }
        self->type = both;
    }
    return status;
}

/* The type of an item: its leaves at their offsets, and nothing of the padding between them. */
static inline ndbuf_status ndbuf_mpi__item(ndbuf_mpi__type *self, const ndbuf_format *format)
{
    const char *text = ndbuf_format_text(format);
    const int32_t nfields = ndbuf_format_nfields(format);
    ndbuf_status status = NDBUF_OK;
    ndbuf_field field;
    memset(&field, 0, sizeof(field));
    for (int32_t i = 0; i < nfields && status == NDBUF_OK; i++) {
        ndbuf_mpi__type leaf = *self;
        leaf.type = MPI_DATATYPE_NULL;
        status = ndbuf_format_field(format, i, &field, self->err);
        if (status == NDBUF_OK && field.nnames > 0) {
            status = ndbuf_mpi__lose(self, NDBUF_LOSS_NAMES, "fields have no names there", text);
        }
        if (status == NDBUF_OK) {
            status = ndbuf_mpi__leaf(&leaf, &field, text);
        }
        if (status == NDBUF_OK && nfields == 1 && field.offset == 0 && leaf.extent == ndbuf_format_itemsize(format)) {
            self->type = leaf.type;
        } else if (status == NDBUF_OK) {
            status = ndbuf_mpi__append(self, &leaf, field.offset);
        }
    }
    self->extent = ndbuf_format_itemsize(format);
    if (status == NDBUF_OK && nfields == 0) {
        status = ndbuf_mpi__check(MPI_Type_contiguous(0, MPI_BYTE, &self->type), "MPI_Type_contiguous", self->err);
    }
    if (status == NDBUF_OK && (nfields > 1 || nfields == 0 || field.offset != 0 || field.size != self->extent)) {
        MPI_Datatype resized = MPI_DATATYPE_NULL;
        status = ndbuf_mpi__check(MPI_Type_create_resized(self->type, 0, (MPI_Aint)self->extent, &resized),
                                  "MPI_Type_create_resized", self->err);
        if (status == NDBUF_OK) {
            MPI_Type_free(&self->type);
            self->type = resized;
        }
    }
    return status;
}

/* All items of a view that has some: axes of one item left out, those that continue each other merged as far as MPI
 * counts. */
static inline ndbuf_status ndbuf_mpi__axes(ndbuf_mpi__type *self, const ndbuf_view *view)
{
    ndbuf_status status = NDBUF_OK;
    int64_t count = 1; /* of the axes that are not nested yet */
    int64_t stride = view->itemsize;
    int64_t compact = view->itemsize;
    const int64_t max_count = MPI_VERSION >= 4 ? INT64_MAX : INT_MAX;
    for (int32_t k = view->ndim - 1; k >= 0 && view->shape != NULL && status == NDBUF_OK; k--) {
        const int64_t outer = view->strides != NULL ? view->strides[k] : compact;
        compact *= view->shape[k];
        if (view->shape[k] == 1) {
            continue;
        }
        if (count > 1 && outer % count == 0 && outer / count == stride && view->shape[k] <= max_count / count) {
            count *= view->shape[k];
            continue;
        }
        if (count > 1) {
            status = ndbuf_mpi__nest(self, count, stride);
        }
        count = view->shape[k];
        stride = outer;
    }
    if (view->ndim > 0 && view->shape == NULL) { /* not asked for: items side by side */
        count = view->nbytes / view->itemsize;
    }
    return status == NDBUF_OK && count > 1 ? ndbuf_mpi__nest(self, count, stride) : status;
}

static inline ndbuf_status ndbuf_mpi__check_view(const ndbuf_view *view, uint32_t flags, ndbuf_error *err)
{
    if (view == NULL || view->release == NULL || ndbuf_view_format(view) == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no view of this library");
    }
    if ((flags & ~(uint32_t)NDBUF_MPI_RECEIVE) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown flags 0x%x of an MPI datatype", (unsigned)flags);
    }
    if (view->device.type != NDBUF_DEVICE_CPU && view->device.type != NDBUF_DEVICE_CUDA &&
        view->device.type != NDBUF_DEVICE_CUDA_HOST && view->device.type != NDBUF_DEVICE_CUDA_MANAGED) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "MPI cannot reach memory of device type %d",
                          (int)view->device.type);
    }
    if ((flags & NDBUF_MPI_RECEIVE) != 0 && (view->flags & NDBUF_VIEW_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_READONLY, "the view is read-only, and cannot receive");
    }
    if ((flags & NDBUF_MPI_RECEIVE) != 0 && ndbuf_view_self_overlap(view) != NDBUF_NO) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "two indices of the view reach one byte: it cannot receive");
    }
    return NDBUF_OK;
}

/* A committed datatype of all items of a view in C order of indices, and the address that goes with it. Waits for
 * view->ready. Numbers in the host's byte order have a datatype each, records one of their leaves (padding does not
 * travel), bytes and opaque items are MPI_BYTE. So the message is the same whatever the strides: the other side may
 * take it with another layout, or contiguous. CUDA memory needs an MPI that knows CUDA.
 *
 * flags      NDBUF_MPI_RECEIVE or 0
 * accept     NDBUF_LOSS_... bits that may be lost: what has no datatype (the other byte order, 16-bit floats, text)
 *            then travels as bytes, and names of fields do not travel
 * out_base   the address of item 0..0; the memory is the view's: keep it until the communication is done
 * out_type   for a count of 1; the caller's, ended by MPI_Type_free
 * out_loss   written also where the loss is the reason of the failure; may be NULL
 *
 * NDBUF_ERR_UNSUPPORTED  a loss that is not accepted; pointers; memory without addresses (OpenCL)
 * NDBUF_ERR_COPY_NEEDED  the view has suboffsets
 * NDBUF_ERR_READONLY, NDBUF_ERR_INVALID  see NDBUF_MPI_RECEIVE; not a view of this library, or unknown flags
 * NDBUF_ERR_OVERFLOW     more than 2^31 - 1 items along an axis, and MPI is before 4.0
 * NDBUF_ERR_DEVICE       MPI failed (where its error handler returns); err->native_code is its code */
static inline ndbuf_status ndbuf_mpi_type_create(const ndbuf_view *view, uint32_t flags, uint32_t accept,
                                                 void **out_base, MPI_Datatype *out_type, ndbuf_loss *out_loss,
                                                 ndbuf_error *err)
{
    ndbuf_mpi__type made;
    made.type = MPI_DATATYPE_NULL;
    made.extent = 0;
    made.accept = accept;
    made.loss = out_loss;
    made.err = err;
    if (out_loss != NULL) {
        memset(out_loss, 0, sizeof(*out_loss));
    }
    ndbuf_status status = ndbuf_mpi__check_view(view, flags, err);
    if (status == NDBUF_OK && view->suboffsets != NULL) {
        made.accept = NDBUF_LOSS_SUBOFFSETS; /* for the report alone */
        (void)ndbuf_mpi__lose(&made, NDBUF_LOSS_SUBOFFSETS, "items behind pointers",
                              ndbuf_format_text(ndbuf_view_format(view)));
        status = ndbuf_fail(err, NDBUF_ERR_COPY_NEEDED, "MPI: the items lie behind pointers");
    }
    if (status == NDBUF_OK && view->ready != NULL) {
        status = ndbuf_event_wait(view->ready, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    const uintptr_t base = (uintptr_t)view->handle + (uintptr_t)view->byte_offset;
    if (out_loss != NULL) {
        out_loss->alignment = (int64_t)((base | 4096) & (0 - (base | 4096)));
    }
    status = ndbuf_mpi__item(&made, ndbuf_view_format(view));
    if (status == NDBUF_OK) {
        status = view->nbytes > 0 ? ndbuf_mpi__axes(&made, view) : ndbuf_mpi__nest(&made, 0, made.extent);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_mpi__check(MPI_Type_commit(&made.type), "MPI_Type_commit", err);
    }
    if (status != NDBUF_OK) {
        if (made.type != MPI_DATATYPE_NULL) {
            MPI_Type_free(&made.type);
        }
        return status;
    }
    *out_base = (void *)base;
    *out_type = made.type;
    return NDBUF_OK;
}

#ifdef __cplusplus
}
#endif

#endif
