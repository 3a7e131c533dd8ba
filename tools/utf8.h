/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_UTF8_H
#define NDBUF_TOOLS_UTF8_H

#include <stddef.h>

/* The length of the well-formed UTF-8 sequence at `text`, of at most `nbytes` > 0 bytes; 0 if there is none. */
size_t utf8_sequence(const char *text, size_t nbytes);

/* Appends a character up to U+10FFFF and returns its 1 to 4 bytes. */
size_t utf8_put(char *out, unsigned long code);

#endif
