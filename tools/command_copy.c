/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cast_options.h"
#include "ndbuf/ndbuf.h"
#include "npy.h"
#include "npy_descr.h"
#include "npy_output.h"
#include "report.h"
#include "view_ops.h"

static const char help[] =
    "usage: ndbuf copy IN.npy OUT.npy [VIEW OPTIONS] --through DEVICE [--as FORMAT]\n"
    "\n"
    "Maps the file, copies a view of its array into a packed array on the device, brings that back, writes it\n"
    "as .npy, and compares every item of the new file with the old one, or with what the host makes of it.\n"
    "\n"
    "  --through DEVICE   cpu, opencl:0, ... (see 'ndbuf devices')\n" CAST_OPTIONS_HELP VIEW_OPS_HELP;

#define PART_NBYTES ((int64_t)64 << 20) /* of long work, between two looks at the progress */

/* A copy that converts nothing. */
static const cast_options as_it_is = {.casting = NDBUF_CASTING_EQUIV};

typedef struct copy_request {
    const char *in;
    const char *out;
    const char *through;
    cast_options cast;
    view_ops ops;
} copy_request;

/* Zero-initialised is empty. */
typedef struct copy_state {
    npy_file file;
    const npy_dtype *dtype; /* of `src` */
    char *descr;            /* of what is written, if that is another one; else NULL */
    ndbuf_device *device;
    ndbuf_format *format; /* of all views but `src` */
    ndbuf_view src;       /* the view of the file */
    ndbuf_view there;     /* on the device */
    ndbuf_view back;
    ndbuf_view expected; /* the view of the file as it is to be written: `src`, or converted on the host */
    npy_output output;
} copy_state;

static void clear(copy_state *state)
{
    npy_output_close(&state->output);
    ndbuf_view_release(&state->expected);
    ndbuf_view_release(&state->back);
    ndbuf_view_release(&state->there);
    ndbuf_view_release(&state->src);
    ndbuf_format_release(state->format);
    ndbuf_device_close(state->device);
    free(state->descr);
    npy_file_close(&state->file);
}

/* Copies in parts along the first axis, so that a watcher sees it move. */
static ndbuf_status copy_in_parts(const ndbuf_view *dst, const ndbuf_view *src, const cast_options *cast,
                                  report_progress *progress, ndbuf_error *err)
{
    int64_t row_nbytes = src->nbytes / src->shape[0];
    int64_t step = row_nbytes < PART_NBYTES ? PART_NBYTES / row_nbytes : 1;
    ndbuf_status status = NDBUF_OK;
    for (int64_t start = 0; start < src->shape[0] && status == NDBUF_OK; start += step) {
        ndbuf_slice slice = {start, start + step, 1, NDBUF_SLICE_START | NDBUF_SLICE_STOP};
        ndbuf_view dst_part = {0};
        ndbuf_view src_part = {0};
        report_progress_at(progress, start * row_nbytes);
        status = ndbuf_view_slice(dst, 0, &slice, &dst_part, err);
        if (status == NDBUF_OK) {
            status = ndbuf_view_slice(src, 0, &slice, &src_part, err);
        }
        if (status == NDBUF_OK) {
            status = ndbuf_copy_cast(&dst_part, &src_part, cast->casting, cast->flags, NULL, err);
        }
        ndbuf_view_release(&dst_part);
        ndbuf_view_release(&src_part);
    }
    return status;
}

/* One leg of the journey: tells the plan, copies, tells the speed. */
static ndbuf_status copy_leg(const char *from, const char *to, const ndbuf_view *dst, const ndbuf_view *src,
                             const cast_options *cast, ndbuf_error *err)
{
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = ndbuf_copy_plan_create(dst, src, cast->casting, cast->flags, &plan, err);
    if (status != NDBUF_OK) {
        return status;
    }
    char *text = report_plan_text(plan);
    printf("%s to %s\n", from, to);
    report_lines("  ", text != NULL ? text : "");
    fflush(stdout);
    free(text);
    char what[128];
    snprintf(what, sizeof(what), "%.48s to %.48s", from, to);
    report_progress progress;
    report_progress_begin(&progress, what, src->nbytes);
    int64_t start_ns = report_clock_ns();
    if (progress.enabled && src->ndim > 0 && src->nbytes >= 4 * PART_NBYTES) {
        status = copy_in_parts(dst, src, cast, &progress, err);
    } else {
        status = ndbuf_copy_plan_run(plan, dst, src, NULL, err);
    }
    int64_t ns = report_clock_ns() - start_ns;
    report_progress_end(&progress);
    ndbuf_copy_plan_destroy(plan);
    if (status == NDBUF_OK) {
        report_text speed;
        printf("  %s, first touch of the memory included\n", report_speed(src->nbytes, ns, speed));
    }
    return status;
}

