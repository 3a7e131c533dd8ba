/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_NULL_TABLE_H
#define NDBUF_TESTS_NULL_TABLE_H

#include "tests/support/test.h"

#include "ndbuf/backend.h"

#include "backends/null/null_backend.h"

/* The table of the backend null, from which tests make tables of their own. */
static inline const ndbuf_backend_ops *null_table(void)
{
    static const ndbuf_backend_ops *table;
    if (table == NULL) {
        ndbuf_device *device = NULL;
        ASSERT_OK(null_backend_register(err));
        ASSERT_OK(ndbuf_device_open("null", &device, err));
        table = device->ops;
        ndbuf_device_close(device);
    }
    return table;
}

#endif
