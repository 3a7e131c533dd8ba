/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_BENCH_TRANSFER_ROWS_H
#define NDBUF_BENCH_BENCH_TRANSFER_ROWS_H

/* Rows of every width between the host and a device, by each way there is: the plot on which the costs rest. */

#include <stdint.h>

#include "ndbuf/ndbuf.h"

#define BENCH_ROWS_MAX_ROUNDS 99

/* Moves about `nbytes` bytes in rows of 4 bytes to 64 KiB to `device` and back, each way `rounds` times in interleaved
 * rounds beside memcpy of the same bytes, after it was verified. One JSON line for each width and direction. Counts in
 * *out_nfailed what went wrong, which is told on stderr. */
void bench_transfer_rows(ndbuf_device *device, int64_t nbytes, int rounds, int *out_ndone, int *out_nfailed);

#endif
