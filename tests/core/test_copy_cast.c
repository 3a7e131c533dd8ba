/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/gate.h"
#include "tests/support/reference_number.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/copy_plan.h"
#include "core/storage_core.h"
#include "core/sync.h"

/* Conversions on all routes: where elements are converted, what travels, and that the destination gets what the
 * reference says. Matrices of NROWS x NCOLUMNS, the destination turned, so that nothing is one run of bytes. */
enum {
    NROWS = 5,
    NCOLUMNS = 9,
    NITEMS = NROWS * NCOLUMNS,
    CONVERTS = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64
};

static ndbuf_element element_of(ndbuf_number number, bool is_swapped)
{
    return (ndbuf_element){.number = number, .nbytes = test_number_nbytes(number), .is_swapped = is_swapped};
}

static const ndbuf_element float32 = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4};
static const ndbuf_element float64 = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8};

typedef struct cast_case {
    ndbuf_device *dst_device;
    ndbuf_device *src_device;
    ndbuf_view dst;
    ndbuf_view src;
    char *before; /* what the destination held */
    char *bytes;  /* what the source holds */
} cast_case;

static void make_view(ndbuf_device *device, const char *format_text, bool turned, ndbuf_view *out_view,
                      char **out_bytes, test_random *random)
{
    const int64_t shape[2] = {NROWS, NCOLUMNS};
    const int64_t turned_shape[2] = {NCOLUMNS, NROWS};
    const int32_t axes[2] = {1, 0};
    ndbuf_format *format = test_parse(format_text);
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, turned ? turned_shape : shape, err));
    if (turned) {
        ASSERT_OK(ndbuf_view_permute(out_view, axes, out_view, err));
    }
    size_t nbytes = (size_t)out_view->nbytes;
    *out_bytes = malloc(nbytes);
    assert_non_null(*out_bytes);
    for (size_t i = 0; i < nbytes; i++) {
        (*out_bytes)[i] = (char)test_random_range(random, 0, 255);
    }
    test_upload(&out_view->storage->mem, 0, *out_bytes, nbytes);
    ndbuf_format_release(format);
}

static void case_open(cast_case *self, uint32_t copy_flags, const char *dst, const char *dst_format, const char *src,
                      const char *src_format)
{
    fake_config config = {.copy_flags = copy_flags, .memory_nbytes = 16 << 20};
    test_random random = {.state = 7};
    fake_register();
    fake_configure(&config);
    ASSERT_OK(ndbuf_device_open(dst, &self->dst_device, err));
    ASSERT_OK(ndbuf_device_open(src, &self->src_device, err));
    make_view(self->dst_device, dst_format, true, &self->dst, &self->before, &random);
    make_view(self->src_device, src_format, false, &self->src, &self->bytes, &random);
    fake_log_clear();
}

static void case_close(cast_case *self)
{
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
    ndbuf_device_close(self->dst_device);
    ndbuf_device_close(self->src_device);
    free(self->before);
    free(self->bytes);
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    fake_assert_clean();
    fake_reset();
}

/* Item by item: `to` at dst_at of the destination's item is what the reference makes of `from` at src_at of the
 * source's; the other bytes of the item are as before. */
typedef struct expected_part {
    ndbuf_element to;
    ndbuf_element from;
    int64_t dst_at;
    int64_t src_at;
} expected_part;

static void assert_converted(const cast_case *self, const expected_part *parts, int nparts)
{
    size_t nbytes = (size_t)self->dst.nbytes;
    char *expected = malloc(nbytes);
    char *found = malloc(nbytes);
    assert_non_null(expected);
    assert_non_null(found);
    memcpy(expected, self->before, nbytes);
    for (int64_t i = 0; i < NITEMS; i++) {
        int64_t turned = i % NCOLUMNS * NROWS + i / NCOLUMNS;
        for (int k = 0; k < nparts; k++) {
            test_convert_element(expected + turned * self->dst.itemsize + parts[k].dst_at, &parts[k].to,
                                 self->bytes + i * self->src.itemsize + parts[k].src_at, &parts[k].from, 0);
        }
    }
    test_download(&self->dst.storage->mem, 0, found, nbytes);
    assert_memory_equal(found, expected, nbytes);
    free(expected);
    free(found);
}

