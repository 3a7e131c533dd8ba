/* SPDX-License-Identifier: Apache-2.0 */
/* Views sent between two processes, of random layouts on either side, against our own packing. MPI's constructors of
 * datatypes are wrapped by its profiling interface: what is made is counted, and each can be made to fail. */
#include "ndbuf/mpi.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/reference_copy.h"
#include "tests/support/sample_views.h"

enum { TAG = 7, ROUNDS = 300 };

static int rank;

/* -- counting datatypes -- */

static int64_t nmade;   /* by constructors */
static int64_t nfreed;  /* datatypes */
static int64_t fail_at; /* the nth constructor fails; 0: none */

static int count_made(int code, int64_t *count)
{
    *count += code == MPI_SUCCESS ? 1 : 0;
    return code;
}

static bool fails(void)
{
    return fail_at > 0 && --fail_at == 0;
}

#define CONSTRUCT(call) (fails() ? MPI_ERR_INTERN : count_made(call, &nmade))

int MPI_Type_dup(MPI_Datatype old, MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_dup(old, out_type));
}

int MPI_Type_contiguous(int count, MPI_Datatype old, MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_contiguous(count, old, out_type));
}

int MPI_Type_create_hvector(int count, int length, MPI_Aint stride, MPI_Datatype old, MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_create_hvector(count, length, stride, old, out_type));
}

#if MPI_VERSION >= 4
int MPI_Type_contiguous_c(MPI_Count count, MPI_Datatype old, MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_contiguous_c(count, old, out_type));
}

int MPI_Type_create_hvector_c(MPI_Count count, MPI_Count length, MPI_Count stride, MPI_Datatype old,
                              MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_create_hvector_c(count, length, stride, old, out_type));
}
#endif

int MPI_Type_create_hindexed_block(int count, int length, const MPI_Aint places[], MPI_Datatype old,
                                   MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_create_hindexed_block(count, length, places, old, out_type));
}

int MPI_Type_create_struct(int count, const int lengths[], const MPI_Aint places[], const MPI_Datatype types[],
                           MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_create_struct(count, lengths, places, types, out_type));
}

int MPI_Type_create_resized(MPI_Datatype old, MPI_Aint lb, MPI_Aint extent, MPI_Datatype *out_type)
{
    return CONSTRUCT(PMPI_Type_create_resized(old, lb, extent, out_type));
}

int MPI_Type_commit(MPI_Datatype *type)
{
    return fails() ? MPI_ERR_INTERN : PMPI_Type_commit(type);
}

int MPI_Type_free(MPI_Datatype *type)
{
    return count_made(PMPI_Type_free(type), &nfreed);
}

/* -- views -- */

/* Formats, and how many bytes of an item travel. Padding does not. */
static const struct {
    const char *text;
    uint32_t loss;
    int64_t packed; /* bytes of an item without padding; 0: all */
} formats[] = {
    {"?", 0, 0},
    {"b", 0, 0},
    {"=H", 0, 0},
    {"=i", 0, 0},
    {"=q", 0, 0},
    {"=f", 0, 0},
    {"=d", 0, 0},
    {"=Zf", 0, 0},
    {"=Zd", 0, 0},
    {"7s", 0, 0},
    {"5x::", 0, 0},
    {"=3h", 0, 0},
    {"(2,3)=i", 0, 0},
    {">i", NDBUF_LOSS_BYTE_ORDER, 0},
    {"=e", NDBUF_LOSS_TYPE, 0},
    {"T{2x:bfloat16:}", NDBUF_LOSS_TYPE, 0},
    {"2w", NDBUF_LOSS_TYPE, 0},
    {"T{=b:a:=d:b:=2h:c:}", NDBUF_LOSS_NAMES, 0},
    {"T{=d:x:4x}", NDBUF_LOSS_NAMES, 8},
    {"T{2x=h:x:(2)T{=b:y:x>i:z:}:s:3x}", NDBUF_LOSS_NAMES | NDBUF_LOSS_BYTE_ORDER, 12},
};
#define NFORMATS (sizeof(formats) / sizeof(formats[0]))

/* Where the bytes of an item that travel begin, in order; all of them but in the last two formats. */
static const int64_t *travelling(size_t format)
{
    static const int64_t all[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    static const int64_t nested[12] = {2, 3, 4, 10, 6, 7, 8, 9, 12, 13, 14, 15};
    return format == NFORMATS - 1 ? nested : all;
}

/* One process's memory, and a view of it. */
typedef struct side {
    test_layout layout;
    char *buffer;
    ndbuf_storage *storage;
    ndbuf_view view;
} side;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fail_msg("rank %d: %s: %s", rank, ndbuf_status_name(status), err->message);
    }
}

