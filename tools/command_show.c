/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cast_options.h"
#include "ndbuf/ndbuf.h"
#include "npy.h"
#include "report.h"
#include "view_ops.h"

static const char help[] =
    "usage: ndbuf show IN.npy [VIEW OPTIONS] [-n N] [--on DEVICE] [--as FORMAT]\n"
    "\n"
    "Prints the first items of a view of the array, in C order.\n"
    "\n"
    "  -n N               how many; 10 if not given\n"
    "  --on DEVICE        as they are on that device, where the view is copied first, packed\n" CAST_OPTIONS_HELP
        VIEW_OPS_HELP;

/* The text of one item is cut behind so many bytes. */
#define MAX_ITEM_TEXT 1000

typedef struct show_request {
    const char *path;
    const char *on; /* NULL: the file itself */
    int64_t nitems;
    cast_options cast;
    view_ops ops;
} show_request;

/* Zero-initialised is empty. */
typedef struct show_state {
    npy_file file;
    ndbuf_device *device;
    ndbuf_format *format;
    ndbuf_view view;  /* of the file */
    ndbuf_view there; /* what is shown */
} show_state;

static void clear(show_state *state)
{
    ndbuf_view_release(&state->there);
    ndbuf_view_release(&state->view);
    ndbuf_format_release(state->format);
    ndbuf_device_close(state->device);
    npy_file_close(&state->file);
}

/* Brings the item at an index to the host. */
static ndbuf_status fetch_item(const ndbuf_view *view, const int64_t *index, const ndbuf_view *host, ndbuf_error *err)
{
    ndbuf_view item = {0};
    ndbuf_status status = ndbuf_view_copy(&item, view, err);
    for (int32_t axis = 0; axis < view->ndim && status == NDBUF_OK; axis++) {
        status = ndbuf_view_index(&item, 0, index[axis], &item, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(host, &item, NULL, err);
    }
    ndbuf_view_release(&item);
    return status;
}

static void put_item(const ndbuf_view *view, const int64_t *index, const ndbuf_view *host)
{
    char text[MAX_ITEM_TEXT + 1];
    size_t length = ndbuf_item_print(ndbuf_view_format(view), ndbuf_view_host_address(host), text, sizeof(text));
    for (int32_t axis = 0; axis < view->ndim; axis++) {
        printf("%s%lld", axis == 0 ? "  [" : ", ", (long long)index[axis]);
    }
    printf("%s%s%s\n", view->ndim > 0 ? "]  " : "  ", text, length >= sizeof(text) ? "..." : "");
}

static ndbuf_status put_head(const ndbuf_view *view, int64_t nitems, ndbuf_error *err)
{
    int64_t index[NDBUF_MAX_NDIM] = {0};
    int64_t total = ndbuf_view_nitems(view);
    ndbuf_view host = {0};
    ndbuf_status status = ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(view), 0, NULL, err);
    for (int64_t k = 0; k < nitems && k < total && status == NDBUF_OK; k++) {
        status = fetch_item(view, index, &host, err);
        if (status == NDBUF_OK) {
            put_item(view, index, &host);
        }
        for (int32_t axis = view->ndim - 1; axis >= 0 && ++index[axis] == view->shape[axis]; axis--) {
            index[axis] = 0;
        }
    }
    ndbuf_view_release(&host);
    if (status == NDBUF_OK && nitems < total) {
        printf("  and %lld more\n", (long long)(total - nitems));
    }
    return status;
}

static ndbuf_status run(const show_request *request, show_state *state, ndbuf_error *err)
{
    ndbuf_status status = npy_file_open(request->path, &state->file, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_copy(&state->view, &state->file.view, err);
    }
    if (status == NDBUF_OK) {
        const npy_dtype *dtype = state->file.header.dtype;
        status = view_ops_apply(&request->ops, &state->view, &dtype, err);
    }
    if (status == NDBUF_OK) {
        status = cast_options_format(&request->cast, ndbuf_view_format(&state->view), &state->format, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (request->on == NULL && request->cast.format == NULL) {
        status = ndbuf_view_copy(&state->there, &state->view, err);
    } else {
        status = ndbuf_device_open(request->on != NULL ? request->on : "cpu", &state->device, err);
        if (status == NDBUF_OK) {
            status = ndbuf_view_create(&state->there, state->device, state->format, state->view.ndim, state->view.shape,
                                       err);
        }
        if (status == NDBUF_OK) {
            status =
                ndbuf_copy_cast(&state->there, &state->view, request->cast.casting, request->cast.flags, NULL, err);
        }
    }
    if (status == NDBUF_OK) {
        report_file(request->path, &state->file);
        report_view(&state->view);
        printf("items%s%s of format '%s'\n", request->on != NULL ? " on " : "", request->on != NULL ? request->on : "",
               ndbuf_format_text(state->format));
        status = put_head(&state->there, request->nitems, err);
    }
    return status;
}

int command_show(args_reader *args)
{
    enum { OPTION_N = CAST_NOPTIONS, OPTION_ON };
    static const args_option options[] = {VIEW_OPS_OPTIONS, CAST_OPTIONS, {"-n", 1}, {"--on", 1}, {NULL, 0}};
    show_request request = {.nitems = 10};
    ndbuf_error err = {0};
    const char *value = NULL;
    request.cast.casting = NDBUF_CASTING_EQUIV;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        ndbuf_status status = NDBUF_OK;
        if (option == OPTION_N) {
            if (!args_read_size(value, &request.nitems)) {
                return args_usage(args, "'%.64s' is not a number of items", value);
            }
        } else if (option == OPTION_ON) {
            request.on = value;
        } else if (option == ARGS_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        } else if (option == ARGS_BAD) {
            return EXIT_USAGE;
        } else if (option == ARGS_OPERAND) {
            if (request.path != NULL) {
                return args_usage(args, "'%.128s' is one argument too many", value);
            }
            request.path = value;
        } else if (option < VIEW_OPS_NOPTIONS) {
            status = view_ops_add(&request.ops, option, value, &err);
        } else {
            status = cast_options_add(&request.cast, option, value, &err);
        }
        if (status != NDBUF_OK) {
            return args_usage(args, "%s: %s", options[option].name, err.message);
        }
    }
    if (request.path == NULL) {
        return args_usage(args, "no .npy file");
    }
    show_state state = {0};
    ndbuf_status status = run(&request, &state, &err);
    clear(&state);
    return status == NDBUF_OK ? EXIT_DONE : report_error(&err);
}
