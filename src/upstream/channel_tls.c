/* channel_tls.c - channels with TLS, and the sessions that a loop's may take up.
 *
 * What was decrypted is queued, and given to the owner piece by piece as it asks. A byte that is
 * not TLS never gets so far: the handshake fails by it.
 *
 * An idle channel is read as well: a server may give tickets behind its answer; anything else ends
 * it.
 */
#include "upstream/channel_private.h"

#include "http/loop.h"
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHY_SIZE = 200 };

struct secure {
    struct channel *channel;
    struct tls *tls;           /* NULL: not begun                                          */
    struct tls_domain *domain; /* borrowed until the handshake is over                     */
    bool open;                 /* CHANNEL_OPEN was told                                    */
    bool wanted;               /* the owner waits for a piece                              */
    bool giving;               /* … and is being given one                                 */
    bool over;                 /* no more will come; error says why                        */
    bool finished;             /* the peer was told that no more comes                     */
    bool tell, resume;
    int error;
    struct io_buf *first, *last; /* decrypted */
    struct io_timer soon;
    char why[WHY_SIZE];
    char id[TLS_ID_SIZE];
    uint16_t name_size, alpn_size;
    char words[]; /* the name, then the protocols */
};

struct session {
    struct link order;
    SSL_SESSION *session;
    struct endpoint peer;
    char id[TLS_ID_SIZE];
    uint16_t name_size, alpn_size;
    char words[];
};

static struct slice name_of(const struct secure *s)
{
    return slice_of(s->words, s->name_size);
}

static struct slice alpn_of(const struct secure *s)
{
    return slice_of(s->words + s->name_size, s->alpn_size);
}

/* ---- whom it is with ------------------------------------------------------------------------- */

bool secure_create(struct channel *c, const struct channel_tls *m)
{
    struct secure *s = calloc(1, sizeof *s + m->name.size + m->alpn.size);

    if (s == NULL)
        return false;
    s->channel = c;
    s->domain = m->domain;
    s->tell = m->tell;
    s->resume = m->resume;
    memcpy(s->id, tls_domain_id(m->domain).at, sizeof s->id);
    s->name_size = (uint16_t)m->name.size;
    s->alpn_size = (uint16_t)m->alpn.size;
    if (m->name.size > 0)
        memcpy(s->words, m->name.at, m->name.size);
    if (m->alpn.size > 0)
        memcpy(s->words + m->name.size, m->alpn.at, m->alpn.size);
    c->secure = s;
    return true;
}

void secure_destroy(struct channel *c)
{
    struct secure *s = c->secure;

    if (s == NULL)
        return;
    while (s->first != NULL) {
        struct io_buf *b = s->first;

        s->first = b->next;
        io_buf_release(c->io, b);
    }
    if (s->tls != NULL)
        tls_destroy(s->tls);
    free(s);
    c->secure = NULL;
}

bool secure_fits(const struct channel *c, const struct channel_tls *m)
{
    const struct secure *s = c->secure;

    if (s == NULL || m == NULL)
        return s == NULL && m == NULL;
    return s->tell == m->tell && slice_eq(name_of(s), m->name) && slice_eq(alpn_of(s), m->alpn) &&
           memcmp(s->id, tls_domain_id(m->domain).at, sizeof s->id) == 0;
}