/* Bytes that were copied between the devices and the host; *out_nconversions: by kernels on devices. */
static int64_t travelled(int64_t *out_nconversions)
{
    const fake_log_entry *entries = NULL;
    int64_t count = fake_log(&entries);
    int64_t nbytes = 0;
    *out_nconversions = 0;
    for (int64_t i = 0; i < count; i++) {
        if (entries[i].slot == FAKE_convert_strided) {
            (*out_nconversions)++;
        } else {
            nbytes += entries[i].nbytes;
        }
    }
    return nbytes;
}

/* One way: what is written on each side, what the devices can, and what is to be seen. */
typedef struct way {
    const char *dst;
    const char *src;
    uint32_t flags;
    bool narrows;         /* float64 to float32; else the other way round */
    int64_t item_nbytes;  /* that travel, in each copy between a device and the host */
    int64_t nconversions; /* of devices, per box */
} way;

static const way ways[] = {
    {"cpu", "fake:0", CONVERTS, true, 4, 1},                                 /* narrow before */
    {"fake:0", "cpu", CONVERTS, false, 4, 1},                                /* widen behind */
    {"fake:0", "cpu", CONVERTS, true, 4, 0},                                 /* the host narrows as it packs */
    {"cpu", "fake:0", CONVERTS, false, 4, 0},                                /* and widens as it unpacks */
    {"cpu", "fake:0", NDBUF_CAN_COPY_BYTES, true, 8, 0},                     /* the device cannot */
    {"fake:0", "cpu", NDBUF_CAN_COPY_BYTES, false, 8, 0},                    /* likewise */
    {"cpu", "fake:0", NDBUF_CAN_COPY_BYTES | NDBUF_CAN_CONVERT, true, 8, 0}, /* not float64 */
    {"fake:1", "fake:0", CONVERTS, true, 8, 1},                              /* 4 bytes, twice */
    {"fake:1", "fake:0", CONVERTS, false, 8, 1},                             /* likewise */
    {"fake:0", "fake:0", CONVERTS | NDBUF_CAN_COPY_STRIDED, true, 0, 1},     /* in one call */
    {"cpu", "cpu", 0, true, 0, 0},
    {"cpu", "cpu", 0, false, 0, 0},
};

static void test_the_smaller_elements_travel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        for (int by_queue = 0; by_queue < 2; by_queue++) {
            const way *w = &ways[i];
            cast_case self;
            int64_t nconversions = 0;
            ndbuf_queue *queue = NULL;
            case_open(&self, w->flags, w->dst, w->narrows ? "<f" : "<d", w->src, w->narrows ? "<d" : "<f");
            if (by_queue) {
                ASSERT_OK(
                    ndbuf_queue_create(strcmp(w->dst, "cpu") == 0 ? self.src_device : self.dst_device, &queue, err));
            }
            ASSERT_OK(ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_SAME_KIND, 0, queue, err));
            if (by_queue) {
                ASSERT_OK(ndbuf_queue_wait(queue, err));
                ndbuf_queue_release(queue);
            }
            int64_t nbytes = travelled(&nconversions);
            if (nbytes != w->item_nbytes * NITEMS || nconversions != w->nconversions) {
                fail_msg("way %d: %lld bytes travel, %lld conversions on devices", (int)i, (long long)nbytes,
                         (long long)nconversions);
            }
            const expected_part part = {w->narrows ? float32 : float64, w->narrows ? float64 : float32, 0, 0};
            assert_converted(&self, &part, 1);
            case_close(&self);
        }
    }
}

