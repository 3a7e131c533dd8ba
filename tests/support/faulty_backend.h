/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_FAULTY_BACKEND_H
#define NDBUF_TESTS_SUPPORT_FAULTY_BACKEND_H

/* A backend "faulty" that hands every call on to another backend, but for one, which fails. Its devices are those of
 * the other one, "faulty:0" and so on. Thread-safe, but set it up while nothing runs. */

#include "tests/support/test.h"

#include "ndbuf/backend.h"

/* What "faulty" wraps from now on. No device of it may be open. Registers it with the first call. */
void faulty_wrap(const ndbuf_backend_ops *inner);

/* From now on the nth call (from 1) that can fail does so, once: with NDBUF_ERR_DEVICE, code 998 and "injected", before
 * it has done anything (but a wait has waited, and an unmap ended the mapping). nth 0: none. */
void faulty_fail_call(int64_t nth);

/* Whether that has happened. */
bool faulty_happened(void);

/* Objects of all kinds that live. */
int64_t faulty_nlive(void);

#endif
