/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_DEVICE_H
#define NDBUF_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of memory, numbered as in DLPack 1.x (DLDeviceType), so that a tag means the same everywhere. Backends from
 * outside the library use NDBUF_DEVICE_EXT or any of DLPack's other numbers. */
typedef enum ndbuf_device_type {
    NDBUF_DEVICE_CPU = 1,
    NDBUF_DEVICE_CUDA = 2,
    NDBUF_DEVICE_CUDA_HOST = 3, /* pinned host memory */
    NDBUF_DEVICE_OPENCL = 4,
    NDBUF_DEVICE_EXT = 12,
    NDBUF_DEVICE_CUDA_MANAGED = 13
} ndbuf_device_type;

/* Where memory is: the tag of a view. Frozen. */
typedef struct ndbuf_device_tag {
    int32_t type; /* an ndbuf_device_type */
    int32_t id;   /* the device's number within its type, from 0; 0 for CPU, CUDA_HOST and CUDA_MANAGED */
} ndbuf_device_tag;

/* An open device, counted. Thread-safe. */
typedef struct ndbuf_device ndbuf_device;

/* Opens a device by name: "cpu", or a backend's name with a number, "opencl:0"; a name without number means number 0.
 * While it is open, opening it again gives the same object.
 *
 * out_device   the caller's reference, ended by ndbuf_device_close.
 *
 * NDBUF_ERR_INVALID      not a device name, or no backend of that name
 * NDBUF_ERR_UNAVAILABLE  the backend is not built, has no driver, or has fewer devices; the text says which
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_device_open(const char *name, ndbuf_device **out_device, ndbuf_error *err);

/* Ends one reference. The device goes when its storages, queues and events are gone, too. NULL is accepted. */
NDBUF_API void ndbuf_device_close(ndbuf_device *device);

/* The host. Always there, never fails; the reference is borrowed, and closing it does nothing. */
NDBUF_API ndbuf_device *ndbuf_device_cpu(void);

enum {
    NDBUF_DEVICE_HOST_ACCESSIBLE = 1u << 0, /* the host can touch the memory that the device allocates */
    NDBUF_DEVICE_UNIFIED = 1u << 1,         /* device and host share one physical memory */
    NDBUF_DEVICE_SIMULATED = 1u << 2        /* no hardware behind it: say nothing about its speed */
};

/* What a device says about itself. Filled by value. */
typedef struct ndbuf_device_info {
    ndbuf_device_tag tag;
    uint32_t flags;                 /* NDBUF_DEVICE_... bits */
    char name[32];                  /* as ndbuf_device_open takes it */
    char description[128];          /* as the driver names it */
    char driver[128];               /* platform and version; empty: none */
    uint64_t memory_nbytes;         /* of the device; 0: unknown */
    uint64_t max_allocation_nbytes; /* the largest single allocation; 0: unknown */
} ndbuf_device_info;

NDBUF_API void ndbuf_device_info_get(const ndbuf_device *device, ndbuf_device_info *out_info);

/* The tag alone. */
NDBUF_API ndbuf_device_tag ndbuf_device_tag_get(const ndbuf_device *device);

/* How a backend stands on this machine. */
typedef struct ndbuf_backend_info {
    char name[32];
    ndbuf_status status; /* NDBUF_OK: at least one device; NDBUF_ERR_UNAVAILABLE: see `reason` */
    int32_t built;       /* 0: the library was built without it */
    int32_t ndevices;
    int32_t native_code; /* the driver's code behind `reason`; 0: none */
    char reason[248];    /* why it has no device; empty when it has */
} ndbuf_backend_info;

/* How many backends the library knows: those built in or left out when it was built, and those registered at run
 * time. The number only grows. */
NDBUF_API int32_t ndbuf_backend_count(void);

/* The state of backend `index`, in the order "cpu", the built-in ones, the registered ones. Asks the driver.
 *
 * NDBUF_ERR_INDEX  index outside 0 .. ndbuf_backend_count() - 1 */
NDBUF_API ndbuf_status ndbuf_backend_info_get(int32_t index, ndbuf_backend_info *out_info, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
