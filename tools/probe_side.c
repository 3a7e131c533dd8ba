/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_side.h"

#include <string.h>

const probe_side_keys probe_source_keys = {"sdev",  "sbytes",  "soffset", "sstrides",
                                           "sptrs", "spfirst", "spdim",   "ssub"};
const probe_side_keys probe_destination_keys = {"ddev",  "dbytes",  "doffset", "dstrides",
                                                "dptrs", "dpfirst", "dpdim",   "dsub"};

/* A table of pointers, and all that they lead to, is host memory: a side with one stays on the host, whatever device
 * was named for it. */
ndbuf_status probe_side_device(const probe_request *request, const probe_side_keys *keys, ndbuf_device **out_device,
                               ndbuf_error *err)
{
    const char *name = "cpu";
    if (keys->device != NULL && probe_has(request, keys->device) && !probe_has(request, keys->pointers)) {
        ndbuf_status status = probe_get_text(request, keys->device, &name, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return probe_device(name, out_device, err);
}

static ndbuf_status alloc_bytes(probe_request *request, int64_t nbytes, unsigned char **out_bytes, ndbuf_error *err)
{
    void *block = NULL;
    if (nbytes < 0 || nbytes > PROBE_MAX_NBYTES) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a buffer of %lld bytes: the probe takes 0 to %lld",
                          (long long)nbytes, (long long)PROBE_MAX_NBYTES);
    }
    ndbuf_status status = probe_alloc(request, (size_t)nbytes, &block, err);
    if (status == NDBUF_OK) {
        *out_bytes = block;
    }
    return status;
}

ndbuf_status probe_alloc_pattern(probe_request *request, int64_t nbytes, unsigned char **out_bytes, ndbuf_error *err)
{
    int64_t seed = 0;
    ndbuf_status status = probe_get_int(request, "seed", &seed, err);
    if (status == NDBUF_OK) {
        status = alloc_bytes(request, nbytes, out_bytes, err);
    }
    for (int64_t i = 0; i < nbytes && status == NDBUF_OK; i++) {
        uint32_t h = (uint32_t)i * 0x9E3779B1u + (uint32_t)(uint64_t)seed * 0x85EBCA77u;
        h ^= h >> 15;
        h *= 0x2C1B3C6Du;
        h ^= h >> 12;
        (*out_bytes)[i] = (unsigned char)(h & 0xFF);
    }
    return status;
}

ndbuf_status probe_alloc_blank(probe_request *request, int64_t nbytes, unsigned char **out_bytes, ndbuf_error *err)
{
    ndbuf_status status = alloc_bytes(request, nbytes, out_bytes, err);
    if (status == NDBUF_OK) {
        memset(*out_bytes, 0xA5, (size_t)nbytes);
    }
    return status;
}

/* CRC-32 as zlib computes it, four bits at a time. */
static uint32_t crc32(const unsigned char *bytes, size_t nbytes)
{
    static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                       0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                       0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < nbytes; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

/* All bytes of a storage as one view. */
static ndbuf_status view_whole(ndbuf_view *out_view, ndbuf_storage *storage, ndbuf_error *err)
{
    int64_t extent = (int64_t)ndbuf_storage_nbytes(storage);
    ndbuf_view_spec spec = {.ndim = 1, .shape = &extent};
    return ndbuf_view_init(out_view, storage, &spec, err);
}

/* Copies a whole storage into another of the same size. */
static ndbuf_status copy_whole(ndbuf_storage *dst, ndbuf_storage *src, ndbuf_error *err)
{
    ndbuf_view dst_view = {0};
    ndbuf_view src_view = {0};
    ndbuf_status status = view_whole(&dst_view, dst, err);
    if (status == NDBUF_OK) {
        status = view_whole(&src_view, src, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&dst_view, &src_view, NULL, err);
    }
    ndbuf_view_release(&src_view);
    ndbuf_view_release(&dst_view);
    return status;
}

static ndbuf_status adopt(void *bytes, size_t nbytes, ndbuf_storage **out_storage, ndbuf_error *err)
{
    return ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, nbytes, 0, NULL, NULL, out_storage, err);
}

ndbuf_status probe_buffer_create(ndbuf_device *device, void *bytes, int64_t nbytes, ndbuf_storage **out_buffer,
                                 ndbuf_error *err)
{
    ndbuf_storage *contents = NULL;
    ndbuf_storage *buffer = NULL;
    ndbuf_status status = adopt(bytes, (size_t)nbytes, &contents, err);
    if (status == NDBUF_OK) {
        status = ndbuf_storage_create(device, (size_t)nbytes, &buffer, err);
    }
    if (status == NDBUF_OK) {
        status = copy_whole(buffer, contents, err);
    }
    ndbuf_storage_release(contents);
    if (status != NDBUF_OK) {
        ndbuf_storage_release(buffer);
        return status;
    }
    *out_buffer = buffer;
    return NDBUF_OK;
}

