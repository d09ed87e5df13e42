/* tls.c - a TLS connection: its two ends of memory, the handshake, decrypting. */
#include "net/tls_private.h"

#include "base/block.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what OpenSSL takes for its socket ---------------------------------------------------- */

static int bio_read(BIO *bio, char *into, size_t room, size_t *ret)
{
    struct tls *t = BIO_get_data(bio);
    size_t got = 0;

    BIO_clear_retry_flags(bio);
    while (got < room && t->in_first != NULL) {
        struct io_buf *b = t->in_first;
        size_t n = b->filled - b->used;

        if (n > room - got)
            n = room - got;
        memcpy(into + got, b->bytes + b->used, n);
        got += n;
        b->used += (uint32_t)n;
        if (b->used < b->filled)
            break;
        t->in_first = b->next;
        if (t->in_first == NULL)
            t->in_last = NULL;
        b->next = t->spent;
        t->spent = b;
    }
    *ret = got;
    if (got == 0)
        BIO_set_retry_read(bio);
    return got > 0;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *ret)
{
    struct tls *t = BIO_get_data(bio);
    struct tls_out *out = tls_gathering(t);

    BIO_clear_retry_flags(bio);
    *ret = size;
    return out != NULL && tls_out_put(out, bytes, size);
}

static long bio_control(BIO *bio, int what, long number, void *arg)
{
    (void)bio;
    (void)number;
    (void)arg;
    return what == BIO_CTRL_FLUSH;
}

static bool bio_give(struct tls *t)
{
    struct tls_home *home = t->home;

    if (home->bio == NULL) {
        home->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
        if (home->bio == NULL)
            return false;
        BIO_meth_set_read_ex(home->bio, bio_read);
        BIO_meth_set_write_ex(home->bio, bio_write);
        BIO_meth_set_ctrl(home->bio, bio_control);
    }
    BIO *bio = BIO_new(home->bio);

    if (bio == NULL)
        return false;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return true;
}

void tls_note(struct tls *t, const char *why)
{
    free(t->why);
    t->why = strdup(why);
}

/* A client that checks certificates: what is wrong with this one. */
static bool note_certificate(struct tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);
    char text[TLS_WHY_MAX];

    if (!t->client || ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_CERTIFICATE_VERIFY_FAILED)
        return false;
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(text, sizeof text, "SSL certificate does not match \"%.*s\"", (int)t->name_size,
                 t->name);
    else
        snprintf(text, sizeof text, "SSL certificate verify error: (%ld:%s)", verdict,
                 X509_verify_cert_error_string(verdict));
    ERR_clear_error();
    tls_note(t, text);
    return true;
}

void tls_note_error(struct tls *t, const char *doing)
{
    char reason[TLS_WHY_MAX - 64], text[TLS_WHY_MAX];

    if (note_certificate(t))
        return;
    tls_error_text(reason, sizeof reason);
    snprintf(text, sizeof text, "%s failed (SSL: %s)", doing, reason);
    tls_note(t, text);
}

/* ---- life ---------------------------------------------------------------------------------- */

static struct tls *make(struct tls_home *home, struct io *io, int fd, struct tls_domain *domain,
                        const struct tls_ops *ops, void *owner)
{
    SSL_CTX *context = tls_domain_context(domain, home);
    struct tls *t = context != NULL ? calloc(1, sizeof *t) : NULL;

    if (t == NULL)
        return NULL;
    OBJ_BORN(t, TLS_MAGIC);
    t->fd = fd;
    t->io = io;
    t->home = home;
    t->domain = t->first = domain;
    t->ops = ops;
    t->owner = owner;
    t->record_max = tls_domain_record_max(domain);
    t->ssl = SSL_new(context);
    if (t->ssl != NULL && bio_give(t)) {
        SSL_set_app_data(t->ssl, t);
        return t;
    }
    tls_destroy(t);
    return NULL;
}

