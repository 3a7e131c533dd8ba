/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_core.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/reference_number.h"

static bool is_reachable(const ndbuf_device *device)
{
    return fake_is_own(device) || (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* What is possible within one device only. */
#define LOCAL_FLAGS (NDBUF_CAN_FILL | NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64)

static uint32_t flags_between(const fake_config *config, const ndbuf_device *dst, const ndbuf_device *src)
{
    if (!is_reachable(dst) || !is_reachable(src) || (!fake_is_own(dst) && !fake_is_own(src))) {
        return 0;
    }
    if (fake_is_own(dst) && fake_is_own(src) && dst != src) {
        return config->peer_flags & ~(uint32_t)LOCAL_FLAGS;
    }
    return dst == src ? config->copy_flags : config->copy_flags & ~(uint32_t)LOCAL_FLAGS;
}

void fake_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    fake_call_fails(FAKE_copy_caps, NULL);
    fake_config config = fake_config_now();
    *out_caps = (ndbuf_copy_caps){.flags = flags_between(&config, dst, src)};
    if (out_caps->flags != 0) {
        out_caps->max_pitch = config.max_pitch;
        out_caps->call_ns = 2000;
        out_caps->wait_ns = 5000;
        out_caps->row_ns = 20;
        out_caps->element_ns = 1;
        out_caps->map_ns = 2000;
        out_caps->bytes_per_ns = 8;
    }
}

/* ---- what the core promises ---- */

static bool converts(const fake_box *box)
{
    return box->dst_element.number != 0;
}

static int64_t src_unit(const fake_box *box)
{
    return converts(box) ? box->src_element.nbytes : box->unit_nbytes;
}

/* A side of a box lies in its memory. */
static bool is_in_bounds(const ndbuf_mem *mem, int64_t offset, const fake_box *box, int64_t unit_nbytes,
                         const int64_t *strides)
{
    int64_t lo = offset;
    int64_t hi = offset + unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        int64_t reach = (box->shape[k] - 1) * strides[k];
        lo += reach < 0 ? reach : 0;
        hi += reach > 0 ? reach : 0;
    }
    return lo >= 0 && (uint64_t)hi <= mem->nbytes;
}

static ndbuf_status check_side(const char *name, const ndbuf_mem *mem, int64_t offset, const fake_box *box,
                               int64_t unit_nbytes, const int64_t *strides, ndbuf_error *err)
{
    if (mem == NULL || mem->device == NULL || fake_address(mem, 0) == NULL) {
        return fake_violated(err, "the %s is no memory that fake can reach", name);
    }
    if (!is_in_bounds(mem, offset, box, unit_nbytes, strides)) {
        return fake_violated(err, "the %s of %d axes at offset %lld leaves its memory of %zu bytes", name,
                             (int)box->ndim, (long long)offset, mem->nbytes);
    }
    return NDBUF_OK;
}

