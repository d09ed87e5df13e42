/* h1_response.h - reads an HTTP/1 response, however it is cut up (RFC 9112 §2, §4, §5, §6).
 *
 *   struct h1_response r;
 *   h1_response_init(&r, &limits, arena, method);
 *   switch (h1_response_feed(&r, bytes, size, &taken)) {
 *   case H1_MORE: …wait for bytes
 *   case H1_DONE: r.status, r.fields[0..r.field_count), r.body are there
 *   case H1_BAD:  r.why says why: the connection is of no use any more
 *   }
 *   if (r.interim) …a 1xx: init again, the real response follows
 *
 *   while (h1_response_body(&r, bytes, size, &taken, &piece) == H1_MORE) …use piece, go on
 *   at the end of the stream: h1_response_end(&r)
 *
 * A pure function of its bytes. The head's bytes are copied into the arena; all slices live as
 * long as that. Strict, because what a proxy passes on is read by somebody else too: CRLF line
 * ends, no folded field, no blank before the colon, one Content-Length of digits or one
 * Transfer-Encoding "chunked", never both; neither a coding in HTTP/1.0 nor one with 1xx or 204.
 * The blank behind the status may be missing with the reason, as many servers have it.
 */
#ifndef WIRE_H1_RESPONSE_H
#define WIRE_H1_RESPONSE_H

#include "wire/chunked.h"
#include "wire/h1_head.h"

/* How the end of the body is found (RFC 9112 §6.3). */
enum h1_framing {
    H1_BODY_NONE,    /* 1xx, 204, 304, the answer to HEAD            */
    H1_BODY_LENGTH,  /* Content-Length                                */
    H1_BODY_CHUNKED, /* Transfer-Encoding: chunked                    */
    H1_BODY_CLOSE,   /* up to the end of the stream                   */
    H1_BODY_TUNNEL,  /* 101, 2xx to CONNECT: no HTTP follows          */
};

struct h1_response {
    /* what was found */
    uint16_t status;       /* 100 to 999                                    */
    uint8_t version_minor; /* 0 or 1 (a larger minor counts as 1)           */
    bool interim;          /* 1xx but 101: another response follows         */
    bool keep_alive;       /* may the connection be used again              */
    struct slice reason;   /* may be empty                                  */
    struct field *fields;  /* in order                                      */
    uint32_t field_count;
    struct field *known[FIELD_COUNT]; /* the first of each known name, or NULL         */
    enum h1_framing body;
    bool has_length;
    uint64_t length; /* of Content-Length; also when there is no body */

    const char *why; /* when H1_BAD: static text for the log          */

    /* the parser's own */
    uint8_t state;
    enum http_method method;
    uint32_t field_room;
    char *bytes;
    uint32_t used, size; /* of bytes: filled, room                        */
    uint32_t at;         /* all before was looked at                      */
    uint32_t line_at;    /* where the current line begins                 */
    uint32_t before;     /* bytes of the head before it                   */
    uint64_t left;       /* of a body with a length                       */
    struct chunked chunked;
    struct arena *arena;
    const struct h1_limits *limits;
};

/* Borrows limits (line_max, head_max, fields_max, first_size are looked at) and arena; method is
 * that of the request which is answered. */
void h1_response_init(struct h1_response *, const struct h1_limits *, struct arena *,
                      enum http_method method);

/* Takes bytes up to the end of the head; *taken says how many. H1_BAD also when the arena is
 * exhausted or a limit reached. */
enum h1_verdict h1_response_feed(struct h1_response *, const char *bytes, size_t size,
                                 size_t *taken);

/* Call behind H1_DONE, also with size 0: takes bytes of the body. H1_MORE: *piece (borrowed from
 * bytes, may be empty) is content, go on behind *taken, or wait when all was taken. H1_DONE: the
 * body ended behind *taken; *piece may still have its last bytes. H1_BAD: broken chunks. */
enum h1_verdict h1_response_body(struct h1_response *, const char *bytes, size_t size,
                                 size_t *taken, struct slice *piece);

/* For a head that comes otherwise (h2_response.h). A field behind the others, whose slices live as
 * long as the arena; then, when all are there, what they mean. False: why says it. */
bool h1_response_add(struct h1_response *, enum field_id, struct slice name,
                     struct slice value) MUST_USE;
bool h1_response_judge(struct h1_response *) MUST_USE;

/* The peer finished sending: H1_DONE if the response is whole by that, else H1_BAD. */
enum h1_verdict h1_response_end(struct h1_response *);

#endif
