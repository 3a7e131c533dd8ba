/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/compiler.h"
#include "core/float_mode.h"
#include "core/host_alloc.h"
#include "core/tuning_core.h"

/* The text of constants: lines of `name = value`. */

#define VERSION_TEXT "version = 1"
#define MAX_FILE_NBYTES ((size_t)1 << 20)
#define MAX_MACHINE sizeof(((ndbuf_tuning_info *)0)->machine)
#define MAX_SETTINGS 1024
/* Decimals of a value that is no integer. */
#define SCALE 10000

/* A piece of the text. */
typedef struct span {
    const char *start;
    size_t length;
} span;

typedef struct parser {
    const char *name; /* of the text */
    int line;
    bool has_version;
    bool has_machine;
    char machine[MAX_MACHINE];
    int32_t nsettings;
    ndbuf__tuning_setting *settings; /* MAX_SETTINGS */
    int *lines;                      /* where they were made */
} parser;

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static span span_trim(span text)
{
    while (text.length > 0 && is_blank(text.start[0])) {
        text.start++;
        text.length--;
    }
    while (text.length > 0 && is_blank(text.start[text.length - 1])) {
        text.length--;
    }
    return text;
}

/* What stands before a character, if it is there. */
static span span_before(span text, char character)
{
    const char *found = text.length > 0 ? memchr(text.start, character, text.length) : NULL;
    return found != NULL ? (span){text.start, (size_t)(found - text.start)} : text;
}

static bool span_is(span text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.start, word, text.length) == 0;
}

/* Digits with at most one decimal point between them: the same in every locale. */
static bool read_number(span text, double *out_value)
{
    uint64_t whole = 0;
    double part = 0;
    double unit = 1;
    size_t k = 0;
    for (; k < text.length && text.start[k] >= '0' && text.start[k] <= '9'; k++) {
        if (whole > UINT64_MAX / 20) {
            return false;
        }
        whole = whole * 10 + (uint64_t)(text.start[k] - '0');
    }
    size_t ndigits = k;
    if (k < text.length && text.start[k] == '.') {
        for (k++; k < text.length && text.start[k] >= '0' && text.start[k] <= '9'; k++) {
            unit /= 10;
            part += unit * (text.start[k] - '0');
        }
        if (k == ndigits + 1) {
            return false;
        }
    }
    *out_value = (double)whole + part;
    return ndigits > 0 && k == text.length;
}

/* A failure with the place where it is. */
static ndbuf_status fail_at(const parser *self, const char *what, span value, ndbuf_error *err)
{
    char shown[64];
    size_t length = value.length < sizeof(shown) - 1 ? value.length : sizeof(shown) - 1;
    for (size_t k = 0; k < length; k++) {
        unsigned char character = (unsigned char)value.start[k];
        shown[k] = (char)(character < 0x20 || character >= 0x7f ? '?' : character);
    }
    shown[length] = '\0';
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "%.90s: line %d: %s '%s'", self->name, self->line, what, shown);
}

static ndbuf_status parse_machine(parser *self, span value, ndbuf_error *err)
{
    if (self->has_machine) {
        return fail_at(self, "a second machine", value, err);
    }
    if (value.length >= MAX_MACHINE) {
        return fail_at(self, "too long a machine", value, err);
    }
    for (size_t k = 0; k < value.length; k++) {
        if (value.start[k] < 0x20 || value.start[k] == 0x7f) {
            return fail_at(self, "a machine with characters that cannot be shown", value, err);
        }
    }
    memcpy(self->machine, value.start, value.length);
    self->has_machine = true;
    return NDBUF_OK;
}

static ndbuf_status parse_constant(parser *self, span name, span value, ndbuf_error *err)
{
    ndbuf__tuning_setting *setting = &self->settings[self->nsettings];
    ndbuf_error why = {0};
    value = span_trim(span_before(value, '#'));
    if (ndbuf__tuning_find(name.start, name.length, &setting->place, NULL) != NDBUF_OK) {
        return fail_at(self, "no constant", name, err);
    }
    if (!read_number(value, &setting->value)) {
        return fail_at(self, "not a number", value, err);
    }
    if (ndbuf__tuning_check(&setting->place, setting->value, &why) != NDBUF_OK) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%.90s: line %d: %.120s", self->name, self->line, why.message);
    }
    for (int32_t i = 0; i < self->nsettings; i++) {
        if (ndbuf__tuning_is_same(&self->settings[i].place, &setting->place)) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "%.90s: line %d: '%.*s' was set in line %d already", self->name,
                              self->line, name.length < 90 ? (int)name.length : 90, name.start, self->lines[i]);
        }
    }
    if (self->nsettings + 1 == MAX_SETTINGS) {
        return fail_at(self, "too many constants, from here on", name, err);
    }
    self->lines[self->nsettings++] = self->line;
    return NDBUF_OK;
}

