/* password.h - files of user names and hashed passwords, and whether a password fits a hash. For
 * helper threads: a file may be on a slow disk, and hashes are slow on purpose.
 *
 *      if (password_find(path, user, hash, &line) == 1 && password_fits(hash, password)) ...
 */
#ifndef HANDLER_PASSWORD_H
#define HANDLER_PASSWORD_H

#include "base/slice.h"

enum { PASSWORD_LINE_MAX = 4096, PASSWORD_HASH_MAX = 512 };

/* By the hash's first bytes. */
enum password_kind {
    PASSWORD_UNKNOWN, /* nobody can check it: nothing fits              */
    PASSWORD_PLAIN,   /* {PLAIN}the password itself                     */
    PASSWORD_SHA,     /* {SHA}base64 of SHA-1                           */
    PASSWORD_SSHA,    /* {SSHA}base64 of SHA-1 with a salt behind       */
    PASSWORD_APR1,    /* $apr1$salt$…, Apache's MD5                     */
    PASSWORD_CRYPT,   /* what crypt(5) knows: bcrypt, yescrypt, …       */
};

enum password_kind password_kind(const char *hash);

/* Does checking one of these take longer than asking for it to be done elsewhere? */
bool password_is_slow(enum password_kind);

/* False also for PASSWORD_UNKNOWN. */
bool password_fits(const char *hash, const char *password) MUST_USE;

/* ---- files: "name:hash[:comment]" a line, "#" before a comment ------------------------ */

enum password_line { LINE_EMPTY, LINE_ENTRY, LINE_BAD };

/* Reads one line, with or without its end. LINE_BAD: without a colon, or without a name or a
 * hash. *ret_user and *ret_hash point into the line. */
enum password_line password_read_line(struct slice line, struct slice *ret_user,
                                      struct slice *ret_hash);

/* The hash of the first line that names the user, with a NUL behind; "" if it is too long to be
 * one. 1; 0: nobody of that name; or -errno: the file cannot be read. */
int password_find(const char *path, struct slice user, char into[PASSWORD_HASH_MAX],
                  unsigned *ret_line) MUST_USE;

#endif