/* Counts and logs a call, checks what all kinds of copies have in common, and gives the box to the queue. */
static ndbuf_status submit(fake_slot slot, uint32_t needed, ndbuf_queue *queue, const fake_box *box, int64_t nrows,
                           ndbuf_error *err)
{
    const ndbuf_device *dst = box->dst.device;
    const ndbuf_device *src = slot == FAKE_fill_strided ? dst : box->src.device;
    fake_config config = fake_config_now();
    if (dst == NULL || src == NULL || queue == NULL || !fake_is_own(queue->device)) {
        return fake_violated(err, "%s without a device or a queue of fake", fake_slot_name(slot));
    }
    if ((flags_between(&config, dst, src) & needed) != needed) {
        return fake_violated(err, "%s is called, but its bit is clear", fake_slot_name(slot));
    }
    if (queue->device != dst && queue->device != src) {
        return fake_violated(err, "%s in a queue of a third device", fake_slot_name(slot));
    }
    ndbuf_status status =
        check_side("destination", &box->dst, box->dst_offset, box, box->unit_nbytes, box->dst_strides, err);
    if (status == NDBUF_OK && slot != FAKE_fill_strided) {
        status = check_side("source", &box->src, box->src_offset, box, src_unit(box), box->src_strides, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        nbytes *= box->shape[k];
    }
    fake_log_add(&(fake_log_entry){.slot = slot,
                                   .dst_is_host = !fake_is_own(dst),
                                   .src_is_host = !fake_is_own(src),
                                   .nbytes = nbytes,
                                   .nrows = nrows});
    return fake_queue_submit_box(queue, box, (flags_between(&config, dst, src) & NDBUF_COPY_BLOCKS) != 0, err);
}

/* What a call returns that has given work to a queue. */
static ndbuf_status submitted(ndbuf_status status, ndbuf_error *err)
{
    return status == NDBUF_OK && fake_job_fails_late(err) ? NDBUF_ERR_DEVICE : status;
}

ndbuf_status fake_copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                             int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_copy_bytes, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (nbytes <= 0) {
        return fake_violated(err, "copy_bytes of %lld bytes", (long long)nbytes);
    }
    fake_box box = {
        .dst = *dst, .src = *src, .dst_offset = dst_offset, .src_offset = src_offset, .unit_nbytes = nbytes};
    return submitted(submit(FAKE_copy_bytes, NDBUF_CAN_COPY_BYTES, queue, &box, 1, err), err);
}

static ndbuf_status check_pitches(const char *name, const ndbuf_rect *rect, const ndbuf_rect_side *side,
                                  int64_t max_pitch, ndbuf_error *err)
{
    int64_t slice_nbytes = rect->nrows * side->row_pitch;
    if (side->row_pitch < rect->row_nbytes || (max_pitch > 0 && side->row_pitch > max_pitch) ||
        (rect->nslices > 1 ? side->slice_pitch < slice_nbytes || side->slice_pitch % side->row_pitch != 0
                           : side->slice_pitch != slice_nbytes)) {
        return fake_violated(err, "%s pitches %lld and %lld of %lld x %lld rows of %lld bytes", name,
                             (long long)side->row_pitch, (long long)side->slice_pitch, (long long)rect->nslices,
                             (long long)rect->nrows, (long long)rect->row_nbytes);
    }
    return NDBUF_OK;
}

ndbuf_status fake_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_copy_rect, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (rect->row_nbytes <= 0 || rect->nrows <= 0 || rect->nslices <= 0) {
        return fake_violated(err, "a rectangle of %lld x %lld rows of %lld bytes", (long long)rect->nslices,
                             (long long)rect->nrows, (long long)rect->row_nbytes);
    }
    fake_config config = fake_config_now();
    ndbuf_status status = check_pitches("destination", rect, &rect->dst, config.max_pitch, err);
    if (status == NDBUF_OK) {
        status = check_pitches("source", rect, &rect->src, config.max_pitch, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if ((config.copy_flags & NDBUF_RECT_EQUAL_PITCHES) != 0 && rect->dst.mem->handle == rect->src.mem->handle &&
        (rect->dst.row_pitch != rect->src.row_pitch || rect->dst.slice_pitch != rect->src.slice_pitch)) {
        return fake_violated(err, "unequal pitches within one piece of memory");
    }
    fake_box box = {.dst = *rect->dst.mem,
                    .src = *rect->src.mem,
                    .dst_offset = rect->dst.offset,
                    .src_offset = rect->src.offset,
                    .ndim = 2,
                    .unit_nbytes = rect->row_nbytes,
                    .shape = {rect->nslices, rect->nrows},
                    .dst_strides = {rect->dst.slice_pitch, rect->dst.row_pitch},
                    .src_strides = {rect->src.slice_pitch, rect->src.row_pitch}};
    return submitted(submit(FAKE_copy_rect, NDBUF_CAN_COPY_RECT, queue, &box, rect->nslices * rect->nrows, err), err);
}

/* Axes of a strided box; for fills only the extents. */
static ndbuf_status check_axes(const fake_box *box, bool is_fill, ndbuf_error *err)
{
    if (box->unit_nbytes <= 0) {
        return fake_violated(err, "units of %lld bytes", (long long)box->unit_nbytes);
    }
    for (int32_t k = 0; k < box->ndim; k++) {
        if (box->shape[k] <= 1) {
            return fake_violated(err, "axis %d has extent %lld", (int)k, (long long)box->shape[k]);
        }
        if (is_fill) {
            continue;
        }
        bool is_last = k == box->ndim - 1;
        int64_t dst_inner = is_last ? box->unit_nbytes : box->dst_strides[k + 1] * box->shape[k + 1];
        int64_t src_inner = is_last ? src_unit(box) : box->src_strides[k + 1] * box->shape[k + 1];
        if (box->dst_strides[k] <= 0 || (!is_last && box->dst_strides[k] < box->dst_strides[k + 1])) {
            return fake_violated(err, "axis %d has destination stride %lld, out of order", (int)k,
                                 (long long)box->dst_strides[k]);
        }
        if (!(is_last && converts(box)) && box->dst_strides[k] == dst_inner && box->src_strides[k] == src_inner) {
            return fake_violated(err, "axis %d could have been merged with what is inside it", (int)k);
        }
    }
    return NDBUF_OK;
}

static int64_t count_units(const fake_box *box)
{
    int64_t n = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        n *= box->shape[k];
    }
    return n;
}

