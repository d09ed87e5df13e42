/* recode.h - text from one character set into another, through a table of up to 256 characters.
 *
 *   struct recode_map *m = …;                       zeroed; of a charset_map
 *   recode_map_add(m, 0x80, SLICE("\xe2\x82\xac"));  …
 *   recode_map_done(m);
 *   transform_wrap(r, &recode_ops, recode_create(&r->arena, m, false));
 *
 * The first set of a map has one byte a character; the second too, or is UTF-8 (RFC 3629). Bytes
 * below 0x80 stand for themselves in both, unless the map says otherwise.
 */
#ifndef FILTER_RECODE_H
#define FILTER_RECODE_H

#include "base/arena.h"
#include "filter/transform.h"

enum { RECODE_BYTES_MAX = 4 };

struct recode_char {
    uint8_t size; /* 0: the map does not have it */
    char bytes[RECODE_BYTES_MAX];
};

struct recode_map {
    struct slice from, to;
    bool utf8; /* `to` is UTF-8                                  */
    struct recode_char to_of[256];
    struct recode_char from_of[256]; /* by byte of `to`, if that is no UTF-8       */
    struct {
        uint32_t point;
        uint8_t byte;
    } points[256]; /* by code point, if it is: sorted by recode_map_done() */
    unsigned count;
};

/* A character: a byte of `from`, and what it is in `to`: one byte, or one UTF-8 sequence. False:
 * it is not. A character said twice is what was said last. */
bool recode_map_add(struct recode_map *, unsigned char byte, struct slice to) MUST_USE;
void recode_map_done(struct recode_map *);

/* One UTF-8 sequence at the beginning of s: its size and *ret_point; 0: s ends within one; -1:
 * there is none (overlong and surrogates included). */
int utf8_read(struct slice s, uint32_t *ret_point);

/* backwards: from m->to to m->from. What the other set does not have becomes "?", or, coming from
 * UTF-8, "&#1234;"; broken UTF-8 becomes "?". NULL: no memory. */
struct recoder;
struct recoder *recode_create(struct arena *, const struct recode_map *, bool backwards) MUST_USE;

extern const struct transform_ops recode_ops;

extern const struct feature feature_charset;
void filter_charset(struct request *);
bool charset_idle(const struct scope *);

#endif