static void test_boxes_are_converted_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const way *w = &ways[i];
        cast_case self;
        ndbuf__staging_nbytes = 40; /* a row of the destination's, or half of one */
        case_open(&self, w->flags, w->dst, w->narrows ? "<f" : "<d", w->src, w->narrows ? "<d" : "<f");
        ASSERT_OK(ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, NULL, err));
        const expected_part part = {w->narrows ? float32 : float64, w->narrows ? float64 : float32, 0, 0};
        assert_converted(&self, &part, 1);
        case_close(&self);
    }
}

static void test_byte_order_changes_by_default_and_between_devices_too(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"cpu", "cpu"}, {"fake:0", "cpu"}, {"cpu", "fake:0"}, {"fake:0", "fake:1"}, {"fake:0", "fake:0"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        cast_case self;
        const ndbuf_element as_bits[2] = {element_of(NDBUF_NUMBER_UINT32, true),
                                          element_of(NDBUF_NUMBER_UINT32, false)};
        case_open(&self, CONVERTS, pairs[i][0], ">f", pairs[i][1], "<f");
        ASSERT_OK(ndbuf_copy(&self.dst, &self.src, NULL, err));
        const expected_part part = {as_bits[0], as_bits[1], 0, 0};
        assert_converted(&self, &part, 1);
        case_close(&self);
    }
}

/* From >f at 0, h at 4, d at 6 (of 17 bytes) to d at 1, and f at 10 (of 15). */
static const char record_from[] = "T{>f:a:<h:b:<d:c:3x}";
static const char record_to[] = "T{x<f:c:5x<d:a:x}";
static const expected_part record_parts[2] = {
    {{NDBUF_NUMBER_FLOAT32, 4, 0, 0}, {NDBUF_NUMBER_FLOAT64, 8, 0, 0}, 1, 6},
    {{NDBUF_NUMBER_FLOAT64, 8, 0, 0}, {NDBUF_NUMBER_FLOAT32, 4, 0, 1}, 10, 0}};

static void test_records_go_field_by_field_and_padding_is_untouched(void **state)
{
    (void)state;
    static const struct {
        const char *dst;
        const char *src;
        uint32_t flags;
        int32_t nparts;
    } cases[] = {{"cpu", "cpu", 0, 1},
                 {"cpu", "fake:0", CONVERTS, 2},
                 {"fake:0", "cpu", CONVERTS, 2},
                 {"fake:0", "fake:1", CONVERTS, 2},
                 {"fake:0", "fake:0", CONVERTS | NDBUF_CAN_COPY_STRIDED, 2},
                 {"fake:0", "cpu", NDBUF_CAN_COPY_BYTES, 2},
                 {"fake:0", "cpu", CONVERTS | NDBUF_CAN_MAP, 1},
                 {"cpu", "fake:0", CONVERTS | NDBUF_CAN_MAP, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int through_plan = 0; through_plan < 2; through_plan++) {
            cast_case self;
            case_open(&self, cases[i].flags, cases[i].dst, record_to, cases[i].src, record_from);
            if (through_plan) {
                ndbuf_copy_plan *plan = NULL;
                ndbuf_copy_plan_info info;
                ASSERT_OK(ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, &plan, err));
                ndbuf_copy_plan_info_get(plan, &info);
                assert_int_equal(info.nparts, cases[i].nparts);
                ASSERT_OK(ndbuf_copy_plan_run(plan, &self.dst, &self.src, NULL, err));
                ASSERT_OK(ndbuf_copy_plan_run(plan, &self.dst, &self.src, NULL, err));
                ndbuf_copy_plan_destroy(plan);
            } else {
                ASSERT_OK(ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, NULL, err));
            }
            assert_converted(&self, record_parts, 2);
            case_close(&self);
        }
    }
}

static void test_records_in_a_queue_outlive_views_and_formats(void **state)
{
    (void)state;
    static const uint32_t flags[] = {CONVERTS, CONVERTS | NDBUF_CAN_MAP, NDBUF_CAN_COPY_BYTES};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        cast_case self;
        ndbuf_queue *queue = NULL;
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        case_open(&self, flags[i], "cpu", record_to, "fake:0", record_from);
        ASSERT_OK(ndbuf_queue_create(self.src_device, &queue, err));
        ASSERT_OK(ndbuf_view_copy(&dst, &self.dst, err));
        ASSERT_OK(ndbuf_view_copy(&src, &self.src, err));
        ASSERT_OK(ndbuf_copy_cast(&dst, &src, NDBUF_CASTING_UNSAFE, 0, queue, err));
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_queue_release(queue);
        assert_converted(&self, record_parts, 2);
        case_close(&self);
    }
}