struct tls *tls_accept(struct tls_home *home, struct io *io, int fd, struct tls_domain *first,
                       const struct tls_ops *ops, void *owner)
{
    struct tls *t = make(home, io, fd, first, ops, owner);

    if (t == NULL)
        return NULL;
    SSL_set_accept_state(t->ssl);
    if (tls_domain_wish(first)->early_data)
        t->phase = PHASE_EARLY;
    return t;
}

/* An address is looked for in a certificate, but is no name that could be told (RFC 6066 3). */
static bool name_server(struct tls *t, const struct tls_greeting *g)
{
    X509_VERIFY_PARAM *check = SSL_get0_param(t->ssl);
    bool is_address;

    if (g->name.size == 0 || g->name.size > TLS_NAME_MAX)
        return g->name.size == 0;
    t->name = block_alloc(g->name.size + 1);
    if (t->name == NULL)
        return false;
    memcpy(t->name, g->name.at, g->name.size);
    t->name[g->name.size] = '\0';
    t->name_size = (uint16_t)g->name.size;
    is_address = X509_VERIFY_PARAM_set1_ip_asc(check, t->name) == 1;
    if (g->tell && !is_address && SSL_set_tlsext_host_name(t->ssl, t->name) != 1)
        return false;
    return is_address || tls_domain_wish(t->domain)->verify == TLS_VERIFY_OFF ||
           SSL_set1_host(t->ssl, t->name) == 1;
}

static bool greet(struct tls *t, const struct tls_greeting *g)
{
    SSL *ssl = t->ssl;

    SSL_set_connect_state(ssl);
    if (!name_server(t, g))
        return false;
    if (g->session != NULL)
        (void)SSL_set_session(ssl, g->session);
    return g->alpn.size == 0 ||
           SSL_set_alpn_protos(ssl, (const unsigned char *)g->alpn.at, (unsigned)g->alpn.size) == 0;
}

struct tls *tls_connect(struct tls_home *home, struct io *io, int fd, struct tls_domain *domain,
                        const struct tls_greeting *g, const struct tls_ops *ops, void *owner)
{
    struct tls *t = make(home, io, fd, domain, ops, owner);

    if (t == NULL)
        return NULL;
    t->client = true;
    if (greet(t, g))
        return t;
    ERR_clear_error();
    tls_destroy(t);
    return NULL;
}

static void release(struct tls *t, struct io_buf **list)
{
    while (*list != NULL) {
        struct io_buf *b = *list;

        *list = b->next;
        io_buf_release(t->io, b);
    }
}

static void give_out(struct tls *t, struct tls_out **out)
{
    if (*out != NULL)
        tls_out_give(t->home, *out);
    *out = NULL;
}

void tls_close(struct tls *t, bool whole)
{
    OBJ(t, TLS_MAGIC);
    t->closing = true;
    io_timer_stop(t->io, &t->soon);
    if (t->working)
        return;
    if (t->phase == PHASE_OPEN && whole && !t->finishing)
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    if (t->out != NULL && t->out->used > 0 && t->flying == NULL)
        io_last_words(t->io, t->fd, t->out->bytes, t->out->used);
    release(t, &t->spent);
    release(t, &t->in_first);
    t->in_last = NULL;
}

bool tls_busy(const struct tls *t)
{
    return io_busy(&t->side);
}

void tls_destroy(struct tls *t)
{
    OBJ(t, TLS_MAGIC);
    CHECK(!io_busy(&t->tx) && !io_busy(&t->side));
    release(t, &t->spent);
    release(t, &t->in_first);
    release(t, &t->later);
    SSL_free(t->ssl);
    give_out(t, &t->out);
    give_out(t, &t->flying);
    give_out(t, &t->file_bytes);
    block_free(t->name);
    free(t->why);
    OBJ_DEAD(t);
    free(t);
}

