/* cert.h - `weir cert`: the certificates of a configuration, of a file, and of the local authority.
 *
 *   weir cert list -c FILE [--json]     each certificate, and when it ends
 *   weir cert show FILE                 what a file says
 *   weir cert make NAME...              one from the local authority
 *   weir cert trust                     how to trust that
 */
#ifndef TOOL_CERT_H
#define TOOL_CERT_H

#include "conf/load.h"

enum { CERT_GOOD = 0, CERT_FINDINGS = 1, CERT_WORDS = 2 };

/* Files are read through the source. argv[0] is "cert". Returns the exit status: 0, 1 (one has
 * expired, cannot be read or made) or 2 (the configuration or the command line is broken). */
int tool_cert(const struct registry *, struct conf_source *, int argc, char **argv);

/* cert_list.c; path: NULL: the installed configuration. */
int cert_list(const struct registry *, struct conf_source *, const char *path, bool json);

#endif
