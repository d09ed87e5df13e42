/* h2_response.h - a header block of a server's, field by field, becomes the same struct h1_response
 * that HTTP/1 makes (RFC 9113 §8.1, §8.3.2).
 *
 *   struct h2_response b;
 *   h2_response_begin(&b, false, &answer);           answer: h1_response_init() was called
 *   for each decoded field:
 *       if (!h2_response_add(&b, name, value)) …the block is a flood: the connection's error
 *   if (!h2_response_end(&b, ended)) …malformed, too large, or no memory: b.why says it
 *
 * A body without a length is framed as H1_BODY_CLOSE: the stream's end is its end. Trailers become
 * the fields of a struct h1_response of their own. All fields must be given, also behind one that
 * is bad: the decoder's table needs them.
 */
#ifndef WIRE_H2_RESPONSE_H
#define WIRE_H2_RESPONSE_H

#include "wire/h1_response.h"

struct h2_response {
    bool trailers;
    struct h1_response *answer; /* NULL: nobody wants what is said                        */
    uint32_t list_size, lines;
    bool regular;    /* a field without ':' has come: none with it may follow             */
    const char *why; /* NULL: nothing is wrong                                            */
};

/* Borrows the answer, whose limits and arena hold. */
void h2_response_begin(struct h2_response *, bool trailers, struct h1_response *);

/* Copies what it keeps. False: twice what the limits allow has come. */
bool h2_response_add(struct h2_response *, struct slice name, struct slice value) MUST_USE;

/* ended: nothing follows it. */
bool h2_response_end(struct h2_response *, bool ended) MUST_USE;

#endif
