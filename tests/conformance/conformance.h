/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CONFORMANCE_H
#define NDBUF_TESTS_CONFORMANCE_H

/* One suite for every backend: each test is a claim of backend.h. It runs once for each device that the backend named
 * on the command line has. Objects come from the public functions, so that they are as the core makes them; the slots
 * of the table are then called directly. */

#include "tests/support/device_copy.h"
#include "tests/support/test.h"

#include "ndbuf/backend.h"

#define CONF_MAX_DEVICES 16

/* What is under test. */
typedef struct conf_subject {
    const char *backend;
    int32_t ndevices; /* of the backend */
    ndbuf_device *devices[CONF_MAX_DEVICES];
    ndbuf_device *device; /* the one of them under test now */
    const ndbuf_backend_ops *ops;
    int32_t npeers; /* devices to exchange data with: up to two of each backend, and all of `devices` */
    ndbuf_device *peers[CONF_MAX_DEVICES + 16];
} conf_subject;

extern conf_subject conf;

/* The tests of one file. */
typedef struct conf_topic {
    const char *name;
    const struct CMUnitTest *tests;
    size_t ntests;
} conf_topic;

#define CONF_TOPIC(topic, ...)                                                                                         \
    static const struct CMUnitTest topic##_tests[] = {__VA_ARGS__};                                                    \
    const conf_topic conf_##topic = {#topic, topic##_tests, sizeof(topic##_tests) / sizeof(topic##_tests[0])};

extern const conf_topic conf_device;
extern const conf_topic conf_memory;
extern const conf_topic conf_map;
extern const conf_topic conf_copy;
extern const conf_topic conf_convert;
extern const conf_topic conf_queue;
extern const conf_topic conf_event;
extern const conf_topic conf_host_call;
extern const conf_topic conf_threads;
extern const conf_topic conf_views;

/* Why a backend can never do what a test wants, or NULL: it has to. */
const char *conf_exception(const char *backend, const char *test);

/* Memory of the device under test, its bytes set to `start` unless that is NULL; ended by conf.ops->mem_free. */
ndbuf_mem conf_alloc(size_t nbytes, const void *start);

/* Memory of the host, its bytes set to `fill`, that copies of the device under test read and write in the order of
 * their queue; ended by mem.device->ops->mem_free. It is the device's staging memory if it has such. */
ndbuf_mem conf_ordered_host_alloc(size_t nbytes, int fill);

/* A host function that is slow, so that whoever does not wait is caught: fills bytes with 'L'. */
typedef struct conf_late_bytes {
    char *start;
    size_t nbytes;
} conf_late_bytes;

ndbuf_status conf_write_late(void *late_bytes, ndbuf_error *err);

/* The flags of conf.ops->copy_caps. */
uint32_t conf_copy_flags(const ndbuf_device *dst, const ndbuf_device *src);

/* A new queue of the device under test. */
ndbuf_queue *conf_queue_create(void);

#endif
