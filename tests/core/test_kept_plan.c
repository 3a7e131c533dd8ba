/* SPDX-License-Identifier: Apache-2.0 */

/* Plans of the host's memory that are run again, with the views that they were made for and with others: small ones,
 * whose steps are decided beforehand, and large ones. */

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define NSIDES 2
static const int64_t sides[NSIDES] = {4, 200};

static void new_view(ndbuf_view *out_view, const char *format_text, int32_t ndim, const int64_t *shape)
{
    ndbuf_format *format = test_parse(format_text);
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_view, ndbuf_device_cpu(), format, ndim, shape, err));
    ndbuf_format_release(format);
}

static void fill_counting(const ndbuf_view *view)
{
    int32_t *items = ndbuf_view_host_address(view);
    for (int64_t i = 0; i < view->nbytes / (int64_t)sizeof(*items); i++) {
        items[i] = (int32_t)i;
    }
}

static void assert_transposed(const ndbuf_view *view, int64_t side)
{
    const int32_t *items = ndbuf_view_host_address(view);
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++) {
            assert_int_equal(items[i * side + j], j * side + i);
        }
    }
}

/* A square, its transpose as the source, and a plan for both. */
typedef struct square {
    int64_t side;
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_copy_plan *plan;
} square;

static void square_make(square *self, int64_t side)
{
    const int64_t shape[2] = {side, side};
    ndbuf_view rows;
    self->side = side;
    self->src = (ndbuf_view){0};
    new_view(&self->dst, "i", 2, shape);
    new_view(&rows, "i", 2, shape);
    fill_counting(&rows);
    ASSERT_OK(ndbuf_view_transpose(&rows, &self->src, err));
    ndbuf_view_release(&rows);
    ASSERT_OK(ndbuf_copy_plan_create(&self->dst, &self->src, NDBUF_CASTING_EQUIV, 0, &self->plan, err));
}

static void square_clear(square *self)
{
    ndbuf_copy_plan_destroy(self->plan);
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
}

static void test_a_plan_is_run_again(void **state)
{
    (void)state;
    for (int i = 0; i < NSIDES; i++) {
        square self;
        square_make(&self, sides[i]);
        for (int run = 0; run < 3; run++) {
            memset(ndbuf_view_host_address(&self.dst), 0xff, (size_t)self.dst.nbytes);
            ASSERT_OK(ndbuf_copy_plan_run(self.plan, &self.dst, &self.src, NULL, err));
            assert_transposed(&self.dst, self.side);
        }
        square_clear(&self);
    }
}

/* What a consumer did not ask for is not in its view, but the copy knows it. */
static void test_views_that_show_no_strides_or_no_shape_are_taken(void **state)
{
    (void)state;
    static const uint32_t flags[] = {NDBUF_REQUEST_ND | NDBUF_REQUEST_FORMAT | NDBUF_REQUEST_WRITABLE,
                                     NDBUF_REQUEST_ND | NDBUF_REQUEST_WRITABLE, NDBUF_REQUEST_WRITABLE};
    for (int i = 0; i < NSIDES; i++) {
        square self;
        square_make(&self, sides[i]);
        for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
            ndbuf_exporter *exporter = NULL;
            ndbuf_view shown = {0};
            ndbuf_request request = NDBUF_REQUEST_INIT(flags[k]);
            memset(ndbuf_view_host_address(&self.dst), 0xff, (size_t)self.dst.nbytes);
            ASSERT_OK(ndbuf_exporter_create(&self.dst, &exporter, err));
            ASSERT_OK(ndbuf_view_acquire(&shown, exporter, &request, err));
            assert_null(shown.strides);
            ASSERT_OK(ndbuf_copy_plan_run(self.plan, &shown, &self.src, NULL, err));
            assert_transposed(&self.dst, self.side);
            ndbuf_view_release(&shown);
            ndbuf_exporter_release(exporter);
        }
        square_clear(&self);
    }
}

static void assert_refused(const square *self, ndbuf_status status, const char *text, const ndbuf_view *dst,
                           const ndbuf_view *src)
{
    memset(ndbuf_view_host_address(&self->dst), 0xff, (size_t)self->dst.nbytes);
    ASSERT_FAILS(status, text, ndbuf_copy_plan_run(self->plan, dst, src, NULL, err));
    const char *bytes = ndbuf_view_host_address(&self->dst);
    for (int64_t i = 0; i < self->dst.nbytes; i++) {
        assert_int_equal((unsigned char)bytes[i], 0xff);
    }
}

