/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TUNING_H
#define NDBUF_TUNING_H

/* The constants that the library's decisions rest on. They change how fast a copy is, never what it does.
 *
 * Two kinds, by name:
 *
 *   cpu.NAME             of the host's engine: "cpu.stream_nbytes" is the size from which copies write past the caches.
 *                        The defaults are for the processor that the library runs on.
 *   link.FROM.TO.COST    of copies from one device to another, for the choice of routes: "link.cpu.opencl.wait_ns". A
 *                        device is a backend's name, for all of its devices, or "opencl:1", which goes before.
 *
 * The costs are those of ndbuf_link_costs. The defaults come from the backends.
 *
 * `ndbuf bench --calibrate` measures them and writes a file, which ndbuf_tuning_load reads. So does the library by
 * itself, before its first copy, if the environment variable NDBUF_TUNING names one; a program that has more rights
 * than the user who started it does not look at the variable.
 *
 * All functions are thread-safe, also while copies run. A copy reads each constant when it begins; one that is staged
 * reads the costs of links again for each piece. A plan that is kept has its route from when it was made, and a small
 * layout that a thread copies again and again its way from when the thread knew it. */

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A constant. */
typedef struct ndbuf_tuning_entry {
    char name[128];
    const char *unit;    /* "bytes", "ns"; static */
    const char *meaning; /* static */
    double value;        /* in use; NAN: of a link, as the backend says */
    double default_value;
    double min;
    double max;
    int32_t is_integer;
    int32_t reserved;
} ndbuf_tuning_entry;

/* How many constants there are now: those of the host's engine, and behind them those of each link of which one was
 * ever set. */
NDBUF_API int32_t ndbuf_tuning_count(void);

/* NDBUF_ERR_INDEX  index outside 0 .. ndbuf_tuning_count() - 1 */
NDBUF_API ndbuf_status ndbuf_tuning_entry_get(int32_t index, ndbuf_tuning_entry *out_entry, ndbuf_error *err);

/* NDBUF_ERR_INVALID  there is no such constant */
NDBUF_API ndbuf_status ndbuf_tuning_get(const char *name, double *out_value, ndbuf_error *err);

/* value  NAN: back to the default.
 *
 * NDBUF_ERR_INVALID  there is no such constant, or the value is outside its limits or should be an integer
 * NDBUF_ERR_BUSY     constants of 64 links were set already */
NDBUF_API ndbuf_status ndbuf_tuning_set(const char *name, double value, ndbuf_error *err);

/* All constants back to their defaults. */
NDBUF_API void ndbuf_tuning_reset(void);

/* Sets the constants that a text of `length` bytes lists, or none of them:
 *
 *   version = 1                       the first setting
 *   machine = AMD EPYC, 32 MiB        free text; may be left out
 *   cpu.stream_nbytes = 8388608       a constant: digits, with a decimal point where it is no integer
 *   # a remark, also behind a number
 *
 * name  of the text, for messages.
 *
 * NDBUF_ERR_INVALID  a line that is none of these, a constant that does not exist, a value outside its limits, a
 *                    setting made twice; the message gives the line
 * NDBUF_ERR_BUSY     too many links, as for ndbuf_tuning_set
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_tuning_parse(const char *text, size_t length, const char *name, ndbuf_error *err);

/* The same with the text of a file of up to 1 MiB.
 *
 * NDBUF_ERR_IO  it cannot be read, with errno, or is larger; and the statuses of ndbuf_tuning_parse */
NDBUF_API ndbuf_status ndbuf_tuning_load(const char *path, ndbuf_error *err);

/* Such a text: the constants that are not at their defaults, and this machine. Writes up to `size` bytes including the
 * terminator, and returns the length of the whole text, like snprintf. */
NDBUF_API size_t ndbuf_tuning_text(char *out_text, size_t size);

/* Where the constants come from. */
typedef struct ndbuf_tuning_info {
    ndbuf_status status; /* of the file that NDBUF_TUNING names; NDBUF_OK also where it names none. After a failure the
                          * constants are at their defaults */
    int32_t nset;        /* constants that are not at their defaults now */
    char path[256];      /* that NDBUF_TUNING names, cut to fit; empty: none */
    char machine[128];   /* that the text parsed last was made on; empty: it does not say */
    char reason[248];    /* of a failure */
} ndbuf_tuning_info;

NDBUF_API void ndbuf_tuning_info_get(ndbuf_tuning_info *out_info);

/* What copies from one device to another are taken to cost: calls * call_ns + wait_ns + rows * row_ns + bytes /
 * bytes_per_ns, with element_ns in place of row_ns for strided calls. */
typedef struct ndbuf_link_costs {
    double call_ns;      /* of each call of the backend */
    double wait_ns;      /* of waiting for the device once */
    double row_ns;       /* of each contiguous row of a rectangle, beyond its bytes */
    double element_ns;   /* of each contiguous run of a strided copy, beyond its bytes */
    double bytes_per_ns; /* 0: bytes cost nothing */
    double map_ns;       /* of mapping the device's memory for a copy that the host makes */
} ndbuf_link_costs;

/* The costs in use between two devices.
 *
 * NDBUF_ERR_UNSUPPORTED  no backend copies directly between them */
NDBUF_API ndbuf_status ndbuf_link_costs_get(ndbuf_device *from, ndbuf_device *to, ndbuf_link_costs *out_costs,
                                            ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
