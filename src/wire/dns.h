/* dns.h - questions to a name server and its answers (RFC 1035 §4, RFC 2782, RFC 3596, RFC 6891).
 *
 *   size = dns_write_query(room, id, SLICE("backend.test"), DNS_A, true);     0: no name of a host
 *
 *   struct dns_message m;
 *   if (dns_open(&m, bytes, size) && m.id == id && dns_answers(&m, name, DNS_A))
 *       while (dns_next(&m, &record)) …                     m.broken: it was cut or lies
 *
 * Pure functions. Names are text: labels with dots between, no dot at the end, in lower case. A
 * pointer in a name leads backwards only, and a name follows few of them: any message is read in
 * time that is linear in its size for each of its records.
 */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H

#include "base/slice.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_SRV = 33 };

enum dns_rcode {
    DNS_OK = 0,
    DNS_FORMAT_ERROR = 1,
    DNS_SERVER_FAILURE = 2,
    DNS_NO_SUCH_NAME = 3,
    DNS_NOT_IMPLEMENTED = 4,
    DNS_REFUSED = 5,
};

enum {
    DNS_NAME_MAX = 253,      /* bytes of a name as text                                  */
    DNS_QUERY_MAX = 300,     /* bytes of a query                                         */
    DNS_UDP_MAX = 1232,      /* bytes of an answer that a query says it has room for     */
    DNS_MESSAGE_MAX = 65535, /* … over TCP                                               */
    DNS_JUMPS_MAX = 128,     /* pointers in one name                                     */
};

struct dns_name {
    uint8_t size;
    char text[DNS_NAME_MAX];
};

struct dns_message {
    const uint8_t *bytes;
    size_t size, at;
    uint16_t id, questions, answers; /* answers: records that dns_next() has not given yet   */
    uint8_t rcode;
    bool response, truncated, broken;
    struct dns_name question;
    uint16_t question_type;
};

/* A record of class IN. What a kind does not have is zero. */
struct dns_record {
    struct dns_name name;
    uint16_t type; /* enum dns_type or another */
    uint32_t ttl_s;
    uint8_t ip[16];                  /* A: the first four bytes; AAAA            */
    struct dns_name target;          /* CNAME, SRV                               */
    uint16_t priority, weight, port; /* SRV                                      */
};

/* One question for `name`, with recursion; room: says that answers may have DNS_UDP_MAX bytes (some
 * old servers do not understand that). The size of what was written; 0: it is no name: an empty
 * label, one of more than 63 bytes, too long in all. */
size_t dns_write_query(uint8_t into[DNS_QUERY_MAX], uint16_t id, struct slice name,
                       enum dns_type type, bool room) MUST_USE;

/* Reads header and question. Borrows the bytes. False: it is no message with one question. */
bool dns_open(struct dns_message *, const uint8_t *bytes, size_t size) MUST_USE;

/* It is a response to that question: the name is compared without regard to case. */
bool dns_answers(const struct dns_message *, struct slice name, enum dns_type) MUST_USE;

/* The next record of the answer section. False: there is none; or m->broken. */
bool dns_next(struct dns_message *, struct dns_record *) MUST_USE;

static inline struct slice dns_name_text(const struct dns_name *n)
{
    return slice_of(n->text, n->size);
}

#endif