static void test_other_views_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < NSIDES; i++) {
        square self;
        ndbuf_view other;
        ndbuf_view empty = {0};
        square_make(&self, sides[i]);
        const int64_t side = self.side;
        assert_refused(&self, NDBUF_ERR_INVALID, "dst", NULL, &self.src);
        assert_refused(&self, NDBUF_ERR_INVALID, "src", &self.dst, NULL);
        assert_refused(&self, NDBUF_ERR_INVALID, "dst", &empty, &self.src);
        assert_refused(&self, NDBUF_ERR_INVALID, "src", &self.dst, &empty);
        assert_refused(&self, NDBUF_ERR_INVALID, "src has another layout", &self.dst, &self.dst);
        assert_refused(&self, NDBUF_ERR_INVALID, "dst has another layout", &self.src, &self.src);
        new_view(&other, "i", 2, (int64_t[2]){side + 1, side});
        assert_refused(&self, NDBUF_ERR_INVALID, "dst has another layout", &other, &self.src);
        ndbuf_view_release(&other);
        new_view(&other, "i", 2, (int64_t[2]){side, side + 1});
        assert_refused(&self, NDBUF_ERR_INVALID, "dst has another layout", &other, &self.src);
        ndbuf_view_release(&other);
        new_view(&other, "i", 1, (int64_t[1]){side});
        assert_refused(&self, NDBUF_ERR_INVALID, "dst has another layout", &other, &self.src);
        ndbuf_view_release(&other);
        new_view(&other, "f", 2, (int64_t[2]){side, side});
        assert_refused(&self, NDBUF_ERR_INVALID, "dst has format '<f'", &other, &self.src);
        ndbuf_view_release(&other);
        other = (ndbuf_view){0};
        ASSERT_OK(ndbuf_view_readonly(&self.dst, &other, err));
        assert_refused(&self, NDBUF_ERR_READONLY, "read-only", &other, &self.src);
        ndbuf_view_release(&other);
        square_clear(&self);
    }
}

/* A plan for rows of one block, run on rows of it that overlap. */
static void test_views_that_share_memory_are_copied_as_if_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < NSIDES; i++) {
        const int64_t side = sides[i];
        const int64_t distance = side * (int64_t)sizeof(int32_t) / 2;
        ndbuf_view whole;
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_view apart = {0};
        ndbuf_copy_plan *plan = NULL;
        new_view(&whole, "i", 1, (int64_t[1]){4 * side});
        ndbuf_view_spec spec = {.format = whole.layout, .ndim = 1, .shape = &side};
        ASSERT_OK(ndbuf_view_init(&src, ndbuf_view_storage(&whole), &spec, err));
        spec.byte_offset = distance;
        ASSERT_OK(ndbuf_view_init(&dst, ndbuf_view_storage(&whole), &spec, err));
        spec.byte_offset = 2 * side * (int64_t)sizeof(int32_t);
        ASSERT_OK(ndbuf_view_init(&apart, ndbuf_view_storage(&whole), &spec, err));
        ASSERT_OK(ndbuf_copy_plan_create(&apart, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
        const int32_t *items = ndbuf_view_host_address(&whole);
        fill_counting(&whole);
        ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
        for (int64_t k = 0; k < side; k++) {
            assert_int_equal(items[side / 2 + k], k);
        }
        fill_counting(&whole);
        ASSERT_OK(ndbuf_copy_plan_run(plan, &src, &dst, NULL, err));
        for (int64_t k = 0; k < side; k++) {
            assert_int_equal(items[k], side / 2 + k);
        }
        ndbuf_copy_plan_destroy(plan);
        ndbuf_view_release(&apart);
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ndbuf_view_release(&whole);
    }
}

/* Plans, of copies and of conversions, are run on views elsewhere: some at the place in a cache line that the first one
 * had, most not. */
static void check_other_places(const char *src_format, int64_t side)
{
    const int64_t shape[2] = {side, side};
    ndbuf_view rows;
    ndbuf_view src = {0};
    ndbuf_view room;
    ndbuf_copy_plan *plan = NULL;
    new_view(&rows, src_format, 2, shape);
    new_view(&room, "i", 1, (int64_t[1]){side * side + 32});
    for (int64_t k = 0; k < side * side; k++) {
        const int64_t item = k;
        const int32_t narrow = (int32_t)k;
        memcpy((char *)ndbuf_view_host_address(&rows) + k * rows.itemsize,
               rows.itemsize == sizeof(item) ? (const void *)&item : (const void *)&narrow, (size_t)rows.itemsize);
    }
    ASSERT_OK(ndbuf_view_transpose(&rows, &src, err));
    for (int64_t at = 0; at < 32; at += 4) { /* items: 16 are a cache line */
        const ndbuf_view_spec spec = {.format = room.layout, .byte_offset = at * 4, .ndim = 2, .shape = shape};
        ndbuf_view dst = {0};
        ASSERT_OK(ndbuf_view_init(&dst, ndbuf_view_storage(&room), &spec, err));
        if (plan == NULL) {
            ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_SAME_KIND, 0, &plan, err));
        }
        memset(ndbuf_view_host_address(&room), 0xff, (size_t)room.nbytes);
        ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
        assert_transposed(&dst, side);
        ndbuf_view_release(&dst);
    }
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&src);
    ndbuf_view_release(&room);
    ndbuf_view_release(&rows);
}

