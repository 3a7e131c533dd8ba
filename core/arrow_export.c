/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arrow_core.h"

#include <stdio.h>
#include <string.h>

#include "core/checked.h"
#include "core/host_alloc.h"
#include "core/queue_core.h"
#include "core/ref_count.h"
#include "core/view_core.h"

/* A consumer may move any node of a tree away and release it by itself: so all nodes of a tree lie in one block, and
 * each that is not released holds a reference to it. */
typedef struct schema_node {
    struct ArrowSchema schema;
    struct ArrowSchema *child;
    char format[NDBUF__ARROW_FORMAT_NBYTES];
} schema_node;

typedef struct schema_tree {
    ndbuf__ref_count refs;
    schema_node nodes[]; /* from the outside in; the first one's schema is the caller's, and unused here */
} schema_tree;

typedef struct array_node {
    struct ArrowArray array;
    struct ArrowArray *child;
    const void *buffers[2];
} array_node;

typedef struct array_tree {
    ndbuf__ref_count refs;
    ndbuf_view view;
    void *native_event; /* what sync_event leads to */
    array_node nodes[];
} array_tree;

static void release_schema(struct ArrowSchema *schema)
{
    schema_tree *tree = schema->private_data;
    if (schema->n_children > 0 && schema->children[0]->release != NULL) {
        schema->children[0]->release(schema->children[0]);
    }
    schema->release = NULL;
    if (ndbuf__ref_release(&tree->refs)) {
        ndbuf__free(tree);
    }
}

static void release_array(struct ArrowArray *array)
{
    array_tree *tree = array->private_data;
    if (array->n_children > 0 && array->children[0]->release != NULL) {
        array->children[0]->release(array->children[0]);
    }
    array->release = NULL;
    if (ndbuf__ref_release(&tree->refs)) {
        ndbuf_view_release(&tree->view);
        ndbuf__free(tree);
    }
}

/* Levels of a tree: one for each axis, and one for a view without any. */
static int32_t depth_of(const ndbuf_view *view)
{
    return view->ndim > 0 ? view->ndim : 1;
}

static schema_tree *schema_tree_create(const ndbuf__layout *layout, int32_t depth, const char *text,
                                       struct ArrowSchema *out_root)
{
    schema_tree *tree = ndbuf__calloc(1, sizeof(*tree) + (size_t)depth * sizeof(tree->nodes[0]));
    if (tree == NULL) {
        return NULL;
    }
    ndbuf__ref_init(&tree->refs);
    for (int32_t k = 0; k < depth; k++) {
        schema_node *node = &tree->nodes[k];
        struct ArrowSchema *schema = k == 0 ? out_root : &node->schema;
        bool is_leaf = k == depth - 1;
        if (is_leaf) {
            memcpy(node->format, text, sizeof(node->format));
        } else {
            snprintf(node->format, sizeof(node->format), "+w:%d", (int)layout->shape[k + 1]);
            node->child = &tree->nodes[k + 1].schema;
        }
        *schema = (struct ArrowSchema){.format = node->format,
                                       .name = k == 0 ? "" : "item",
                                       .n_children = is_leaf ? 0 : 1,
                                       .children = is_leaf ? NULL : &node->child,
                                       .release = release_schema,
                                       .private_data = tree};
        if (k > 0) {
            ndbuf__ref_retain(&tree->refs);
        }
    }
    return tree;
}

/* Everything but the view. lengths: one for each level. */
static array_tree *array_tree_create(const ndbuf_view *view, int32_t depth, const int64_t *lengths,
                                     struct ArrowArray *out_root)
{
    array_tree *tree = ndbuf__calloc(1, sizeof(*tree) + (size_t)depth * sizeof(tree->nodes[0]));
    if (tree == NULL) {
        return NULL;
    }
    ndbuf__ref_init(&tree->refs);
    for (int32_t k = 0; k < depth; k++) {
        array_node *node = &tree->nodes[k];
        struct ArrowArray *array = k == 0 ? out_root : &node->array;
        bool is_leaf = k == depth - 1;
        *array = (struct ArrowArray){.length = lengths[k],
                                     .n_buffers = is_leaf ? 2 : 1,
                                     .n_children = is_leaf ? 0 : 1,
                                     .buffers = node->buffers,
                                     .children = is_leaf ? NULL : &node->child,
                                     .release = release_array,
                                     .private_data = tree};
        if (!is_leaf) {
            node->child = &tree->nodes[k + 1].array;
        } else if (view->nbytes > 0) {
            bool has_address = ndbuf__device_has_addresses(view->device);
            node->buffers[1] = has_address ? (char *)view->handle + view->byte_offset : view->handle;
            array->offset = has_address ? 0 : view->byte_offset / view->itemsize;
        }
        if (k > 0) {
            ndbuf__ref_retain(&tree->refs);
        }
    }
    return tree;
}

