/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_EXPORTER_H
#define NDBUF_EXPORTER_H

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a consumer can take. The meanings are those of PEP 3118 and of CPython's C API reference ("Buffer request
 * types"); each flag contains the bits of the flags that it implies. SIMPLE wants C-contiguous bytes and gives no
 * shape, ND C-contiguous items and gives no strides. */
enum {
    NDBUF_REQUEST_SIMPLE = 0,
    NDBUF_REQUEST_WRITABLE = 1u << 0,
    NDBUF_REQUEST_FORMAT = 1u << 1, /* without it `format` is NULL */
    NDBUF_REQUEST_ND = 1u << 2,
    NDBUF_REQUEST_STRIDES = 1u << 3 | NDBUF_REQUEST_ND,
    NDBUF_REQUEST_C_CONTIGUOUS = 1u << 4 | NDBUF_REQUEST_STRIDES,
    NDBUF_REQUEST_F_CONTIGUOUS = 1u << 5 | NDBUF_REQUEST_STRIDES,
    NDBUF_REQUEST_ANY_CONTIGUOUS = 1u << 6 | NDBUF_REQUEST_STRIDES,
    NDBUF_REQUEST_INDIRECT = 1u << 7 | NDBUF_REQUEST_STRIDES,

    NDBUF_REQUEST_CONTIG = NDBUF_REQUEST_ND | NDBUF_REQUEST_WRITABLE,
    NDBUF_REQUEST_CONTIG_RO = NDBUF_REQUEST_ND,
    NDBUF_REQUEST_STRIDED = NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_WRITABLE,
    NDBUF_REQUEST_STRIDED_RO = NDBUF_REQUEST_STRIDES,
    NDBUF_REQUEST_RECORDS = NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_WRITABLE | NDBUF_REQUEST_FORMAT,
    NDBUF_REQUEST_RECORDS_RO = NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_FORMAT,
    NDBUF_REQUEST_FULL = NDBUF_REQUEST_INDIRECT | NDBUF_REQUEST_WRITABLE | NDBUF_REQUEST_FORMAT,
    NDBUF_REQUEST_FULL_RO = NDBUF_REQUEST_INDIRECT | NDBUF_REQUEST_FORMAT,

    /* What PEP 3118 does not have. */
    NDBUF_REQUEST_ANY_DEVICE = 1u << 16, /* memory on any device; without it, and without `devices`: the host alone */
    NDBUF_REQUEST_READY_EVENT = 1u << 17 /* the consumer waits for view.ready itself; else it gets finished contents */
};

/* May the exporter hand out a copy? */
typedef enum ndbuf_copy_policy {
    NDBUF_COPY_NEVER = 0,
    NDBUF_COPY_IF_NEEDED = 1, /* where the request cannot be met otherwise; such a view has NDBUF_VIEW_COPIED set */
    NDBUF_COPY_ALWAYS = 2     /* in any case, and likewise: a view without that flag breaks the protocol */
} ndbuf_copy_policy;

/* What a consumer asks for. Zero-initialised, with abi_version and view_nbytes set (see NDBUF_REQUEST_INIT), asks for
 * plain read-only bytes on the host. Frozen. */
typedef struct ndbuf_request {
    uint32_t abi_version;            /* NDBUF_ABI_VERSION */
    uint32_t view_nbytes;            /* sizeof(ndbuf_view), as the consumer was compiled */
    uint32_t flags;                  /* NDBUF_REQUEST_... bits */
    int32_t copy;                    /* an ndbuf_copy_policy */
    const ndbuf_device_tag *devices; /* ndevices devices that the consumer accepts, the preferred one first: a copy that
                                      * has to leave the memory's device goes to the first one that is here */
    int32_t ndevices;
    int32_t reserved;   /* 0 */
    int64_t alignment;  /* bytes, a power of two, of item 0..0, if there is one; 0: any. Of its address for the host or
                         * for CUDA; of the offset in memory that has neither (OpenCL, most backends from outside the
                         * library) */
    void *native_queue; /* the consumer's queue on the view's device (cl_command_queue, cudaStream_t): the exporter
                         * makes it wait for the contents. NULL: the exporter waits itself, or see READY_EVENT */
} ndbuf_request;