ndbuf_status probe_put_crc(probe_request *request, probe_answer *answer, ndbuf_storage *buffer, ndbuf_error *err)
{
    unsigned char *bytes = NULL;
    ndbuf_storage *host = NULL;
    size_t nbytes = ndbuf_storage_nbytes(buffer);
    ndbuf_status status = alloc_bytes(request, (int64_t)nbytes, &bytes, err);
    if (status == NDBUF_OK) {
        status = adopt(bytes, nbytes, &host, err);
    }
    if (status == NDBUF_OK) {
        status = copy_whole(host, buffer, err);
    }
    ndbuf_storage_release(host);
    if (status == NDBUF_OK) {
        probe_put(answer, " crc=%08lx", (unsigned long)crc32(bytes, nbytes));
    }
    return status;
}

static ndbuf_status get_strides(probe_request *request, const probe_side_keys *keys, const probe_list *shape,
                                probe_list *out_strides, ndbuf_error *err)
{
    ndbuf_status status = probe_get_list(request, keys->strides, out_strides, err);
    if (status == NDBUF_OK && (out_strides->count != shape->count || shape->count > NDBUF_MAX_NDIM)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld extents, %lld strides", (long long)shape->count,
                            (long long)out_strides->count);
    }
    return status;
}

ndbuf_status probe_side_init_view(probe_side *side, probe_request *request, const probe_side_keys *keys,
                                  ndbuf_format *format, const probe_list *shape, ndbuf_error *err)
{
    probe_list strides = {0};
    int64_t offset = 0;
    ndbuf_status status = get_strides(request, keys, shape, &strides, err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, keys->offset, &offset, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = offset,
                                .ndim = (int32_t)shape->count,
                                .shape = shape->values,
                                .strides = strides.values};
        status = ndbuf_view_init(&side->view, side->buffer, &spec, err);
    }
    return status;
}

/* Which entries of the table the view follows; true for each of them. `strides` are in entries. */
static ndbuf_status find_followed(probe_request *request, const probe_list *shape, const probe_list *strides,
                                  int64_t last_axis, int64_t first, int64_t count, bool **out_followed,
                                  ndbuf_error *err)
{
    void *blocks[2] = {NULL, NULL};
    for (int32_t i = 0; i < 2; i++) {
        ndbuf_status status = probe_alloc(request, (size_t)count * sizeof(bool), &blocks[i], err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    bool *followed = blocks[0];
    bool *before = blocks[1];
    memset(followed, 0, (size_t)count * sizeof(bool));
    followed[first] = true;
    for (int64_t axis = 0; axis <= last_axis; axis++) {
        int64_t stride = strides->values[axis];
        if (shape->values[axis] < 2 || stride == 0) {
            continue;
        }
        memcpy(before, followed, (size_t)count * sizeof(bool));
        for (int64_t start = 0; start < count; start++) {
            int64_t entry = start;
            for (int64_t i = 0; before[start] && i < shape->values[axis] && entry >= 0 && entry < count; i++) {
                followed[entry] = true;
                entry += stride;
            }
        }
    }
    *out_followed = followed;
    return NDBUF_OK;
}

/* That the pointers lead to memory is the word of whoever makes a view with suboffsets. Here that is the request, so
 * its word is checked: what lies behind each pointer that is followed must be a view of the buffer. */
static ndbuf_status check_pointers(probe_request *request, const probe_side *side, ndbuf_format *format,
                                   const probe_list *shape, const probe_list *strides, const probe_list *pointers,
                                   int64_t last_axis, int64_t first, int64_t suboffset, ndbuf_error *err)
{
    bool *followed = NULL;
    if (ndbuf_view_nitems(&side->view) == 0) {
        return NDBUF_OK;
    }
    ndbuf_status status = find_followed(request, shape, strides, last_axis, first, pointers->count, &followed, err);
    for (int64_t i = 0; i < pointers->count && status == NDBUF_OK; i++) {
        if (!followed[i]) {
            continue;
        }
        int64_t pointer = pointers->values[i];
        if (pointer < 0 || pointer > PROBE_MAX_NBYTES || suboffset > PROBE_MAX_NBYTES) {
            return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "pointer %lld leads to byte %lld", (long long)i,
                              (long long)pointer);
        }
        ndbuf_view behind = {0};
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = pointer + suboffset,
                                .ndim = (int32_t)(shape->count - last_axis - 1),
                                .shape = shape->values + last_axis + 1,
                                .strides = strides->values + last_axis + 1};
        status = ndbuf_view_init(&behind, side->buffer, &spec, err);
        ndbuf_view_release(&behind);
    }
    return status;
}

