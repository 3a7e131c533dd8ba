/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever reads or writes a view waits for its ready event: in a queue, the queue does; without one, the caller. */
#include "tests/support/gate.h"
#include "tests/support/test.h"

#include <string.h>

#include "ndbuf/arrow_device.h"
#include "ndbuf/backend.h"
#include "ndbuf/dlpack.h"

#include "core/sync.h"

/* A view that is filled behind a gate, and another one. */
typedef struct scene {
    test_gate gate;
    ndbuf_queue *filling;
    ndbuf_event *filled;
    ndbuf_view view;
    ndbuf_view other;
    ndbuf_copy_plan *from; /* view to other */
    ndbuf_copy_plan *to;   /* other to view */
} scene;

static void scene_begin(scene *self)
{
    const int64_t extent = 8;
    *self = (scene){.filling = NULL};
    test_gate_init(&self->gate);
    ASSERT_OK(ndbuf_view_create(&self->view, ndbuf_device_cpu(), NULL, 1, &extent, err));
    ASSERT_OK(ndbuf_view_create(&self->other, ndbuf_device_cpu(), NULL, 1, &extent, err));
    ASSERT_OK(ndbuf_fill(&self->view, "?", 1, NULL, err));
    ASSERT_OK(ndbuf_fill(&self->other, "o", 1, NULL, err));
    ASSERT_OK(ndbuf_copy_plan_create(&self->other, &self->view, NDBUF_CASTING_EQUIV, 0, &self->from, err));
    ASSERT_OK(ndbuf_copy_plan_create(&self->view, &self->other, NDBUF_CASTING_EQUIV, 0, &self->to, err));
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &self->filling, err));
    ASSERT_OK(self->filling->device->ops->queue_host_call(self->filling, test_gate_pass, &self->gate, err));
    ASSERT_OK(ndbuf_fill(&self->view, "f", 1, self->filling, err));
    ASSERT_OK(ndbuf_queue_record(self->filling, &self->filled, err));
    ndbuf_view_set_ready(&self->view, self->filled);
}

static void scene_end(scene *self)
{
    ndbuf_event_release(self->filled);
    ndbuf_queue_release(self->filling);
    ndbuf_copy_plan_destroy(self->from);
    ndbuf_copy_plan_destroy(self->to);
    ndbuf_view_release(&self->view);
    ndbuf_view_release(&self->other);
    test_gate_clear(&self->gate);
}

typedef enum use { COPY_FROM, COPY_TO, RUN_FROM, RUN_TO, FILL, EXPORT_DLPACK, EXPORT_ARROW, ACQUIRE, NUSES } use;

enum { NUSES_IN_QUEUES = EXPORT_DLPACK };

static void use_view(scene *self, use what, ndbuf_queue *queue)
{
    const ndbuf_arrow_export_options waiting = {.flags = NDBUF_ARROW_WAIT};
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    DLManagedTensorVersioned *tensor = NULL;
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view acquired = {0};
    switch (what) {
    case COPY_FROM:
        ASSERT_OK(ndbuf_copy(&self->other, &self->view, queue, err));
        break;
    case COPY_TO:
        ASSERT_OK(ndbuf_copy(&self->view, &self->other, queue, err));
        break;
    case RUN_FROM:
        ASSERT_OK(ndbuf_copy_plan_run(self->from, &self->other, &self->view, queue, err));
        break;
    case RUN_TO:
        ASSERT_OK(ndbuf_copy_plan_run(self->to, &self->view, &self->other, queue, err));
        break;
    case FILL:
        ASSERT_OK(ndbuf_fill(&self->view, "o", 1, queue, err));
        break;
    case EXPORT_DLPACK:
        ASSERT_OK(ndbuf_dlpack_export(&self->view, NULL, &tensor, NULL, err));
        tensor->deleter(tensor);
        break;
    case EXPORT_ARROW:
        ASSERT_OK(ndbuf_arrow_export(&self->view, &waiting, &schema, &array, NULL, err));
        schema.release(&schema);
        array.array.release(&array.array);
        break;
    default:
        ASSERT_OK(ndbuf_exporter_create(&self->view, &exporter, err));
        ASSERT_OK(ndbuf_view_acquire(&acquired, exporter, &request, err));
        assert_null(acquired.ready);
        ndbuf_view_release(&acquired);
        ndbuf_exporter_release(exporter);
        break;
    }
}

static bool is_complete(ndbuf_event *event)
{
    int32_t complete = -1;
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    return complete != 0;
}

static void assert_result(const scene *self, use what)
{
    bool reads = what == COPY_FROM || what == RUN_FROM;
    const char *expected = reads ? "ffffffff" : what < EXPORT_DLPACK ? "oooooooo" : "ffffffff";
    assert_memory_equal(ndbuf_view_host_address(reads ? &self->other : &self->view), expected, 8);
}

static void test_a_queue_waits_for_what_is_filled(void **state)
{
    (void)state;
    for (int what = 0; what < NUSES_IN_QUEUES; what++) {
        scene self;
        ndbuf_queue *queue = NULL;
        ndbuf_event *used = NULL;
        scene_begin(&self);
        ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
        use_view(&self, (use)what, queue);
        ASSERT_OK(ndbuf_queue_record(queue, &used, err));
        assert_false(is_complete(self.filled));
        assert_false(is_complete(used));
        test_gate_open(&self.gate);
        ASSERT_OK(ndbuf_event_wait(used, err));
        assert_true(is_complete(self.filled));
        assert_result(&self, (use)what);
        ndbuf_event_release(used);
        ndbuf_queue_release(queue);
        scene_end(&self);
    }
}

static void test_without_a_queue_the_caller_waits(void **state)
{
    (void)state;
    for (int what = 0; what < NUSES; what++) {
        scene self;
        ndbuf__thread opener;
        scene_begin(&self);
        assert_true(ndbuf__thread_start(&opener, test_gate_open_later, &self.gate));
        use_view(&self, (use)what, NULL);
        assert_true(is_complete(self.filled));
        assert_result(&self, (use)what);
        ndbuf__thread_join(opener);
        scene_end(&self);
    }
}

/* Whoever says that it does not wait, or that it waits itself, gets the view at once. */
static void test_who_waits_itself_is_not_held_up(void **state)
{
    (void)state;
    scene self;
    scene_begin(&self);
    const ndbuf_dlpack_export_options no_wait = {.flags = NDBUF_DLPACK_NO_WAIT};
    DLManagedTensorVersioned *tensor = NULL;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view acquired = {0};
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL | NDBUF_REQUEST_READY_EVENT);
    ASSERT_OK(ndbuf_dlpack_export(&self.view, &no_wait, &tensor, NULL, err));
    ASSERT_OK(ndbuf_exporter_create(&self.view, &exporter, err));
    ASSERT_OK(ndbuf_view_acquire(&acquired, exporter, &request, err));
    assert_ptr_equal(acquired.ready, self.filled);
    assert_false(is_complete(acquired.ready));
    test_gate_open(&self.gate);
    ndbuf_event_release(self.filled); /* the views hold it */
    ndbuf_view_set_ready(&self.view, NULL);
    self.filled = NULL;
    ASSERT_OK(ndbuf_event_wait(acquired.ready, err));
    assert_memory_equal(ndbuf_view_host_address(&acquired), "ffffffff", 8);
    ndbuf_view_release(&acquired);
    ndbuf_exporter_release(exporter);
    tensor->deleter(tensor);
    scene_end(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_queue_waits_for_what_is_filled),
        cmocka_unit_test(test_without_a_queue_the_caller_waits),
        cmocka_unit_test(test_who_waits_itself_is_not_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
