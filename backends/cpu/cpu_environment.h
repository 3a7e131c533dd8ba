/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_ENVIRONMENT_H
#define NDBUF_BACKENDS_CPU_CPU_ENVIRONMENT_H

/* A variable of the environment; NULL: not set, or this is a set-uid program, which takes no advice from there. */
const char *ndbuf_cpu__environment(const char *name);

#endif
