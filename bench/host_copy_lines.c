/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/host_copy_lines.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* What a way is made of, each or not. */
#define WAY_STREAMS 1    /* whole lines go past the caches */
#define WAY_PREFETCHES 2 /* what is read is prefetched */
#define WAY_SMALL_STEPS 4

/* Lines of the longer side that are taken together. */
#define STEP_NLINES 64
#define SMALL_STEP_NLINES 4

/* -- counting -- */

/* Counts, for each line, the bytes that items take; more than a line's are as many. */
static void add_item(uint8_t *taken, int64_t at, int64_t nbytes)
{
    while (nbytes > 0) {
        int64_t line = at / HOST_COPY_LINE_NBYTES;
        int64_t room = (line + 1) * HOST_COPY_LINE_NBYTES - at;
        int64_t here = nbytes < room ? nbytes : room;
        taken[line] =
            (uint8_t)(taken[line] + here < HOST_COPY_LINE_NBYTES ? taken[line] + here : HOST_COPY_LINE_NBYTES);
        at += here;
        nbytes -= here;
    }
}

/* The bytes taken of each line; NULL: no memory. The caller frees them. */
static uint8_t *take_items(const host_copy_case *one, const int64_t *strides, int64_t offset, int64_t nlines)
{
    uint8_t *taken = calloc((size_t)nlines, 1);
    int64_t index[HOST_COPY_MAX_NDIM] = {0};
    int64_t at = offset;
    const int32_t last = one->ndim - 1;
    while (taken != NULL) {
        for (int64_t i = 0; i < one->shape[last]; i++) {
            add_item(taken, (at + i * strides[last]) * one->itemsize, one->itemsize);
        }
        int32_t k = last - 1;
        for (; k >= 0; k--) {
            at += strides[k];
            if (++index[k] < one->shape[k]) {
                break;
            }
            at -= strides[k] * one->shape[k];
            index[k] = 0;
        }
        if (k < 0) {
            break;
        }
    }
    return taken;
}

static int64_t lines_of(const host_copy_case *one, const int64_t *strides, int64_t offset)
{
    return (host_copy_span(one, strides, offset) + HOST_COPY_LINE_NBYTES - 1) / HOST_COPY_LINE_NBYTES;
}

bool host_copy_lines_count(const host_copy_case *one, host_copy_lines *out_lines)
{
    int64_t nsrc = lines_of(one, one->src_strides, one->src_offset);
    int64_t ndst = lines_of(one, one->dst_strides, one->dst_offset);
    uint8_t *src = take_items(one, one->src_strides, one->src_offset, nsrc);
    uint8_t *dst = take_items(one, one->dst_strides, one->dst_offset, ndst);
    bool counted = src != NULL && dst != NULL;
    *out_lines = (host_copy_lines){0, 0, 0};
    for (int64_t i = 0; counted && i < nsrc; i++) {
        out_lines->nread += src[i] > 0;
    }
    for (int64_t i = 0; counted && i < ndst; i++) {
        out_lines->nwhole += dst[i] == HOST_COPY_LINE_NBYTES;
        out_lines->npartial += dst[i] > 0 && dst[i] < HOST_COPY_LINE_NBYTES;
    }
    free(src);
    free(dst);
    return counted;
}

/* -- moving -- */

#if defined(__x86_64__)
#define PREFETCH_NBYTES 1024
#define ON_AVX2 __attribute__((target("avx2")))
typedef __m256i vector;
#define LOAD(place) _mm256_loadu_si256((const __m256i *)(place))
#define STORE(place, v) _mm256_storeu_si256((__m256i *)(place), v)
#define STREAM(place, v) _mm256_stream_si256((__m256i *)(place), v)

ON_AVX2 static void copy_lines(char *dst, const char *src, int64_t nlines, int way)
{
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at += HOST_COPY_LINE_NBYTES) {
        if ((way & WAY_PREFETCHES) != 0) {
            _mm_prefetch(src + at + PREFETCH_NBYTES, _MM_HINT_NTA);
        }
        vector lo = LOAD(src + at);
        vector hi = LOAD(src + at + 32);
        if ((way & WAY_STREAMS) != 0) {
            STREAM(dst + at, lo);
            STREAM(dst + at + 32, hi);
        } else {
            STORE(dst + at, lo);
            STORE(dst + at + 32, hi);
        }
    }
}