static ndbuf_status parse_line(parser *self, span line, ndbuf_error *err)
{
    line = span_trim(line);
    if (line.length == 0 || line.start[0] == '#') {
        return NDBUF_OK;
    }
    span name = span_before(line, '=');
    if (name.length == line.length) {
        return fail_at(self, "no 'name = value' in", line, err);
    }
    span value = span_trim((span){name.start + name.length + 1, line.length - name.length - 1});
    name = span_trim(name);
    if (!self->has_version) {
        self->has_version = span_is(name, "version") && span_is(value, "1");
        return self->has_version ? NDBUF_OK : fail_at(self, "expected '" VERSION_TEXT "', found", line, err);
    }
    return span_is(name, "machine") ? parse_machine(self, value, err) : parse_constant(self, name, value, err);
}

static NDBUF__NOINLINE ndbuf_status parse_lines(parser *self, span text, ndbuf_error *err)
{
    while (text.length > 0) {
        span line = span_before(text, '\n');
        self->line++;
        ndbuf_status status = parse_line(self, line, err);
        if (status != NDBUF_OK) {
            return status;
        }
        size_t done = line.length < text.length ? line.length + 1 : line.length;
        text.start += done;
        text.length -= done;
    }
    return self->has_version ? NDBUF_OK
                             : ndbuf_fail(err, NDBUF_ERR_INVALID, "%.90s: no '" VERSION_TEXT "'", self->name);
}

ndbuf_status ndbuf__tuning_parse(const char *text, size_t length, const char *name, char *out_machine, ndbuf_error *err)
{
    parser self = {.name = name};
    self.settings = ndbuf__malloc(MAX_SETTINGS * sizeof(*self.settings));
    self.lines = ndbuf__malloc(MAX_SETTINGS * sizeof(*self.lines));
    const uint64_t mode = ndbuf__float_mode_begin(); /* a copy may be what makes the library read its constants */
    ndbuf_status status = self.settings != NULL && self.lines != NULL
                              ? parse_lines(&self, (span){text, length}, err)
                              : ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for constants");
    ndbuf__float_mode_end(mode);
    if (status == NDBUF_OK) {
        status = ndbuf__tuning_apply(self.settings, self.nsettings, err);
    }
    if (status == NDBUF_OK) {
        memcpy(out_machine, self.machine, sizeof(self.machine));
    }
    ndbuf__free(self.settings);
    ndbuf__free(self.lines);
    return status;
}

ndbuf_status ndbuf__tuning_load(const char *path, char *out_machine, ndbuf_error *err)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        int code = errno;
        return ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot open '%.150s': %s", path, strerror(code));
    }
    ndbuf_status status = NDBUF_OK;
    char *text = ndbuf__malloc(MAX_FILE_NBYTES + 1);
    if (text == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the text of '%.150s'", path);
    } else {
        size_t length = fread(text, 1, MAX_FILE_NBYTES + 1, file);
        int code = errno;
        if (ferror(file)) {
            status = ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot read '%.150s': %s", path, strerror(code));
        } else if (length > MAX_FILE_NBYTES) {
            status = ndbuf_fail(err, NDBUF_ERR_IO, "'%.150s' is larger than 1 MiB", path);
        } else {
            status = ndbuf__tuning_parse(text, length, path, out_machine, err);
        }
    }
    ndbuf__free(text);
    (void)fclose(file);
    return status;
}

/* Text of which as much is kept as fits. */
typedef struct output {
    char *start;
    size_t size;
    size_t length;
} output;

static void add_line(output *out, const char *name, const char *value)
{
    bool full = out->length >= out->size;
    int added =
        snprintf(full ? NULL : out->start + out->length, full ? 0 : out->size - out->length, "%s = %s\n", name, value);
    out->length += added > 0 ? (size_t)added : 0;
}

size_t ndbuf_tuning_text(char *out_text, size_t size)
{
    output out = {.start = out_text, .size = size};
    ndbuf_device_info host;
    ndbuf_device_info_get(ndbuf_device_cpu(), &host);
    add_line(&out, "version", "1");
    add_line(&out, "machine", host.description);
    int32_t count = ndbuf_tuning_count();
    for (int32_t i = 0; i < count; i++) {
        ndbuf_tuning_entry entry;
        char value[48];
        if (ndbuf_tuning_entry_get(i, &entry, NULL) != NDBUF_OK || isnan(entry.value) ||
            entry.value == entry.default_value) {
            continue;
        }
        if (entry.is_integer) {
            snprintf(value, sizeof(value), "%lld", (long long)entry.value);
        } else {
            long long scaled = (long long)(entry.value * SCALE + 0.5);
            snprintf(value, sizeof(value), "%lld.%04lld", scaled / SCALE, scaled % SCALE);
        }
        add_line(&out, entry.name, value);
    }
    return out.length;
}
