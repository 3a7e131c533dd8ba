/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The second process is this program again, with the handle in hexadecimal as its argument. */
#define NBYTES 5000

static const char *program;

static void to_hex(const ndbuf_cuda_ipc_handle *handle, char *out_text)
{
    for (size_t i = 0; i < sizeof(handle->bytes); i++) {
        snprintf(out_text + 2 * i, 3, "%02x", handle->bytes[i]);
    }
}

static void from_hex(const char *text, ndbuf_cuda_ipc_handle *out_handle)
{
    for (size_t i = 0; i < sizeof(out_handle->bytes); i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out_handle->bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
}

static void set_bytes(ndbuf_storage *storage, char value)
{
    const int64_t shape[1] = {NBYTES};
    ndbuf_view view = {0};
    ndbuf_view_spec spec = {.ndim = 1, .shape = shape};
    ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
    ASSERT_OK(ndbuf_fill(&view, &value, 1, NULL, err));
    ndbuf_view_release(&view);
}

/* How many bytes are not `value`. */
static int count_others(ndbuf_storage *storage, char value)
{
    static char bytes[NBYTES];
    ndbuf_mem mem = {
        .device = ndbuf_storage_device(storage), .handle = ndbuf_storage_handle(storage), .nbytes = NBYTES};
    cuda_fixture_read(&mem, bytes);
    int nothers = 0;
    for (int i = 0; i < NBYTES; i++) {
        nothers += bytes[i] != value;
    }
    return nothers;
}

static int second_process(const char *text)
{
    ndbuf_cuda_ipc_handle handle;
    ndbuf_storage *storage = NULL;
    from_hex(text, &handle);
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "", ndbuf_cuda_ipc_open(device, &handle, NBYTES + 1, &storage, err));
    ASSERT_OK(ndbuf_cuda_ipc_open(device, &handle, NBYTES, &storage, err));
    if (count_others(storage, 'p') != 0) {
        return 3;
    }
    ASSERT_FAILS(NDBUF_ERR_INVALID, "only memory of", ndbuf_cuda_ipc_export(storage, &handle, err));
    set_bytes(storage, 's');
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
    return cudasim_anything_lives() || cudasim_nviolations() != 0 ? 4 : 0;
}

static int run_second_process(const ndbuf_cuda_ipc_handle *handle)
{
    char text[2 * sizeof(handle->bytes) + 1];
    int status = 0;
    to_hex(handle, text);
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, text, (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_another_process_reads_and_writes_the_same_memory(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_storage *storage = NULL;
    ndbuf_cuda_ipc_handle handle = {{0}};
    ASSERT_OK(ndbuf_cuda_ipc_storage_create(device, NBYTES, &storage, err));
    set_bytes(storage, 'p');
    ASSERT_OK(ndbuf_cuda_ipc_export(storage, &handle, err));
    assert_int_equal(run_second_process(&handle), 0);
    assert_int_equal(count_others(storage, 's'), 0);
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
}

static void test_what_cannot_be_shared_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_storage *storage = NULL;
    ndbuf_storage *opened = NULL;
    ndbuf_cuda_ipc_handle handle = {{0}};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cuda:N", ndbuf_cuda_ipc_storage_create(pinned, 10, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cuda:N", ndbuf_cuda_ipc_storage_create(NULL, 10, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0 bytes", ndbuf_cuda_ipc_storage_create(device, 0, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "cudaMalloc", ndbuf_cuda_ipc_storage_create(device, (size_t)1 << 50, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cudaIpcOpenMemHandle", ndbuf_cuda_ipc_open(device, &handle, 10, &opened, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no handle", ndbuf_cuda_ipc_open(device, NULL, 10, &opened, err));
    assert_null(storage);
    ASSERT_OK(ndbuf_storage_create(device, 10, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "only memory of", ndbuf_cuda_ipc_export(storage, &handle, err));
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_cuda_ipc_storage_create(device, 10, &storage, err));
    ASSERT_OK(ndbuf_cuda_ipc_export(storage, &handle, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cudaIpcOpenMemHandle", ndbuf_cuda_ipc_open(device, &handle, 10, &opened, err));
    assert_null(opened);
    ndbuf_storage_release(storage);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_cuda_ipc_storage_create(device, 10, &storage, NULL),
                     ndbuf_storage_release(storage));
    ndbuf_device_close(device);
    ndbuf_device_close(pinned);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_another_process_reads_and_writes_the_same_memory),
        CUDA_TEST(test_what_cannot_be_shared_is_refused),
    };
    program = argv[0];
    if (argc == 2) {
        cuda_fixture_start(NULL);
    }
    return argc == 2 ? second_process(argv[1]) : cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