void tls_move(struct tls *t, struct io *io, void *owner)
{
    DCHECK(!io_busy(&t->tx) && !io_busy(&t->side));
    t->io = io;
    t->owner = owner;
}

bool tls_is_quiet(const struct tls *t)
{
    return !io_busy(&t->tx) && !io_busy(&t->side) && !t->sending && t->out == NULL;
}

/* ---- the handshake --------------------------------------------------------------------------- */

enum shaken { SHAKEN_DONE, SHAKEN_MORE, SHAKEN_HELLO, SHAKEN_EARLY, SHAKEN_FAILED };

/* One step: as far as it goes with what is there. *ret_early: bytes of early data, in the scratch.
 * On a helper's thread there are none. */
static enum shaken shake(struct tls *t, size_t *ret_early)
{
    int result;

    ERR_clear_error();
    *ret_early = 0;
    if (t->phase == PHASE_EARLY) {
        result = SSL_read_early_data(t->ssl, t->home->scratch, sizeof t->home->scratch, ret_early);
        if (result == SSL_READ_EARLY_DATA_SUCCESS)
            return SHAKEN_EARLY;
        if (result == SSL_READ_EARLY_DATA_FINISH) {
            t->phase = PHASE_SHAKE;
            result = SSL_do_handshake(t->ssl);
        } else {
            result = -1;
        }
    } else {
        result = SSL_do_handshake(t->ssl);
    }
    if (result == 1)
        return SHAKEN_DONE;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return SHAKEN_MORE;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return SHAKEN_HELLO;
    default:
        tls_note_error(t, "SSL_do_handshake()");
        return SHAKEN_FAILED;
    }
}

static int32_t work(struct io_op *op)
{
    struct tls *t = container_of(op, struct tls, side);
    size_t early;

    t->shaken = (int)shake(t, &early);
    return 0;
}

static void on_worked(struct io *io, struct io_op *op, struct io_result r)
{
    struct tls *t = container_of(op, struct tls, side);

    (void)io;
    OBJ(t, TLS_MAGIC);
    if (r.res < 0) { /* it never began */
        t->shaken = SHAKEN_FAILED;
        tls_note(t, "the handshake was cancelled");
    }
    t->ops->ready(t->owner);
}

/* A signature that takes long: where it disturbs nobody. What it gathers into must be there. */
static bool hand_over(struct tls *t)
{
    if (tls_gathering(t) == NULL)
        return false;
    t->slow = false;
    t->working = true;
    if (t->phase == PHASE_EARLY)
        t->phase = PHASE_SHAKE; /* its answer may be longer than the scratch allows: no 0-RTT */
    io_work(t->io, &t->side, work, on_worked);
    return true;
}

/* ---- decrypting ------------------------------------------------------------------------------ */

/* What lies in the scratch, behind what was decrypted before. */
static bool give(struct io_buf ***end, const struct tls *t, size_t size)
{
    struct io_buf *b = io_buf_make((uint32_t)size);

    if (b == NULL)
        return false;
    memcpy(b->bytes, t->home->scratch, size);
    b->filled = (uint32_t)size;
    **end = b;
    *end = &b->next;
    return true;
}

static enum tls_step fail(struct tls *t)
{
    t->phase = PHASE_BROKEN;
    return TLS_FAILED;
}

static enum tls_step fail_of_memory(struct tls *t)
{
    tls_note(t, "no memory");
    return fail(t);
}

