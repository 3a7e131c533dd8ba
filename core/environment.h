/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_ENVIRONMENT_H
#define NDBUF_CORE_ENVIRONMENT_H

/* A variable of the environment; NULL: not set, or the program has more rights than the one who started it. */
const char *ndbuf__environment(const char *name);

#endif
