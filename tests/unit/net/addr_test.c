/* addr_test.c - addresses: read, written, compared, and in which nets they are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/addr.h"

#include <errno.h>
#include <sys/un.h>

static const char *printed(const struct addr *a)
{
    static char text[ADDR_TEXT_MAX + 16];
    struct gather g;

    gather_init(&g, text, sizeof text - 1, NULL, 0);
    addr_print(a, &g);
    gather_byte(&g, '|');
    gather_u64(&g, a->port);
    text[g.used] = '\0';
    return text;
}

static void numbers_are_read(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        { "127.0.0.1", "127.0.0.1|80" },
        { "127.0.0.1:8080", "127.0.0.1|8080" },
        { "8080", "0.0.0.0|8080" },
        { "*:81", "0.0.0.0|81" },
        { "*", "0.0.0.0|80" },
        { "[::1]", "::1|80" },
        { "[::]:443", "::|443" },
        { "[2001:db8::1]:1", "2001:db8::1|1" },
        { "255.255.255.255:65535", "255.255.255.255|65535" },
    };
    struct addr a;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(addr_parse(slice_str(cases[i].text), 80, &a));
        assert_string_equal(printed(&a), cases[i].printed);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const cases[] = {
        "",        "localhost", "1.2.3",     "1.2.3.4:",  "1.2.3.4:x", "1.2.3.4:65536", "[::1",
        "[::1]80", "::1",       "[1.2.3.4]", "1.2.3.4.5", ":80",       "[::1]:"
    };
    struct addr a = { .family = 99 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_false(addr_parse(slice_str(cases[i]), 80, &a));
    assert_int_equal(a.family, 99); /* untouched */
}

static void the_kernels_form_and_back(void **state)
{
    static const char *const texts[] = { "10.1.2.3:99", "[fe80::1:2]:7" };
    struct sockaddr_storage space;
    struct addr a, b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(addr_parse(slice_str(texts[i]), 0, &a));
        socklen_t size = addr_to_sockaddr(&a, &space);

        addr_from_sockaddr(&b, (struct sockaddr *)&space, size);
        assert_true(addr_eq(&a, &b));
        addr_from_sockaddr(&b, (struct sockaddr *)&space, 1);
        assert_int_equal(b.family, AF_UNSPEC);
    }
}

static void a_unix_path_has_its_limit(void **state)
{
    struct sockaddr_storage space;
    struct sockaddr_un *un = (void *)&space;
    char path[sizeof un->sun_path + 1];
    socklen_t size;

    (void)state;
    memset(path, 'x', sizeof path);
    path[sizeof un->sun_path] = '\0';
    assert_int_equal(addr_unix(path, &space, &size), -ENAMETOOLONG);
    path[sizeof un->sun_path - 1] = '\0';
    assert_int_equal(addr_unix(path, &space, &size), 0);
    assert_string_equal(un->sun_path, path);
    assert_int_equal(addr_unix("", &space, &size), -ENAMETOOLONG);
}

static bool inside(const char *net_text, const char *addr_text)
{
    struct addr_net net;
    struct addr a;
    bool low_bits;

    assert_true(addr_net_parse(slice_str(net_text), &net, &low_bits));
    assert_true(addr_parse(slice_str(addr_text), 0, &a));
    return addr_in_net(&a, &net);
}

static void nets_contain_addresses(void **state)
{
    (void)state;
    assert_true(inside("10.0.0.0/8", "10.255.1.2"));
    assert_false(inside("10.0.0.0/8", "11.0.0.0"));
    assert_true(inside("0.0.0.0/0", "1.2.3.4"));
    assert_false(inside("0.0.0.0/0", "[::1]"));
    assert_true(inside("::/0", "[::1]"));
    assert_true(inside("192.168.1.129/25", "192.168.1.200"));
    assert_false(inside("192.168.1.129/25", "192.168.1.100"));
    assert_true(inside("2001:db8::/33", "[2001:db8:7fff::1]"));
    assert_false(inside("2001:db8::/33", "[2001:db8:8000::1]"));
    assert_true(inside("127.0.0.1", "127.0.0.1"));
    assert_true(inside("127.0.0.0/8", "[::ffff:127.0.0.5]"));
}

static void nets_are_read_with_care(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "/8", "x"
    };
    struct addr_net net;
    bool low_bits = false;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(addr_net_parse(slice_str(bad[i]), &net, &low_bits));
    assert_true(addr_net_parse(SLICE("10.1.0.0/8"), &net, &low_bits));
    assert_true(low_bits);
    assert_true(addr_net_parse(SLICE("10.0.0.0/8"), &net, &low_bits));
    assert_false(low_bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),          cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(the_kernels_form_and_back), cmocka_unit_test(a_unix_path_has_its_limit),
        cmocka_unit_test(nets_contain_addresses),    cmocka_unit_test(nets_are_read_with_care),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
