/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_tree.h"

#include <stdarg.h>
#include <stdio.h>

/* The reader of format strings: recursive descent over the grammar of docs/formats.md, at most NDBUF_FORMAT_MAX_DEPTH
 * calls deep. Each byte of the text is looked at a bounded number of times. */

typedef struct parser {
    const char *text; /* terminated */
    size_t pos;
    char mode; /* @ ^ = < > */
    int32_t depth;
    ndbuf__format_tree *tree;
    ndbuf_error *err;
} parser;

/* A sequence of elements laid out one after the other: the whole text, or the members of one element of a record. */
typedef struct level {
    int64_t nbytes;      /* laid out so far */
    int64_t nbytes_min;  /* the same without the padding that ends the record which was laid out last */
    int64_t alignment;   /* the largest of the members laid out in native mode */
    int32_t ndim;        /* of the subarrays around it */
    int32_t run;         /* the open run of bit fields, or -1 */
    int32_t run_nfields; /* its members so far */
    int64_t run_nbits;   /* their bits */
    size_t run_pos;      /* where it begins */
    char run_order;      /* its byte order */
} level;

/* What stands before a type code. */
typedef struct prefix {
    size_t pos; /* of the element */
    int32_t ndim;
    int32_t first_extent;
    int64_t count; /* the number directly before the code; 1 without one */
    size_t count_pos;
    bool has_order;   /* a byte order is among it */
    bool is_repeated; /* which was in force already */
} prefix;

/* An element while it is read. */
typedef struct element {
    prefix before;
    ndbuf__format_node node;
    int64_t alignment; /* that native mode asks for */
    int64_t size_min;  /* of a record, without the padding implied at its end */
    bool native;       /* laid out in native mode */
    bool in_run;       /* a bit field that shares bytes with its neighbours */
} element;

static ndbuf_status parse_members(parser *p, level *members, bool in_record);
static ndbuf_status parse_element(parser *p, level *around, bool detached, bool may_have_name);
static ndbuf_status fail_at(parser *p, ndbuf_status status, size_t pos, const char *format, ...) NDBUF_PRINTF(4, 5);

static ndbuf_status fail_at(parser *p, ndbuf_status status, size_t pos, const char *format, ...)
{
    char detail[200];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    return ndbuf_fail(p->err, status, "at %zu: %s", pos, detail);
}

/* The character at a position, in words. */
typedef struct shown_char {
    char text[12];
} shown_char;

static shown_char show_char(const parser *p, size_t pos)
{
    shown_char shown;
    unsigned char c = (unsigned char)p->text[pos];
    if (c == '\0') {
        snprintf(shown.text, sizeof(shown.text), "the end");
    } else if (c >= 0x20 && c < 0x7F) {
        snprintf(shown.text, sizeof(shown.text), "'%c'", c);
    } else {
        snprintf(shown.text, sizeof(shown.text), "byte 0x%02X", c);
    }
    return shown;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(parser *p)
{
    while (is_space(p->text[p->pos])) {
        p->pos++;
    }
}

/* Reads digits, of which there is one at least. */
static ndbuf_status parse_number(parser *p, int64_t *out_number)
{
    size_t pos = p->pos;
    int64_t number = 0;
    bool overflow = false;
    for (; is_digit(p->text[p->pos]); p->pos++) {
        number = ndbuf__add_i64(ndbuf__mul_i64(number, 10, &overflow), p->text[p->pos] - '0', &overflow);
    }
    if (overflow) {
        return fail_at(p, NDBUF_ERR_OVERFLOW, pos, "a number beyond 63 bits");
    }
    *out_number = number;
    return NDBUF_OK;
}

static ndbuf_status add_extent(parser *p, const level *around, prefix *before, int64_t extent, size_t pos)
{
    if (around->ndim + before->ndim >= NDBUF_FORMAT_MAX_DIMS) {
        return fail_at(p, NDBUF_ERR_OVERFLOW, pos, "more than %d dimensions", NDBUF_FORMAT_MAX_DIMS);
    }
    p->tree->extents[p->tree->nextents++] = extent;
    before->ndim++;
    return NDBUF_OK;
}

/* Reads "(2,3)". */
static ndbuf_status parse_shape(parser *p, const level *around, prefix *before)
{
    size_t pos = p->pos++;
    for (;;) {
        skip_space(p);
        if (!is_digit(p->text[p->pos])) {
            return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "expected an extent of the shape, found %s",
                           show_char(p, p->pos).text);
        }
        size_t extent_pos = p->pos;
        int64_t extent = 0;
        ndbuf_status status = parse_number(p, &extent);
        if (status == NDBUF_OK) {
            status = add_extent(p, around, before, extent, extent_pos);
        }
        if (status != NDBUF_OK) {
            return status;
        }
        skip_space(p);
        if (p->text[p->pos] == ')') {
            p->pos++;
            return NDBUF_OK;
        }
        if (p->text[p->pos] != ',') {
            return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "expected ',' or ')' in the shape at %zu, found %s", pos,
                           show_char(p, p->pos).text);
        }
        p->pos++;
    }
}

