/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "cast_options.h"
#include "json_writer.h"
#include "ndbuf/ndbuf.h"
#include "npy.h"
#include "report.h"
#include "view_ops.h"

static const char help[] =
    "usage: ndbuf explain IN.npy [VIEW OPTIONS] --to DEVICE [--from DEVICE] [--as FORMAT] [--json]\n"
    "\n"
    "How a view of the array would be copied into a packed array on a device. Nothing is copied; "
    "memory is\n"
    "taken on the devices for the time of the answer.\n"
    "\n"
    "  --to DEVICE        where to: cpu, opencl:0, ... (see 'ndbuf devices')\n"
    "  --from DEVICE      where the array is, as it is in the file; cpu if not given\n"
    "  --json             the same as JSON\n" CAST_OPTIONS_HELP VIEW_OPS_HELP;

typedef struct explain_request {
    const char *path;
    const char *from;
    const char *to;
    int is_json;
    cast_options cast;
    view_ops ops;
} explain_request;

/* Everything that the answer rests on. Zero-initialised is empty. */
typedef struct explain_state {
    npy_file file;
    ndbuf_device *from;
    ndbuf_device *to;
    ndbuf_view src;
    ndbuf_view dst;
    ndbuf_format *format; /* of dst */
    const npy_dtype *dtype;
    ndbuf_copy_plan *plan;
} explain_state;

static void clear(explain_state *state)
{
    ndbuf_copy_plan_destroy(state->plan);
    ndbuf_view_release(&state->dst);
    ndbuf_view_release(&state->src);
    ndbuf_format_release(state->format);
    ndbuf_device_close(state->from);
    ndbuf_device_close(state->to);
    npy_file_close(&state->file);
}

