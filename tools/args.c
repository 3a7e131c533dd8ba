/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int args_usage(const args_reader *args, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fprintf(stderr, "ndbuf: %s: ", args->command);
    vfprintf(stderr, format, values);
    fprintf(stderr, "\nndbuf: see 'ndbuf %s --help'\n", args->command);
    va_end(values);
    return EXIT_USAGE;
}

static int bad(const args_reader *args, const char *format, const char *name)
{
    char message[256];
    snprintf(message, sizeof(message), format, name);
    (void)args_usage(args, "%s", message);
    return ARGS_BAD;
}

int args_next(args_reader *args, const args_option *options, const char **out_value)
{
    *out_value = NULL;
    if (args->next >= args->argc) {
        return ARGS_END;
    }
    const char *argument = args->argv[args->next++];
    if (args->only_operands || argument[0] != '-' || argument[1] == '\0') {
        *out_value = argument;
        return ARGS_OPERAND;
    }
    if (strcmp(argument, "--") == 0) {
        args->only_operands = 1;
        return args_next(args, options, out_value);
    }
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
        return ARGS_HELP;
    }
    for (int k = 0; options[k].name != NULL; k++) {
        size_t length = strlen(options[k].name);
        if (strncmp(argument, options[k].name, length) != 0) {
            continue;
        }
        if (argument[length] == '=') {
            if (!options[k].has_value) {
                return bad(args, "option '%s' takes no value", options[k].name);
            }
            *out_value = argument + length + 1;
            return k;
        }
        if (argument[length] != '\0') {
            continue;
        }
        if (options[k].has_value) {
            if (args->next >= args->argc) {
                return bad(args, "option '%s' needs a value", options[k].name);
            }
            *out_value = args->argv[args->next++];
        }
        return k;
    }
    return bad(args, "unknown option '%.128s'", argument);
}

int args_read_size(const char *text, int64_t *out_nbytes)
{
    static const char units[] = "KMG";
    int64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (value > (INT64_MAX - 9) / 10) {
            return 0;
        }
        value = 10 * value + (*at - '0');
    }
    if (at == text || value == 0) {
        return 0;
    }
    const char *unit = *at == '\0' ? NULL : strchr(units, *at);
    if (unit != NULL) {
        int shift = 10 * (int)(unit - units + 1);
        if (value > INT64_MAX >> shift) {
            return 0;
        }
        value <<= shift;
        at++;
    }
    if (*at != '\0') {
        return 0;
    }
    *out_nbytes = value;
    return 1;
}