/* Reads shapes, counts and a byte order up to the type code. */
static ndbuf_status parse_prefix(parser *p, const level *around, prefix *out_before)
{
    ndbuf_status status = NDBUF_OK;
    prefix before = {.first_extent = p->tree->nextents, .count = 1};
    skip_space(p);
    before.pos = p->pos;
    for (;;) {
        skip_space(p);
        char c = p->text[p->pos];
        if (ndbuf__is_byte_order(c)) {
            if (before.has_order) {
                return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "a second byte order before the type code");
            }
            c = c == '!' ? '>' : c;
            before.is_repeated = c == p->mode;
            p->mode = c;
            before.has_order = true;
            p->pos++;
        } else if (c == '(') {
            status = parse_shape(p, around, &before);
        } else if (is_digit(c)) {
            before.count_pos = p->pos;
            status = parse_number(p, &before.count);
            if (status != NDBUF_OK) {
                return status;
            }
            c = p->text[p->pos];
            if (is_space(c)) {
                return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "white space between a count and its type code");
            }
            if (ndbuf__is_byte_order(c)) {
                return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "a byte order between a count and its type code");
            }
            if (c != '(') {
                break;
            }
            /* A count before a shape repeats whatever follows. */
            if (before.count != 1) {
                status = add_extent(p, around, &before, before.count, before.count_pos);
            }
            before.count = 1;
        } else {
            break;
        }
        if (status != NDBUF_OK) {
            return status;
        }
    }
    *out_before = before;
    return NDBUF_OK;
}

static ndbuf_status fail_code(parser *p, ndbuf__code_answer answer, const prefix *before)
{
    char c = p->text[p->pos];
    switch (answer) {
    case NDBUF__CODE_BAD_COMPLEX:
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "'Z' must be followed by f, d or g, found %s",
                       show_char(p, p->pos + 1).text);
    case NDBUF__CODE_WITHOUT_BRACE:
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "'%c' must be followed by '{', found %s", c,
                       show_char(p, p->pos + 1).text);
    case NDBUF__CODE_UNKNOWN_TYPE:
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "no type that is known, or no ']': '%.60s'", p->text + p->pos);
    case NDBUF__CODE_NO_STANDARD_SIZE:
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "'%.*s' has a size in native modes only, not in byte order '%c'",
                       c == 'Z' ? 2 : 1, p->text + p->pos, p->mode);
    default:
        break;
    }
    if (p->pos > before->pos) {
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "expected the type code of the element at %zu, found %s",
                       before->pos, show_char(p, p->pos).text);
    }
    if (c == ':') {
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "a name without an element before it");
    }
    return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "expected a type code, found %s", show_char(p, p->pos).text);
}

/* Reads ":name:" if there is one. An empty one is found, too, but names nothing. */
static ndbuf_status parse_name(parser *p, ndbuf__format_node *node, bool *out_found)
{
    skip_space(p);
    *out_found = p->text[p->pos] == ':';
    if (!*out_found) {
        return NDBUF_OK;
    }
    size_t pos = p->pos++;
    size_t first = p->pos;
    while (p->text[p->pos] != ':') {
        if (p->text[p->pos] == '\0') {
            return fail_at(p, NDBUF_ERR_FORMAT, pos, "the name has no second ':'");
        }
        p->pos++;
    }
    node->name_nbytes = (int32_t)(p->pos - first);
    node->name = node->name_nbytes > 0 ? p->text + first : NULL;
    p->pos++;
    return NDBUF_OK;
}

