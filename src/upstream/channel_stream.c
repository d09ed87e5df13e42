/* channel_stream.c - channels that are streams of a connection, and those that carry them.
 *
 * A carrier belongs to its carriage, idle or not, as other channels belong to a request. What is
 * sent is what the session wants sent, and behind it one piece that is a stream's own; the other
 * streams wait until it is their turn.
 *
 * On the threads engine a connection is one thread's, as everywhere there, and carries one stream
 * at a time. Without any, it rests among the idle ones like every other.
 */
#include "upstream/channel_private.h"

#include <errno.h>
#include <stdlib.h>

enum { IOV_MAX_HERE = 3, LAST_WORDS_MS = 1000, FULL_MAX = 4, FULL_LEAST = 32 * 1024 };

struct file_piece {
    int file;
    uint32_t size; /* 0: none */
    uint64_t offset;
};

struct carriage {
    struct channel *channel;
    struct link place; /* in kind->carriers */
    void *session;     /* NULL: there is none yet */
    const struct channel_session_ops *ops;
    struct list streams, waiting; /* for their turn: linked by `idle` */
    unsigned count;               /* of streams                                           */
    struct channel *flier;        /* whose piece is being sent; NULL: nobody's             */
    bool open, greeted;
    bool flies;    /* what the session wanted sent is being sent */
    bool busy;     /* streams are being told things: what follows from that comes behind   */
    bool leaving;  /* it takes no more streams                                             */
    unsigned full; /* buffers that were, since the streams were told: more is coming    */
    struct io_timer soon;
    uint64_t heard_ns; /* when the peer said something; 0: never                          */
    struct iovec iov[IOV_MAX_HERE];
    struct file_piece rest; /* of the piece, behind what is being sent */
};

static void on_event(void *, enum channel_event, int error);
static void on_bytes(void *, struct io_buf *);

static const struct channel_ops carrier_events = { on_event, on_bytes };

