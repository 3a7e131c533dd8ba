/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/null/null_backend.h"
#include "tests/support/fake_device.h"

conf_subject conf;

static const conf_topic *const topics[] = {&conf_device, &conf_memory, &conf_map,       &conf_copy,    &conf_convert,
                                           &conf_queue,  &conf_event,  &conf_host_call, &conf_threads, &conf_views};

#define MAX_TESTS 64

ndbuf_mem conf_alloc(size_t nbytes, const void *start)
{
    ndbuf_mem mem = {0};
    ASSERT_OK(conf.ops->mem_alloc(conf.device, nbytes, 64, &mem, err));
    if (start != NULL) {
        test_upload(&mem, 0, start, nbytes);
    }
    return mem;
}

ndbuf_mem conf_ordered_host_alloc(size_t nbytes, int fill)
{
    ndbuf_mem mem = {0};
    ndbuf_device *device = conf.device->staging;
    for (int32_t i = 0; i < conf.npeers && device == NULL; i++) {
        device = strcmp(conf.peers[i]->ops->name, "cpu") == 0 ? conf.peers[i] : NULL;
    }
    assert_non_null(device);
    ASSERT_OK(device->ops->mem_alloc(device, nbytes, 64, &mem, err));
    memset(mem.host_address, fill, nbytes);
    return mem;
}

ndbuf_status conf_write_late(void *late_bytes, ndbuf_error *err)
{
    (void)err;
    const conf_late_bytes *self = late_bytes;
    struct timespec pause = {0, 20 * 1000 * 1000};
    nanosleep(&pause, NULL);
    memset(self->start, 'L', self->nbytes);
    return NDBUF_OK;
}

uint32_t conf_copy_flags(const ndbuf_device *dst, const ndbuf_device *src)
{
    ndbuf_copy_caps caps = {0};
    conf.ops->copy_caps(dst, src, &caps);
    return caps.flags;
}

ndbuf_queue *conf_queue_create(void)
{
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(conf.device, &queue, err));
    return queue;
}

static void skip_exception(void **state)
{
    print_message("  not with %s: %s\n", conf.backend, (const char *)*state);
    skip();
}

/* Runs one topic on the device under test; returns how many tests failed. */
static int run_topic(const conf_topic *topic)
{
    struct CMUnitTest tests[MAX_TESTS];
    ndbuf_device_info info;
    char name[80];
    ndbuf_device_info_get(conf.device, &info);
    snprintf(name, sizeof(name), "%s %s", info.name, topic->name);
    for (size_t i = 0; i < topic->ntests; i++) {
        tests[i] = topic->tests[i];
        const char *why = conf_exception(conf.backend, tests[i].name);
        if (why != NULL) {
            tests[i].test_func = skip_exception;
            tests[i].initial_state = (void *)why;
        }
    }
    return _cmocka_run_group_tests(name, tests, topic->ntests, NULL, NULL);
}

static bool open_device(const char *backend, int32_t ordinal, ndbuf_device **out_device)
{
    ndbuf_error error = {0};
    char name[48];
    snprintf(name, sizeof(name), "%s:%d", backend, (int)ordinal);
    if (ndbuf_device_open(name, out_device, &error) != NDBUF_OK) {
        fprintf(stderr, "%s cannot be opened: %s\n", name, error.message);
        return false;
    }
    return true;
}

/* Opens all devices of the backend under test, and up to two of each other one. */
static bool open_devices_of(const ndbuf_backend_info *info)
{
    bool is_subject = strcmp(info->name, conf.backend) == 0;
    for (int32_t i = 0; i < info->ndevices && i < (is_subject ? CONF_MAX_DEVICES : 2); i++) {
        ndbuf_device *device = NULL;
        if (!open_device(info->name, i, &device)) {
            return false;
        }
        conf.peers[conf.npeers++] = device;
        if (is_subject) {
            conf.devices[conf.ndevices++] = device;
        }
    }
    return true;
}

/* 0; 1: failed; TEST_EXIT_SKIPPED: the machine has no device of the backend. */
static int open_devices(const char *backend)
{
    int result = -1;
    int32_t count = ndbuf_backend_count();
    conf.backend = backend;
    for (int32_t i = 0; i < count; i++) {
        ndbuf_backend_info info;
        if (ndbuf_backend_info_get(i, &info, NULL) != NDBUF_OK) {
            return 1;
        }
        if (strcmp(info.name, backend) == 0) {
            result = info.status == NDBUF_OK ? 0 : info.status == NDBUF_ERR_UNAVAILABLE ? TEST_EXIT_SKIPPED : 1;
            if (result != 0) {
                printf("%s: %s: %s\n", backend, ndbuf_status_name(info.status), info.reason);
                return result;
            }
        }
        if (info.status == NDBUF_OK && !open_devices_of(&info)) {
            return 1;
        }
    }
    if (result < 0) {
        fprintf(stderr, "no backend '%s'\n", backend);
    }
    return result < 0 ? 1 : result;
}

/* Whether a topic is among those that were asked for: all, if none was. */
static bool is_wanted(const conf_topic *topic, char **names, int nnames)
{
    bool wanted = nnames == 0;
    for (int i = 0; i < nnames; i++) {
        wanted = wanted || strcmp(topic->name, names[i]) == 0;
    }
    return wanted;
}

/* Whether all names are topics: those of nothing would run nothing, and pass. */
static bool are_topics(char **names, int nnames)
{
    int nknown = 0;
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++) {
        nknown += nnames > 0 && is_wanted(topics[t], names, nnames);
    }
    return nknown == nnames;
}

int main(int argc, char **argv)
{
    ndbuf_error error = {0};
    if (argc < 2 || !are_topics(argv + 2, argc - 2)) {
        fprintf(stderr, "usage: conformance BACKEND [TOPIC...]\n");
        return 2;
    }
    if (null_backend_register(&error) != NDBUF_OK) {
        fprintf(stderr, "null: %s\n", error.message);
        return 1;
    }
    fake_register();
    int result = open_devices(argv[1]);
    int nfailed = 0;
    for (int32_t i = 0; i < conf.ndevices && result == 0; i++) {
        conf.device = conf.devices[i];
        conf.ops = conf.device->ops;
        for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++) {
            nfailed += is_wanted(topics[t], argv + 2, argc - 2) ? run_topic(topics[t]) : 0;
        }
    }
    for (int32_t i = 0; i < conf.npeers; i++) {
        ndbuf_device_close(conf.peers[i]);
    }
    fake_live live = fake_live_now();
    if (nfailed == 0 && live.devices + live.mems + live.queues + live.events + live.jobs + live.mappings != 0) {
        fprintf(stderr, "objects of the fake device are left over\n");
        nfailed++;
    }
    return result != 0 ? result : nfailed != 0;
}
