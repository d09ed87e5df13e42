/* slow_head.h - a second reader of request heads, written from the ABNF of RFC 9112 and RFC 9110
 * one byte at a time, to compare the fast one with. Slow, simple, and of other making: it shares
 * no code with src/wire.
 *
 * Fills in what h1_head.h promises to its users (not the parser's own part, and not `why`).
 */
#ifndef UNIT_WIRE_SLOW_HEAD_H
#define UNIT_WIRE_SLOW_HEAD_H

#include "wire/h1_head.h"

/* Borrows bytes: slices in *ret point there. Fields are allocated from the arena. */
enum h1_verdict slow_head(const char *bytes, size_t size, const struct h1_limits *limits,
                          struct arena *arena, struct h1_head *ret, size_t *taken);

#endif