/* The array as it is in the file, on the device that it is to come from. */
static ndbuf_status place_source(const explain_request *request, explain_state *state, ndbuf_error *err)
{
    const ndbuf_view *mapped = &state->file.view;
    if (request->from == NULL) {
        return ndbuf_view_copy(&state->src, mapped, err);
    }
    ndbuf_status status = ndbuf_device_open(request->from, &state->from, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_storage *storage = NULL;
    status = ndbuf_storage_create(state->from, (size_t)mapped->nbytes, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_view_spec spec = {0};
    spec.format = ndbuf_view_format(mapped);
    spec.ndim = mapped->ndim;
    spec.flags = NDBUF_VIEW_READONLY;
    spec.shape = mapped->shape;
    spec.strides = mapped->strides;
    status = ndbuf_view_init(&state->src, storage, &spec, err);
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status make_plan(const explain_request *request, explain_state *state, ndbuf_error *err)
{
    ndbuf_status status = npy_file_open(request->path, &state->file, err);
    if (status == NDBUF_OK) {
        status = ndbuf_device_open(request->to, &state->to, err);
    }
    if (status == NDBUF_OK) {
        status = place_source(request, state, err);
    }
    if (status == NDBUF_OK) {
        state->dtype = state->file.header.dtype;
        status = view_ops_apply(&request->ops, &state->src, &state->dtype, err);
    }
    if (status == NDBUF_OK) {
        status = cast_options_format(&request->cast, ndbuf_view_format(&state->src), &state->format, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(&state->dst, state->to, state->format, state->src.ndim, state->src.shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&state->dst, &state->src, request->cast.casting, request->cast.flags,
                                        &state->plan, err);
    }
    return status;
}

static void put_json(const explain_request *request, const explain_state *state, const char *text)
{
    const npy_header *header = &state->file.header;
    const ndbuf_view *src = &state->src;
    ndbuf_copy_plan_info info = {0};
    ndbuf_copy_plan_info_get(state->plan, &info);
    json_writer json = {stdout, 0, 0};
    json_open(&json, NULL, '{');
    json_open(&json, "file", '{');
    json_string(&json, "path", request->path);
    json_integers(&json, "shape", header->shape, header->ndim);
    json_string(&json, "format", header->format);
    json_bool(&json, "fortran_order", header->fortran_order);
    json_integer(&json, "nbytes", header->nbytes);
    json_close(&json, '}');
    json_string(&json, "from", request->from != NULL ? request->from : "cpu");
    json_string(&json, "to", request->to);
    json_string(&json, "as", ndbuf_format_text(state->format));
    json_string(&json, "casting", ndbuf_casting_name(request->cast.casting));
    json_open(&json, "view", '{');
    json_integers(&json, "shape", src->shape, src->ndim);
    json_integers(&json, "strides", src->strides, src->ndim);
    json_integer(&json, "byte_offset", src->byte_offset);
    json_string(&json, "format", ndbuf_format_text(ndbuf_view_format(src)));
    json_integer(&json, "itemsize", src->itemsize);
    json_integer(&json, "nbytes", src->nbytes);
    json_close(&json, '}');
    json_open(&json, "plan", '{');
    json_string(&json, "route", ndbuf_route_name((ndbuf_route)info.route));
    json_integer(&json, "ndim", info.ndim);
    json_integer(&json, "nbytes", info.nbytes);
    json_integer(&json, "run_nbytes", info.run_nbytes);
    json_integer(&json, "ncalls", info.ncalls);
    json_integer(&json, "nrows", info.nrows);
    json_integer(&json, "staging_nbytes", info.staging_nbytes);
    json_integer(&json, "temporary_nbytes", info.temporary_nbytes);
    json_bool(&json, "asynchronous", info.asynchronous);
    json_string(&json, "text", text);
    json_close(&json, '}');
    json_close(&json, '}');
}

static int explain(const explain_request *request)
{
    ndbuf_error err = {0};
    explain_state state = {0};
    int exit_code = EXIT_DONE;
    char *text = NULL;
    if (make_plan(request, &state, &err) == NDBUF_OK) {
        text = report_plan_text(state.plan);
        if (text == NULL) {
            (void)ndbuf_fail(&err, NDBUF_ERR_NOMEM, "the text of the plan");
        }
    }
    if (text == NULL) {
        exit_code = report_error(&err);
    } else if (request->is_json) {
        put_json(request, &state, text);
    } else {
        report_file(request->path, &state.file);
        report_view(&state.src);
        printf("%s to %s, packed there\n", request->from != NULL ? request->from : "cpu", request->to);
        report_lines("  ", text);
    }
    free(text);
    clear(&state);
    return exit_code;
}

int command_explain(args_reader *args)
{
    enum { OPTION_TO = CAST_NOPTIONS, OPTION_FROM, OPTION_JSON };
    static const args_option options[] = {VIEW_OPS_OPTIONS, CAST_OPTIONS,  {"--to", 1},
                                          {"--from", 1},    {"--json", 0}, {NULL, 0}};
    explain_request request = {.cast = {.casting = NDBUF_CASTING_EQUIV}};
    ndbuf_error err = {0};
    const char *value = NULL;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        switch (option) {
        case OPTION_TO:
            request.to = value;
            break;
        case OPTION_FROM:
            request.from = value;
            break;
        case OPTION_JSON:
            request.is_json = 1;
            break;
        case ARGS_HELP:
            fputs(help, stdout);
            return EXIT_DONE;
        case ARGS_BAD:
            return EXIT_USAGE;
        case ARGS_OPERAND:
            if (request.path != NULL) {
                return args_usage(args, "'%.128s' is one argument too many", value);
            }
            request.path = value;
            break;
        case CAST_AS:
        case CAST_RULE:
        case CAST_SATURATE:
            if (cast_options_add(&request.cast, option, value, &err) != NDBUF_OK) {
                return args_usage(args, "%s: %s", options[option].name, err.message);
            }
            break;
        default:
            if (view_ops_add(&request.ops, option, value, &err) != NDBUF_OK) {
                return args_usage(args, "%s: %s", options[option].name, err.message);
            }
        }
    }
    if (request.path == NULL) {
        return args_usage(args, "no .npy file");
    }
    if (request.to == NULL) {
        return args_usage(args, "no --to DEVICE");
    }
    report_tuning();
    return explain(&request);
}
