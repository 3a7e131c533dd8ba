/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_CALIBRATE_H
#define NDBUF_TOOLS_CALIBRATE_H

#include "ndbuf/ndbuf.h"

/* Measures the library's constants on this machine, sets them, and writes their text. */

typedef struct calibration {
    int is_quick; /* few sizes and rounds: for tests, the values are of no use */
    int rounds;
} calibration;

/* What it finds goes to stderr, the text to the file, or to stdout where path is NULL. Statuses of ndbuf_copy;
 * NDBUF_ERR_IO. */
ndbuf_status calibrate(int is_quick, const char *path, ndbuf_error *err);

/* The constants of the host's engine. */
ndbuf_status calibrate_engine(const calibration *self, ndbuf_error *err);

/* The costs of copies from one device to another, or within one. */
ndbuf_status calibrate_link(const calibration *self, ndbuf_device *from, ndbuf_device *to, ndbuf_error *err);

#endif