/* clang-format off */
#define NDBUF_REQUEST_INIT(request_flags) { NDBUF_ABI_VERSION, (uint32_t)sizeof(ndbuf_view), (request_flags), 0, NULL, 0, 0, 0, NULL }
/* clang-format on */

/* Something that hands out views of its memory. Frozen. Any program part can be one by filling in this struct; the
 * functions below make one from a view. */
typedef struct ndbuf_exporter ndbuf_exporter;
struct ndbuf_exporter {
    ndbuf_owner owner;    /* retain and release the exporter itself */
    uint32_t abi_version; /* NDBUF_ABI_VERSION */
    uint32_t reserved;    /* 0 */

    /* Gives a view that meets `request`, or an error whose text names the flag that failed, and then leaves out_view as
     * it was. The view's arrays stay valid and unchanged until it is released; its owner keeps the exporter's memory
     * alive. Thread-safe.
     *
     * NDBUF_ERR_REQUEST   the request cannot be met
     * NDBUF_ERR_READONLY  ... because the memory is read-only
     * NDBUF_ERR_BUSY      the exporter is changing its memory at this moment
     * NDBUF_ERR_ABI       request->abi_version or view_nbytes is not this version's
     * Whatever a copy can return, if one was allowed, and what opening the device for it does. */
    ndbuf_status (*acquire)(ndbuf_exporter *exporter, const ndbuf_request *request, ndbuf_view *out_view,
                            ndbuf_error *err);
};

/* Acquires a view from any exporter and checks the answer against the request: device, flags, copy policy,
 * contiguity, format and item size, bounds, alignment. A view from another copy of the library, or from none, is
 * adopted, so that all functions take it.
 *
 * NDBUF_ERR_REQUEST, NDBUF_ERR_READONLY, NDBUF_ERR_BUSY, NDBUF_ERR_ABI  as above
 * NDBUF_ERR_INVALID  the exporter broke the protocol; the text tells how, and its view has been released */
NDBUF_API ndbuf_status ndbuf_view_acquire(ndbuf_view *out_view, ndbuf_exporter *exporter, const ndbuf_request *request,
                                          ndbuf_error *err);

/* Adopts a view that another copy of the library, or a hand-written exporter, made. On success `foreign` is empty and
 * out_view holds what it held; on failure `foreign` is untouched.
 *
 * NDBUF_ERR_INVALID, NDBUF_ERR_BOUNDS, NDBUF_ERR_OVERFLOW, NDBUF_ERR_FORMAT  what it says about itself is wrong
 * NDBUF_ERR_ABI          made for another version
 * NDBUF_ERR_UNAVAILABLE  no built-in backend for its device, nor one open device of other backends with that tag
 * NDBUF_ERR_UNSUPPORTED  pointers or objects off the host
 * NDBUF_ERR_NOMEM, and what waiting for foreign->ready returns */
NDBUF_API ndbuf_status ndbuf_view_import(ndbuf_view *out_view, ndbuf_view *foreign, ndbuf_error *err);

/* An exporter of the memory under `view`, which it keeps a copy of. What it hands out is read-only if `view` is, and
 * has NDBUF_VIEW_COPIED set where the exporter copied, whatever `view` has.
 *
 * out_exporter  one reference. Views that are out keep the exporter alive.
 *
 * NDBUF_ERR_ABI, NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_exporter_create(const ndbuf_view *view, ndbuf_exporter **out_exporter, ndbuf_error *err);

static inline void ndbuf_exporter_retain(ndbuf_exporter *exporter)
{
    exporter->owner.retain(&exporter->owner);
}

/* NULL is accepted. */
static inline void ndbuf_exporter_release(ndbuf_exporter *exporter)
{
    if (exporter != NULL) {
        exporter->owner.release(&exporter->owner);
    }
}

/* How many views are out, slices of them included; for exporters of ndbuf_exporter_create. */
NDBUF_API int64_t ndbuf_exporter_nexports(const ndbuf_exporter *exporter);

/* Replaces what the exporter exports, after its memory was resized or moved.
 *
 * NDBUF_ERR_BUSY  views are out; nothing changed
 * NDBUF_ERR_ABI   not an exporter of ndbuf_exporter_create, or not a view of this library
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_exporter_replace(ndbuf_exporter *exporter, const ndbuf_view *view, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
