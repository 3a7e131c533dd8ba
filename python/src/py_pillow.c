/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Pillow's images as they lie in memory: an array of pointers to rows, which PEP 3118 calls suboffsets.
 *
 * The struct behind Image.getim() is no interface that Pillow promises. So nothing of it is believed before it agrees
 * with what the image says in Python, and no pointer is followed before the system has said that memory is there. */

#define CAPSULE "Pillow Imaging"

/* The fields up to the virtual methods, after the mode: the same in Pillow 11 to 13. */
#define IMAGING_FIELDS                                                                                                 \
    int type;                                                                                                          \
    int depth;                                                                                                         \
    int bands;                                                                                                         \
    int xsize;                                                                                                         \
    int ysize;                                                                                                         \
    void *palette;                                                                                                     \
    char **image8;  /* rows of 1- and 2-byte pixels */                                                                 \
    char **image32; /* rows of 4-byte pixels */                                                                        \
    char **image;   /* all rows */                                                                                     \
    char *block;                                                                                                       \
    void *blocks;                                                                                                      \
    int pixelsize; /* bytes */                                                                                         \
    int linesize;  /* bytes */                                                                                         \
    void (*destroy)(void *);

typedef struct imaging_of_text {
    char mode[7]; /* Pillow 11 */
    IMAGING_FIELDS
} imaging_of_text;

typedef struct imaging_of_number {
    int mode; /* Pillow 12 and later */
    IMAGING_FIELDS
} imaging_of_number;

/* -- reading memory that may not be there -- */

/* The system copies from an address into a pipe, or says that nothing is there. */
typedef struct probe {
    int ends[2];
} probe;

static int probe_open(probe *p)
{
    if (pipe(p->ends) != 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return 0;
    }
    (void)fcntl(p->ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(p->ends[1], F_SETFD, FD_CLOEXEC);
    return 1;
}

static void probe_close(const probe *p)
{
    close(p->ends[0]);
    close(p->ends[1]);
}

/* Copies bytes from an address. Returns 0 if not all of them are there. */
static int probe_read(const probe *p, const void *address, void *out_bytes, size_t nbytes)
{
    const char *source = address;
    char *target = out_bytes;
    while (nbytes > 0) {
        size_t chunk = nbytes < 4096 ? nbytes : 4096; /* which a pipe takes whole */
        ssize_t written = write(p->ends[1], source, chunk);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return 0;
        }
        for (ssize_t done = 0; done < written;) {
            ssize_t count = read(p->ends[0], target + done, (size_t)(written - done));
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (count <= 0) {
                return 0;
            }
            done += count;
        }
        source += written;
        target += written;
        nbytes -= (size_t)written;
    }
    return 1;
}

/* -- what the image says in Python -- */

typedef struct image_facts {
    const char *mode;
    int mode_number; /* -1: the struct has the mode as text */
    int type;        /* Pillow's IMAGING_TYPE_... */
    int bands;
    int pixelsize;
    int width;
    int height;
} image_facts;

/* Reads the struct and compares. Returns a text that says what does not fit, or NULL. */
static const char *read_imaging(const probe *p, const void *address, const image_facts *facts,
                                imaging_of_number *out_imaging)
{
    if (facts->mode_number < 0) {
        imaging_of_text text;
        if (!probe_read(p, address, &text, sizeof(text))) {
            return "it cannot be read";
        }
        if (memchr(text.mode, '\0', sizeof(text.mode)) == NULL || strcmp(text.mode, facts->mode) != 0) {
            return "its mode is another one";
        }
        imaging_of_number same = {-1,         text.type,    text.depth,     text.bands,    text.xsize,
                                  text.ysize, text.palette, text.image8,    text.image32,  text.image,
                                  text.block, text.blocks,  text.pixelsize, text.linesize, text.destroy};
        *out_imaging = same;
    } else if (!probe_read(p, address, out_imaging, sizeof(*out_imaging))) {
        return "it cannot be read";
    } else if (out_imaging->mode != facts->mode_number) {
        return "its mode is another one";
    }
    const imaging_of_number *imaging = out_imaging;
    if (imaging->type != facts->type || imaging->bands != facts->bands) {
        return "its type or its bands are others";
    }
    if (imaging->xsize != facts->width || imaging->ysize != facts->height) {
        return "its size is another one";
    }
    if (imaging->pixelsize != facts->pixelsize || imaging->linesize != facts->width * facts->pixelsize) {
        return "its pixels are of another size";
    }
    char **rows = facts->pixelsize == 4 ? imaging->image32 : imaging->image8;
    char **others = facts->pixelsize == 4 ? imaging->image8 : imaging->image32;
    int is_allocated = imaging->destroy != NULL || facts->width == 0 || facts->height == 0;
    if (imaging->image == NULL || imaging->image != rows || others != NULL || !is_allocated) {
        return "its pointers to rows are others";
    }
    return NULL;
}

