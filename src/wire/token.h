/* token.h - which bytes may stand in a token (RFC 9110 §5.6.2), and which of them weir treats
 * with suspicion in field names. One table for every grammar that has tokens. */
#ifndef WIRE_TOKEN_H
#define WIRE_TOKEN_H

#include <stdbool.h>

enum {
    TOKEN_PLAIN = 1,      /* letter, digit, '-'             */
    TOKEN_UNDERSCORE = 2, /* '_': reads as '-' in CGI names */
    TOKEN_ODD = 4,        /* any other tchar                */
};

/* One of the above, or 0: no tchar. */
extern const unsigned char TOKEN_CLASS[256];

static inline unsigned token_class(char c)
{
    return TOKEN_CLASS[(unsigned char)c];
}

#endif
