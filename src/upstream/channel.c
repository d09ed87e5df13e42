/* channel.c - connections to peers, and the idle ones of a loop.
 *
 * On the threads engine a channel in use belongs to the thread of its request's connection, and
 * an idle one to nobody: whether it is still good is found out when it is wanted. On the others a
 * receive waits on each idle one, which is the next answer's.
 */
#include "upstream/channel_private.h"

#include "net/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PER_BLOCK = 32 };

static io_done_fn on_connected, on_sent, on_closed;
static io_fire_fn on_late;

/* ---- all of a loop ------------------------------------------------------------------------ */

struct channels *channels_create(void)
{
    struct channels *all = calloc(1, sizeof *all);

    if (all == NULL)
        return NULL;
    slab_init(&all->slab, sizeof(struct channel), PER_BLOCK);
    for (size_t i = 0; i < COUNT_OF(all->kinds); i++)
        list_init(&all->kinds[i]);
    list_init(&all->sessions);
    return all;
}

static void close_idle(struct kind *k)
{
    while (!list_empty(&k->idle))
        channel_close(container_of(list_first(&k->idle), struct channel, idle));
}

/* A kind that loses its idle ones stays until their closes have completed. */
void channels_leave(struct channels *all)
{
    all->leaving = true;
    sessions_drop(all);
    for (size_t i = 0; i < COUNT_OF(all->kinds); i++) {
        const struct link *head = &all->kinds[i].head;

        for (struct link *l = head->next; l != head; l = l->next)
            close_idle(container_of(l, struct kind, place));
    }
}

bool channels_gone(const struct channels *all)
{
    return all->open == 0;
}

void channels_destroy(struct channels *all)
{
    CHECK(all->open == 0);
    sessions_drop(all);
    slab_done(&all->slab);
    free(all);
}

/* ---- making -------------------------------------------------------------------------------- */

static int set_options(int fd, const struct endpoint *peer, const struct channel_manner *m)
{
    static const int on = 1;

    if (peer->address.any.sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (m->keepalive && setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)
        return errno;
    if (m->rcvbuf > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &m->rcvbuf, sizeof m->rcvbuf) != 0)
        return errno;
    if (m->sndbuf > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &m->sndbuf, sizeof m->sndbuf) != 0)
        return errno;
    if (m->bind == NULL)
        return 0;
    if (m->transparent && setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) != 0)
        return errno;
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, &m->bind->address.any, m->bind->size) == 0 ? 0 : errno;
}

/* A descriptor that is ready to be connected, or -errno. */
static int socket_for(struct io *io, const struct endpoint *peer, const struct channel_manner *m)
{
    int fd = io_socket(io, peer->address.any.sa_family);
    int error = fd < 0 ? 0 : set_options(fd, peer, m);

    if (error == 0)
        return fd;
    close(fd);
    return -error;
}

static void use(struct channel *c, struct request *r, const struct channel_ops *ops, void *owner)
{
    if (c->reused && c->secure != NULL)
        secure_move(c, r->io);
    c->request = r;
    c->io = r->io;
    c->ops = ops;
    c->owner = owner;
    c->requests++;
    request_pin(r);
}

/* A copy of its own. False: no memory. */
static bool greeting_take(struct channel *c, struct slice greeting)
{
    char *copy;

    CHECK(greeting.size <= CHANNEL_GREETING_MAX);
    if (greeting.size == 0)
        return true;
    copy = calloc(1, greeting.size);
    if (copy == NULL)
        return false;
    memcpy(copy, greeting.at, greeting.size);
    c->greeting = slice_of(copy, greeting.size);
    return true;
}

/* Of one that has no socket, or none any more. */
static void forget(struct channel *c)
{
    secure_destroy(c);
    if (c->carriage != NULL)
        carriage_destroy(c);
    if (c->kind != NULL)
        kind_give(c->kind);
    free((void *)(uintptr_t)c->greeting.at);
    slab_give(&c->home->slab, c);
}