/* How many lists or items each level has. Statuses: NDBUF_ERR_OVERFLOW. */
static ndbuf_status count_lengths(const ndbuf__layout *layout, int64_t *lengths, ndbuf_error *err)
{
    bool overflow = false;
    lengths[0] = 1;
    for (int32_t k = 0; k < layout->ndim; k++) {
        if (k > 0 && layout->shape[k] > NDBUF__ARROW_MAX_SIZE) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "Arrow: axis %d has %lld items, too many for a list", (int)k,
                              (long long)layout->shape[k]);
        }
        lengths[k] = ndbuf__mul_i64(k > 0 ? lengths[k - 1] : 1, layout->shape[k], &overflow);
    }
    return overflow ? ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "Arrow: lengths beyond 63 bits") : NDBUF_OK;
}

/* Finds the type, and everything that is lost. Statuses: of the first loss that is not accepted. */
static ndbuf_status examine(const ndbuf_view *view, const ndbuf__layout *layout, uint32_t accept, ndbuf_loss *report,
                            char out_text[NDBUF__ARROW_FORMAT_NBYTES], ndbuf_error *err)
{
    const uint32_t never = NDBUF_LOSS_SUBOFFSETS | NDBUF_LOSS_STRIDES;
    int64_t natural = 1;
    ndbuf__losses losses = ndbuf__losses_begin(accept & ~never, report, err);
    bool has_address = ndbuf__device_has_addresses(view->device);
    if ((ndbuf_format_flags(view->layout) & NDBUF_FORMAT_HOST_ONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "Arrow: objects and pointers mean nothing elsewhere: '%.60s'",
                          ndbuf_format_text(view->layout));
    }
    ndbuf_status status = ndbuf__arrow_text_of(view->layout, &losses, out_text, &natural, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (view->suboffsets != NULL) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_SUBOFFSETS, NDBUF_ERR_COPY_NEEDED, "Arrow",
                        "the items lie behind pointers");
    } else if (!ndbuf__layout_is_contiguous(layout, 'C')) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_STRIDES, NDBUF_ERR_COPY_NEEDED, "Arrow", "the view is not C-contiguous");
    } else if (!has_address && view->nbytes > 0 && view->byte_offset % view->itemsize != 0) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_STRIDES, NDBUF_ERR_COPY_NEEDED, "Arrow",
                        "the byte offset %lld is no multiple of the item size %lld", (long long)view->byte_offset,
                        (long long)view->itemsize);
    }
    if (view->ndim == 0) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_SHAPE, NDBUF_ERR_UNSUPPORTED, "Arrow", "no array has 0 dimensions");
    }
    if (report != NULL && view->nbytes > 0) {
        ndbuf__loss_set_alignment(&losses, ndbuf__alignment_of(view->handle, view->byte_offset, has_address), natural);
    }
    return losses.status;
}

ndbuf_status ndbuf_arrow_export(const ndbuf_view *view, const ndbuf_arrow_export_options *options,
                                struct ArrowSchema *out_schema, struct ArrowDeviceArray *out_array,
                                ndbuf_loss *out_loss, ndbuf_error *err)
{
    static const ndbuf_arrow_export_options defaults = {0};
    char text[NDBUF__ARROW_FORMAT_NBYTES] = "";
    int64_t lengths[NDBUF_MAX_NDIM];
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    options = options != NULL ? options : &defaults;
    if ((options->flags & ~(uint32_t)NDBUF_ARROW_WAIT) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown flags 0x%x of an export", (unsigned)options->flags);
    }
    ndbuf__layout layout = ndbuf__view_layout(view);
    int32_t depth = depth_of(view);
    status = examine(view, &layout, options->accept, out_loss, text, err);
    if (status == NDBUF_OK) {
        status = count_lengths(&layout, lengths, err);
    }
    if (status == NDBUF_OK && view->ready != NULL) {
        status = ndbuf__event_tell(view->ready, err); /* which a native event does not */
    }
    void *native_event = view->ready != NULL ? ndbuf_event_native(view->ready) : NULL;
    if (status == NDBUF_OK && view->ready != NULL &&
        ((options->flags & NDBUF_ARROW_WAIT) != 0 || native_event == NULL)) {
        native_event = NULL;
        status = ndbuf_event_wait(view->ready, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    struct ArrowSchema schema;
    struct ArrowArray array;
    schema_tree *schemas = schema_tree_create(&layout, depth, text, &schema);
    array_tree *arrays = schemas != NULL ? array_tree_create(view, depth, lengths, &array) : NULL;
    status = arrays != NULL ? ndbuf_view_copy(&arrays->view, view, err)
                            : ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an Arrow array of %d levels", (int)depth);
    if (status != NDBUF_OK) {
        ndbuf__free(arrays);
        ndbuf__free(schemas);
        return status;
    }
    arrays->native_event = native_event;
    *out_schema = schema;
    *out_array = (struct ArrowDeviceArray){.array = array,
                                           .device_id = view->device.type == NDBUF_DEVICE_CPU ? -1 : view->device.id,
                                           .device_type = view->device.type,
                                           .sync_event = native_event != NULL ? &arrays->native_event : NULL};
    return NDBUF_OK;
}
