/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_ENVIRONMENT_H
#define NDBUF_CORE_ENVIRONMENT_H

#include <stdbool.h>

/* A variable of the environment; NULL: not set, or the program has more rights than the one who started it. */
const char *ndbuf__environment(const char *name);

/* Whether the program has no dynamic loader. What such a one opens gets a second C library that nobody has begun, and
 * crashes. */
bool ndbuf__program_is_static(void);

#endif
