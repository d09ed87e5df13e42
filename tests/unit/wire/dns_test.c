/* dns_test.c - questions written, answers read, lies found out. */
#include "unit/base/base_test.h"

#include "wire/dns.h"

enum { ROOM = 2048 };

/* An answer, put together byte by byte. */
struct built {
    uint8_t bytes[ROOM];
    size_t size;
};

static void put(struct built *b, const void *bytes, size_t size)
{
    assert_true(size <= sizeof b->bytes - b->size);
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

#define PUT(b, text) put(b, text, sizeof(text) - 1)

/* Header and question "a.test", type A: the name is at 12. */
static void begin(struct built *b, unsigned answers)
{
    uint8_t count[2] = { 0, (uint8_t)answers };

    b->size = 0;
    PUT(b, "\x12\x34\x81\x80\0\1");
    put(b, count, sizeof count);
    PUT(b, "\0\0\0\0\1a\4test\0\0\1\0\1");
}

static bool open_built(struct dns_message *m, const struct built *b)
{
    return dns_open(m, b->bytes, b->size);
}

static void a_query_is_written(void **state)
{
    static const char expected[] = "\x12\x34\1\0\0\1\0\0\0\0\0\1\1a\4test\0\0\1\0\1"
                                   "\0\0\x29\4\xd0\0\0\0\0\0\0";
    uint8_t room[DNS_QUERY_MAX];

    (void)state;
    assert_int_equal(dns_write_query(room, 0x1234, SLICE("a.test."), DNS_A, true),
                     sizeof expected - 1);
    assert_memory_equal(room, expected, sizeof expected - 1);
    assert_int_equal(dns_write_query(room, 0x1234, SLICE("a.test"), DNS_A, false),
                     sizeof expected - 1 - 11);
    assert_int_equal(room[11], 0);
}

static void what_is_no_name_is_refused(void **state)
{
    uint8_t room[DNS_QUERY_MAX];
    char long_label[65], long_name[256];

    (void)state;
    memset(long_label, 'a', sizeof long_label);
    memset(long_name, 'a', sizeof long_name);
    for (size_t i = 50; i < sizeof long_name; i += 51)
        long_name[i] = '.';
    assert_int_equal(dns_write_query(room, 1, SLICE(""), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, SLICE("."), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, SLICE("a..b"), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, SLICE(".a"), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, SLICE("a.."), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, slice_of(long_label, 64), DNS_A, true), 0);
    assert_int_not_equal(dns_write_query(room, 1, slice_of(long_label, 63), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, slice_of(long_name, 254), DNS_A, true), 0);
    assert_int_equal(dns_write_query(room, 1, slice_of(long_name, 253), DNS_AAAA, true),
                     12 + 255 + 4 + 11);
}

static void records_are_read(void **state)
{
    struct dns_message m;
    struct dns_record r;
    struct built b;

    (void)state;
    begin(&b, 4);
    PUT(&b, "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1B\xc0\x0e"); /* CNAME b.test         */
    PUT(&b, "\1b\xc0\x0e\0\1\0\1\0\1\0\0\0\4\x0a\0\0\1"); /* A 10.0.0.1           */
    PUT(&b, "\xc0\x0c\0\x1c\0\1\0\0\0\1\0\x10"            /* AAAA ::1             */
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
    PUT(&b, "\xc0\x0c\0\x21\0\1\0\0\0\1\0\x0b\0\1\0\2\x1f\x90\2s1\xc0\x0e"); /* SRV            */
    assert_true(open_built(&m, &b));
    assert_int_equal(m.id, 0x1234);
    assert_true(dns_answers(&m, SLICE("A.Test"), DNS_A));
    assert_true(dns_answers(&m, SLICE("a.test."), DNS_A));
    assert_false(dns_answers(&m, SLICE("a.test"), DNS_AAAA));
    assert_false(dns_answers(&m, SLICE("b.test"), DNS_A));
    assert_true(dns_next(&m, &r));
    assert_int_equal(r.type, DNS_CNAME);
    assert_int_equal(r.ttl_s, 60);
    assert_true(slice_eq(dns_name_text(&r.target), SLICE("b.test")));
    assert_true(dns_next(&m, &r));
    assert_true(slice_eq(dns_name_text(&r.name), SLICE("b.test")));
    assert_int_equal(r.ttl_s, 65536);
    assert_memory_equal(r.ip, "\x0a\0\0\1", 4);
    assert_true(dns_next(&m, &r));
    assert_int_equal(r.type, DNS_AAAA);
    assert_int_equal(r.ip[15], 1);
    assert_true(dns_next(&m, &r));
    assert_int_equal(r.type, DNS_SRV);
    assert_int_equal(r.priority, 1);
    assert_int_equal(r.weight, 2);
    assert_int_equal(r.port, 8080);
    assert_true(slice_eq(dns_name_text(&r.target), SLICE("s1.test")));
    assert_false(dns_next(&m, &r));
    assert_false(m.broken);
}

/* Cut anywhere, it is broken or has fewer records, and nothing is read beyond its end. */
static void a_cut_message_is_broken(void **state)
{
    struct dns_message m;
    struct dns_record r;
    struct built b;

    (void)state;
    begin(&b, 1);
    PUT(&b, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1");
    for (size_t size = 0; size < b.size; size++) {
        uint8_t *exact = malloc(size + 1);

        memcpy(exact, b.bytes, size);
        if (dns_open(&m, exact, size)) {
            assert_false(dns_next(&m, &r));
            assert_true(m.broken);
        }
        free(exact);
    }
}

static void lies_are_found_out(void **state)
{
    static const struct {
        const char *record;
        size_t size;
    } lies[] = {
#define LIE(text) { text, sizeof(text) - 1 }
        LIE("\xc0\x1e\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),     /* a pointer to itself      */
        LIE("\xc0\xff\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),     /* … forward                */
        LIE("\xc0\x0c\0\1\0\1\0\0\0\1\0\3\1\2\3"),       /* an address of three      */
        LIE("\xc0\x0c\0\1\0\1\0\0\0\1\0\x10\1\2\3\4"),   /* more than there is       */
        LIE("\xc0\x0c\0\x21\0\1\0\0\0\1\0\4\1\2\3\4"),   /* a service without a name */
        LIE("\xc0\x0c\0\5\0\1\0\0\0\1\0\4\xc0\x0c\0\0"), /* bytes behind the name    */
        LIE("\3a.b\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),      /* a dot in a label         */
        LIE("\3a\0b\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),     /* a NUL in it              */
        LIE("\x80\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),       /* a label of no kind       */
#undef LIE
    };
    struct dns_message m;
    struct dns_record r;
    struct built b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        begin(&b, 1);
        put(&b, lies[i].record, lies[i].size);
        assert_true(open_built(&m, &b));
        assert_false(dns_next(&m, &r));
        assert_true(m.broken);
    }
}

/* Each name points at the one before: 130 pointers are too many. */
static void a_chain_of_pointers_ends(void **state)
{
    struct dns_message m;
    struct dns_record r;
    struct built b;
    unsigned jumps;

    (void)state;
    for (unsigned length = 100; length <= 160; length += 60) {
        begin(&b, 2);
        PUT(&b, "\xc0\x0c\0\x10\0\1\0\0\0\1\2\x58"); /* TXT of 600 bytes: the chain is in it */
        size_t first = b.size;

        for (jumps = 0; jumps < 300; jumps++) {
            size_t to = jumps == 0 ? 12 : first + 2 * (jumps - 1);
            uint8_t pointer[2] = { (uint8_t)(0xc0 | to >> 8), (uint8_t)to };

            put(&b, pointer, 2);
        }
        size_t last = first + 2 * (length - 1);
        uint8_t pointer[2] = { (uint8_t)(0xc0 | last >> 8), (uint8_t)last };

        put(&b, pointer, 2);
        PUT(&b, "\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
        assert_true(open_built(&m, &b));
        assert_true(dns_next(&m, &r));
        assert_int_equal(dns_next(&m, &r), length == 100);
        assert_int_equal(m.broken, length != 100);
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    struct dns_message m;
    struct built b;

    (void)state;
    begin(&b, 0);
    b.bytes[2] = 0; /* a query */
    assert_true(open_built(&m, &b));
    assert_false(dns_answers(&m, SLICE("a.test"), DNS_A));
    begin(&b, 0);
    b.bytes[5] = 2; /* two questions */
    assert_false(open_built(&m, &b));
    begin(&b, 0);
    b.bytes[2] |= 0x28; /* an update */
    assert_false(open_built(&m, &b));
    begin(&b, 0);
    b.bytes[2] |= 2;
    b.bytes[3] |= 3;
    assert_true(open_built(&m, &b));
    assert_true(m.truncated);
    assert_int_equal(m.rcode, DNS_NO_SUCH_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_written),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(records_are_read),
        cmocka_unit_test(a_cut_message_is_broken),
        cmocka_unit_test(lies_are_found_out),
        cmocka_unit_test(a_chain_of_pointers_ends),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