struct channel *channel_make(struct request *r, const struct endpoint *peer,
                             const struct channel_manner *m, int *error)
{
    struct channels *all = r->loop->channels;
    struct channel *c = slab_take(&all->slab);
    int fd = -ENOMEM;

    if (c == NULL) {
        *error = ENOMEM;
        return NULL;
    }
    memset(c, 0, sizeof *c);
    c->home = all;
    c->loop = r->loop;
    c->kind = kind_take(all, peer, m);
    if (c->kind != NULL && greeting_take(c, m->greeting) &&
        (m->tls == NULL || secure_create(c, m->tls)) && (m->streams == NULL || carriage_create(c)))
        fd = socket_for(r->io, peer, m);
    if (fd < 0) {
        forget(c);
        *error = -fd;
        return NULL;
    }
    OBJ_BORN(c, CHANNEL_MAGIC);
    c->fd = fd;
    c->io = r->io;
    all->open++;
    return c;
}

void channel_connect(struct channel *c)
{
    c->opened_ns = io_now_ns(c->io);
    io_connect(c->io, &c->tx, c->fd, &c->kind->peer.address.any, c->kind->peer.size, on_connected);
}

/* One that was kept, as far as can be known. */
bool channel_still_holds(const struct channel *c, const struct channel_manner *m)
{
    return (!m->careful && io_busy(&c->rx)) ||
           (c->carriage != NULL ? io_alive(c->io, c->fd) : io_silent(c->io, c->fd));
}

/* The one that was kept last, if it is still good. Others like it are closed on the way. */
static struct channel *take_idle(struct request *r, const struct endpoint *peer,
                                 const struct channel_manner *m)
{
    struct kind *kind = kind_find(r->loop->channels, peer, m);

    if (kind == NULL)
        return NULL;
    for (struct link *l = kind->idle.head.next, *next; l != &kind->idle.head; l = next) {
        struct channel *c = container_of(l, struct channel, idle);

        next = l->next;
        if (!secure_fits(c, m->tls) || !slice_eq(c->greeting, m->greeting))
            continue;
        channel_rise(c);
        if (channel_still_holds(c, m))
            return c;
        channel_close(c);
    }
    return NULL;
}

struct channel *channel_open(struct request *r, const struct endpoint *peer,
                             const struct channel_manner *m, const struct channel_ops *ops,
                             void *owner, int *error)
{
    struct channel *c;

    if (m->streams != NULL)
        return stream_open(r, peer, m, ops, owner, error);
    c = take_idle(r, peer, m);
    if (c != NULL) {
        if (c->io != r->io)
            io_timer_stop(c->io, &c->timer);
        c->reused = true;
        use(c, r, ops, owner);
        channel_deadline(c, 0);
        return c;
    }
    c = channel_make(r, peer, m, error);
    if (c == NULL)
        return NULL;
    use(c, r, ops, owner);
    channel_connect(c);
    return c;
}

bool channel_reused(const struct channel *c)
{
    return c->reused;
}

static void give_back(struct channel *c)
{
    if (c->lent != NULL)
        c->let_go(c->lent);
    c->lent = NULL;
}

/* Its request has done with it. */
void channel_part(struct channel *c)
{
    struct request *r = c->request;

    c->parting = false;
    give_back(c);
    if (c->secure != NULL)
        secure_move(c, c->loop->io);
    bool watched = c->io == c->loop->io;

    if (watched) {
        channel_receive(c);
    } else {
        io_timer_stop(c->io, &c->timer);
        io_leave(c->io, c->fd);
        c->io = c->loop->io;
    }
    c->request = NULL;
    if (c->carriage == NULL)
        c->owner = NULL;
    channel_rest(c);
    channel_deadline(c, c->idle_ms);
    if (r != NULL)
        (void)request_unpin(r);
}

/* ---- events -------------------------------------------------------------------------------- */

static void on_greeted(struct io *io, struct io_op *op, struct io_result result)
{
    struct channel *c = container_of(op, struct channel, tx);

    (void)io;
    OBJ(c, CHANNEL_MAGIC);
    channel_rouse(c);
    if (c->closing)
        return;
    if (result.res < 0)
        c->ops->event(c->owner, CHANNEL_OPEN, -result.res);
    else
        secure_begin(c);
}

/* What stands before all else stands before TLS, too. */
static void greet(struct channel *c)
{
    c->greeting_iov = (struct iovec){ (void *)(uintptr_t)c->greeting.at, c->greeting.size };
    io_send(c->io, &c->tx, c->fd, &c->greeting_iov, 1, 0, on_greeted);
}

