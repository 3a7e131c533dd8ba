/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_VERSION_H
#define NDBUF_VERSION_H

#include "ndbuf/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; CMakeLists.txt reads it from here. */
#define NDBUF_VERSION_MAJOR 0
#define NDBUF_VERSION_MINOR 1
#define NDBUF_VERSION_PATCH 0

/* The version of the library that is loaded: "0.1.0". */
NDBUF_API const char *ndbuf_version(void);

#ifdef __cplusplus
}
#endif

#endif
