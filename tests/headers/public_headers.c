/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

/* The library that is loaded is the one that the headers are of. */
int main(void)
{
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", NDBUF_VERSION_MAJOR, NDBUF_VERSION_MINOR, NDBUF_VERSION_PATCH);
    if (strcmp(version, ndbuf_version()) != 0) {
        printf("the headers are of version %s, the library of version %s\n", version, ndbuf_version());
        return 1;
    }
    return 0;
}