bool secure_alike(const struct channel *a, const struct channel *b)
{
    const struct secure *s = a->secure, *t = b->secure;

    if (s == NULL || t == NULL)
        return s == t;
    return s->tell == t->tell && slice_eq(name_of(s), name_of(t)) &&
           slice_eq(alpn_of(s), alpn_of(t)) && memcmp(s->id, t->id, sizeof s->id) == 0;
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool is_for(const struct session *k, const struct channel *c)
{
    const struct secure *s = c->secure;

    return k->name_size == s->name_size && k->alpn_size == s->alpn_size &&
           memcmp(k->id, s->id, sizeof k->id) == 0 && endpoint_eq(&k->peer, &c->kind->peer) &&
           memcmp(k->words, s->words, (size_t)s->name_size + s->alpn_size) == 0;
}

static struct session *find_session(const struct channel *c)
{
    struct list *all = &c->home->sessions;

    for (struct link *l = all->head.next; l != &all->head; l = l->next) {
        struct session *k = container_of(l, struct session, order);

        if (is_for(k, c))
            return k;
    }
    return NULL;
}

static void drop_session(struct channels *all, struct session *k)
{
    list_remove(&k->order);
    all->session_count--;
    SSL_SESSION_free(k->session);
    free(k);
}

void sessions_drop(struct channels *all)
{
    while (!list_empty(&all->sessions))
        drop_session(all, container_of(list_first(&all->sessions), struct session, order));
}

static struct session *make_session(struct channel *c)
{
    const struct secure *s = c->secure;
    struct channels *all = c->home;
    struct session *k = calloc(1, sizeof *k + s->name_size + s->alpn_size);

    if (k == NULL)
        return NULL;
    if (all->session_count == CHANNELS_SESSIONS_MAX)
        drop_session(all, container_of(all->sessions.head.prev, struct session, order));
    k->peer = c->kind->peer;
    k->peer.text = (struct slice){ 0 };
    k->name_size = s->name_size;
    k->alpn_size = s->alpn_size;
    memcpy(k->id, s->id, sizeof k->id);
    memcpy(k->words, s->words, (size_t)s->name_size + s->alpn_size);
    list_prepend(&all->sessions, &k->order);
    all->session_count++;
    return k;
}

/* The newest counts. */
static void on_session(void *channel, SSL_SESSION *session)
{
    struct channel *c = channel;
    struct session *k = NULL;

    if (c->secure->resume && !c->home->leaving) {
        k = find_session(c);
        if (k == NULL)
            k = make_session(c);
    }
    if (k == NULL) {
        SSL_SESSION_free(session);
        return;
    }
    SSL_SESSION_free(k->session);
    k->session = session;
}

/* The one to take up; those met last are the last to be forgotten. */
static SSL_SESSION *session_for(struct channel *c)
{
    struct session *k = c->secure->resume ? find_session(c) : NULL;

    if (k == NULL)
        return NULL;
    if (SSL_SESSION_is_resumable(k->session) != 1) {
        drop_session(c->home, k);
        return NULL;
    }
    list_remove(&k->order);
    list_prepend(&c->home->sessions, &k->order);
    return k->session;
}

/* ---- what is received ------------------------------------------------------------------------ */

static void note_why(struct secure *s, const char *why)
{
    snprintf(s->why, sizeof s->why, "%s%s", strncmp(why, "SSL cert", 8) == 0 ? "upstream " : "",
             why);
}

static void enqueue(struct secure *s, struct io_buf *plain)
{
    while (plain != NULL) {
        struct io_buf *b = plain;

        plain = b->next;
        b->next = NULL;
        if (s->last != NULL)
            s->last->next = b;
        else
            s->first = b;
        s->last = b;
    }
}

static void end(struct secure *s, int error, const char *why)
{
    s->over = true;
    s->error = error;
    if (why != NULL)
        note_why(s, why);
}

static struct io_buf *take_first(struct secure *s)
{
    struct io_buf *b = s->first;

    s->first = b->next;
    if (s->first == NULL)
        s->last = NULL;
    b->next = NULL;
    return b;
}

/* Pieces as long as the owner asks for them, then the end. It may close or keep the channel, which
 * may then be somebody else's: nobody is given what he did not ask for. */
static void give(struct channel *c)
{
    struct secure *s = c->secure;

    s->giving = true;
    while (s->wanted && !c->closing && c->owner != NULL && s->first != NULL) {
        s->wanted = false;
        c->ops->bytes(c->owner, take_first(s));
    }
    if (s->wanted && !c->closing && c->owner != NULL && s->over) {
        s->wanted = false;
        c->ended = true;
        c->ops->event(c->owner, CHANNEL_ENDED, s->error);
    }
    s->giving = false;
}

static void on_soon(struct io *io, struct io_timer *timer)
{
    struct channel *c = container_of(timer, struct secure, soon)->channel;

    (void)io;
    channel_rouse(c);
    give(c);
}

void secure_receive(struct channel *c)
{
    struct secure *s = c->secure;

    s->wanted = true;
    if (s->first == NULL && !s->over) {
        if (!io_busy(&c->rx))
            io_recv(c->io, &c->rx, c->fd, 0, channel_on_bytes);
    } else if (!s->giving) {
        io_timer_set(c->io, &s->soon, 0, on_soon);
    }
}

/* Of an idle channel, or one that is about to be: more may come for a session, or it is of no use
 * any more. */
static void watch(struct channel *c)
{
    struct secure *s = c->secure;

    while (c->carriage != NULL && s->first != NULL && !s->over)
        if (!carriage_hears(c, take_first(s)))
            s->over = true;
    if (s->first != NULL || s->over || (c->parting && !tls_is_quiet(s->tls)))
        channel_close(c);
    else if (c->parting)
        channel_part(c);
    else
        secure_receive(c);
}

static void tell_open(struct channel *c, int error)
{
    struct session *k = error != 0 ? find_session(c) : NULL;

    if (k != NULL)
        drop_session(c->home, k);
    c->secure->open = error == 0;
    c->secure->domain = NULL;
    c->ops->event(c->owner, CHANNEL_OPEN, error);
}

static void feed(struct channel *c, struct io_buf *lent)
{
    struct secure *s = c->secure;
    struct io_buf *plain;
    enum tls_step step = tls_feed(s->tls, lent, &plain);

    enqueue(s, plain);
    if (step == TLS_ENDED)
        end(s, 0, NULL);
    else if (step == TLS_FAILED)
        end(s, EPROTO, tls_why(s->tls));
}

void secure_bytes(struct channel *c, struct io_result result)
{
    struct secure *s = c->secure;

    if (result.buf != NULL) {
        result.buf->used = 0;
        result.buf->filled = (uint32_t)result.res;
        feed(c, result.buf);
    } else if (result.res == 0 && s->finished) {
        end(s, 0, NULL); /* who was told that no more comes may just go */
    } else if (result.res == 0) {
        end(s, ECONNRESET,
            s->open ? "upstream closed connection without close_notify"
                    : "peer closed connection in SSL handshake");
    } else {
        end(s, -result.res, NULL);
    }
    if (c->owner == NULL || c->parting) {
        watch(c);
        return;
    }
    if (!s->open && (s->over || tls_is_open(s->tls)))
        tell_open(c, tls_is_open(s->tls) ? 0 : s->error != 0 ? s->error : ECONNRESET);
    if (c->closing || c->owner == NULL)
        return;
    give(c);
    if (!c->closing && !s->over && s->first == NULL && (!s->open || s->wanted) && !io_busy(&c->rx))
        io_recv(c->io, &c->rx, c->fd, 0, channel_on_bytes);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void on_sent(void *channel, int error)
{
    struct channel *c = channel;

    OBJ(c, CHANNEL_MAGIC);
    channel_rouse(c);
    if (!c->closing && c->owner != NULL)
        c->ops->event(c->owner, CHANNEL_SENT, -error);
}

/* A read of a file was waited for. */
static void on_ready(void *channel)
{
    struct channel *c = channel;

    OBJ(c, CHANNEL_MAGIC);
    if (c->closed)
        channel_over(c);
}

static const struct tls_ops ops = { .sent = on_sent, .ready = on_ready, .session = on_session };

void secure_begin(struct channel *c)
{
    struct secure *s = c->secure;
    struct loop *loop = c->loop;
    const struct tls_greeting greeting = {
        .name = name_of(s), .alpn = alpn_of(s), .tell = s->tell, .session = session_for(c)
    };

    if (loop->tls == NULL)
        loop->tls = tls_home_create(loop->tls_ring);
    if (loop->tls != NULL)
        s->tls = tls_connect(loop->tls, c->io, c->fd, s->domain, &greeting, &ops, c);
    if (s->tls == NULL) {
        tell_open(c, ENOMEM);
        return;
    }
    feed(c, NULL);
    if (s->over)
        tell_open(c, s->error);
    else
        io_recv(c->io, &c->rx, c->fd, 0, channel_on_bytes);
}

/* ---- what is sent, and the rest -------------------------------------------------------------- */

void secure_send(struct channel *c, const struct iovec *iov, int count)
{
    tls_send(c->secure->tls, iov, count);
}

void secure_send_file(struct channel *c, int file, uint64_t offset, uint32_t size)
{
    tls_send_file(c->secure->tls, file, offset, size);
}

bool secure_sending(const struct channel *c)
{
    return c->secure->tls != NULL && tls_sending(c->secure->tls);
}

uint64_t secure_taken(const struct channel *c)
{
    return c->secure->tls != NULL ? tls_moved(c->secure->tls) : 0;
}

void secure_finish(struct channel *c)
{
    c->secure->finished = true;
    tls_finish(c->secure->tls);
}

bool secure_is_quiet(const struct channel *c)
{
    const struct secure *s = c->secure;

    /* a session's frames may be on their way, if nobody else's thread will have it */
    bool still =
        (c->carriage != NULL && c->io == c->loop->io) || (s->tls != NULL && tls_is_quiet(s->tls));

    return s->open && s->tls != NULL && s->first == NULL && !s->over && still;
}

void secure_move(struct channel *c, struct io *to)
{
    if (c->carriage != NULL && to == c->io)
        return; /* it is still read */
    io_timer_stop(c->io, &c->secure->soon);
    c->secure->wanted = false;
    if (to != c->io) /* else an answer to new keys may be on its way */
        tls_move(c->secure->tls, to, c);
}

void secure_close(struct channel *c)
{
    struct secure *s = c->secure;

    io_timer_stop(c->io, &s->soon);
    if (s->tls != NULL)
        tls_close(s->tls, true);
}

bool secure_closed(struct channel *c)
{
    return c->secure->tls == NULL || !tls_busy(c->secure->tls);
}

static const struct channel *connection_of(const struct channel *c)
{
    return c->carrier != NULL ? c->carrier : c;
}

const char *channel_why(const struct channel *c)
{
    const struct secure *s = connection_of(c)->secure;

    return s != NULL && s->why[0] != '\0' ? s->why : NULL;
}

bool channel_shakes(const struct channel *c)
{
    const struct secure *s = connection_of(c)->secure;

    return s != NULL && s->tls != NULL && !s->open;
}

struct slice channel_protocol(const struct channel *c)
{
    const struct secure *s = connection_of(c)->secure;

    return s != NULL ? tls_protocol_agreed(s->tls) : (struct slice){ 0 };
}
