/* h1_head.h - reads an HTTP/1 request head, however it is cut up (RFC 9112 §2-5).
 *
 *   struct h1_head h;
 *   h1_head_init(&h, &limits, arena);
 *   switch (h1_head_feed(&h, bytes, size, &taken)) {
 *   case H1_MORE: …wait for bytes
 *   case H1_DONE: h.method, h.target, h.fields[0..h.field_count) are there
 *   case H1_BAD:  answer h.status (400, 414, 431, 505, 501) and close
 *   }
 *
 * A pure function of its bytes: no I/O, no clock. Each byte is looked at a bounded number of
 * times. The head's bytes are copied into the arena, so the receive buffer can be released at
 * once; all slices point there and live as long as the arena. Bad bytes are refused as soon as
 * they arrive, not at the end of the line.
 *
 * Strict: CRLF line ends (LF alone only with allow_bare_lf), no bare CR, no obs-fold, no space
 * before the colon, field names are tokens, values have no control byte but HTAB. What a field
 * says about framing and routing is judged here and nowhere else: Host, Content-Length,
 * Transfer-Encoding, Connection, Expect (RFC 9112 §6, RFC 9110 §7.2, §7.6.1, §10.1.1).
 */
#ifndef WIRE_H1_HEAD_H
#define WIRE_H1_HEAD_H

#include "base/arena.h"
#include "wire/field.h"
#include "wire/method.h"

enum h1_verdict { H1_MORE, H1_DONE, H1_BAD };

struct h1_limits {
    uint32_t line_max;   /* longest request line or field line (large buffer size)   */
    uint32_t head_max;   /* the whole head (buffers × size)                           */
    uint32_t fields_max; /* max_headers                                               */
    bool allow_bare_lf;
    bool underscores;    /* underscores_in_headers on: keep such fields               */
    bool ignore_invalid; /* ignore_invalid_headers: drops names that are tokens but not
                                 * [A-Za-z0-9-] (and _); other names are always refused      */
    uint32_t first_size; /* client_header_buffer_size: the first allocation           */
};

struct h1_head {
    /* what was found */
    enum http_method method;
    struct slice method_text;
    struct slice target;    /* as it came: origin, absolute, authority or asterisk form */
    struct slice authority; /* of an absolute-form or authority-form target, else the
                                     * Host field's value, else empty; validated; as it came   */
    struct slice host;      /* its host, as it came, without the port                   */
    uint16_t host_port;     /* its port; 0: none                                        */
    struct slice path;      /* from the first '/' (or "*"), raw, without '?', args     */
    struct slice args;      /* behind the first '?', raw; at == NULL: no '?'           */
    struct slice scheme;    /* of an absolute-form, lower case; else empty             */
    uint8_t version_minor;  /* 0 or 1 (a larger minor counts as 1)                     */
    struct field *fields;   /* in order; dropped ones left out                         */
    uint32_t field_count;
    struct field *known[FIELD_COUNT]; /* the first field of each known name, or NULL            */
    bool chunked;                     /* Transfer-Encoding: chunked                              */
    bool has_length;                  /* Content-Length was there                                */
    uint64_t length;                  /* its value                                               */
    bool keep_alive;                  /* by version and Connection                               */
    bool expect_continue;             /* Expect: 100-continue on a 1.1 request                   */
    bool upgrade;                     /* Connection names Upgrade                                */
    struct slice line;                /* the request line, for logs; valid as soon as it is whole */

    /* when H1_BAD; `line` then has as much of the request line as was read */
    uint16_t status;
    const char *why; /* static text for the log: "space before the colon"       */

    /* the parser's own */
    uint8_t state;
    uint8_t empty_lines;
    uint8_t name_seen;      /* classes of bytes in the name being read (token.h)       */
    enum field_id field_id; /* what it means                                           */
    bool line_seen;         /* any byte of a request line has come                     */
    uint32_t used, size;    /* of bytes: filled, room                                  */
    uint32_t at;            /* all before was looked at                                */
    uint32_t line_at;       /* where the current line begins                           */
    uint32_t line_room;     /* the most it may have, with its end                      */
    uint32_t before;        /* bytes of the head before it                             */
    uint32_t mark;          /* from line_at: end of the method or of the field's name  */
    uint32_t args_mark;     /* from line_at: behind the first '?' of the target, or 0  */
    uint32_t target_end;    /* from line_at                                            */
    uint32_t field_room, field_lines;
    char *bytes;
    struct arena *arena;
    const struct h1_limits *limits;
};

/* Borrows limits and arena. */
void h1_head_init(struct h1_head *, const struct h1_limits *, struct arena *);

/* Takes bytes up to the end of the head; *taken says how many. H1_BAD with status 500 when the
 * arena is exhausted. */
enum h1_verdict h1_head_feed(struct h1_head *, const char *bytes, size_t size, size_t *taken);

#endif