static enum tls_step decrypt(struct tls *t, struct io_buf ***end)
{
    for (;;) {
        size_t size = 0;
        int result;

        if (t->in_first == NULL && SSL_has_pending(t->ssl) == 0)
            return TLS_OPEN;
        ERR_clear_error();
        result = SSL_read_ex(t->ssl, t->home->scratch, sizeof t->home->scratch, &size);
        if (result == 1) {
            if (!give(end, t, size))
                return fail_of_memory(t);
            continue;
        }
        switch (SSL_get_error(t->ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return TLS_OPEN;
        case SSL_ERROR_ZERO_RETURN:
            return TLS_ENDED;
        default:
            tls_note_error(t, "SSL_read()");
            return fail(t);
        }
    }
}

/* The next step follows at once, or not. */
static enum tls_step shaken(struct tls *t, enum shaken how, size_t early, struct io_buf ***end)
{
    switch (how) {
    case SHAKEN_DONE:
        t->phase = PHASE_OPEN;
        t->held = !t->client;
        t->first = t->domain = NULL;
        t->early = false;
        return TLS_OPEN;
    case SHAKEN_MORE:
        return t->early ? TLS_OPEN : TLS_HANDSHAKE;
    case SHAKEN_EARLY:
        t->early = true;
        return give(end, t, early) ? TLS_OPEN : fail_of_memory(t);
    case SHAKEN_HELLO:
        if (t->hello_waits)
            return TLS_WAITS;
        return hand_over(t) ? TLS_WAITS : fail_of_memory(t);
    case SHAKEN_FAILED:
        break;
    }
    return fail(t);
}

static void append(struct tls *t, struct io_buf *b)
{
    b->next = NULL;
    if (t->in_last != NULL)
        t->in_last->next = b;
    else
        t->in_first = b;
    t->in_last = b;
}

/* The helper's step is taken; what came meanwhile is next. */
static enum tls_step return_from_work(struct tls *t, struct io_buf ***end)
{
    struct io_buf *later = t->later;

    t->working = false;
    t->later = NULL;
    while (later != NULL) {
        struct io_buf *b = later;

        later = b->next;
        append(t, b);
    }
    return shaken(t, (enum shaken)t->shaken, 0, end);
}

static enum tls_step advance(struct tls *t, struct io_buf ***end)
{
    enum tls_step step = TLS_OPEN;

    if (t->working)
        step = return_from_work(t, end);
    if (step == TLS_FAILED || step == TLS_WAITS)
        return step;
    while (t->phase < PHASE_OPEN) {
        size_t early;
        enum shaken how = shake(t, &early);

        step = shaken(t, how, early, end);
        if (how != SHAKEN_DONE && how != SHAKEN_EARLY)
            return step;
        if (step == TLS_FAILED)
            return step;
    }
    return t->phase == PHASE_OPEN ? decrypt(t, end) : TLS_FAILED;
}

enum tls_step tls_feed(struct tls *t, struct io_buf *lent, struct io_buf **ret_plain)
{
    struct io_buf **end = ret_plain;
    enum tls_step step;

    OBJ(t, TLS_MAGIC);
    *ret_plain = NULL;
    if (io_busy(&t->side) && t->working) {
        struct io_buf **at = &t->later;

        while (*at != NULL)
            at = &(*at)->next;
        if (lent != NULL)
            lent->next = NULL;
        *at = lent;
        return TLS_WAITS;
    }
    if (lent != NULL)
        append(t, lent);
    t->hello_waits = false;
    step = advance(t, &end);
    release(t, &t->spent);
    if (!t->working && step != TLS_FAILED) /* an alert goes out with tls_finish() or tls_close() */
        tls_flush_fed(t);
    return step;
}

/* ---- questions ------------------------------------------------------------------------------- */

const char *tls_why(const struct tls *t)
{
    return t->why != NULL ? t->why : "no memory";
}

bool tls_is_open(const struct tls *t)
{
    return t->phase == PHASE_OPEN;
}

struct slice tls_protocol_agreed(const struct tls *t)
{
    const unsigned char *at = NULL;
    unsigned size = 0;

    SSL_get0_alpn_selected(t->ssl, &at, &size);
    return slice_of((const char *)at, size);
}

bool tls_is_early(const struct tls *t)
{
    return t->early;
}

SSL *tls_ssl(const struct tls *t)
{
    return t->ssl;
}

struct slice tls_name(const struct tls *t)
{
    return slice_of(t->name, t->name_size);
}