/* Mapping is the only way for whole records; the queue may be of either device, or there is none. */
static void test_records_of_memory_that_is_not_mapped_after_all_go_field_by_field(void **state)
{
    (void)state;
    const fake_config refusing = {
        .copy_flags = CONVERTS | NDBUF_CAN_MAP, .memory_nbytes = 16 << 20, .refuses_maps = true};
    for (int i = 0; i < 12; i++) {
        bool to_host = i % 2 == 0;
        bool through_plan = i / 2 % 2 == 0;
        cast_case self;
        ndbuf_queue *queue = NULL;
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_copy_plan *plan = NULL;
        case_open(&self, refusing.copy_flags, to_host ? "cpu" : "fake:0", record_to, to_host ? "fake:0" : "cpu",
                  record_from);
        fake_configure(&refusing);
        if (i / 4 > 0) {
            ASSERT_OK(ndbuf_queue_create(i / 4 == 1 ? self.src_device : self.dst_device, &queue, err));
        }
        ASSERT_OK(ndbuf_view_copy(&dst, &self.dst, err));
        ASSERT_OK(ndbuf_view_copy(&src, &self.src, err));
        if (through_plan) {
            ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_UNSAFE, 0, &plan, err));
            ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, queue, err));
            ndbuf_copy_plan_destroy(plan);
        } else {
            ASSERT_OK(ndbuf_copy_cast(&dst, &src, NDBUF_CASTING_UNSAFE, 0, queue, err));
        }
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        if (queue != NULL) {
            ASSERT_OK(ndbuf_queue_wait(queue, err));
        }
        ndbuf_queue_release(queue);
        assert_converted(&self, record_parts, 2);
        case_close(&self);
    }
}

static void test_a_view_is_converted_in_its_own_place(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu", "fake:0"};
    for (int i = 0; i < 2; i++) {
        cast_case self;
        ndbuf_format *format = test_parse("<f");
        ndbuf_view seen = {0};
        case_open(&self, CONVERTS, devices[i], ">f", devices[i], "<f");
        ASSERT_OK(ndbuf_view_reinterpret(&self.dst, format, &seen, err));
        ASSERT_OK(ndbuf_copy(&self.dst, &seen, NULL, err));
        ndbuf_view_release(&seen);
        ndbuf_format_release(format);
        char found[4 * NITEMS];
        test_download(&self.dst.storage->mem, 0, found, sizeof(found));
        for (size_t k = 0; k < sizeof(found); k++) {
            assert_int_equal(found[k], self.before[k / 4 * 4 + 3 - k % 4]);
        }
        case_close(&self);
    }
}

