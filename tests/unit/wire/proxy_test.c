/* proxy_test.c - PROXY headers as they are written, and read again; checksums; TLVs by type. */
#include "unit/base/base_test.h"

#include "wire/proxy_line.h"

#include <arpa/inet.h>

static char space[6 + PROXY_LINE_MAX]; /* "before" stands in front */
static struct gather written;

static struct proxy_line line_of(enum proxy_family family, const char *source, const char *target)
{
    struct proxy_line line = { .family = family, .source.port = 56324, .target.port = 443 };
    int inet = family == PROXY_TCP4 ? AF_INET : AF_INET6;

    assert_int_equal(inet_pton(inet, source, line.source.ip), 1);
    assert_int_equal(inet_pton(inet, target, line.target.ip), 1);
    return line;
}

static void clear(size_t room)
{
    gather_init(&written, space, room, NULL, 0);
}

static void version_1_is_written(void **state)
{
    struct proxy_line four = line_of(PROXY_TCP4, "192.0.2.1", "198.51.100.2");
    struct proxy_line six = line_of(PROXY_TCP6, "2001:db8::1", "::ffff:1.2.3.4");
    struct proxy_line none = { .family = PROXY_UNIX };

    (void)state;
    clear(PROXY_V1_MAX);
    assert_true(proxy_line_write_v1(&written, &four));
    assert_slice(gather_get(&written), "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
    clear(PROXY_V1_MAX);
    assert_true(proxy_line_write_v1(&written, &six));
    assert_slice(gather_get(&written), "PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 56324 443\r\n");
    clear(PROXY_V1_MAX);
    assert_true(proxy_line_write_v1(&written, &none));
    assert_slice(gather_get(&written), "PROXY UNKNOWN\r\n");
    four.local = true;
    clear(PROXY_V1_MAX);
    assert_true(proxy_line_write_v1(&written, &four));
    assert_slice(gather_get(&written), "PROXY UNKNOWN\r\n");
    clear(14);
    assert_false(proxy_line_write_v1(&written, &four));
}

static void what_is_written_is_read(struct proxy_line *line, bool checksum)
{
    struct proxy_line again;

    clear(sizeof space);
    gather_lit(&written, "before");
    assert_true(proxy_line_write_v2(&written, line, checksum));
    assert_int_equal(proxy_line_read(slice_skip(gather_get(&written), 6), &again), PROXY_DONE);
    assert_int_equal(again.version, 2);
    assert_int_equal(again.size, written.used - 6);
    assert_int_equal(again.family, line->family);
    assert_memory_equal(again.source.ip, line->source.ip, 16);
    assert_memory_equal(again.target.ip, line->target.ip, 16);
    assert_int_equal(again.source.port, line->source.port);
    assert_int_equal(again.target.port, line->target.port);
    assert_true(slice_eq(again.source.path, line->source.path));
    assert_true(slice_eq(again.target.path, line->target.path));
    assert_true(slice_starts(again.tlvs, line->tlvs));
    assert_int_equal(again.tlvs.size - line->tlvs.size, checksum ? 7 : 0);
}

static void version_2_is_written(void **state)
{
    struct proxy_line lines[] = {
        line_of(PROXY_TCP4, "192.0.2.1", "198.51.100.2"),
        line_of(PROXY_TCP6, "2001:db8::1", "2001:db8::2"),
        { .family = PROXY_UNIX, .source.path = SLICE("/run/a"), .target.path = SLICE("/run/b") },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        what_is_written_is_read(&lines[i], false);
        what_is_written_is_read(&lines[i], true);
        lines[i].tlvs = SLICE("\x02\0\6a.test\x01\0\2h2");
        what_is_written_is_read(&lines[i], false);
        what_is_written_is_read(&lines[i], true);
        clear(20);
        assert_false(proxy_line_write_v2(&written, &lines[i], true));
    }
}

static void version_2_without_addresses(void **state)
{
    struct proxy_line line = { .local = true, .tlvs = SLICE("\4\0\0") }, again;

    (void)state;
    clear(sizeof space);
    assert_true(proxy_line_write_v2(&written, &line, true));
    assert_memory_equal(space, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
    assert_int_equal(written.used, 16);
    assert_int_equal(proxy_line_read(gather_get(&written), &again), PROXY_DONE);
    assert_true(again.local);
    line.local = false;
    clear(sizeof space);
    assert_true(proxy_line_write_v2(&written, &line, true));
    assert_memory_equal(space + 12, "\x21\0\0\0", 4);
}

static void the_largest_is_written_and_no_more(void **state)
{
    static char tlvs[PROXY_BODY_MAX];
    struct proxy_line line = line_of(PROXY_TCP4, "192.0.2.1", "198.51.100.2");
    size_t room = PROXY_BODY_MAX - 12;

    (void)state;
    tlvs[0] = PROXY_TLV_NOOP;
    tlvs[1] = (char)((room - 3) >> 8);
    tlvs[2] = (char)(room - 3);
    line.tlvs = slice_of(tlvs, room);
    what_is_written_is_read(&line, false);
    clear(sizeof space);
    assert_false(proxy_line_write_v2(&written, &line, true));
}

static void the_checksum_is_that_of_the_rfc(void **state)
{
    static const char zeros[32];

    (void)state;
    assert_int_equal(proxy_crc32c(SLICE("123456789"), SIZE_MAX), 0xE3069283);
    assert_int_equal(proxy_crc32c(slice_of(zeros, 32), 32), 0x8A9136AA); /* RFC 3720 B.4 */
    assert_int_equal(proxy_crc32c(SLICE("abc1234def"), 3),
                     proxy_crc32c(SLICE("abc\0\0\0\0def"), SIZE_MAX));
}

static void tlvs_are_found_by_type(void **state)
{
    struct slice tlvs = SLICE("\x01\0\2h2\x20\0\x0d\1\0\0\0\7\x21\0\5TLS13\x01\0\1x"), inner;
    uint32_t verify;

    (void)state;
    assert_slice(proxy_tlv_find(tlvs, PROXY_TLV_ALPN), "h2");
    assert_null(proxy_tlv_find(tlvs, PROXY_TLV_NETNS).at);
    assert_true(proxy_tlv_ssl(proxy_tlv_find(tlvs, PROXY_TLV_SSL), &inner, &verify));
    assert_int_equal(verify, 7);
    assert_slice(proxy_tlv_find(inner, PROXY_TLV_SSL_VERSION), "TLS13");
    assert_false(proxy_tlv_ssl(SLICE("\1\0\0\0"), &inner, &verify));
    assert_false(proxy_tlv_ssl(proxy_tlv_find(tlvs, PROXY_TLV_NETNS), &inner, &verify));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_written),
        cmocka_unit_test(version_2_is_written),
        cmocka_unit_test(version_2_without_addresses),
        cmocka_unit_test(the_largest_is_written_and_no_more),
        cmocka_unit_test(the_checksum_is_that_of_the_rfc),
        cmocka_unit_test(tlvs_are_found_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
