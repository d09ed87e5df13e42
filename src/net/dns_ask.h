/* dns_ask.h - one question to name servers, until one of them answers it.
 *
 *   struct dns_ask a = { .io = io, .servers = addrs, .server_count = 2, .name = name,
 *                        .type = DNS_A, .timeout_ms = 30000, .done = on_answer };
 *   dns_ask_begin(&a);        …on_answer(&a): a.outcome, a.message
 *   dns_ask_cancel(&a);       …done() as well, with DNS_ASK_CANCELLED
 *
 * Over UDP, from a socket of its own for each try: so its port is as random as its id (RFC 5452
 * §9). What does not fit is asked for over TCP (RFC 7766). A server that fails or is silent makes
 * room for the next; each round is more patient than the one before.
 */
#ifndef NET_DNS_ASK_H
#define NET_DNS_ASK_H

#include "io/io.h"
#include "net/addr.h"
#include "wire/dns.h"

enum { DNS_SERVERS_MAX = 8, DNS_FIRST_WAIT_MS = 1000, DNS_LAST_WAIT_MS = 8000 };

enum dns_outcome {
    DNS_ASK_ANSWERED,  /* message: DNS_OK or DNS_NO_SUCH_NAME                    */
    DNS_ASK_FAILED,    /* every server refused, failed or could not be reached   */
    DNS_ASK_LATE,      /* nobody answered in time                                */
    DNS_ASK_BAD_NAME,  /* the name cannot be asked for                           */
    DNS_ASK_NO_MEMORY, /* … or no descriptor                                     */
    DNS_ASK_CANCELLED,
};

/* What is said in the first part stays as it is until done(). */
struct dns_ask {
    struct io *io;
    const struct addr *servers;
    unsigned server_count; /* 1 to DNS_SERVERS_MAX; the first to be asked is `first`          */
    unsigned first;
    struct slice name;
    enum dns_type type;
    int64_t timeout_ms;
    void (*done)(struct dns_ask *); /* may free it */

    enum dns_outcome outcome;
    struct dns_message message; /* of DNS_ASK_ANSWERED, until done() returns                */
    uint8_t rcode;              /* of the last server that failed                           */

    /* Its own: */
    struct io_op rx, tx, end;
    struct io_timer timer;
    struct io_dgram peer;
    struct iovec iov;
    uint64_t until_ns;
    unsigned tries, failures, next;
    int fd;
    uint16_t id;
    bool tcp, plain, closing, over;
    uint8_t query[2 + DNS_QUERY_MAX]; /* behind its size, which only TCP sends */
    uint8_t *reply;                   /* block_alloc(): what came              */
    size_t reply_size, reply_room;
};

/* Nothing is told from inside the call. */
void dns_ask_begin(struct dns_ask *);
void dns_ask_cancel(struct dns_ask *);

#endif