ndbuf_status fake_copy_strided(ndbuf_queue *queue, const ndbuf_strided *strided, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_copy_strided, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (strided->ndim < 0 || strided->ndim > NDBUF_MAX_NDIM) {
        return fake_violated(err, "a box of %d axes", (int)strided->ndim);
    }
    fake_box box = {.dst = *strided->dst.mem,
                    .src = *strided->src.mem,
                    .dst_offset = strided->dst.offset,
                    .src_offset = strided->src.offset,
                    .ndim = strided->ndim,
                    .unit_nbytes = strided->unit_nbytes};
    for (int32_t k = 0; k < strided->ndim; k++) {
        box.shape[k] = strided->shape[k];
        box.dst_strides[k] = strided->dst.strides[k];
        box.src_strides[k] = strided->src.strides[k];
    }
    ndbuf_status status = check_axes(&box, false, err);
    if (status == NDBUF_OK) {
        status = submit(FAKE_copy_strided, NDBUF_CAN_COPY_STRIDED, queue, &box, count_units(&box), err);
    }
    return submitted(status, err);
}

/* Elements that the contract lets through: as complex as it says, and of the size that they have. */
static bool is_element_pair(const ndbuf_convert_box *box)
{
    const ndbuf_element *to = &box->dst_element;
    const ndbuf_element *from = &box->src_element;
    bool sizes = to->nbytes == test_number_nbytes(to->number) * (to->is_complex ? 2 : 1) &&
                 from->nbytes == test_number_nbytes(from->number) * (from->is_complex ? 2 : 1);
    return sizes && !(to->is_complex && from->is_complex) && (!from->is_complex || to->number == NDBUF_NUMBER_BOOL);
}

ndbuf_status fake_convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *convert, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_convert_strided, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (convert->ndim < 0 || convert->ndim > NDBUF_MAX_NDIM || !is_element_pair(convert)) {
        return fake_violated(err, "a conversion of %d axes from number %d to number %d", (int)convert->ndim,
                             (int)convert->src_element.number, (int)convert->dst_element.number);
    }
    uint32_t needed = NDBUF_CAN_CONVERT;
    if (convert->dst_element.number == NDBUF_NUMBER_FLOAT64 || convert->src_element.number == NDBUF_NUMBER_FLOAT64) {
        needed |= NDBUF_CAN_CONVERT_FLOAT64;
    }
    fake_box box = {.dst = *convert->dst.mem,
                    .src = *convert->src.mem,
                    .dst_offset = convert->dst.offset,
                    .src_offset = convert->src.offset,
                    .ndim = convert->ndim,
                    .unit_nbytes = convert->dst_element.nbytes,
                    .dst_element = convert->dst_element,
                    .src_element = convert->src_element,
                    .cast_flags = convert->flags};
    for (int32_t k = 0; k < convert->ndim; k++) {
        box.shape[k] = convert->shape[k];
        box.dst_strides[k] = convert->dst.strides[k];
        box.src_strides[k] = convert->src.strides[k];
    }
    ndbuf_status status = check_axes(&box, false, err);
    if (status == NDBUF_OK) {
        status = submit(FAKE_convert_strided, needed, queue, &box, count_units(&box), err);
    }
    return submitted(status, err);
}

