/* json.h - writes JSON into gathered text, in one pass, without a tree.
 *
 *   struct json j;
 *   json_init(&j, &g);
 *   json_open(&j, NULL, '{');
 *   json_text(&j, "name", SLICE("one"));          "name":"one"
 *   json_open(&j, "list", '[');
 *   json_u64(&j, NULL, 7);                        inside a list: no name
 *   json_shut(&j);
 *   json_shut(&j);
 *
 * With fields and a depth, members of objects at that depth are left out unless their names are
 * among the fields ("a,b"): with all that is inside them.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/gather.h"

enum { JSON_DEPTH_MAX = 16 };

struct json {
    struct gather *out;
    unsigned depth;
    char ends[JSON_DEPTH_MAX];
    bool comma;               /* something stands before                                   */
    unsigned skipped;         /* depth inside of something that is left out; 0: nothing is */
    const struct slice *only; /* NULL: all members                                         */
    unsigned only_at;
};

void json_init(struct json *, struct gather *);

void json_open(struct json *, const char *name, char bracket); /* '{' or '[' */
void json_shut(struct json *);
/* An object or list whose name is not known in advance. */
void json_open_named(struct json *, struct slice name, char bracket);

void json_text(struct json *, const char *name, struct slice);
void json_u64(struct json *, const char *name, uint64_t);
void json_i64(struct json *, const char *name, int64_t);
void json_bool(struct json *, const char *name, bool);
/* 2026-01-02T03:04:05.678Z, of nanoseconds since 1970. */
void json_time(struct json *, const char *name, int64_t wall_ns);

#endif
