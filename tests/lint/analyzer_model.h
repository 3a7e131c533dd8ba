/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_LINT_ANALYZER_MODEL_H
#define NDBUF_TESTS_LINT_ANALYZER_MODEL_H

/* Included before every file that clang-tidy reads. Its analyzer looks at one file at a time, and without this it has
 * to suppose that ndbuf_fail may return NDBUF_OK: then outputs would be used that were never written. */

#include "ndbuf/status.h"

#define ndbuf_fail(err, status, ...) ((void)(ndbuf_fail)((err), (status), __VA_ARGS__), (status))
#define ndbuf_fail_native(err, status, ...) ((void)(ndbuf_fail_native)((err), (status), __VA_ARGS__), (status))

#endif
