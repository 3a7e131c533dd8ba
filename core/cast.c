/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/cast.h"

#include <stddef.h>

const char *ndbuf_casting_name(ndbuf_casting casting)
{
    static const char *const names[] = {"no", "equiv", "safe", "same_kind", "unsafe"};
    int32_t number = (int32_t)casting;
    return number >= 0 && number < (int32_t)(sizeof(names) / sizeof(names[0])) ? names[number] : "?";
}