/* A random layout of a shape, with random contents. Both processes make both sides, so that each knows what is to come.
 */
static void side_init(side *self, test_random *random, ndbuf_format *format, const test_layout *shape, uint32_t flags)
{
    ndbuf_error err;
    self->layout = *shape;
    test_layout_random_strides(random, flags, &self->layout);
    self->buffer = malloc((size_t)self->layout.nbytes);
    assert_non_null(self->buffer);
    test_random_fill(random, self->buffer, (size_t)self->layout.nbytes);
    check(ndbuf_storage_adopt(ndbuf_device_cpu(), self->buffer, (size_t)self->layout.nbytes, 0, NULL, NULL,
                              &self->storage, &err),
          &err);
    const ndbuf_view_spec spec = {.format = format,
                                  .byte_offset = self->layout.offset,
                                  .ndim = self->layout.ndim,
                                  .shape = self->layout.shape,
                                  .strides = self->layout.strides};
    memset(&self->view, 0, sizeof(self->view));
    check(ndbuf_view_init(&self->view, self->storage, &spec, &err), &err);
}

static void side_clear(side *self)
{
    ndbuf_view_release(&self->view);
    ndbuf_storage_release(self->storage);
    free(self->buffer);
}

static ndbuf_format *parse(const char *text)
{
    ndbuf_format *format = NULL;
    ndbuf_error err;
    check(ndbuf_format_parse(text, 0, &format, &err), &err);
    return format;
}

/* What a receive leaves: the bytes that travel in place of those that were there. `source` and `target` are packed. */
static void overwrite(size_t format, int64_t itemsize, int64_t nitems, const char *source, char *target)
{
    int64_t count = formats[format].packed > 0 ? formats[format].packed : itemsize;
    for (int64_t i = 0; i < nitems; i++) {
        for (int64_t k = 0; k < count; k++) {
            const int64_t place = i * itemsize + travelling(format)[k];
            target[place] = source[place];
        }
    }
}

/* Rank `from` sends its side, the other one receives it into its own. */
static void exchange(size_t format, int from, side *sides, bool is_packed)
{
    ndbuf_error err = {0};
    side *source = &sides[from];
    side *target = &sides[1 - from];
    int64_t nitems = test_layout_nitems(&source->layout);
    int64_t itemsize = source->layout.itemsize;
    size_t nbytes = (size_t)(nitems * itemsize);
    char *packed = malloc(nbytes + 1);
    char *expected = malloc((size_t)target->layout.nbytes + nbytes + 1);
    char *merged = expected + target->layout.nbytes;
    test_layout_pack(&source->layout, source->buffer, packed);
    memcpy(expected, target->buffer, (size_t)target->layout.nbytes);
    test_layout_pack(&target->layout, target->buffer, merged);
    overwrite(format, itemsize, nitems, packed, merged);
    test_layout_unpack(&target->layout, target->buffer, merged, expected);

    void *base = NULL;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    ndbuf_loss loss;
    side *own = rank == from ? source : target;
    ndbuf_view plain = {0}; /* with is_packed: what the sender packed itself, in place of its view */
    const ndbuf_view *view = &own->view;
    ndbuf_storage *storage = NULL;
    if (is_packed && rank == from) {
        const ndbuf_view_spec spec = {
            .format = ndbuf_view_format(view), .ndim = view->ndim, .shape = source->layout.shape};
        check(ndbuf_storage_adopt(ndbuf_device_cpu(), packed, nbytes, 0, NULL, NULL, &storage, &err), &err);
        check(ndbuf_view_init(&plain, storage, &spec, &err), &err);
        view = &plain;
    }
    check(ndbuf_mpi_type_create(view, rank == from ? 0 : NDBUF_MPI_RECEIVE, formats[format].loss, &base, &type, &loss,
                                &err),
          &err);
    assert_int_equal(loss.flags, formats[format].loss);
    assert_int_equal(nmade - nfreed, 1);
    if (rank == from) {
        MPI_Send(base, 1, type, 1 - rank, TAG, MPI_COMM_WORLD);
    } else {
        MPI_Status status;
        int count = -1;
        MPI_Recv(base, 1, type, from, TAG, MPI_COMM_WORLD, &status);
        MPI_Get_count(&status, type, &count);
        if (nbytes > 0 && count != 1) {
            fail_msg("rank %d: %d datatypes were received", rank, count);
        }
        char places[2][300];
        test_layout_print(&source->layout, places[0], sizeof(places[0]));
        test_layout_print(&target->layout, places[1], sizeof(places[1]));
        if (memcmp(target->buffer, expected, (size_t)target->layout.nbytes) != 0) {
            print_error("%s: from %s to %s%s\n", formats[format].text, places[0], places[1],
                        is_packed ? ", packed by hand" : "");
        }
        test_assert_bytes_equal(formats[format].text, target->buffer, expected, (size_t)target->layout.nbytes);
    }
    MPI_Type_free(&type);
    assert_int_equal(nmade, nfreed);
    /* The other process's side becomes what it has there. */
    memcpy(target->buffer, expected, (size_t)target->layout.nbytes);
    ndbuf_view_release(&plain);
    ndbuf_storage_release(storage);
    free(expected);
    free(packed);
}