ON_AVX2 static void read_lines(const char *src, int64_t nlines, int way)
{
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at += HOST_COPY_LINE_NBYTES) {
        if ((way & WAY_PREFETCHES) != 0) {
            _mm_prefetch(src + at + PREFETCH_NBYTES, _MM_HINT_NTA);
        }
        vector lo = LOAD(src + at);
        vector hi = LOAD(src + at + 32);
        __asm__ volatile("" : : "x"(lo), "x"(hi));
    }
}

ON_AVX2 static void write_lines(char *dst, int64_t nlines, int way)
{
    const vector v = _mm256_set1_epi8(1);
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at += 32) {
        if ((way & WAY_STREAMS) != 0) {
            STREAM(dst + at, v);
        } else {
            STORE(dst + at, v);
        }
    }
}

/* Some bytes of each stay. */
ON_AVX2 static void change_lines(char *dst, int64_t nlines)
{
    const vector v = _mm256_set1_epi16(1);
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at += 32) {
        STORE(dst + at, _mm256_or_si256(LOAD(dst + at), v));
    }
}

static void end_streams(void)
{
    _mm_sfence();
}
#else
static void copy_lines(char *dst, const char *src, int64_t nlines, int way)
{
    (void)way;
    memcpy(dst, src, (size_t)nlines * HOST_COPY_LINE_NBYTES);
}

static void read_lines(const char *src, int64_t nlines, int way)
{
    (void)way;
    uint64_t sum = 0;
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at += (int64_t)sizeof(sum)) {
        uint64_t word;
        memcpy(&word, src + at, sizeof(word));
        sum ^= word;
    }
    __asm__ volatile("" : : "r"(sum)); /* is really read */
}

static void write_lines(char *dst, int64_t nlines, int way)
{
    (void)way;
    memset(dst, 1, (size_t)nlines * HOST_COPY_LINE_NBYTES);
}

static void change_lines(char *dst, int64_t nlines)
{
    for (int64_t at = 0; at < nlines * HOST_COPY_LINE_NBYTES; at++) {
        dst[at] = (char)(dst[at] | 1);
    }
}

static void end_streams(void)
{
}
#endif

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How far `count` lines are when `done` of `all` are. */
static int64_t share(int64_t count, int64_t done, int64_t all)
{
    return done < all ? count * done / all : count;
}

void host_copy_lines_run(const host_copy_lines *lines, int way, char *dst, const char *src)
{
    const int64_t all = larger(larger(lines->nread, lines->nwhole), lines->npartial);
    const int64_t step = (way & WAY_SMALL_STEPS) != 0 ? SMALL_STEP_NLINES : STEP_NLINES;
    char *partial = dst + lines->nwhole * HOST_COPY_LINE_NBYTES;
    int64_t read = 0;
    int64_t whole = 0;
    int64_t changed = 0;
    for (int64_t done = step; read < lines->nread || whole < lines->nwhole || changed < lines->npartial; done += step) {
        int64_t nread = share(lines->nread, done, all) - read;
        int64_t nwhole = share(lines->nwhole, done, all) - whole;
        int64_t nchanged = share(lines->npartial, done, all) - changed;
        int64_t both = nread < nwhole ? nread : nwhole;
        copy_lines(dst + whole * HOST_COPY_LINE_NBYTES, src + read * HOST_COPY_LINE_NBYTES, both, way);
        read_lines(src + (read + both) * HOST_COPY_LINE_NBYTES, nread - both, way);
        write_lines(dst + (whole + both) * HOST_COPY_LINE_NBYTES, nwhole - both, way);
        change_lines(partial + changed * HOST_COPY_LINE_NBYTES, nchanged);
        read += nread;
        whole += nwhole;
        changed += nchanged;
    }
    if ((way & WAY_STREAMS) != 0) {
        end_streams();
    }
}
