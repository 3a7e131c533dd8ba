/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <string.h>

/* What a backend can never do, and why. Nothing that is merely not written yet. */
static const struct {
    const char *backend;
    const char *test;
    const char *why;
} exceptions[] = {
    {"cpu", "test_a_handle_that_is_too_small_is_refused", "an address does not tell how much memory it leads to"},
    {"cpu", "test_imported_memory_outlives_the_one_who_allocated_it", "host memory is not counted"},
    {"cuda", "test_imported_memory_outlives_the_one_who_allocated_it", "CUDA does not count who uses its memory"},
    {"cuda", "test_a_mapping_shows_the_bytes_and_takes_new_ones", "the host cannot touch device memory"},
    {"cuda", "test_a_mapping_for_writing_keeps_what_is_not_written", "the host cannot touch device memory"},
    {"cuda", "test_a_mapping_sees_what_was_copied_before", "the host cannot touch device memory"},
    {"cuda", "test_several_mappings_at_a_time", "the host cannot touch device memory"},
    {"cuda", "test_unmapping_what_is_not_mapped_is_refused", "the host cannot touch device memory"},
    {"cuda", "test_a_host_call_may_use_another_queue", "functions that CUDA calls must not call CUDA"},
    {"null", "test_a_handle_gives_the_same_bytes_when_imported", "it adopts no foreign memory"},
    {"null", "test_a_handle_that_is_too_small_is_refused", "it adopts no foreign memory"},
    {"null", "test_imported_memory_outlives_the_one_who_allocated_it", "it adopts no foreign memory"},
    {"null", "test_a_mapping_shows_the_bytes_and_takes_new_ones", "its memory cannot be mapped"},
    {"null", "test_a_mapping_for_writing_keeps_what_is_not_written", "its memory cannot be mapped"},
    {"null", "test_a_mapping_sees_what_was_copied_before", "its memory cannot be mapped"},
    {"null", "test_several_mappings_at_a_time", "its memory cannot be mapped"},
    {"null", "test_unmapping_what_is_not_mapped_is_refused", "its memory cannot be mapped"},
    {"null", "test_host_calls_do_not_block_the_caller", "work runs in the thread that gives it to the queue"},
    {"null", "test_an_event_is_not_complete_before_the_work", "work runs in the thread that gives it to the queue"},
};

const char *conf_exception(const char *backend, const char *test)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (strcmp(exceptions[i].backend, backend) == 0 && strcmp(exceptions[i].test, test) == 0) {
            return exceptions[i].why;
        }
    }
    return NULL;
}
