/* conf_test.h - cmocka, with what it needs before it, and the fixture. */
#ifndef TEST_CONF_TEST_H
#define TEST_CONF_TEST_H

#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_slice(s, text)                                                          \
    do {                                                                               \
        struct slice slice_ = (s);                                                     \
        assert_int_equal(slice_.size, sizeof(text) - 1);                               \
        assert_memory_equal(slice_.size > 0 ? slice_.at : "", text, sizeof(text) - 1); \
    } while (0)

#endif
