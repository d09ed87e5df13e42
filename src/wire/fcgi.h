/* fcgi.h - the records of FastCGI (FastCGI Specification 1.0, §3 and §5), towards a responder.
 *
 *   fcgi_begin(&g, keep);  fcgi_params_open(&p, &g);  fcgi_param(&p, name, value) …
 *   fcgi_params_close(&p);
 *   …each piece of the body behind fcgi_header(FCGI_STDIN, size, into), then an empty one
 *
 *   struct fcgi f = { 0 };
 *   switch (fcgi_feed(&f, at, size, &taken, &piece)) {
 *   case FCGI_MORE: wait
 *   case FCGI_OUT:  piece (borrowed from at) is what the application says
 *   case FCGI_ERR:  … what it writes to its standard error
 *   case FCGI_END:  that was all; f.out_ended, f.protocol_status
 *   case FCGI_BAD:  f.why
 *   }
 *
 * Pure functions. One request at a time is on a connection: its number is 1.
 */
#ifndef WIRE_FCGI_H
#define WIRE_FCGI_H

#include "base/gather.h"

enum fcgi_type {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST,
    FCGI_END_REQUEST,
    FCGI_PARAMS,
    FCGI_STDIN,
    FCGI_STDOUT,
    FCGI_STDERR,
};

enum { FCGI_HEADER_SIZE = 8, FCGI_CONTENT_MAX = 65528 /* a multiple of 8: no padding needed */ };

/* The header of a record with `size` bytes of content (at most FCGI_CONTENT_MAX) and no padding. */
void fcgi_header(enum fcgi_type, size_t size, char into[FCGI_HEADER_SIZE]);

/* A request to a responder begins; keep: the connection stays open behind it. */
void fcgi_begin(struct gather *, bool keep);

/* Name-value pairs, cut into as many records as they need. */
struct fcgi_params {
    struct gather *into;
    size_t at;   /* where the open record's header is             */
    bool failed; /* a pair is too long (its lengths have 31 bits) */
};
void fcgi_params_open(struct fcgi_params *, struct gather *);
void fcgi_param(struct fcgi_params *, struct slice name, struct slice value);
void fcgi_params_close(struct fcgi_params *);

enum fcgi_verdict { FCGI_MORE, FCGI_OUT, FCGI_ERR, FCGI_END, FCGI_BAD };

/* Zero-initialised at first. */
struct fcgi {
    unsigned char head[FCGI_HEADER_SIZE];
    uint8_t head_used, end_used;
    uint8_t type;
    uint32_t content, padding; /* still to come of the record   */
    bool in_record, out_ended, ended;
    unsigned char end[FCGI_HEADER_SIZE]; /* of END_REQUEST */
    uint8_t protocol_status;
    const char *why;
};

enum fcgi_verdict fcgi_feed(struct fcgi *, const char *at, size_t size, size_t *taken,
                            struct slice *piece);

/* `size` bytes at the end of the piece of the last FCGI_OUT were not taken: they come again. */
void fcgi_untake(struct fcgi *, size_t size);

#endif
