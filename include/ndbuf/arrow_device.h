/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_ARROW_DEVICE_H
#define NDBUF_ARROW_DEVICE_H

/* Exchange of arrays by the Arrow C device data interface
 * (https://arrow.apache.org/docs/format/CDeviceDataInterface.html), in both directions, without a copy. The structs are
 * Arrow's, under Arrow's own guards, so that other headers with them may come before or after this one. ndbuf.h does
 * not bring it in. */

#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/loss.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Arrow's own names -- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_DEVICE_DATA_INTERFACE
#define ARROW_C_DEVICE_DATA_INTERFACE

typedef int32_t ArrowDeviceType;

#define ARROW_DEVICE_CPU 1
#define ARROW_DEVICE_CUDA 2
#define ARROW_DEVICE_CUDA_HOST 3
#define ARROW_DEVICE_OPENCL 4
#define ARROW_DEVICE_VULKAN 7
#define ARROW_DEVICE_METAL 8
#define ARROW_DEVICE_VPI 9
#define ARROW_DEVICE_ROCM 10
#define ARROW_DEVICE_ROCM_HOST 11
#define ARROW_DEVICE_EXT_DEV 12
#define ARROW_DEVICE_CUDA_MANAGED 13
#define ARROW_DEVICE_ONEAPI 14
#define ARROW_DEVICE_WEBGPU 15
#define ARROW_DEVICE_HEXAGON 16

struct ArrowDeviceArray {
    struct ArrowArray array;
    int64_t device_id;
    ArrowDeviceType device_type;
    void *sync_event;    /* cudaEvent_t *, cl_event *; NULL: the contents are valid now */
    int64_t reserved[3]; /* written as zeros, and not looked at: PyArrow leaves them as they were */
};

#endif

/* -- ndbuf's -- */

enum {
    NDBUF_ARROW_WAIT = 1u << 0,    /* export: the call waits for view->ready, for consumers who ignore sync_event */
    NDBUF_ARROW_WRITABLE = 1u << 1 /* import: the view may be written to. Arrow's arrays are meant not to be */
};

/* How to export. Zero-initialised, or NULL in its place: nothing may be lost. */
typedef struct ndbuf_arrow_export_options {
    uint32_t flags;  /* NDBUF_ARROW_WAIT or 0 */
    uint32_t accept; /* NDBUF_LOSS_... bits that may be lost */
} ndbuf_arrow_export_options;

/* How to import. Zero-initialised, or NULL in its place, is valid. */
typedef struct ndbuf_arrow_import_options {
    uint32_t flags;       /* NDBUF_ARROW_WRITABLE or 0 */
    uint32_t accept;      /* NDBUF_LOSS_NULLS: which items are missing is not looked at */
    ndbuf_device *device; /* where the array is; NULL: the device of its number. For OpenCL memory in another context,
                           * and for devices of other backends that are not open */
} ndbuf_arrow_import_options;

/* Exports a C-contiguous view as an array: of shape (n, a, b), n lists of a lists of b items each ("+w:a" of "+w:b").
 * Integers and floats of 16 to 64 bits have a type there; bytes ("s") and opaque items are binaries of fixed size
 * ("w:N"). Arrow has no complex numbers, bfloat16, long double, text of fixed size or records, its booleans are bits,
 * and its numbers are in the host's byte order: where such a loss is accepted, booleans go out as uint8 and the rest as
 * binaries. A view of 0 dimensions is an array of one item (NDBUF_LOSS_SHAPE). No item is null.
 *
 * out_schema, out_array  the caller's, each ended by its release function, in any order and from any thread. The array
 *                        holds what the view holds, and may outlive it. sync_event is view->ready's event; NULL without
 *                        one. Where there is an event but no native one, the call waits.
 * out_loss               written also where the loss is the reason of the failure; may be NULL.
 *
 * NDBUF_ERR_COPY_NEEDED  not C-contiguous, suboffsets, or OpenCL memory from a byte offset that is no multiple of the
 *                        item size: whatever is accepted
 * NDBUF_ERR_UNSUPPORTED  type, fields, byte order or shape would be lost; objects and pointers, whatever is accepted
 * NDBUF_ERR_OVERFLOW     an inner extent or an item beyond 31 bits, which Arrow's lists have; lengths beyond 63 bits
 * NDBUF_ERR_INVALID      unknown flags
 * NDBUF_ERR_ABI          not a view of this library: import it first
 * NDBUF_ERR_NOMEM, and what waiting returns */
NDBUF_API ndbuf_status ndbuf_arrow_export(const ndbuf_view *view, const ndbuf_arrow_export_options *options,
                                          struct ArrowSchema *out_schema, struct ArrowDeviceArray *out_array,
                                          ndbuf_loss *out_loss, ndbuf_error *err);

/* Consumes an array of numbers, of binaries of fixed size, or of lists of fixed size of them, and gives a view of it:
 * shape (length, a, b).
 *
 * schema, array  both are taken over: their `release` is NULL when the call returns, whatever it returns. The schema is
 *                released at once; the array when the last user of the view's memory is gone, or before an error is
 *                returned.
 * out_view       read-only, unless WRITABLE; its ready event is complete after sync_event is. Its storage is what the
 *                array reaches; where the device can tell, that much is there.
 * out_loss       written also where the loss is the reason of the failure; may be NULL.
 *
 * NDBUF_ERR_INVALID      already released; lengths or offsets < 0, children or buffers missing, a sync_event on the
 *                        host, unknown flags of the caller's
 * NDBUF_ERR_UNSUPPORTED  another type, a dictionary, or items that may be null and NDBUF_LOSS_NULLS is not accepted; or
 *                        the device's backend takes no foreign memory
 * NDBUF_ERR_BOUNDS       a child is shorter than its lists, or the memory than the array
 * NDBUF_ERR_OVERFLOW     sizes beyond 63 bits, more than 64 dimensions
 * NDBUF_ERR_UNAVAILABLE  no such device here
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_arrow_import(struct ArrowSchema *schema, struct ArrowDeviceArray *array,
                                          const ndbuf_arrow_import_options *options, ndbuf_view *out_view,
                                          ndbuf_loss *out_loss, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