bool carriage_create(struct channel *c)
{
    struct carriage *g = calloc(1, sizeof *g);

    if (g == NULL)
        return false;
    g->channel = c;
    list_init(&g->streams);
    list_init(&g->waiting);
    list_prepend(&c->kind->carriers, &g->place);
    c->carriage = g;
    c->ops = &carrier_events;
    c->owner = g;
    return true;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* What stands before a piece. */
static int begin_iov(struct carriage *g)
{
    struct channel *c = g->channel;
    struct slice out = g->ops->fly(g->session);
    int count = 0;

    if (!g->greeted && c->secure == NULL && c->greeting.size > 0) /* else it was said */
        g->iov[count++] = (struct iovec){ (void *)(uintptr_t)c->greeting.at, c->greeting.size };
    g->greeted = true;
    g->flies = out.size > 0;
    if (g->flies)
        g->iov[count++] = (struct iovec){ (void *)(uintptr_t)out.at, out.size };
    return count;
}

static void flush(struct channel *c)
{
    struct carriage *g = c->carriage;
    int count;

    if (!g->open || g->session == NULL)
        return;
    count = channel_sending(c) ? 0 : begin_iov(g);
    if (count > 0)
        channel_send(c, g->iov, count, 0);
    if (!list_linked(&c->idle)) /* what the peer says may be what lets a long piece go on */
        channel_receive(c);
}

static void take_off(struct channel *c)
{
    struct carriage *g = c->carrier->carriage;

    CHECK(!channel_sending(c->carrier));
    g->flier = c;
    c->flying = true;
    request_pin(c->request);
}

void stream_send(struct channel *c, const struct iovec *iov, int count, unsigned flags)
{
    struct carriage *g = c->carrier->carriage;
    int before = begin_iov(g);

    take_off(c);
    CHECK(before + count > 0 && before + count <= IOV_MAX_HERE);
    for (int i = 0; i < count; i++)
        g->iov[before + i] = iov[i];
    channel_send(c->carrier, g->iov, before + count, flags);
}

void stream_send_file(struct channel *c, int file, uint64_t offset, uint32_t size)
{
    c->carrier->carriage->rest = (struct file_piece){ file, size, offset };
    stream_send(c, NULL, 0, IO_HOLD);
}

/* Of a stream; NULL: it has lost its connection. */
static struct carriage *carriage_of(const struct channel *c)
{
    return c->orphan ? NULL : c->carrier->carriage;
}

bool channel_has_turn(const struct channel *c)
{
    return !c->orphan && !channel_sending(c->carrier);
}

void channel_await_turn(struct channel *c)
{
    struct carriage *g = carriage_of(c);

    if (g != NULL && !list_linked(&c->idle))
        list_append(&g->waiting, &c->idle);
}

static void say(struct channel *c, enum channel_event event, int error)
{
    c->ended |= event == CHANNEL_ENDED;
    channel_rouse(c);
    c->ops->event(c->owner, event, error);
}

void channel_tell(struct channel *c, enum channel_event event)
{
    say(c, event, 0);
}

void channel_give(struct channel *c, struct io_buf *b)
{
    channel_rouse(c);
    c->ops->bytes(c->owner, b);
}

/* Everybody who waits now, until one has something of its own to send. */
static void give_turns(struct carriage *g)
{
    struct list round;
    struct link *l;

    list_init(&round);
    list_append_all(&round, &g->waiting);
    while (!channel_sending(g->channel) && (l = list_first(&round)) != NULL) {
        list_remove(l);
        channel_tell(container_of(l, struct channel, idle), CHANNEL_SENT);
    }
    list_append_all(&round, &g->waiting); /* who waits anew is behind those who still do */
    list_append_all(&g->waiting, &round);
}

/* ---- the end of streams, and of connections -------------------------------------------------- */

/* Nothing of it is in flight. */
static void stream_over(struct channel *c)
{
    c->request = NULL; /* which it has not pinned */
    channel_over(c);
}

/* The piece that was in flight is not any more. */
static void land(struct carriage *g, bool tell, int error)
{
    struct channel *c = g->flier;
    struct request *r;

    g->flier = NULL;
    if (c == NULL)
        return;
    r = c->request;
    c->flying = false;
    if (c->closing)
        stream_over(c);
    else if (tell)
        say(c, CHANNEL_SENT, error);
    (void)request_unpin(r);
}

void carriage_destroy(struct channel *c)
{
    struct carriage *g = c->carriage;

    CHECK(g->count == 0);
    io_timer_stop(c->io, &g->soon);
    land(g, false, 0);
    if (g->session != NULL)
        g->ops->destroy(g->session);
    list_remove(&g->place);
    free(g);
    c->carriage = NULL;
}

/* Until the peer has said how many streams it allows, what others like it have said holds. */
static bool takes_more(const struct carriage *g)
{
    unsigned most = g->session != NULL ? g->ops->most(g->session) : CHANNEL_STREAMS_MAX;

    if (g->heard_ns == 0 && g->channel->kind->streams_most < most)
        most = g->channel->kind->streams_most;
    return !g->leaving && g->count < most;
}

/* No stream is left. On the threads engine the thread stays until the last words are out. */
static void rest(struct channel *c)
{
    const struct carriage *g = c->carriage;

    if (!g->open || g->session == NULL || !takes_more(g))
        channel_close(c);
    else if (c->io != c->loop->io && channel_sending(c))
        channel_deadline(c, LAST_WORDS_MS);
    else
        channel_keep(c, &c->kind->keeping);
}

/* What follows from whatever has happened. */
static void settle(struct channel *c)
{
    struct carriage *g = c->carriage;

    if (g->busy || c->closing || c->parting)
        return;
    flush(c);
    if (g->count == 0 && !(list_linked(&c->idle) && takes_more(g)))
        rest(c);
}

/* The streams are told what has come. */
static void tell(struct channel *c)
{
    struct carriage *g = c->carriage;

    g->full = 0;
    io_timer_stop(c->io, &g->soon);
    g->busy = true;
    g->ops->tell(g->session);
    g->busy = false;
}

/* Nothing will come of it any more, for any of its streams. */
static void lose(struct channel *c, int error)
{
    struct carriage *g = c->carriage;
    struct list orphans;
    struct link *l;

    g->leaving = true;
    if (g->session != NULL)
        tell(c);
    list_init(&orphans);
    g->busy = true;
    while ((l = list_first(&g->streams)) != NULL) {
        struct channel *s = container_of(l, struct channel, strand);

        list_remove(l);
        list_append(&orphans, l);
        list_remove(&s->idle);
        s->orphan = true;
        g->count--;
        if (g->session != NULL)
            g->ops->leave(g->session, s->owner);
        if (!s->ended)
            say(s, g->open ? CHANNEL_ENDED : CHANNEL_OPEN, error);
    }
    while ((l = list_first(&orphans)) != NULL) {
        list_remove(l);
        container_of(l, struct channel, strand)->carrier = NULL;
    }
    g->busy = false;
    channel_close(c);
}

/* The stream's time is over, and for half of it the connection was still, for all others, too: it
 * is not worth another try. */
static bool is_frozen(const struct carriage *g, const struct channel *c)
{
    return c->late && g->heard_ns + c->patience_ns / 2 < io_now_ns(c->io);
}

void stream_close(struct channel *c)
{
    struct carriage *g = carriage_of(c);

    c->closing = true;
    io_timer_stop(c->io, &c->timer);
    list_remove(&c->idle);
    list_remove(&c->strand);
    if (g != NULL) {
        g->count--;
        g->leaving |= is_frozen(g, c);
        if (g->session != NULL)
            g->ops->leave(g->session, c->owner);
    }
    if (!c->flying)
        stream_over(c);
    if (g != NULL)
        settle(g->channel);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void opened(struct carriage *g)
{
    struct list fresh;
    struct link *l;

    list_init(&fresh);
    g->open = g->busy = true;
    list_append_all(&fresh, &g->streams);
    while ((l = list_first(&fresh)) != NULL) {
        list_remove(l);
        list_append(&g->streams, l);
        channel_tell(container_of(l, struct channel, strand), CHANNEL_OPEN);
    }
    g->busy = false;
    settle(g->channel);
}

/* A piece goes whole, whatever became of its stream: its frame's head is on its way. */
static bool rest_follows(struct carriage *g, int error)
{
    uint32_t size = error == 0 ? g->rest.size : 0;

    g->rest.size = 0;
    if (size > 0)
        channel_send_file(g->channel, g->rest.file, g->rest.offset, size);
    return size > 0;
}

/* Something has come, or gone out: who waits may go on. */
static void go_on(struct channel *c)
{
    struct carriage *g = c->carriage;

    g->busy = true;
    if (!channel_sending(c))
        give_turns(g);
    g->busy = false;
    settle(c);
}

/* What cannot be sent may have been answered before: that will be heard, or the end. */
static void sent(struct carriage *g, int error)
{
    g->leaving |= error != 0;
    if (g->flies)
        g->ops->flown(g->session);
    g->flies = false;
    if (rest_follows(g, error))
        return;
    g->busy = true;
    land(g, true, error);
    g->busy = false;
    if (error == 0)
        go_on(g->channel);
    else if (g->count == 0)
        settle(g->channel);
    else
        channel_receive(g->channel);
}

static void on_event(void *owner, enum channel_event event, int error)
{
    struct carriage *g = owner;

    switch (event) {
    case CHANNEL_OPEN:
        if (error == 0)
            opened(g);
        else
            lose(g->channel, error);
        break;
    case CHANNEL_SENT:
        sent(g, error);
        break;
    case CHANNEL_ENDED:
        lose(g->channel, error);
        break;
    case CHANNEL_LATE: /* it was idle for long, or cannot say its last words */
        channel_close(g->channel);
        break;
    case CHANNEL_HEARD:
        break;
    }
}

bool carriage_hears(struct channel *c, struct io_buf *b)
{
    struct carriage *g = c->carriage;
    unsigned most;

    g->heard_ns = io_now_ns(c->io);
    if (g->session == NULL) {
        io_buf_release(c->io, b);
        return false;
    }
    if (!g->ops->bytes(g->session, c->io, b))
        return false;
    most = g->ops->most(g->session);
    if (most > 0)
        c->kind->streams_most = most;
    return true;
}

static void on_soon(struct io *io, struct io_timer *timer)
{
    struct channel *c = container_of(timer, struct carriage, soon)->channel;

    (void)io;
    tell(c);
    go_on(c);
}

/* Large ones that come full: the streams are told later, of more at a time, as many small pieces
 * for them cost more than a few large ones. */
static bool more_follows(struct carriage *g, const struct io_buf *b)
{
    return g->count > 1 && b->size >= FULL_LEAST && b->filled == b->size && ++g->full < FULL_MAX;
}

static void on_bytes(void *owner, struct io_buf *b)
{
    struct carriage *g = owner;
    struct channel *c = g->channel;
    bool later = more_follows(g, b), fine = carriage_hears(c, b);

    if (later && fine) {
        channel_receive(c);
        io_timer_set(c->io, &g->soon, 0, on_soon);
        return;
    }
    if (!fine) {
        lose(c, 0);
        return;
    }
    tell(c);
    channel_receive(c);
    go_on(c);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* May the request have a stream of it? */
static bool is_for(const struct channel *c, const struct request *r, const struct channel_manner *m)
{
    const struct carriage *g = c->carriage;
    uint64_t age_ms = (io_now_ns(r->io) - c->opened_ns) / 1000000u;
    bool idle = list_linked(&c->idle), ours = c->io == r->io && r->io == r->loop->io;

    return !c->closing && !c->parting && takes_more(g) &&
           (idle || (ours && m->streams->most > 0)) &&
           c->requests < (uint64_t)m->streams->requests && age_ms < (uint64_t)m->streams->time_ms &&
           secure_fits(c, m->tls) && slice_eq(c->greeting, m->greeting);
}

static struct channel *find(struct request *r, const struct endpoint *peer,
                            const struct channel_manner *m)
{
    struct kind *kind = kind_find(r->loop->channels, peer, m);
    struct link *next;

    if (kind == NULL)
        return NULL;
    for (struct link *l = kind->carriers.head.next; l != &kind->carriers.head; l = next) {
        struct carriage *g = container_of(l, struct carriage, place);

        next = l->next;
        if (!is_for(g->channel, r, m))
            continue;
        if (!g->open || channel_still_holds(g->channel, m))
            return g->channel;
        if (g->count == 0)
            channel_close(g->channel);
    }
    return NULL;
}

/* On the threads engine a carrier keeps the connection of its stream's request: its io. */
static void use(struct channel *c, struct request *r)
{
    c->io = r->io;
    if (r->io == r->loop->io)
        return;
    c->request = r;
    request_pin(r);
}

/* Not idle any more. */
static void rise(struct channel *c, struct request *r)
{
    channel_rise(c);
    channel_deadline(c, 0);
    if (c->io != r->io)
        io_timer_stop(c->io, &c->timer);
    if (c->secure != NULL)
        secure_move(c, r->io);
    use(c, r);
}

static void join(struct channel *c, struct channel *carrier)
{
    struct carriage *g = carrier->carriage;

    c->carrier = carrier;
    c->reused = g->heard_ns != 0 || g->count > 0;
    list_append(&g->streams, &c->strand);
    g->count++;
    carrier->requests++;
}

struct channel *stream_open(struct request *r, const struct endpoint *peer,
                            const struct channel_manner *m, const struct channel_ops *ops,
                            void *owner, int *error)
{
    struct channels *all = r->loop->channels;
    struct channel *c = slab_take(&all->slab), *carrier;

    *error = ENOMEM;
    if (c == NULL)
        return NULL;
    carrier = find(r, peer, m);
    if (carrier == NULL) {
        carrier = channel_make(r, peer, m, error);
        if (carrier == NULL) {
            slab_give(&all->slab, c);
            return NULL;
        }
        use(carrier, r);
        channel_connect(carrier);
    } else if (list_linked(&carrier->idle)) {
        rise(carrier, r);
    }
    memset(c, 0, sizeof *c);
    OBJ_BORN(c, CHANNEL_MAGIC);
    all->open++;
    c->home = all;
    c->loop = r->loop;
    c->io = r->io;
    c->fd = -1;
    c->request = r;
    c->ops = ops;
    c->owner = owner;
    c->opened_ns = io_now_ns(r->io);
    join(c, carrier);
    return c;
}

bool channel_is_open(const struct channel *c)
{
    return channel_is_stream(c) ? !c->orphan && carriage_of(c)->open : c->reused;
}

/* ---- sessions -------------------------------------------------------------------------------- */

void *channel_session(const struct channel *c)
{
    return c->carrier->carriage->session;
}

void channel_begin_session(struct channel *c, const struct channel_session_ops *ops, void *session)
{
    struct carriage *g = c->carrier->carriage;

    CHECK(g->session == NULL);
    g->session = session;
    g->ops = ops;
}

void channel_flush(struct channel *c)
{
    const struct carriage *g = carriage_of(c);

    if (g != NULL && !g->busy && !g->channel->closing)
        flush(g->channel);
}
