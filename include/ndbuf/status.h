/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_STATUS_H
#define NDBUF_STATUS_H

#include <stdint.h>

#include "ndbuf/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Every status with its number and its message: enum, names and texts come from this list. Numbers never change. */
#define NDBUF_STATUS_LIST(X)                                                                                           \
    X(OK, 0, "success")                                                                                                \
    X(ERR_INVALID, 1, "invalid argument")                                                                              \
    X(ERR_FORMAT, 2, "malformed format string")                                                                        \
    X(ERR_OVERFLOW, 3, "size beyond 63 bits or beyond a limit")                                                        \
    X(ERR_BOUNDS, 4, "outside the storage")                                                                            \
    X(ERR_INDEX, 5, "no such index, axis or field")                                                                    \
    X(ERR_READONLY, 6, "read-only")                                                                                    \
    X(ERR_REQUEST, 7, "the exporter cannot meet the request")                                                          \
    X(ERR_COPY_NEEDED, 8, "not possible without a copy")                                                               \
    X(ERR_BUSY, 9, "in use")                                                                                           \
    X(ERR_UNSUPPORTED, 10, "not supported by this route")                                                              \
    X(ERR_UNAVAILABLE, 11, "not available on this machine")                                                            \
    X(ERR_NOMEM, 12, "out of memory")                                                                                  \
    X(ERR_DEVICE, 13, "the device or its driver failed")                                                               \
    X(ERR_IO, 14, "input or output failed")                                                                            \
    X(ERR_ABI, 15, "made for another version of ndbuf")                                                                \
    X(ERR_CAST, 16, "not allowed by the casting rule")

/* What a function says about its outcome. Three pairs that are easily confused:
 *   UNSUPPORTED  not by this function or route; another one may do it.
 *   UNAVAILABLE  not on this machine: no driver, no device, or not built. Nothing helps but another machine.
 *   INVALID      the caller's mistake.        DEVICE  the driver's: see ndbuf_error.native_code.
 *   INDEX        a place inside a view that does not exist.   BOUNDS  a view that leaves its memory. */
typedef enum ndbuf_status {
#define NDBUF_STATUS_ENUM(name, number, text) NDBUF_##name = number,
    NDBUF_STATUS_LIST(NDBUF_STATUS_ENUM)
#undef NDBUF_STATUS_ENUM
} ndbuf_status;

/* The detail of a failure. Owned by the caller, who may pass NULL wherever one is taken; written only on failure, and
 * by whoever first knew the cause. Zero-initialised is valid. */
typedef struct ndbuf_error {
    int32_t status;      /* an ndbuf_status */
    int32_t native_code; /* the driver's or the system's own code (cl_int, cudaError_t, errno); 0: none */
    char message[248];   /* a sentence without final stop, naming the bad value; always terminated */
} ndbuf_error;

/* The name of a status ("NDBUF_ERR_BOUNDS") and its general text. Never NULL; unknown numbers give "NDBUF_ERR_?" and
 * "unknown status". */
NDBUF_API const char *ndbuf_status_name(ndbuf_status status);
NDBUF_API const char *ndbuf_status_text(ndbuf_status status);

/* Fills `err`, unless it is NULL, and returns `status`: `return ndbuf_fail(err, NDBUF_ERR_INVALID, "ndim is %d", n);`.
 * For backends and exporters as much as for the library itself. The text is cut to fit. */
NDBUF_API ndbuf_status ndbuf_fail(ndbuf_error *err, ndbuf_status status, const char *format, ...) NDBUF_PRINTF(3, 4);

/* The same with the driver's own code. */
NDBUF_API ndbuf_status ndbuf_fail_native(ndbuf_error *err, ndbuf_status status, int32_t native_code, const char *format,
                                         ...) NDBUF_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif

#endif
