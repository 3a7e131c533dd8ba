/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_NDBUF_H
#define NDBUF_NDBUF_H

/* ndbuf: one buffer protocol for host and GPU memory. This header brings in all that users need; backend authors add
 * ndbuf/backend.h, those who mix ndbuf with OpenCL code ndbuf/opencl.h, and those who exchange memory with others the
 * bridges, which bring in the others' names: ndbuf/dlpack.h, ndbuf/arrow_device.h, ndbuf/mpi.h. */

#include "ndbuf/cast.h"
#include "ndbuf/copy.h"
#include "ndbuf/cpu.h"
#include "ndbuf/device.h"
#include "ndbuf/exporter.h"
#include "ndbuf/format.h"
#include "ndbuf/item.h"
#include "ndbuf/loss.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"
#include "ndbuf/storage.h"
#include "ndbuf/tuning.h"
#include "ndbuf/version.h"
#include "ndbuf/view.h"

#endif