static void test_a_plan_of_no_items_makes_no_calls(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 0};
    static const char *const formats[] = {"<i", ">i", "<d"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        ndbuf_view dst, src;
        ndbuf_copy_plan *plan = NULL;
        ndbuf_copy_plan_info info;
        new_view(&dst, formats[i], 2, shape);
        new_view(&src, "<i", 2, shape);
        ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_SAFE, 0, &plan, err));
        ndbuf_copy_plan_info_get(plan, &info);
        assert_int_equal(info.route, NDBUF_ROUTE_NONE);
        assert_int_equal(info.ncalls, 0);
        assert_int_equal(info.nrows, 0);
        ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
        ndbuf_copy_plan_destroy(plan);
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
    }
}

static void test_a_plan_of_the_host_counts_its_rows(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 4};
    ndbuf_view dst, src;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_copy_plan_info info;
    const ndbuf_slice half = {.stop = 2, .given = NDBUF_SLICE_STOP};
    new_view(&dst, "i", 2, shape);
    new_view(&src, "i", 2, shape);
    ASSERT_OK(ndbuf_view_slice(&dst, 1, &half, &dst, err));
    ASSERT_OK(ndbuf_view_slice(&src, 1, &half, &src, err));
    ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_NO, 0, &plan, err));
    ndbuf_copy_plan_info_get(plan, &info);
    assert_int_equal(info.ncalls, 1);
    assert_int_equal(info.nrows, 3);
    assert_int_equal(info.run_nbytes, 8);
    assert_int_equal(info.nbytes, 24);
    assert_int_equal(info.nparts, 1);
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
}

static void assert_explained(const ndbuf_view *dst, const ndbuf_view *src, const char *part)
{
    char text[4096];
    ndbuf_copy_plan *plan = NULL;
    ASSERT_OK(ndbuf_copy_plan_create(dst, src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    assert_true(ndbuf_copy_plan_explain(plan, text, sizeof(text)) < sizeof(text));
    ndbuf_copy_plan_destroy(plan);
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' is not in:\n%s", part, text);
    }
}

static void test_explanations_tell_of_pointers_and_of_shared_memory(void **state)
{
    (void)state;
    static const int64_t shape[2] = {2, 4};
    static const int64_t strides[2] = {sizeof(char *), 1};
    static const int64_t suboffsets[2] = {0, -1};
    char bytes[8];
    char *table[2] = {bytes + 4, bytes};
    ndbuf_storage *storage = NULL;
    ndbuf_view rows = {0};
    ndbuf_view dst, whole;
    ndbuf_view left = {0};
    ndbuf_view right = {0};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), table, sizeof(table), 0, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_view_init(&rows, storage, &spec, err));
    ndbuf_storage_release(storage);
    new_view(&dst, "B", 2, shape);
    char sides_text[80];
    snprintf(sides_text, sizeof(sides_text), "from cpu: strides (%d, 1) suboffsets (0, -1)\n", (int)sizeof(char *));
    assert_explained(&dst, &rows, sides_text);
    new_view(&whole, "i", 1, (const int64_t[]){5});
    const ndbuf_slice first = {.stop = 4, .given = NDBUF_SLICE_STOP};
    const ndbuf_slice last = {.start = 1, .given = NDBUF_SLICE_START};
    ASSERT_OK(ndbuf_view_slice(&whole, 0, &first, &left, err));
    ASSERT_OK(ndbuf_view_slice(&whole, 0, &last, &right, err));
    assert_explained(&left, &right, "temporary: 16 bytes, since the views share memory");
    ndbuf_view_release(&left);
    ndbuf_view_release(&right);
    ndbuf_view_release(&whole);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&rows);
}

static void test_plans_are_run_at_other_places(void **state)
{
    (void)state;
    for (int i = 0; i < NSIDES; i++) {
        check_other_places("i", sides[i]);
        check_other_places("q", sides[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plan_is_run_again),
        cmocka_unit_test(test_views_that_show_no_strides_or_no_shape_are_taken),
        cmocka_unit_test(test_other_views_are_refused),
        cmocka_unit_test(test_views_that_share_memory_are_copied_as_if_at_once),
        cmocka_unit_test(test_a_plan_of_no_items_makes_no_calls),
        cmocka_unit_test(test_a_plan_of_the_host_counts_its_rows),
        cmocka_unit_test(test_explanations_tell_of_pointers_and_of_shared_memory),
        cmocka_unit_test(test_plans_are_run_at_other_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