static ndbuf_status fail_size(parser *p, size_t pos)
{
    return fail_at(p, NDBUF_ERR_OVERFLOW, pos, "the size is beyond 63 bits");
}

static int32_t add_node(parser *p, const ndbuf__format_node *node)
{
    p->tree->nodes[p->tree->nnodes++] = *node;
    return p->tree->nnodes - 1;
}

/* The open run of bit fields ends, and has to fill whole bytes. */
static ndbuf_status close_run(parser *p, level *around)
{
    if (around->run < 0) {
        return NDBUF_OK;
    }
    ndbuf__format_tree *tree = p->tree;
    ndbuf__format_node *run = &tree->nodes[around->run];
    if (around->run_nbits % 8 != 0) {
        return fail_at(p, NDBUF_ERR_FORMAT, around->run_pos, "a run of %lld bits does not fill whole bytes",
                       (long long)around->run_nbits);
    }
    run->size = run->nbytes = around->run_nbits / 8;
    if (around->run_nfields == 1) {
        run->name = run[1].name;
        run->name_nbytes = run[1].name_nbytes;
        tree->nnodes = around->run + 1;
    }
    if (run->size == 0) {
        tree->nnodes = around->run;
    }
    if (run->size == 1) {
        run->byte_order = '|';
    }
    run->end = tree->nnodes;
    around->run = -1;
    bool overflow = false;
    around->nbytes = ndbuf__add_i64(around->nbytes, run->size, &overflow);
    around->nbytes_min = around->nbytes;
    return overflow ? fail_size(p, around->run_pos) : NDBUF_OK;
}

/* A bit field joins the open run, or begins one. */
static ndbuf_status add_bit_field(parser *p, level *around, const element *e)
{
    int64_t nbits = e->before.count;
    if (around->run >= 0 && (around->run_order != e->node.byte_order || nbits == 0)) {
        ndbuf_status status = close_run(p, around);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    if (nbits == 0) {
        return NDBUF_OK;
    }
    if (around->run < 0) {
        ndbuf__format_node run = {.code = NDBUF__CODE_BITS, .byte_order = e->node.byte_order, .alignment = 1};
        run.offset = around->nbytes;
        around->run = add_node(p, &run);
        around->run_nfields = 0;
        around->run_nbits = 0;
        around->run_pos = e->before.pos;
        around->run_order = e->node.byte_order;
    }
    ndbuf__format_node field = e->node;
    field.size = field.nbytes = nbits;
    field.end = p->tree->nnodes + 1;
    add_node(p, &field);
    around->run_nfields++;
    bool overflow = false;
    around->run_nbits = ndbuf__add_i64(around->run_nbits, nbits, &overflow);
    return overflow ? fail_size(p, e->before.count_pos) : NDBUF_OK;
}

/* Makes the count before the code what it means: units of the element, or its innermost dimension. */
static ndbuf_status apply_count(parser *p, const level *around, element *e)
{
    int64_t count = e->before.count;
    ndbuf_status status = NDBUF_OK;
    bool overflow = false;
    if (!ndbuf__code_counts_units(e->node.code)) {
        status = count != 1 ? add_extent(p, around, &e->before, count, e->before.count_pos) : NDBUF_OK;
    } else if (e->node.code != NDBUF__CODE_BITS) {
        e->node.size = ndbuf__mul_i64(e->node.size, count, &overflow);
    } else if (!e->in_run) {
        if (count % 8 != 0) {
            return fail_at(p, NDBUF_ERR_FORMAT, e->before.pos, "a run of %lld bits does not fill whole bytes",
                           (long long)count);
        }
        e->node.size = count / 8;
        e->node.byte_order = e->node.size == 1 ? '|' : e->node.byte_order;
    }
    e->node.ndim = e->before.ndim;
    return overflow ? fail_size(p, e->before.count_pos) : status;
}

/* Lays out an element behind the others of its level. */
static ndbuf_status place(parser *p, level *around, element *e)
{
    ndbuf__format_node *node = &e->node;
    bool overflow = false;
    int64_t offset = around->nbytes;
    if (e->native) {
        offset = ndbuf__align_up(offset, e->alignment, &overflow);
        if (around->alignment < e->alignment) {
            around->alignment = e->alignment;
        }
    }
    node->offset = offset;
    node->nbytes = node->size;
    for (int32_t k = node->ndim - 1; k >= 0; k--) {
        node->nbytes = ndbuf__mul_i64(node->nbytes, p->tree->extents[node->first_extent + k], &overflow);
    }
    around->nbytes = ndbuf__add_i64(offset, node->nbytes, &overflow);
    around->nbytes_min = around->nbytes;
    if (node->code == NDBUF__CODE_RECORD && node->ndim == 0) {
        around->nbytes_min = ndbuf__add_i64(offset, e->size_min, &overflow);
    }
    return overflow ? fail_size(p, e->before.pos) : NDBUF_OK;
}

/* The members of a record up to its '}'. */
static ndbuf_status parse_record(parser *p, const level *around, element *e)
{
    size_t pos = p->pos - 2;
    level members = {.alignment = 1, .ndim = around->ndim + e->node.ndim, .run = -1};
    ndbuf_status status = parse_members(p, &members, true);
    if (status != NDBUF_OK) {
        return status;
    }
    if (p->text[p->pos] != '}') {
        return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "the record at %zu has no '}'", pos);
    }
    p->pos++;
    /* The mode behind the last member decides how the record is padded and placed. */
    bool overflow = false;
    e->native = p->mode == '@';
    e->alignment = members.alignment;
    e->size_min = members.nbytes_min;
    e->node.size = e->native ? ndbuf__align_up(members.nbytes, members.alignment, &overflow) : members.nbytes;
    e->node.padded = e->node.size > members.nbytes;
    return overflow ? fail_size(p, pos) : NDBUF_OK;
}