static void on_connected(struct io *io, struct io_op *op, struct io_result result)
{
    struct channel *c = container_of(op, struct channel, tx);

    (void)io;
    OBJ(c, CHANNEL_MAGIC);
    channel_rouse(c);
    if (c->closing)
        return;
    if (c->secure == NULL || result.res < 0)
        c->ops->event(c->owner, CHANNEL_OPEN, result.res < 0 ? -result.res : 0);
    else if (c->greeting.size > 0)
        greet(c);
    else
        secure_begin(c);
}

static void on_sent(struct io *io, struct io_op *op, struct io_result result)
{
    struct channel *c = container_of(op, struct channel, tx);

    (void)io;
    OBJ(c, CHANNEL_MAGIC);
    channel_rouse(c);
    if (c->closing)
        return;
    c->ops->event(c->owner, CHANNEL_SENT, result.res < 0 ? -result.res : 0);
}

/* Bytes for an idle channel, or one that is about to be: nobody asked for them, but that a session
 * listens. */
static void idle_said(struct channel *c, struct io_buf *b)
{
    bool fine = false;

    if (c->carriage != NULL)
        fine = carriage_hears(c, b);
    else
        io_buf_release(c->io, b);
    if (fine)
        channel_part(c);
    else
        channel_close(c);
}

void channel_on_bytes(struct io *io, struct io_op *op, struct io_result result)
{
    struct channel *c = container_of(op, struct channel, rx);

    (void)io;
    OBJ(c, CHANNEL_MAGIC);
    channel_rouse(c);
    if (c->parting && !c->closing && result.res == -ECANCELED) {
        channel_part(c);
        return;
    }
    if (c->secure != NULL && !c->closing) {
        secure_bytes(c, result);
        return;
    }
    if (c->closing || (result.buf == NULL && (c->parting || c->owner == NULL))) {
        if (result.buf != NULL)
            io_buf_release(c->io, result.buf);
        channel_close(c);
        return;
    }
    if (result.buf != NULL) {
        result.buf->used = 0;
        result.buf->filled = (uint32_t)result.res;
        result.buf->next = NULL;
        if (c->parting || c->owner == NULL) {
            idle_said(c, result.buf);
            return;
        }
        c->ops->bytes(c->owner, result.buf);
        return;
    }
    c->ended = true;
    c->ops->event(c->owner, CHANNEL_ENDED, result.res < 0 ? -result.res : 0);
}

/* Deadlines that move later are not told to the timer: it rings, and looks again. */
static void on_late(struct io *io, struct io_timer *timer)
{
    struct channel *c = container_of(timer, struct channel, timer);
    uint64_t now = io_now_ns(io);

    OBJ(c, CHANNEL_MAGIC);
    if (c->late_at_ns == 0)
        return;
    if (now < c->late_at_ns) {
        io_timer_set(io, timer, c->late_at_ns - now, on_late);
        return;
    }
    c->late_at_ns = 0;
    c->late = true;
    channel_rouse(c);
    if (c->owner == NULL || c->parting)
        channel_close(c);
    else
        c->ops->event(c->owner, CHANNEL_LATE, 0);
}

void channel_deadline(struct channel *c, int64_t after_ms)
{
    uint64_t after = (uint64_t)after_ms * 1000000u;

    if (after_ms <= 0) {
        c->late_at_ns = 0;
        return;
    }
    c->late_at_ns = io_now_ns(c->io) + after;
    c->patience_ns = after;
    if (c->timer.at_ns == 0 || c->timer.at_ns > c->late_at_ns)
        io_timer_set(c->io, &c->timer, after, on_late);
}

/* ---- bytes --------------------------------------------------------------------------------- */

void channel_send(struct channel *c, const struct iovec *iov, int count, unsigned flags)
{
    if (channel_is_stream(c))
        stream_send(c, iov, count, flags);
    else if (c->secure != NULL)
        secure_send(c, iov, count);
    else
        io_send(c->io, &c->tx, c->fd, iov, count, flags, on_sent);
}

