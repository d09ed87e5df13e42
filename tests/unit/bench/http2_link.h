/* http2_link.h - a connection of the load generator's HTTP/2 in a test: what a server says to it,
 * what it makes of that, and what it sends. One at a time. */
#ifndef UNIT_BENCH_HTTP2_LINK_H
#define UNIT_BENCH_HTTP2_LINK_H

#include "unit/base/base_test.h"

#include "bench/http2.h"

enum { DEPTH = 4, SECOND = 1000000000 };

#define SAY(type, flags, stream, literal) say(type, flags, stream, literal, sizeof(literal) - 1)
#define SETTINGS_EMPTY SAY(H2_SETTINGS, 0, 0, "")
#define STATUS_200 "\x88"
#define LENGTH_2 "\x0f\x0d\x01\x32"

/* A frame, behind all that was said and not heard yet. */
void say(enum h2_type, unsigned flags, uint32_t stream, const char *payload, size_t size);
void say_number(enum h2_type, uint32_t stream, uint32_t number);
void say_setting(enum h2_setting, uint32_t value);
void say_goaway(uint32_t last, enum h2_error);
/* Any bytes. */
void say_bytes(const char *at, size_t size);
/* All was heard: room for more. */
void say_anew(void);

/* begin() with a body for requests ("": none); asked() goes on past SETTINGS, with so many requests
 * in flight. end() gives it back. */
extern struct bench_plan plan;
struct http2 *begin(const char *payload);
struct http2 *asked(const char *payload, unsigned count);
void end(struct http2 *);

/* What comes of all that was said, up to the next verdict; `step` bytes at a time. */
extern struct bench_answer answer;
enum bench_read hear_by(struct http2 *, size_t step);
enum bench_read hear(struct http2 *);

/* The next frame of what it sends, cut off *bytes; and what it should be. */
struct h2_frame next_frame(struct slice *bytes, struct slice *payload);
void sends(struct slice *bytes, enum h2_type, unsigned flags, uint32_t stream, size_t size);

#endif