static ndbuf_status init_pointer_view(probe_side *side, probe_request *request, const probe_side_keys *keys,
                                      ndbuf_format *format, const probe_list *shape, ndbuf_error *err)
{
    const int64_t entry_nbytes = (int64_t)sizeof(void *);
    probe_list strides = {0};
    probe_list pointers = {0};
    int64_t first = 0;
    int64_t axis = 0;
    int64_t suboffset = 0;
    int64_t byte_strides[NDBUF_MAX_NDIM];
    int64_t suboffsets[NDBUF_MAX_NDIM];
    void *table = NULL;
    ndbuf_status status = get_strides(request, keys, shape, &strides, err);
    if (status == NDBUF_OK) {
        status = probe_get_list(request, keys->pointers, &pointers, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, keys->first, &first, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, keys->axis, &axis, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, keys->suboffset, &suboffset, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (axis < 0 || axis >= shape->count) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no axis %lld", (long long)axis);
    }
    if (first < 0 || first > pointers.count || suboffset < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "first pointer %lld of %lld, suboffset %lld", (long long)first,
                          (long long)pointers.count, (long long)suboffset);
    }
    for (int64_t i = 0; i < shape->count; i++) {
        int64_t stride = strides.values[i];
        int64_t unit = i <= axis ? entry_nbytes : 1;
        if (stride > INT64_MAX / entry_nbytes || stride < INT64_MIN / entry_nbytes) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "stride %lld", (long long)stride);
        }
        byte_strides[i] = stride * unit;
        suboffsets[i] = i == axis ? suboffset : -1;
    }
    status = probe_alloc(request, (size_t)pointers.count * sizeof(void *), &table, err);
    if (status != NDBUF_OK) {
        return status;
    }
    char *address = ndbuf_storage_host_address(side->buffer);
    for (int64_t i = 0; i < pointers.count; i++) {
        uintptr_t pointer = (uintptr_t)address + (uintptr_t)pointers.values[i];
        memcpy((char *)table + (size_t)i * sizeof(void *), &pointer, sizeof(void *));
    }
    status = adopt(table, (size_t)pointers.count * sizeof(void *), &side->table, err);
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = first * entry_nbytes,
                                .ndim = (int32_t)shape->count,
                                .shape = shape->values,
                                .strides = byte_strides,
                                .suboffsets = suboffsets};
        status = ndbuf_view_init(&side->view, side->table, &spec, err);
    }
    if (status == NDBUF_OK) {
        status = check_pointers(request, side, format, shape, &strides, &pointers, axis, first, suboffset, err);
    }
    return status;
}

ndbuf_status probe_side_init(probe_side *side, probe_request *request, const probe_side_keys *keys,
                             ndbuf_format *format, const probe_list *shape, bool filled, ndbuf_error *err)
{
    ndbuf_device *device = NULL;
    int64_t nbytes = 0;
    unsigned char *bytes = NULL;
    ndbuf_status status = probe_side_device(request, keys, &device, err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, keys->nbytes, &nbytes, err);
    }
    if (status == NDBUF_OK) {
        status = filled ? probe_alloc_pattern(request, nbytes, &bytes, err)
                        : probe_alloc_blank(request, nbytes, &bytes, err);
    }
    if (status == NDBUF_OK) {
        status = probe_buffer_create(device, bytes, nbytes, &side->buffer, err);
    }
    if (status == NDBUF_OK) {
        status = probe_has(request, keys->pointers) ? init_pointer_view(side, request, keys, format, shape, err)
                                                    : probe_side_init_view(side, request, keys, format, shape, err);
    }
    return status;
}

ndbuf_status probe_side_init_packed(probe_side *side, probe_request *request, ndbuf_device *device,
                                    ndbuf_format *format, const probe_list *shape, char order, bool filled,
                                    ndbuf_error *err)
{
    int64_t extents[NDBUF_MAX_NDIM];
    int64_t nbytes = ndbuf_format_itemsize(format);
    unsigned char *bytes = NULL;
    for (int64_t i = 0; i < shape->count; i++) {
        extents[i] = shape->values[order == 'F' ? shape->count - 1 - i : i];
        nbytes = extents[i] == 0                          ? 0
                 : nbytes > PROBE_MAX_NBYTES / extents[i] ? PROBE_MAX_NBYTES + 1
                                                          : nbytes * extents[i];
    }
    ndbuf_status status =
        filled ? probe_alloc_pattern(request, nbytes, &bytes, err) : probe_alloc_blank(request, nbytes, &bytes, err);
    if (status == NDBUF_OK) {
        status = probe_buffer_create(device, bytes, nbytes, &side->buffer, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format, .ndim = (int32_t)shape->count, .shape = extents};
        status = ndbuf_view_init(&side->view, side->buffer, &spec, err);
    }
    /* Fortran order is C order of the axes reversed. */
    if (status == NDBUF_OK && order == 'F') {
        status = ndbuf_view_transpose(&side->view, &side->view, err);
    }
    return status;
}

void probe_side_clear(probe_side *side)
{
    ndbuf_view_release(&side->view);
    ndbuf_storage_release(side->table);
    ndbuf_storage_release(side->buffer);
    side->table = NULL;
    side->buffer = NULL;
}
