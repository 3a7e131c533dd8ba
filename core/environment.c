/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* secure_getenv */
#endif

#include "core/environment.h"

#include <stddef.h>
#include <stdlib.h>
#if defined(__linux__)
#include <link.h>
#include <sys/auxv.h>
#endif
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

bool ndbuf__program_is_static(void)
{
#if defined(__linux__)
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    const unsigned long count = getauxval(AT_PHNUM);
    for (unsigned long i = 0; headers != NULL && i < count; i++) {
        if (headers[i].p_type == PT_INTERP) {
            return false;
        }
    }
    return headers != NULL;
#else
    return false;
#endif
}
