/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/version.h"

#define VERSION_STRING_(major, minor, patch) #major "." #minor "." #patch
#define VERSION_STRING(major, minor, patch) VERSION_STRING_(major, minor, patch)

const char *ndbuf_version(void)
{
    return VERSION_STRING(NDBUF_VERSION_MAJOR, NDBUF_VERSION_MINOR, NDBUF_VERSION_PATCH);
}