static ndbuf_status parse_detached(parser *p, bool may_have_name)
{
    level nowhere = {.alignment = 1, .run = -1};
    return parse_element(p, &nowhere, true, may_have_name);
}

/* The signature of a function up to its '}'. */
static ndbuf_status parse_signature(parser *p, bool *out_has_result)
{
    size_t pos = p->pos - 2;
    for (;;) {
        skip_space(p);
        char c = p->text[p->pos];
        if (c == '}') {
            p->pos++;
            return NDBUF_OK;
        }
        if (c == '\0' || *out_has_result) {
            return fail_at(p, NDBUF_ERR_FORMAT, p->pos, "expected the '}' of the function at %zu, found %s", pos,
                           show_char(p, p->pos).text);
        }
        if (c == '-' && p->text[p->pos + 1] == '>') {
            p->pos += 2;
            *out_has_result = true;
        }
        ndbuf_status status = parse_detached(p, true);
        if (status != NDBUF_OK) {
            return status;
        }
    }
}

/* Whether one more level may begin with an element. */
static ndbuf_status check_depth(parser *p, const element *e)
{
    if (p->depth < NDBUF_FORMAT_MAX_DEPTH) {
        return NDBUF_OK;
    }
    return fail_at(p, NDBUF_ERR_OVERFLOW, e->before.pos, "nested deeper than %d", NDBUF_FORMAT_MAX_DEPTH);
}

/* What is inside a record, pointer or function, behind its code. */
static ndbuf_status parse_inside(parser *p, const level *around, element *e)
{
    ndbuf_status status = check_depth(p, e);
    if (status != NDBUF_OK) {
        return status;
    }
    p->depth++;
    if (e->node.code == NDBUF__CODE_RECORD) {
        status = parse_record(p, around, e);
    } else if (e->node.code == NDBUF__CODE_REFERENCE) {
        status = parse_detached(p, false);
    } else {
        status = parse_signature(p, &e->node.has_result);
    }
    p->depth--;
    return status;
}

/* A record of nothing but two bytes named bfloat16 stands for that type, which has no code. */
static void read_as_type(parser *p, element *e, int32_t index)
{
    const ndbuf__format_node *member = &p->tree->nodes[index + 1];
    if (p->tree->nnodes != index + 2 || e->node.size != 2 || member->code != NDBUF__CODE_PAD || member->ndim > 0 ||
        member->size != 2 || !ndbuf__is_bfloat16_name(member->name, (size_t)member->name_nbytes)) {
        return;
    }
    p->tree->nnodes = index + 1;
    e->node.code = NDBUF__CODE_BFLOAT16;
    e->node.byte_order = ndbuf__code_byte_order(NDBUF__CODE_BFLOAT16, p->mode); /* still that of the member */
}

