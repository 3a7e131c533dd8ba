/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NULL_BACKEND_H
#define NULL_BACKEND_H

#include "ndbuf/status.h"

/* Makes the device "null:0" known; to be called once. The statuses of ndbuf_backend_register. */
ndbuf_status null_backend_register(ndbuf_error *err);

#endif
