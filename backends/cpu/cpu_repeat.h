/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_REPEAT_H
#define NDBUF_BACKENDS_CPU_CPU_REPEAT_H

/* Boxes with axes that repeat what lies along the others: that is copied, or converted, once, and repeated by plain
 * copies of what is in the destination then. Of units one behind the other it is better done by their kernel: the last
 * axis does not count. */

#include "backends/cpu/cpu_backend.h"

/* Whether there are such axes, no axis of the destination reaches into another one, and all that is not repetition,
 * units of so many bytes there, is no more than `most_nbytes`. */
bool ndbuf_cpu__repeats_rows(const cpu_box *box, int64_t unit_nbytes, int64_t most_nbytes);

/* Extents without repetitions. */
void ndbuf_cpu__shape_once(const cpu_box *box, int64_t *out_shape);

/* Repeats what is in the destination once. */
void ndbuf_cpu__repeat_rows(const cpu_box *box, int64_t unit_nbytes);

#endif
