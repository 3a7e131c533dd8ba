/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_DLPACK_H
#define NDBUF_DLPACK_H

/* Exchange of tensors by DLPack (https://dmlc.github.io/dlpack), in both directions, without a copy.
 *
 * The structs are DLPack's. If the standard header has been included before, they are its own, of whatever version;
 * else they are declared here as of version 1.3, and the standard header, included later, adds nothing. It has its
 * names in the global namespace, so ndbuf.h does not bring in this header. */

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/loss.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

/* -- DLPack's own names, as of version 1.3 -- */

#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_

#ifdef __cplusplus
#define DLPACK_EXTERN_C extern "C"
#else
#define DLPACK_EXTERN_C
#endif

#define DLPACK_MAJOR_VERSION 1
#define DLPACK_MINOR_VERSION 3

#ifdef _WIN32
#ifdef DLPACK_EXPORTS
#define DLPACK_DLL __declspec(dllexport)
#else
#define DLPACK_DLL __declspec(dllimport)
#endif
#else
#define DLPACK_DLL
#endif

/* Bits of DLManagedTensorVersioned.flags. */
#define DLPACK_FLAG_BITMASK_READ_ONLY (1UL << 0UL)
#define DLPACK_FLAG_BITMASK_IS_COPIED (1UL << 1UL)
#define DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED (1UL << 2UL)

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t major;
    uint32_t minor;
} DLPackVersion;

/* clang-format off */
#ifdef __cplusplus
typedef enum : int32_t {
#else
typedef enum {
#endif
    kDLCPU = 1,
    kDLCUDA = 2,
    kDLCUDAHost = 3,
    kDLOpenCL = 4,
    kDLVulkan = 7,
    kDLMetal = 8,
    kDLVPI = 9,
    kDLROCM = 10,
    kDLROCMHost = 11,
    kDLExtDev = 12,
    kDLCUDAManaged = 13,
    kDLOneAPI = 14,
    kDLWebGPU = 15,
    kDLHexagon = 16,
    kDLMAIA = 17,
    kDLTrn = 18
} DLDeviceType;
/* clang-format on */

typedef struct {
    DLDeviceType device_type;
    int32_t device_id;
} DLDevice;

typedef enum {
    kDLInt = 0U,
    kDLUInt = 1U,
    kDLFloat = 2U,
    kDLOpaqueHandle = 3U,
    kDLBfloat = 4U,
    kDLComplex = 5U,
    kDLBool = 6U,
    kDLFloat8_e3m4 = 7U,
    kDLFloat8_e4m3 = 8U,
    kDLFloat8_e4m3b11fnuz = 9U,
    kDLFloat8_e4m3fn = 10U,
    kDLFloat8_e4m3fnuz = 11U,
    kDLFloat8_e5m2 = 12U,
    kDLFloat8_e5m2fnuz = 13U,
    kDLFloat8_e8m0fnu = 14U,
    kDLFloat6_e2m3fn = 15U,
    kDLFloat6_e3m2fn = 16U,
    kDLFloat4_e2m1fn = 17U
} DLDataTypeCode;

typedef struct {
    uint8_t code; /* a DLDataTypeCode */
    uint8_t bits; /* of one lane; of a complex number, both halves */
    uint16_t lanes;
} DLDataType;

typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides; /* in items */
    uint64_t byte_offset;
} DLTensor;

typedef struct DLManagedTensor {
    DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;

typedef struct DLManagedTensorVersioned {
    DLPackVersion version;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *self);
    uint64_t flags;
    DLTensor dl_tensor;
} DLManagedTensorVersioned;

/* What a Python type offers under __dlpack_c_exchange_api__, as a capsule named "dlpack_exchange_api". The functions
 * return 0, or -1 with a Python exception set. */
typedef int (*DLPackManagedTensorAllocator)(DLTensor *prototype, DLManagedTensorVersioned **out, void *error_ctx,
                                            void (*SetError)(void *error_ctx, const char *kind, const char *message));