/* `detached`: part of no layout (what a pointer leads to, an argument, a result). It makes a node in any case, and bit
 * fields have to be whole bytes. */
static ndbuf_status parse_element(parser *p, level *around, bool detached, bool may_have_name)
{
    element e = {.alignment = 1};
    ndbuf_status status = parse_prefix(p, around, &e.before);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__code code = NDBUF__CODE_COUNT;
    int32_t code_nbytes = 0;
    ndbuf__code_answer answer = ndbuf__code_find(p->text + p->pos, p->mode, &code, &code_nbytes);
    if (answer != NDBUF__CODE_FOUND) {
        return fail_code(p, answer, &e.before);
    }
    bool is_leaf = code != NDBUF__CODE_RECORD;
    bool has_inside = !is_leaf || code == NDBUF__CODE_REFERENCE || code == NDBUF__CODE_FUNCTION;
    e.node.code = code;
    e.node.byte_order = ndbuf__code_byte_order(code, p->mode);
    e.node.is_marked = is_leaf && e.before.has_order &&
                       (p->mode == '<' || (p->mode == '>' && (e.before.is_repeated || code == NDBUF__CODE_UINT8)));
    e.node.first_extent = e.before.first_extent;
    e.node.size = ndbuf__code_infos[code].size;
    e.alignment = ndbuf__code_infos[code].alignment;
    e.native = p->mode == '@';
    e.in_run = code == NDBUF__CODE_BITS && e.before.ndim == 0 && !detached;
    if (!e.in_run) {
        status = close_run(p, around);
    }
    if (status == NDBUF_OK) {
        status = apply_count(p, around, &e);
    }
    p->pos += (size_t)code_nbytes;
    int32_t index = p->tree->nnodes;
    if (status == NDBUF_OK && has_inside) {
        p->tree->nnodes++;
        status = parse_inside(p, around, &e);
    } else if (status == NDBUF_OK && code == NDBUF__CODE_BFLOAT16) {
        status = check_depth(p, &e); /* it is written as a record */
    }
    if (status == NDBUF_OK && !is_leaf) {
        read_as_type(p, &e, index);
    }
    bool has_name = false;
    if (status == NDBUF_OK && may_have_name) {
        status = parse_name(p, &e.node, &has_name);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (e.in_run) {
        return add_bit_field(p, around, &e);
    }
    e.node.alignment = !is_leaf || e.native ? (int32_t)e.alignment : 1;
    status = place(p, around, &e);
    if (status != NDBUF_OK) {
        return status;
    }
    if (!detached && (e.node.nbytes == 0 || (code == NDBUF__CODE_PAD && !has_name))) {
        p->tree->nnodes = index; /* padding, and what takes no bytes, makes no node */
        return NDBUF_OK;
    }
    if (!has_inside) {
        p->tree->nnodes++;
    }
    e.node.end = p->tree->nnodes;
    p->tree->nodes[index] = e.node;
    return NDBUF_OK;
}

/* Elements up to the end of the text or, in a record, a '}', which is not read. */
static ndbuf_status parse_members(parser *p, level *members, bool in_record)
{
    for (;;) {
        skip_space(p);
        char c = p->text[p->pos];
        if (c == '\0' || (c == '}' && in_record)) {
            return close_run(p, members);
        }
        ndbuf_status status = parse_element(p, members, false, true);
        if (status != NDBUF_OK) {
            return status;
        }
    }
}

ndbuf_status ndbuf__format_tree_parse(const char *text, ndbuf__format_tree *tree, ndbuf_error *err)
{
    parser p = {.text = text, .mode = '@', .tree = tree, .err = err};
    level top = {.alignment = 1, .run = -1};
    tree->nnodes = 0;
    tree->nextents = 0;
    tree->flags = 0;
    ndbuf_status status = parse_members(&p, &top, false);
    if (status != NDBUF_OK) {
        return status;
    }
    tree->itemsize = top.nbytes;
    tree->itemsize_min = top.nbytes_min;
    tree->alignment = top.alignment;
    return NDBUF_OK;
}
