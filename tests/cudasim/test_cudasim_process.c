/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* putenv */
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/cudasim/cudasim_test.h"

/* The program runs itself with an argument: what a process does that ends, and what the environment sets. */

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

#define EXIT_STRICT 86
#define EXIT_RACE 66

static int run_clean(void)
{
    void *block = NULL;
    return cudaMalloc(&block, 1) != cudaSuccess || cudaFree(block) != cudaSuccess;
}

static int run_leak(void)
{
    void *block = NULL;
    return cudaMalloc(&block, 1) != cudaSuccess;
}

static int run_violation(void)
{
    void *block = NULL;
    return cudaMalloc(&block, 1) != cudaSuccess || cudaFree(block) != cudaSuccess ||
           cudaFree(block) != cudaErrorInvalidValue;
}

static int run_settings(void)
{
    int count = 0;
    int reachable = -1;
    size_t free_nbytes = 0;
    size_t nbytes = 0;
    return cudaGetDeviceCount(&count) != cudaSuccess || count != 3 ||
           cudaMemGetInfo(&free_nbytes, &nbytes) != cudaSuccess || nbytes != 123456 ||
           cudaDeviceCanAccessPeer(&reachable, 0, 1) != cudaSuccess || reachable != 0;
}

/* Reads what a copy writes, after long enough, and after calls that do not wait: no order that CUDA gives. */
static int run_unsynchronised(bool synchronised)
{
    enum { NBYTES = 4096 };
    const struct timespec pause = {0, 50000000};
    void *block = NULL;
    void *pinned = NULL;
    cudaStream_t stream = NULL;
    int device = 0;
    int bad = cudaMalloc(&block, NBYTES) != cudaSuccess || cudaHostAlloc(&pinned, NBYTES, 0) != cudaSuccess ||
              cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
              cudaMemsetAsync(block, 1, NBYTES, stream) != cudaSuccess ||
              cudaMemcpyAsync(pinned, block, NBYTES, cudaMemcpyDefault, stream) != cudaSuccess;
    if (synchronised) {
        bad = bad || cudaStreamSynchronize(stream) != cudaSuccess;
    } else {
        (void)nanosleep(&pause, NULL);
    }
    bad = bad || cudaGetDevice(&device) != cudaSuccess;
    for (size_t i = 0; i < NBYTES; i++) {
        bad = bad || ((const char *)pinned)[i] != 1;
    }
    return bad || cudaStreamSynchronize(stream) != cudaSuccess || cudaStreamDestroy(stream) != cudaSuccess ||
           cudaFreeHost(pinned) != cudaSuccess || cudaFree(block) != cudaSuccess;
}

static int run(const char *what)
{
    if (strcmp(what, "clean") == 0) {
        return run_clean();
    }
    if (strcmp(what, "leak") == 0) {
        return run_leak();
    }
    if (strcmp(what, "violation") == 0) {
        return run_violation();
    }
    if (strcmp(what, "settings") == 0) {
        return run_settings();
    }
    return run_unsynchronised(strcmp(what, "synchronised") == 0);
}

/* The exit status, or 128 and the signal, of this program with the argument and with settings in the environment,
 * "NAME=VALUE". */
static int status_of(const char *what, const char *first, const char *second, const char *third)
{
    int status = -1;
    const char *const settings[] = {first, second, third};
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (size_t i = 0; i < 3; i++) {
            if (settings[i] != NULL) {
                (void)putenv((char *)(uintptr_t)settings[i]);
            }
        }
        (void)!freopen("/dev/null", "w", stderr);
        (void)execl("/proc/self/exe", "test", what, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_leaks_and_violations_make_the_exit_status(void **state)
{
    (void)state;
    assert_int_equal(status_of("clean", "CUDASIM_STRICT=1", NULL, NULL), 0);
    assert_int_equal(status_of("leak", "CUDASIM_STRICT=1", NULL, NULL), EXIT_STRICT);
    assert_int_equal(status_of("violation", "CUDASIM_STRICT=1", NULL, NULL), EXIT_STRICT);
    assert_int_equal(status_of("leak", "CUDASIM_STRICT=0", NULL, NULL), 0);
    assert_int_equal(status_of("violation", "CUDASIM_ABORT=1", NULL, NULL), 128 + SIGABRT);
}

static void test_the_environment_sets_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(status_of("settings", "CUDASIM_DEVICES=3", "CUDASIM_MEMORY=123456", "CUDASIM_PEER=0"), 0);
    assert_int_not_equal(status_of("settings", "CUDASIM_DEVICES=0", NULL, NULL), 0);
}

static void test_the_thread_sanitizer_sees_an_unsynchronised_read(void **state)
{
    (void)state;
    assert_int_equal(status_of("synchronised", "CUDASIM_SCHEDULE=threads", "TSAN_OPTIONS=exitcode=66", NULL), 0);
#if defined(THREAD_SANITIZER)
    assert_int_equal(status_of("unsynchronised", "CUDASIM_SCHEDULE=threads", "TSAN_OPTIONS=exitcode=66", NULL),
                     EXIT_RACE);
#else
    /* The lazy schedule shows it without the sanitizer, in every run: the bytes are stale. */
    assert_int_equal(status_of("unsynchronised", "CUDASIM_SCHEDULE=lazy", NULL, NULL), 1);
#endif
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaks_and_violations_make_the_exit_status),
        cmocka_unit_test(test_the_environment_sets_what_it_says),
        cmocka_unit_test(test_the_thread_sanitizer_sees_an_unsynchronised_read),
    };
    return argc > 1 ? run(argv[1]) : cmocka_run_group_tests_name("cudasim/process", tests, NULL, NULL);
}