ndbuf_status fake_fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *fill, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_fill_strided, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (fill->ndim < 0 || fill->ndim > NDBUF_MAX_NDIM) {
        return fake_violated(err, "a box of %d axes", (int)fill->ndim);
    }
    fake_box box = {
        .dst = *fill->dst.mem, .dst_offset = fill->dst.offset, .ndim = fill->ndim, .unit_nbytes = fill->item_nbytes};
    for (int32_t k = 0; k < fill->ndim; k++) {
        box.shape[k] = fill->shape[k];
        box.dst_strides[k] = fill->dst.strides[k];
    }
    ndbuf_status status = check_axes(&box, true, err);
    if (status != NDBUF_OK) {
        return status;
    }
    box.item = malloc((size_t)fill->item_nbytes);
    if (box.item == NULL) {
        abort();
    }
    memcpy(box.item, fill->item, (size_t)fill->item_nbytes);
    status = submit(FAKE_fill_strided, NDBUF_CAN_FILL, queue, &box, count_units(&box), err);
    if (status != NDBUF_OK) {
        free(box.item);
    }
    return submitted(status, err);
}

/* ---- the work ---- */

static bool box_next(const fake_box *box, int64_t *index)
{
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        if (++index[k] < box->shape[k]) {
            return true;
        }
        index[k] = 0;
    }
    return false;
}

static int64_t box_offset(const fake_box *box, int64_t offset, const int64_t *strides, const int64_t *index)
{
    for (int32_t k = 0; k < box->ndim; k++) {
        offset += index[k] * strides[k];
    }
    return offset;
}

/* Within one piece of memory: does the source read what the destination writes? */
static bool sides_overlap(const fake_box *box)
{
    const fake_block *block = box->dst.backend_data;
    char *written = calloc(1, block->nbytes);
    if (written == NULL) {
        abort();
    }
    int64_t index[NDBUF_MAX_NDIM] = {0};
    do {
        memset(written + box_offset(box, box->dst_offset, box->dst_strides, index), 1, (size_t)box->unit_nbytes);
    } while (box_next(box, index));
    bool overlap = false;
    do {
        const char *read = written + box_offset(box, box->src_offset, box->src_strides, index);
        overlap = overlap || memchr(read, 1, (size_t)src_unit(box)) != NULL;
    } while (box_next(box, index));
    free(written);
    return overlap;
}

ndbuf_status fake_box_run(const fake_box *box, ndbuf_error *err)
{
    bool is_fill = box->item != NULL;
    if (!is_fill && fake_is_own(box->dst.device) && box->dst.backend_data == box->src.backend_data &&
        sides_overlap(box)) {
        return fake_violated(err, "the sides of a copy overlap");
    }
    int64_t index[NDBUF_MAX_NDIM] = {0};
    do {
        char *to = fake_address(&box->dst, box_offset(box, box->dst_offset, box->dst_strides, index));
        const char *from =
            is_fill ? box->item : fake_address(&box->src, box_offset(box, box->src_offset, box->src_strides, index));
        if (converts(box)) {
            test_convert_element(to, &box->dst_element, from, &box->src_element, box->cast_flags);
        } else {
            memcpy(to, from, (size_t)box->unit_nbytes);
        }
    } while (box_next(box, index));
    return NDBUF_OK;
}