/* The descr of the file that is written. */
static const char *written_descr(const copy_state *state, size_t *out_nbytes)
{
    *out_nbytes = state->descr != NULL ? strlen(state->descr) : state->dtype->text_nbytes;
    return state->descr != NULL ? state->descr : state->dtype->text;
}

static ndbuf_status write_output(copy_state *state, const char *path, ndbuf_error *err)
{
    const ndbuf_view *back = &state->back;
    char *header = NULL;
    size_t header_nbytes = 0;
    size_t descr_nbytes = 0;
    const char *descr = written_descr(state, &descr_nbytes);
    ndbuf_status status = npy_header_make(descr, descr_nbytes, back->ndim, back->shape, &header, &header_nbytes, err);
    if (status == NDBUF_OK) {
        status = npy_output_open(path, &state->output, err);
    }
    if (status == NDBUF_OK) {
        status = npy_output_write(&state->output, header, header_nbytes, err);
    }
    free(header);
    const char *items = ndbuf_view_host_address(back);
    report_progress progress;
    report_progress_begin(&progress, "writing", back->nbytes);
    for (int64_t at = 0; at < back->nbytes && status == NDBUF_OK; at += PART_NBYTES) {
        int64_t nbytes = back->nbytes - at < PART_NBYTES ? back->nbytes - at : PART_NBYTES;
        status = npy_output_write(&state->output, items + at, (size_t)nbytes, err);
        report_progress_at(&progress, at + nbytes);
    }
    report_progress_end(&progress);
    return status;
}

/* Compares the items of a host view with packed ones, in a plain loop over the indices. Returns the number of the first
 * item that differs, or -1. */
static int64_t find_difference(const ndbuf_view *view, const char *packed)
{
    int64_t index[NDBUF_MAX_NDIM] = {0};
    int64_t nitems = ndbuf_view_nitems(view);
    size_t itemsize = (size_t)view->itemsize;
    const char *item = ndbuf_view_host_address(view);
    report_progress progress;
    report_progress_begin(&progress, "verifying", nitems);
    int64_t found = -1;
    for (int64_t k = 0; k < nitems && itemsize > 0; k++) {
        if (memcmp(item, packed + (size_t)k * itemsize, itemsize) != 0) {
            found = k;
            break;
        }
        if (k % (1 << 20) == 0) {
            report_progress_at(&progress, k);
        }
        for (int32_t axis = view->ndim - 1; axis >= 0; axis--) {
            item += view->strides[axis];
            if (++index[axis] < view->shape[axis]) {
                break;
            }
            item -= view->strides[axis] * view->shape[axis];
            index[axis] = 0;
        }
    }
    report_progress_end(&progress);
    return found;
}

/* Reads the written file again, before it gets its name, and holds it against the view. */
static ndbuf_status verify_output(const copy_state *state, ndbuf_error *err)
{
    const ndbuf_view *src = &state->expected;
    size_t descr_nbytes = 0;
    const char *descr = written_descr(state, &descr_nbytes);
    npy_file written;
    ndbuf_status status = npy_file_open(state->output.temporary, &written, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const ndbuf_view *view = &written.view;
    int same = view->ndim == src->ndim && view->itemsize == src->itemsize && ndbuf_view_is_contiguous(view, 'C') &&
               written.header.dtype->text_nbytes == descr_nbytes &&
               memcmp(written.header.dtype->text, descr, descr_nbytes) == 0;
    for (int32_t axis = 0; same && axis < src->ndim; axis++) {
        same = view->shape[axis] == src->shape[axis];
    }
    int64_t difference = same ? find_difference(src, ndbuf_view_host_address(view)) : -1;
    if (!same) {
        status = ndbuf_fail(err, NDBUF_ERR_IO, "verification failed: the written header says something else");
    } else if (difference >= 0) {
        status = ndbuf_fail(err, NDBUF_ERR_DEVICE, "verification failed: item %lld of %lld differs",
                            (long long)difference, (long long)ndbuf_view_nitems(src));
    }
    npy_file_close(&written);
    return status;
}

/* Conversion leaves padding alone: what is to be written must not have what memory had there before. */
static ndbuf_status zero_padding(const copy_state *state, const ndbuf_view *view, ndbuf_error *err)
{
    if (state->descr == NULL || (ndbuf_format_flags(state->format) & NDBUF_FORMAT_RECORD) == 0) {
        return NDBUF_OK;
    }
    void *zeros = calloc(1, (size_t)view->itemsize);
    if (zeros == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "an item of %lld bytes", (long long)view->itemsize);
    }
    ndbuf_status status = ndbuf_fill(view, zeros, view->itemsize, NULL, err);
    free(zeros);
    return status;
}