void channel_send_file(struct channel *c, int file, uint64_t offset, uint32_t size)
{
    if (channel_is_stream(c))
        stream_send_file(c, file, offset, size);
    else if (c->secure != NULL)
        secure_send_file(c, file, offset, size);
    else
        io_sendfile(c->io, &c->tx, c->fd, file, offset, size, on_sent);
}

bool channel_sending(const struct channel *c)
{
    return c->flying || io_busy(&c->tx) || (c->secure != NULL && secure_sending(c));
}

uint64_t channel_taken(const struct channel *c)
{
    uint32_t moved = c->tx.kind == IO_SENDFILE ? c->tx.file.sent : c->tx.send.sent;

    if (channel_is_stream(c))
        return c->carrier != NULL ? channel_taken(c->carrier) : 0;
    return net_taken(c->fd) + (c->secure != NULL ? secure_taken(c) : moved);
}

void channel_receive(struct channel *c)
{
    if (c->ended || c->closing || channel_is_stream(c))
        return;
    if (c->secure != NULL)
        secure_receive(c);
    else if (!io_busy(&c->rx))
        io_recv(c->io, &c->rx, c->fd, 0, channel_on_bytes);
}

void channel_finish(struct channel *c)
{
    if (c->secure != NULL)
        secure_finish(c);
    else
        io_finish(c->io, c->fd);
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool worth_keeping(const struct channel *c, const struct channel_keeping *k)
{
    uint64_t age_ms = (io_now_ns(c->io) - c->opened_ns) / 1000000u;

    bool sends = io_busy(&c->tx) && (c->carriage == NULL || c->io != c->loop->io);

    return k->most > 0 && !c->ended && !c->closing && !sends && !c->home->leaving &&
           c->requests < (uint64_t)k->requests && age_ms < (uint64_t)k->time_ms &&
           c->home->idle_count < CHANNELS_IDLE_MAX && (c->secure == NULL || secure_is_quiet(c));
}

/* Room for one more like it: the one that has been idle longest goes. They are looked at one by one
 * only when there may be too many. */
static void make_room(const struct channel *c, unsigned most)
{
    struct list *idle = &c->kind->idle;
    struct channel *oldest = NULL;
    unsigned count = 0;

    if (c->kind->idle_count < most)
        return;
    for (struct link *l = idle->head.next; l != &idle->head; l = l->next) {
        struct channel *other = container_of(l, struct channel, idle);

        if (!secure_alike(other, c))
            continue;
        oldest = other;
        count++;
    }
    if (count >= most)
        channel_close(oldest);
}

void channel_keep(struct channel *c, const struct channel_keeping *k)
{
    if (!worth_keeping(c, k)) {
        channel_close(c);
        return;
    }
    make_room(c, k->most);
    channel_deadline(c, 0);
    c->idle_ms = k->timeout_ms;
    c->parting = c->io != c->loop->io && io_busy(&c->rx);
    if (c->parting)
        io_cancel(c->io, &c->rx);
    else
        channel_part(c);
}

void channel_close(struct channel *c)
{
    OBJ(c, CHANNEL_MAGIC);
    if (c->closing)
        return;
    if (channel_is_stream(c)) {
        stream_close(c);
        return;
    }
    channel_rise(c);
    io_timer_stop(c->io, &c->timer);
    c->closing = true;
    c->end = (struct io_op){ 0 };
    if (c->secure != NULL)
        secure_close(c);
    io_close(c->io, &c->end, c->fd, on_closed);
}

void channel_frees(struct channel *c, void *memory)
{
    c->last = memory;
}

void channel_lend(struct channel *c, void *lent, void (*let_go)(void *lent))
{
    CHECK(c->lent == NULL);
    c->lent = lent;
    c->let_go = let_go;
}

static void on_closed(struct io *io, struct io_op *op, struct io_result result)
{
    struct channel *c = container_of(op, struct channel, end);

    (void)io;
    (void)result;
    c->closed = true;
    if (c->secure == NULL || secure_closed(c))
        channel_over(c);
}

void channel_over(struct channel *c)
{
    struct channels *all = c->home;
    struct request *r = c->request;

    channel_rouse(c);
    free(c->last);
    give_back(c);
    OBJ_DEAD(c);
    forget(c);
    all->open--;
    if (r != NULL)
        (void)request_unpin(r);
}