typedef int (*DLPackManagedTensorFromPyObjectNoSync)(void *py_object, DLManagedTensorVersioned **out);
typedef int (*DLPackDLTensorFromPyObjectNoSync)(void *py_object, DLTensor *out);
typedef int (*DLPackCurrentWorkStream)(DLDeviceType device_type, int32_t device_id, void **out_current_stream);
typedef int (*DLPackManagedTensorToPyObjectNoSync)(DLManagedTensorVersioned *tensor, void **out_py_object);

typedef struct DLPackExchangeAPIHeader {
    DLPackVersion version;
    struct DLPackExchangeAPIHeader *prev_api;
} DLPackExchangeAPIHeader;

typedef struct DLPackExchangeAPI {
    DLPackExchangeAPIHeader header;
    DLPackManagedTensorAllocator managed_tensor_allocator;
    DLPackManagedTensorFromPyObjectNoSync managed_tensor_from_py_object_no_sync;
    DLPackManagedTensorToPyObjectNoSync managed_tensor_to_py_object_no_sync;
    DLPackDLTensorFromPyObjectNoSync dltensor_from_py_object_no_sync; /* may be NULL */
    DLPackCurrentWorkStream current_work_stream;
} DLPackExchangeAPI;

#ifdef __cplusplus
}
#endif

#endif

/* -- ndbuf's -- */