static void test_random_layouts_travel_both_ways(void **state)
{
    (void)state;
    test_random random = test_random_make("mpi", 20260); /* the same in both processes */
    for (int round = 0; round < ROUNDS; round++) {
        size_t format = (size_t)test_random_range(&random, 0, NFORMATS - 1);
        ndbuf_format *parsed = parse(formats[format].text);
        test_layout shape;
        side sides[2];
        test_layout_random_shape(&random, 0, &shape);
        shape.itemsize = ndbuf_format_itemsize(parsed);
        side_init(&sides[0], &random, parsed, &shape, 0);
        side_init(&sides[1], &random, parsed, &shape, 0);
        exchange(format, 0, sides, round % 3 == 0);
        test_random_fill(&random, sides[1].buffer, (size_t)sides[1].layout.nbytes);
        exchange(format, 1, sides, round % 3 == 1);
        side_clear(&sides[1]);
        side_clear(&sides[0]);
        ndbuf_format_release(parsed);
    }
}

/* A view that broadcasts can be sent, but not received into. */
static void test_overlapping_and_read_only_views_only_send(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    void *base = NULL;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    int32_t numbers[6] = {0};
    ndbuf_format *format = parse("=i");
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 1, (const int64_t[]){1}, err));
    *(int32_t *)ndbuf_view_host_address(&view) = 31;
    const ndbuf_view_spec spec = {
        .format = format, .ndim = 1, .shape = (const int64_t[]){6}, .strides = (const int64_t[]){0}};
    ndbuf_view repeated = {0};
    ASSERT_OK(ndbuf_view_init(&repeated, ndbuf_view_storage(&view), &spec, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "one byte",
                 ndbuf_mpi_type_create(&repeated, NDBUF_MPI_RECEIVE, 0, &base, &type, NULL, err));
    ASSERT_OK(ndbuf_mpi_type_create(&repeated, 0, 0, &base, &type, NULL, err));
    MPI_Sendrecv(base, 1, type, rank, TAG, numbers, 6, MPI_INT32_T, rank, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(numbers[i], 31);
    }
    MPI_Type_free(&type);
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only",
                 ndbuf_mpi_type_create(&view, NDBUF_MPI_RECEIVE, 0, &base, &type, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x8", ndbuf_mpi_type_create(&view, 8, 0, &base, &type, NULL, err));
    ndbuf_view_release(&repeated);
    ndbuf_view_release(&view);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no view", ndbuf_mpi_type_create(&view, 0, 0, &base, &type, NULL, err));
    ndbuf_format_release(format);
    assert_int_equal(nmade, nfreed);
}

static void test_what_would_be_lost_is_refused_and_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t loss; /* 0: never sent */
        const char *part;
    } cases[] = {
        {">i", NDBUF_LOSS_BYTE_ORDER, "not in the host's byte order: '>i'"},
        {"=e", NDBUF_LOSS_TYPE, "no datatype for: '<e'"},
        {"T{=i:a:=f:b:}", NDBUF_LOSS_NAMES, "fields have no names there"},
        {"P", 0, "pointers mean nothing elsewhere"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_view view = {0};
        void *base = NULL;
        MPI_Datatype type = MPI_DATATYPE_NULL;
        ndbuf_loss loss;
        ndbuf_format *format = parse(cases[i].text);
        ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 1, (const int64_t[]){4}, err));
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, cases[i].part,
                     ndbuf_mpi_type_create(&view, 0, ~cases[i].loss, &base, &type, &loss, err));
        assert_int_equal(loss.flags, cases[i].loss);
        assert_int_equal(nmade, nfreed);
        ndbuf_view_release(&view);
        ndbuf_format_release(format);
    }
    int32_t row[2] = {1, 2};
    const void *table[1] = {row};
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    void *base = NULL;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    ndbuf_loss loss;
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), table, sizeof(table), 0, NULL, NULL, &storage, err));
    const ndbuf_view_spec spec = {.ndim = 2,
                                  .shape = (const int64_t[]){1, 2},
                                  .strides = (const int64_t[]){sizeof(void *), 4},
                                  .suboffsets = (const int64_t[]){0, -1}};
    ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "behind pointers",
                 ndbuf_mpi_type_create(&view, 0, ~0u, &base, &type, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_SUBOFFSETS);
    ndbuf_view_release(&view);
    ndbuf_storage_release(storage);
}

