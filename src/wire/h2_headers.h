/* h2_headers.h - a header block of HTTP/2, field by field, becomes the same struct h1_head that
 * HTTP/1 makes (RFC 9113 §8.2, §8.3, RFC 8441).
 *
 *   struct h2_headers b;
 *   h2_headers_begin(&b, H2_REQUEST, &head, &limits, &arena);
 *   for each decoded field:
 *       if (!h2_headers_add(&b, name, value)) …the block is a flood: the connection's error
 *   switch (h2_headers_end(&b, ended, key)) {
 *   case H2_BLOCK_DONE:       run it
 *   case H2_BLOCK_REFUSED:    answer head.status (400, 414, 431, 501)
 *   case H2_BLOCK_MALFORMED:  the stream's error PROTOCOL_ERROR; b.why says what is wrong
 *   }
 *
 * What HTTP/1 refuses in a name, a value, a path or a host is refused here by the same functions.
 * All fields must be given, also behind one that is bad: the decoder's table needs them.
 */
#ifndef WIRE_H2_HEADERS_H
#define WIRE_H2_HEADERS_H

#include "wire/h1_head.h"

enum h2_block_kind { H2_REQUEST, H2_TRAILERS };
enum h2_block_verdict { H2_BLOCK_DONE, H2_BLOCK_REFUSED, H2_BLOCK_MALFORMED };

enum { H2_FIELD_COST = 32 }; /* RFC 9113 §6.5.2: what a field costs besides its bytes */

struct h2_crumb;

struct h2_headers {
    enum h2_block_kind kind;
    struct h1_head *head;
    const struct h1_limits *limits;
    struct slice method, scheme, authority, path, protocol; /* at == NULL: not there */
    uint32_t list_size, lines;
    bool regular;    /* a field without ':' has come: none with it may follow    */
    const char *why; /* malformed; NULL: not                                     */
    struct h2_crumb *crumbs, **crumbs_end;
    uint32_t cookie_at; /* its place in head->fields */
    size_t cookie_size;
    struct slice priority; /* RFC 9218's field; at == NULL: none */
};

/* Borrows head, limits and arena. Initialises the head of a REQUEST; TRAILERS need neither head nor
 * arena (NULL). */
void h2_headers_begin(struct h2_headers *, enum h2_block_kind, struct h1_head *,
                      const struct h1_limits *, struct arena *);

/* Copies what it keeps. False: twice what the limits allow has come. */
bool h2_headers_add(struct h2_headers *, struct slice name, struct slice value) MUST_USE;

/* ended: no body follows. key: 24 bytes that outlive the head, for a Sec-WebSocket-Key when an
 * extended CONNECT becomes an Upgrade. */
enum h2_block_verdict h2_headers_end(struct h2_headers *, bool ended, struct slice key) MUST_USE;

/* What is wrong with a field that is no pseudo-field, of requests and answers alike; NULL: nothing,
 * and *ret_classes is those of its name's bytes (token.h). */
const char *h2_field_wrong(enum field_id, struct slice name, struct slice value,
                           unsigned *ret_classes);

#endif
