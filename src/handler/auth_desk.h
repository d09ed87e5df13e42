/* auth_desk.h - the passwords that one loop has to check.
 *
 * First a helper thread looks the user up in the file, so that a change there counts at once;
 * quick hashes are compared with it. Slow ones come to the desk: no more than AUTH_HASHING of
 * them are computed at a time, the others wait in their order, and helpers stay free for files.
 * What fitted is remembered for AUTH_REMEMBERED_MS as a keyed digest of user, password and hash:
 * another hash in the file is another digest.
 *
 *      auth_desk_ask(check);  return WAIT;
 *
 * request_resume() follows; check->found and check->fits say the rest.
 */
#ifndef HANDLER_AUTH_DESK_H
#define HANDLER_AUTH_DESK_H

#include "base/list.h"
#include "handler/password.h"
#include "http/request.h"
#include "io/io.h"
#include "wire/basic.h"

enum {
    AUTH_HASHING = 2, /* of the four helpers that a loop has     */
    AUTH_REMEMBERED = 256,
    AUTH_REMEMBERED_MS = 60 * 1000,
    AUTH_DIGEST = 32, /* of HMAC-SHA-256                         */
};

/* One request's; lives in its arena. */
struct auth_check {
    struct io_op op;
    struct request *request;
    struct link waiting;
    const char *path; /* of the file, NUL-terminated                            */
    struct basic_words said;
    char hash[PASSWORD_HASH_MAX];
    unsigned line; /* of the file: where the hash stands                     */
    int found;     /* as password_find() says                                */
    bool known;    /* the hash is of a kind that can be checked              */
    bool fits;
};

struct auth_remembered {
    unsigned char digest[AUTH_DIGEST];
    uint64_t until_ns; /* 0: nothing */
};

struct auth_desk {
    unsigned hashing;
    struct list waiting;
    unsigned char key[AUTH_DIGEST];
    struct auth_remembered remembered[AUTH_REMEMBERED];
};

/* 0 or -errno: there is no randomness for the key. */
int auth_desk_init(struct auth_desk *) MUST_USE;
void auth_desk_done(struct auth_desk *);

/* Begins: request, path and said are filled in. request_resume() is called later, unless the
 * request ends before. False: memory ran out, and nothing was begun. */
bool auth_desk_ask(struct auth_check *) MUST_USE;

/* What is remembered. Both are quick; `now` is loop_now_ns(). */
void auth_desk_remember(struct auth_desk *, const struct auth_check *, uint64_t now);
bool auth_desk_remembers(const struct auth_desk *, const struct auth_check *, uint64_t now);

#endif
