/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* secure_getenv */
#endif

#include "core/environment.h"

#include <stdlib.h>
#if !defined(__linux__) && !defined(_WIN32)
#include <unistd.h>
#endif

const char *ndbuf__environment(const char *name)
{
#if defined(__linux__)
    return secure_getenv(name);
#elif defined(_WIN32)
    return getenv(name); /* there are no such programs */
#else
    return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
#endif
}
