/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

ndbuf_format *test_parse(const char *text)
{
    ndbuf_format *format = NULL;
    ndbuf_error err = {0};
    if (ndbuf_format_parse(text, 0, &format, &err) != NDBUF_OK) {
        fail_msg("'%s': %s", text, err.message);
    }
    return format;
}
