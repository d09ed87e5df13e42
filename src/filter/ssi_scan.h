/* ssi_scan.h - finds "<!--# … -->" in a stream of bytes, and takes commands apart. No memory of its
 * own, no I/O.
 *
 *   for (;;) switch (ssi_scan(s, &in, &text)) {
 *   case SSI_TEXT:     text is to be passed on
 *   case SSI_COMMAND:  ssi_parse(s, &command)
 *   case SSI_BROKEN:   a command too long; what follows it is text again
 *   case SSI_MORE:     in is empty
 *   }
 */
#ifndef FILTER_SSI_SCAN_H
#define FILTER_SSI_SCAN_H

#include "base/slice.h"

enum { SSI_COMMAND_MAX = 8 * 1024, SSI_PARAMS_MAX = 16 };

enum ssi_found { SSI_MORE, SSI_TEXT, SSI_COMMAND, SSI_BROKEN };

struct ssi_scan {
    unsigned matched; /* bytes of "<!--#" seen and held back                        */
    unsigned dashes;  /* at the end of the command so far                           */
    bool inside;      /* a command                                                  */
    bool too_long;    /* … of which the rest is thrown away                         */
    bool escaped;
    char quote; /* inside '…' or "…"                                          */
    size_t used;
    char command[SSI_COMMAND_MAX];
};

struct ssi_param {
    struct slice name, value;
};

struct ssi_command {
    struct slice name;
    unsigned count;
    struct ssi_param params[SSI_PARAMS_MAX];
};

/* A zeroed struct is ready. Takes bytes off *in; *ret is lent by *in, or constant. */
enum ssi_found ssi_scan(struct ssi_scan *, struct slice *in, struct slice *ret);

/* What is held back at the end of the stream: text (size 0: none). *ret_unclosed: the stream ends
 * inside a command. */
struct slice ssi_scan_end(struct ssi_scan *, bool *ret_unclosed);

/* After SSI_COMMAND, before the next scan: name and parameters, in lower case but for the values,
 * in which a quote that was escaped has lost its backslash. Borrows and changes the scan's text.
 * False: it is no command. */
bool ssi_parse(struct ssi_scan *, struct ssi_command *ret);

/* The parameter's value, or at == NULL. */
struct slice ssi_param(const struct ssi_command *, const char *name);

#endif
