/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __linux__
#define _GNU_SOURCE /* secure_getenv */
#endif

#include "backends/cpu/cpu_environment.h"

#include <stdlib.h>
#include <unistd.h>

const char *ndbuf_cpu__environment(const char *name)
{
#ifdef __linux__
    return secure_getenv(name);
#else
    return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
#endif
}
