/* fuzz_dns.c - any bytes as a DNS message: each record lies within it, and as many are read as it
 * says at most; any text as a name: a query that is written is read again.
 */
#include "wire/dns.h"

static void read_as_message(const uint8_t *bytes, size_t size)
{
    struct dns_message m;
    struct dns_record r;
    unsigned promised, given = 0;

    if (!dns_open(&m, bytes, size))
        return;
    promised = m.answers;
    while (dns_next(&m, &r)) {
        given++;
        CHECK(m.at <= size && r.name.size <= DNS_NAME_MAX && r.target.size <= DNS_NAME_MAX);
    }
    CHECK(given <= promised);
}

static void write_as_name(struct slice text)
{
    uint8_t query[DNS_QUERY_MAX];
    struct dns_message m;
    size_t size = dns_write_query(query, 7, text, DNS_AAAA, true);

    CHECK(size <= sizeof query);
    if (size == 0 || memchr(text.at, '\0', text.size) != NULL)
        return;
    query[2] |= 0x80;
    CHECK(dns_open(&m, query, size) && m.id == 7 && dns_answers(&m, text, DNS_AAAA));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    read_as_message(bytes, size);
    write_as_name(slice_of((const char *)bytes, size));
    return 0;
}