/* MPI before 4.0 counts to 2^31 - 1: axes that have no more each are not merged to one that has. */
static void test_axes_together_may_have_more_items_than_an_int_counts(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    void *base = NULL;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    MPI_Count nbytes = 0;
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 0, NULL, err));
    ASSERT_OK(ndbuf_view_broadcast(&view, 3, (const int64_t[]){3, 65536, 65536}, &view, err));
    ASSERT_OK(ndbuf_mpi_type_create(&view, 0, 0, &base, &type, NULL, err));
    MPI_Type_size_x(type, &nbytes);
    assert_int_equal(nbytes, view.nbytes);
    MPI_Type_free(&type);
    assert_int_equal(nmade, nfreed);
    ndbuf_view_release(&view);
}

/* Makes each constructor fail in turn. Returns how many there are. */
static int64_t sweep(const ndbuf_view *view)
{
    void *base = NULL;
    MPI_Datatype type = MPI_DATATYPE_NULL;
    for (int64_t nth = 1;; nth++) {
        ndbuf_error error = {0};
        fail_at = nth;
        ndbuf_status status = ndbuf_mpi_type_create(view, 0, ~0u, &base, &type, NULL, &error);
        bool happened = fail_at == 0;
        fail_at = 0;
        if (!happened) {
            assert_int_equal(status, NDBUF_OK);
            MPI_Type_free(&type);
            assert_int_equal(nmade, nfreed);
            return nth - 1;
        }
        assert_int_equal(status, NDBUF_ERR_DEVICE);
        assert_int_equal(error.native_code, MPI_ERR_INTERN);
        assert_non_null(strstr(error.message, "MPI_Type_"));
        assert_true(type == MPI_DATATYPE_NULL);
        assert_int_equal(nmade, nfreed);
    }
}

static void test_each_failing_call_of_mpi_is_told_and_loses_nothing(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_format *format = parse(formats[NFORMATS - 1].text);
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 3, (const int64_t[]){4, 6, 5}, err));
    const ndbuf_slice second = {.step = 2, .given = NDBUF_SLICE_STEP};
    for (int32_t axis = 0; axis < 3; axis++) {
        ASSERT_OK(ndbuf_view_slice(&view, axis, &second, &view, err));
    }
    assert_in_range(sweep(&view), 12, 40);
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    /* Bytes backwards, an odd number of them. */
    const ndbuf_slice reversed = {.step = -1, .given = NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 1, (const int64_t[]){7}, err));
    ASSERT_OK(ndbuf_view_slice(&view, 0, &reversed, &view, err));
    assert_int_equal(sweep(&view), 5);
    ndbuf_view_release(&view);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_layouts_travel_both_ways),
        cmocka_unit_test(test_overlapping_and_read_only_views_only_send),
        cmocka_unit_test(test_what_would_be_lost_is_refused_and_reported),
        cmocka_unit_test(test_axes_together_may_have_more_items_than_an_int_counts),
        cmocka_unit_test(test_each_failing_call_of_mpi_is_told_and_loses_nothing),
    };
    int nprocesses = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nprocesses);
    int nfailed = nprocesses == 2 ? 0 : 1;
    if (nfailed == 0) {
        nfailed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    if (nfailed != 0) { /* the other process may wait for a message */
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Finalize();
    return 0;
}
