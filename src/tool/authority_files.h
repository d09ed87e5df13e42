/* authority_files.h - where the local authority lives, and its files in PEM. */
#ifndef TOOL_AUTHORITY_FILES_H
#define TOOL_AUTHORITY_FILES_H

#include "tool/authority.h"

/* $XDG_DATA_HOME/weir or ~/.local/share/weir; made if it is not there. */
bool authority_place(char *dir, size_t size, char why[AUTHORITY_WHY]);
/* Two programs do not make one at the same time: a descriptor that holds the lock, or -1. */
int authority_lock(const char *dir, char why[AUTHORITY_WHY]);

/* A file is there whole, or not at all. A key can be read by its owner alone; one that others could
 * have read is refused. */
bool write_key(const char *path, EVP_PKEY *, char why[AUTHORITY_WHY]);
bool write_certificate(const char *path, X509 *, char why[AUTHORITY_WHY]);
bool read_key(const char *path, EVP_PKEY **ret, char why[AUTHORITY_WHY]);
bool read_certificate(const char *path, X509 **ret, char why[AUTHORITY_WHY]);

#endif
