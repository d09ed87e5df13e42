/* basic.h - what a client says for basic authentication (RFC 7617), and base64 (RFC 4648). */
#ifndef WIRE_BASIC_H
#define WIRE_BASIC_H

#include "base/slice.h"

enum { BASIC_MAX = 1024 }; /* user, colon and password; longer ones are nobody's */

struct basic_words {
    char text[BASIC_MAX + 1]; /* both slices point into it, each with a NUL behind */
    struct slice user, password;
};

/* Reads the value of Authorization. False: it is of another scheme or malformed, there is no user
 * name, or something is too long or has a NUL byte. */
bool basic_read(struct slice value, struct basic_words *ret) MUST_USE;

/* Decodes base64 (RFC 4648 §4) with or without its padding. Gives how many bytes it became, or -1:
 * malformed, or more than `room`. */
int base64_decode(struct slice text, char *into, size_t room) MUST_USE;

#endif
