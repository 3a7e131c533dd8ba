/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_ARGS_H
#define NDBUF_TOOLS_ARGS_H

#include <stdint.h>

#include "ndbuf/ndbuf.h"

/* What the command returns to the shell. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One option of a command: "--slice 'TEXT'" or "--slice='TEXT'" with a value, "--json" without. */
typedef struct args_option {
    const char *name; /* with its dashes */
    int has_value;
} args_option;

/* The arguments of a command, read one after the other. */
typedef struct args_reader {
    const char *command; /* for messages: "copy" */
    int argc;
    char **argv;
    int next;
    int only_operands; /* "--" was met */
} args_reader;

enum { ARGS_OPERAND = -1, ARGS_END = -2, ARGS_BAD = -3, ARGS_HELP = -4 };

/* The next argument: the index of an option, or
 * ARGS_OPERAND  something else; *out_value is it
 * ARGS_HELP     --help or -h
 * ARGS_END      no more
 * ARGS_BAD      an unknown option, a value missing or too many; told on stderr
 *
 * options    ends with a NULL name.
 * out_value  the option's value, or NULL where it takes none. */
int args_next(args_reader *args, const args_option *options, const char **out_value);

/* Tells on stderr what is wrong with the command line, and how to get help; returns EXIT_USAGE. */
int args_usage(const args_reader *args, const char *format, ...) NDBUF_PRINTF(2, 3);

/* A number of bytes: digits, and K, M or G for powers of 1024. Returns whether it is one, and above 0. */
int args_read_size(const char *text, int64_t *out_nbytes);

#endif
