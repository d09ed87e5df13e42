/* auth_desk.c - passwords are looked up and hashed by helper threads, a few at a time. */
#include "handler/auth_desk.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <sys/random.h>

/* ---- on helper threads ------------------------------------------------------------------- */

static int32_t look_up(struct io_op *op)
{
    struct auth_check *k = container_of(op, struct auth_check, op);
    enum password_kind kind;

    k->found = password_find(k->path, k->said.user, k->hash, &k->line);
    if (k->found != 1)
        return 0;
    kind = password_kind(k->hash);
    k->known = kind != PASSWORD_UNKNOWN;
    if (!password_is_slow(kind))
        k->fits = password_fits(k->hash, k->said.password.at);
    return 0;
}

static int32_t hash_it(struct io_op *op)
{
    struct auth_check *k = container_of(op, struct auth_check, op);

    k->fits = password_fits(k->hash, k->said.password.at);
    return 0;
}

/* ---- what is remembered -------------------------------------------------------------------- */

/* False: the digest cannot be made. */
static bool digest(const struct auth_desk *d, const struct auth_check *k,
                   unsigned char into[AUTH_DIGEST])
{
    char text[PASSWORD_HASH_MAX + BASIC_MAX + 8];
    unsigned size = AUTH_DIGEST;
    /* no part has a NUL, so no two triples make one text */
    int n = snprintf(text, sizeof text, "%s%c%s%c%s", k->hash, 0, k->said.user.at, 0,
                     k->said.password.at);
    bool made = n > 0 && (size_t)n < sizeof text &&
                HMAC(EVP_sha256(), d->key, sizeof d->key, (unsigned char *)text, (size_t)n, into,
                     &size) != NULL;

    OPENSSL_cleanse(text, sizeof text);
    return made;
}

void auth_desk_remember(struct auth_desk *d, const struct auth_check *k, uint64_t now)
{
    unsigned char made[AUTH_DIGEST];

    if (!digest(d, k, made))
        return;
    struct auth_remembered *place = &d->remembered[made[0] % AUTH_REMEMBERED];

    memcpy(place->digest, made, sizeof made);
    place->until_ns = now + (uint64_t)AUTH_REMEMBERED_MS * 1000000u;
}

bool auth_desk_remembers(const struct auth_desk *d, const struct auth_check *k, uint64_t now)
{
    unsigned char made[AUTH_DIGEST];

    if (!digest(d, k, made))
        return false;
    const struct auth_remembered *place = &d->remembered[made[0] % AUTH_REMEMBERED];

    return now < place->until_ns && CRYPTO_memcmp(place->digest, made, sizeof made) == 0;
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void on_hashed(struct io *, struct io_op *, struct io_result);

static void begin_hashing(struct auth_desk *d, struct auth_check *k)
{
    d->hashing++;
    request_pin(k->request);
    io_work(k->request->io, &k->op, hash_it, on_hashed);
}

static void begin_next(struct auth_desk *d)
{
    if (list_empty(&d->waiting) || d->hashing >= AUTH_HASHING)
        return;
    struct auth_check *k = container_of(d->waiting.head.next, struct auth_check, waiting);

    list_remove(&k->waiting);
    begin_hashing(d, k);
}

static void on_hashed(struct io *io, struct io_op *op, struct io_result result)
{
    struct auth_check *k = container_of(op, struct auth_check, op);
    struct request *r = k->request;
    struct loop *loop = r->loop;

    if (result.res < 0)
        k->found = result.res;
    else if (k->fits)
        auth_desk_remember(loop->auth, k, loop_now_ns(loop, io));
    loop->auth->hashing--;
    begin_next(loop->auth);
    if (!request_unpin(r))
        request_resume(r);
}

static void on_looked(struct io *io, struct io_op *op, struct io_result result)
{
    struct auth_check *k = container_of(op, struct auth_check, op);
    struct request *r = k->request;
    struct auth_desk *d = r->loop->auth;

    if (request_unpin(r))
        return;
    if (result.res < 0)
        k->found = result.res;
    if (k->found == 1 && !k->fits && password_is_slow(password_kind(k->hash))) {
        k->fits = auth_desk_remembers(d, k, loop_now_ns(r->loop, io));
        if (!k->fits) {
            list_append(&d->waiting, &k->waiting);
            begin_next(d);
            return;
        }
    }
    request_resume(r);
}

/* The request has ended: nobody waits for it any more. */
static void leave(void *check)
{
    struct auth_check *k = check;

    list_remove(&k->waiting);
}

bool auth_desk_ask(struct auth_check *k)
{
    if (!request_at_end(k->request, leave, k))
        return false;
    request_pin(k->request);
    io_work(k->request->io, &k->op, look_up, on_looked);
    return true;
}

int auth_desk_init(struct auth_desk *d)
{
    memset(d, 0, sizeof *d);
    list_init(&d->waiting);
    return getrandom(d->key, sizeof d->key, 0) == (ssize_t)sizeof d->key ? 0 : -EIO;
}

void auth_desk_done(struct auth_desk *d)
{
    CHECK(d->hashing == 0 && list_empty(&d->waiting));
    OPENSSL_cleanse(d, sizeof *d);
}