/* Whether all rows are there: within a block they follow each other at one pitch, so its ends are asked for. */
static const char *check_rows(const probe *p, const imaging_of_number *imaging)
{
    char *row = NULL;
    char *earlier = NULL;
    char byte;
    ptrdiff_t pitch = 0;
    size_t last = (size_t)imaging->linesize - 1;
    for (int y = 0; y < imaging->ysize; y++) {
        /* The array of pointers is read in the system's pages, since it is as long as the image is high. */
        if ((y & 511) == 0) {
            char *some[512];
            int count = imaging->ysize - y < 512 ? imaging->ysize - y : 512;
            if (!probe_read(p, imaging->image + y, some, (size_t)count * sizeof(some[0]))) {
                return "its array of rows cannot be read";
            }
        }
        row = imaging->image[y];
        ptrdiff_t step = (ptrdiff_t)((uintptr_t)row - (uintptr_t)earlier);
        if (row == NULL || (uintptr_t)row % (uintptr_t)imaging->pixelsize != 0) {
            return "a row is missing";
        }
        if (y == 0 || step != pitch) {
            if ((y > 0 && !probe_read(p, earlier + last, &byte, 1)) || !probe_read(p, row, &byte, 1)) {
                return "a row cannot be read";
            }
            pitch = y == 0 ? 0 : step;
        }
        earlier = row;
    }
    return probe_read(p, row + last, &byte, 1) ? NULL : "a row cannot be read";
}

/* _from_imaging(capsule, mode, mode_number, type, bands, pixelsize, band_stride, format, size, readonly) */
PyObject *ndpy_from_imaging(PyObject *module, PyObject *arguments)
{
    PyObject *capsule, *format;
    image_facts facts;
    int band_stride, readonly;
    imaging_of_number imaging;
    probe p;
    if (!PyArg_ParseTuple(arguments, "OsiiiiiO(ii)p:_from_imaging", &capsule, &facts.mode, &facts.mode_number,
                          &facts.type, &facts.bands, &facts.pixelsize, &band_stride, &format, &facts.width,
                          &facts.height, &readonly)) {
        return NULL;
    }
    if (!PyCapsule_IsValid(capsule, CAPSULE)) {
        PyErr_SetString(PyExc_BufferError, "Image.getim() gives no capsule named '" CAPSULE "': an unknown Pillow");
        return NULL;
    }
    const void *address = PyCapsule_GetPointer(capsule, CAPSULE);
    int is_empty = facts.width <= 0 || facts.height <= 0;
    if (!probe_open(&p)) {
        return NULL;
    }
    const char *trouble = read_imaging(&p, address, &facts, &imaging);
    if (trouble == NULL && !is_empty) {
        trouble = check_rows(&p, &imaging);
    }
    probe_close(&p);
    if (trouble != NULL) {
        PyErr_Format(PyExc_BufferError, "the struct behind Image.getim() is not as known from Pillow 11 to 13: %s",
                     trouble);
        return NULL;
    }
    int64_t shape[3] = {facts.height, facts.width, facts.bands};
    int64_t strides[3] = {(int64_t)sizeof(char *), facts.pixelsize, band_stride};
    int64_t suboffsets[3] = {0, -1, -1};
    ndbuf_view_spec spec = {.ndim = facts.bands > 1 ? 3 : 2,
                            .flags = readonly ? NDBUF_VIEW_READONLY : 0,
                            .shape = shape,
                            .strides = strides,
                            .suboffsets = is_empty ? NULL : suboffsets};
    if (!ndpy_parse_format(format, &spec.format)) {
        return NULL;
    }
    ndbuf_view view = {0};
    int is_good = ndpy_view_of_memory(capsule, ndbuf_device_cpu(), imaging.image, &spec, &view);
    ndbuf_format_release(spec.format);
    return is_good ? ndpy_view_wrap(PyModule_GetState(module), &view) : NULL;
}