#ifdef __cplusplus
extern "C" {
#endif

struct DLManagedTensor;
struct DLManagedTensorVersioned; /* which DLPack before 1.0 does not have */

enum {
    NDBUF_DLPACK_KEEP_OFFSET = 1u << 0, /* export: `data` is the storage's handle, and the byte offset is told apart.
                                         * Else it is added to `data`, since many readers forget it, as it is for a view
                                         * that a pointer led out of its storage; but where the handle is no address
                                         * (OpenCL), it is always kept */
    NDBUF_DLPACK_NO_WAIT = 1u << 1,     /* export: the consumer waits for view->ready by itself */
    NDBUF_DLPACK_LANES = 1u << 2        /* items that are 2 .. 65535 equal numbers ("(4)<f") and types of several lanes
                                         * are the same. Few libraries know lanes; else both count as NDBUF_LOSS_TYPE */
};

/* How to export. Zero-initialised, or NULL in its place: nothing may be lost, and the contents are ready. */
typedef struct ndbuf_dlpack_export_options {
    uint32_t flags;     /* NDBUF_DLPACK_... bits for exports */
    uint32_t accept;    /* NDBUF_LOSS_... bits that may be lost */
    void *native_queue; /* the consumer's queue on the view's device (cudaStream_t, cl_command_queue), which is made to
                         * wait for view->ready. NULL: the call itself waits, unless NO_WAIT */
} ndbuf_dlpack_export_options;

/* How to import. Zero-initialised, or NULL in its place, is valid. */
typedef struct ndbuf_dlpack_import_options {
    uint32_t flags; /* NDBUF_DLPACK_LANES or 0 */
    uint32_t
        accept; /* NDBUF_LOSS_TYPE: types without a format become opaque items of their size: fp8 and its kin, handles
                 * and other widths; sub-byte types only where they are padded to bytes, or the lanes fill bytes */
    ndbuf_device *device; /* where the tensor is; NULL: the device of its number. For OpenCL memory, whose context
                           * DLPack does not tell, and for devices of other backends that are not open. Numbers of
                           * host memory, pinned and managed memory among it, mean nothing */
    int64_t alignment;    /* bytes, a power of two, that item 0..0 must be aligned to; 0: any */
} ndbuf_dlpack_import_options;

/* Exports a view as a tensor of version 1.3. Strides are always written, those of extents 0 and 1 as in a compact
 * tensor; `data` of a view without items is NULL. A read-only view gives a read-only tensor, and a copy one that says
 * so, and that its consumer has it alone: clear that bit where the view, or another one of its memory, stays in use.
 * Booleans, integers, floats of 16 to 64 bits, bfloat16 and complex numbers of 64 and 128 bits have a type there.
 *
 * Items whose byte order, fields, type or strides cannot be expressed, where that is accepted, go out as the bytes that
 * they are: uint8 with one more axis at the end. A lone number with a name loses the name only.
 *
 * out_tensor  the caller's, ended by its deleter, from any thread, when no work on the memory is under way any more.
 *             Holds what the view holds; may outlive it.
 * out_loss    written also where the loss is the reason of the failure; may be NULL.
 *
 * NDBUF_ERR_UNSUPPORTED  byte order, fields or type would be lost; objects and pointers, whatever is accepted
 * NDBUF_ERR_COPY_NEEDED  strides are no multiples of the item size; or the view has suboffsets: copy it first
 * NDBUF_ERR_INVALID      unknown flags
 * NDBUF_ERR_ABI          not a view of this library: import it first
 * NDBUF_ERR_NOMEM, and what waiting for view->ready returns */
NDBUF_API ndbuf_status ndbuf_dlpack_export(const ndbuf_view *view, const ndbuf_dlpack_export_options *options,
                                           struct DLManagedTensorVersioned **out_tensor, ndbuf_loss *out_loss,
                                           ndbuf_error *err);

/* The same as a tensor of DLPack before 1.0, which cannot say that it is read-only.
 *
 * NDBUF_ERR_READONLY  the view is, and NDBUF_LOSS_READONLY is not accepted */
NDBUF_API ndbuf_status ndbuf_dlpack_export_legacy(const ndbuf_view *view, const ndbuf_dlpack_export_options *options,
                                                  struct DLManagedTensor **out_tensor, ndbuf_loss *out_loss,
                                                  ndbuf_error *err);

/* Consumes a tensor and gives a view of its memory. The tensor must be ready to be read, or in order with what the
 * caller does next: how to ask for that is not DLPack's matter in C.
 *
 * tensor    `*tensor` is set to NULL before anything can fail, and its deleter is called exactly once, if it has one:
 *           when the last user of the view's memory is gone, from that thread; or before this function returns an
 *           error. Of a tensor of another major version nothing but the deleter is touched.
 * out_view  in the host's byte order. Its storage is what the tensor reaches, and where the device can tell (CUDA,
 *           OpenCL), that much is there. Strides of NULL are those of a compact tensor, strides of extents 0 and 1 are
 *           ignored, and the byte offset is heeded.
 * out_loss  written also where the loss is the reason of the failure; may be NULL.
 *
 * NDBUF_ERR_INVALID      *tensor is NULL (never made, or consumed before); ndim outside 0 .. 64, extents < 0, no shape,
 *                        no data, 0 bits or lanes, unknown flags of the caller's
 * NDBUF_ERR_ABI          of another major version, or with flags of later versions
 * NDBUF_ERR_UNSUPPORTED  no format for the type; or the device's backend takes no foreign memory
 * NDBUF_ERR_UNAVAILABLE  no such device here
 * NDBUF_ERR_OVERFLOW     sizes or strides beyond 63 bits
 * NDBUF_ERR_BOUNDS       the tensor leaves its allocation, or the address space
 * NDBUF_ERR_REQUEST      not aligned as asked for
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_dlpack_import(struct DLManagedTensorVersioned **tensor,
                                           const ndbuf_dlpack_import_options *options, ndbuf_view *out_view,
                                           ndbuf_loss *out_loss, ndbuf_error *err);

/* The same of a tensor of DLPack before 1.0: it has no version, and counts as writable. */
NDBUF_API ndbuf_status ndbuf_dlpack_import_legacy(struct DLManagedTensor **tensor,
                                                  const ndbuf_dlpack_import_options *options, ndbuf_view *out_view,
                                                  ndbuf_loss *out_loss, ndbuf_error *err);

/* The view behind a tensor that this copy of the library exported, borrowed; NULL: some other tensor. So a consumer
 * gets what DLPack leaves out: the cl_context of OpenCL memory, the ready event, the format. */
NDBUF_API const ndbuf_view *ndbuf_dlpack_view(const struct DLManagedTensorVersioned *tensor);
NDBUF_API const ndbuf_view *ndbuf_dlpack_view_legacy(const struct DLManagedTensor *tensor);

#ifdef __cplusplus
}
#endif

#endif