/* What is to be written: its format and descr, and what the host makes of the view. */
static ndbuf_status expect(const copy_request *request, copy_state *state, ndbuf_error *err)
{
    const ndbuf_view *src = &state->src;
    ndbuf_status status = cast_options_format(&request->cast, ndbuf_view_format(src), &state->format, err);
    if (status != NDBUF_OK || request->cast.format == NULL) {
        return status != NDBUF_OK ? status : ndbuf_view_copy(&state->expected, src, err);
    }
    status = npy_descr_make(state->format, &state->descr, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(&state->expected, ndbuf_device_cpu(), state->format, src->ndim, src->shape, err);
    }
    if (status == NDBUF_OK) {
        status = zero_padding(state, &state->expected, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_cast(&state->expected, src, request->cast.casting, request->cast.flags, NULL, err);
    }
    return status;
}

static ndbuf_status run(const copy_request *request, copy_state *state, ndbuf_error *err)
{
    ndbuf_status status = npy_file_open(request->in, &state->file, err);
    if (status == NDBUF_OK) {
        state->dtype = state->file.header.dtype;
        status = ndbuf_view_copy(&state->src, &state->file.view, err);
    }
    if (status == NDBUF_OK) {
        status = view_ops_apply(&request->ops, &state->src, &state->dtype, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_device_open(request->through, &state->device, err);
    }
    const ndbuf_view *src = &state->src;
    if (status == NDBUF_OK) {
        status = expect(request, state, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(&state->there, state->device, state->format, src->ndim, src->shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(&state->back, ndbuf_device_cpu(), state->format, src->ndim, src->shape, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    report_file(request->in, &state->file);
    report_view(src);
    status = zero_padding(state, &state->there, err);
    if (status == NDBUF_OK) {
        status = copy_leg("file", request->through, &state->there, src, &request->cast, err);
    }
    if (status == NDBUF_OK) {
        status = copy_leg(request->through, "host", &state->back, &state->there, &as_it_is, err);
    }
    if (status == NDBUF_OK) {
        status = write_output(state, request->out, err);
    }
    if (status == NDBUF_OK) {
        status = verify_output(state, err);
    }
    if (status == NDBUF_OK) {
        status = npy_output_commit(&state->output, err);
    }
    if (status == NDBUF_OK) {
        printf("%s\n  written, and equal to %s item by item: %lld items, %lld bytes\n", request->out,
               state->descr != NULL ? "what the host makes of the view" : "the view", (long long)ndbuf_view_nitems(src),
               (long long)state->back.nbytes);
    }
    return status;
}

int command_copy(args_reader *args)
{
    enum { OPTION_THROUGH = CAST_NOPTIONS };
    static const args_option options[] = {VIEW_OPS_OPTIONS, CAST_OPTIONS, {"--through", 1}, {NULL, 0}};
    copy_request request = {.cast = as_it_is};
    ndbuf_error err = {0};
    const char *value = NULL;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        if (option == OPTION_THROUGH) {
            request.through = value;
        } else if (option == ARGS_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        } else if (option == ARGS_BAD) {
            return EXIT_USAGE;
        } else if (option >= VIEW_OPS_NOPTIONS) {
            if (cast_options_add(&request.cast, option, value, &err) != NDBUF_OK) {
                return args_usage(args, "%s: %s", options[option].name, err.message);
            }
        } else if (option != ARGS_OPERAND) {
            if (view_ops_add(&request.ops, option, value, &err) != NDBUF_OK) {
                return args_usage(args, "%s: %s", options[option].name, err.message);
            }
        } else if (request.in == NULL) {
            request.in = value;
        } else if (request.out == NULL) {
            request.out = value;
        } else {
            return args_usage(args, "'%.128s' is one argument too many", value);
        }
    }
    if (request.out == NULL) {
        return args_usage(args, request.in == NULL ? "no .npy files" : "no .npy file to write");
    }
    if (request.through == NULL) {
        return args_usage(args, "no --through DEVICE");
    }
    report_tuning();
    copy_state state = {0};
    ndbuf_status status = run(&request, &state, &err);
    clear(&state);
    return status == NDBUF_OK ? EXIT_DONE : report_error(&err);
}
