/* base_test.h - what every test of src/base includes: cmocka and its needs, and how to catch a
 * failed CHECK, which would otherwise end the test. */
#ifndef UNIT_BASE_TEST_H
#define UNIT_BASE_TEST_H

#include "base/slice.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_slice(s, text)                          \
    do {                                               \
        struct slice got_ = (s);                       \
        assert_int_equal(got_.size, strlen(text));     \
        assert_memory_equal(got_.at, text, got_.size); \
    } while (0)

/* Runs it in a child with stderr into `report`; true when the child aborted. */
static inline bool panics(void (*run)(void), char *report, size_t size)
{
    int pipe_fds[2], status;
    size_t used = 0;
    ssize_t n;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(pipe_fds[1]);
    while (used + 1 < size && (n = read(pipe_fds[0], report + used, size - 1 - used)) > 0)
        used += (size_t)n;
    report[used] = '\0';
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