static void test_a_rule_that_forbids_it_leaves_the_destination_alone(void **state)
{
    (void)state;
    cast_case self;
    ndbuf_copy_plan *plan = NULL;
    case_open(&self, CONVERTS, "fake:0", "<f", "cpu", "<d");
    ASSERT_FAILS(NDBUF_ERR_CAST, "safe", ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_SAFE, 0, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_CAST, "<d", ndbuf_copy(&self.dst, &self.src, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_CAST, "equiv",
                 ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "rule", ndbuf_copy_cast(&self.dst, &self.src, (ndbuf_casting)9, 0, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x80",
                 ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0x80, NULL, err));
    assert_converted(&self, NULL, 0);
    case_close(&self);
}

static void test_items_beyond_31_bits_are_not_converted(void **state)
{
    (void)state;
    static const char *const texts[] = {"(600000000)<i", "(600000000)>i", "<600000000w",
                                        ">600000000w",   "T{<i:a:<f:b:}", "T{<f:b:2400000000x<i:a:}"};
    const int64_t none = 0;
    ndbuf_view views[6] = {{0}};
    for (int k = 0; k < 6; k++) {
        ndbuf_format *format = test_parse(texts[k]);
        ASSERT_OK(ndbuf_view_create(&views[k], ndbuf_device_cpu(), format, 1, &none, err));
        ndbuf_format_release(format);
    }
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "2400000000 bytes are too large", ndbuf_copy(&views[0], &views[1], NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "2400000000 bytes are too large", ndbuf_copy(&views[2], &views[3], NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "records of 8 and 2400000008 bytes are too large",
                 ndbuf_copy_cast(&views[4], &views[5], NDBUF_CASTING_UNSAFE, 0, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "records of 2400000008 and 8 bytes are too large",
                 ndbuf_copy_cast(&views[5], &views[4], NDBUF_CASTING_UNSAFE, 0, NULL, err));
    ASSERT_OK(ndbuf_copy(&views[0], &views[0], NULL, err));
    for (int k = 0; k < 6; k++) {
        ndbuf_view_release(&views[k]);
    }
}

static void test_every_part_waits_for_the_source(void **state)
{
    (void)state;
    for (int through_plan = 0; through_plan < 2; through_plan++) {
        cast_case self;
        test_gate gate;
        ndbuf__thread opener;
        ndbuf_queue *filling = NULL;
        ndbuf_event *filled = NULL;
        ndbuf_copy_plan *plan = NULL;
        case_open(&self, CONVERTS, "fake:0", record_to, "cpu", record_from);
        for (int64_t i = 1; i < NITEMS; i++) {
            memcpy(self.bytes + i * self.src.itemsize, self.bytes, (size_t)self.src.itemsize);
        }
        test_gate_init(&gate);
        ASSERT_OK(ndbuf_queue_create(self.src_device, &filling, err));
        ASSERT_OK(self.src_device->ops->queue_host_call(filling, test_gate_pass, &gate, err));
        ASSERT_OK(ndbuf_fill(&self.src, self.bytes, self.src.itemsize, filling, err));
        ASSERT_OK(ndbuf_queue_record(filling, &filled, err));
        ndbuf_view_set_ready(&self.src, filled);
        ASSERT_OK(ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, &plan, err));
        assert_true(ndbuf__thread_start(&opener, test_gate_open_later, &gate));
        if (through_plan) {
            ASSERT_OK(ndbuf_copy_plan_run(plan, &self.dst, &self.src, NULL, err));
        } else {
            ASSERT_OK(ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, NULL, err));
        }
        assert_converted(&self, record_parts, 2);
        ndbuf__thread_join(opener);
        ndbuf_copy_plan_destroy(plan);
        ndbuf_event_release(filled);
        ndbuf_queue_release(filling);
        case_close(&self);
        test_gate_clear(&gate);
    }
}

static void test_explanations_tell_where_it_is_converted(void **state)
{
    (void)state;
    static const struct {
        const char *dst;
        const char *dst_format;
        const char *src;
        const char *src_format;
        uint32_t flags;
        const char *text;
    } cases[] = {
        {"cpu", "<f", "cpu", "<d", 0,
         "converts: from items of 8 bytes '<d', casting unsafe, by the host, in the same pass"},
        {"cpu", "<f", "fake:0", "<d", CONVERTS, "by a kernel on the source's device before the transfer: 4 bytes"},
        {"fake:0", "<d", "cpu", "<f", CONVERTS, "by a kernel on the destination's device behind the transfer: 4 bytes"},
        {"fake:0", "<f", "cpu", "<d", CONVERTS, "by the host as it packs: 4 bytes of an item travel"},
        {"fake:0", "<f", "cpu", "<d", CONVERTS | NDBUF_CAN_MAP, "by the host, in the same pass"},
        {"fake:0", "<f", "fake:0", "<d", CONVERTS, "by a kernel on the device, in the same pass"},
        {"fake:0", record_to, "cpu", record_from, CONVERTS, "in 2 copies, since no route takes all fields together"},
        {"cpu", "T{4x}", "cpu", "T{8x}", 0, "which have nothing in common"},
        {"fake:0", "T{<f:a:}", "cpu", "T{<d:b:<f:a:}", CONVERTS, "of which bytes are left out"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cast_case self;
        ndbuf_copy_plan *plan = NULL;
        char text[8192];
        case_open(&self, cases[i].flags, cases[i].dst, cases[i].dst_format, cases[i].src, cases[i].src_format);
        ASSERT_OK(ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, &plan, err));
        size_t length = ndbuf_copy_plan_explain(plan, text, sizeof(text));
        assert_true(length < sizeof(text));
        if (strstr(text, cases[i].text) == NULL) {
            fail_msg("'%s' is not in:\n%s", cases[i].text, text);
        }
        char cut[40];
        assert_int_equal(ndbuf_copy_plan_explain(plan, cut, sizeof(cut)), length);
        assert_memory_equal(cut, text, sizeof(cut) - 1);
        ndbuf_copy_plan_destroy(plan);
        case_close(&self);
    }
}

/* Every call of the backend failing in turn: the failure is told, and nothing is left behind. */
static void test_each_call_may_fail(void **state)
{
    (void)state;
    static const char *const formats[][2] = {{"<f", "<d"}, {"<d", "<f"}, {record_to, record_from}};
    static const char *const pairs[][2] = {{"cpu", "fake:0"}, {"fake:0", "cpu"}, {"fake:0", "fake:1"}};
    for (int i = 0; i < 9; i++) {
        for (int64_t nth = 1;; nth++) {
            cast_case self;
            case_open(&self, CONVERTS, pairs[i % 3][0], formats[i / 3][0], pairs[i % 3][1], formats[i / 3][1]);
            fake_fail_call(FAKE_any, nth);
            ndbuf_error error = {0};
            ndbuf_status status = ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, NULL, &error);
            bool happened = fake_fault_happened();
            fake_fail_call(FAKE_any, 0);
            if (happened) {
                assert_int_equal(status, NDBUF_ERR_DEVICE);
                assert_non_null(strstr(error.message, "injected"));
            } else {
                assert_int_equal(status, NDBUF_OK);
            }
            case_close(&self);
            if (!happened) {
                break;
            }
        }
    }
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const formats[][2] = {{"<f", "<d"}, {record_to, record_from}};
    static const char *const pairs[][2] = {{"cpu", "cpu"}, {"cpu", "fake:0"}, {"fake:0", "cpu"}};
    for (int i = 0; i < 6; i++) {
        cast_case self;
        ndbuf_copy_plan *plan = NULL;
        case_open(&self, CONVERTS, pairs[i % 3][0], formats[i / 3][0], pairs[i % 3][1], formats[i / 3][1]);
        ALLOC_FAIL_SWEEP(status_ = ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, NULL, NULL), (void)0);
        ALLOC_FAIL_SWEEP_SOME(status_ =
                                  ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, &plan, NULL),
                              ndbuf_copy_plan_destroy(plan));
        case_close(&self);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smaller_elements_travel),
        cmocka_unit_test(test_boxes_are_converted_one_by_one),
        cmocka_unit_test(test_byte_order_changes_by_default_and_between_devices_too),
        cmocka_unit_test(test_records_go_field_by_field_and_padding_is_untouched),
        cmocka_unit_test(test_records_in_a_queue_outlive_views_and_formats),
        cmocka_unit_test(test_records_of_memory_that_is_not_mapped_after_all_go_field_by_field),
        cmocka_unit_test(test_a_view_is_converted_in_its_own_place),
        cmocka_unit_test(test_a_rule_that_forbids_it_leaves_the_destination_alone),
        cmocka_unit_test(test_items_beyond_31_bits_are_not_converted),
        cmocka_unit_test(test_every_part_waits_for_the_source),
        cmocka_unit_test(test_explanations_tell_where_it_is_converted),
        cmocka_unit_test(test_each_call_may_fail),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
