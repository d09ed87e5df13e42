/* dns_ask.c - tries one name server after another.
 *
 * A try is a socket: begin_try(), then bytes, an error or the timer, then close_try(). What comes
 * next is decided when the close has completed: another try, or done(). So nothing is in flight
 * between two tries, and an answer to an earlier one finds nobody.
 */
#include "net/dns_ask.h"

#include "base/block.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

enum { NS_PER_MS = 1000000, PREFIX = 2 /* the size of a message, over TCP: RFC 1035 §4.2.2 */ };

static io_done_fn on_connected, on_sent, on_datagram, on_stream, on_closed;
static io_fire_fn on_late;
static void begin_try(struct dns_ask *);

/* ---- the end ------------------------------------------------------------------------------- */

/* The timer rings once more to tell, so that nobody is told from inside a call. */
static void on_told(struct io *io, struct io_timer *timer)
{
    struct dns_ask *a = container_of(timer, struct dns_ask, timer);
    uint8_t *reply = a->reply;

    (void)io;
    a->done(a);
    block_free(reply);
}

static void finish(struct dns_ask *a)
{
    io_timer_set(a->io, &a->timer, 0, on_told);
}

/* Nothing more is expected of this try. */
static void close_try(struct dns_ask *a)
{
    if (a->closing)
        return;
    a->closing = true;
    io_timer_stop(a->io, &a->timer);
    io_close(a->io, &a->end, a->fd, on_closed);
}

static void end_with(struct dns_ask *a, enum dns_outcome outcome)
{
    a->outcome = outcome;
    a->over = true;
    close_try(a);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result result)
{
    struct dns_ask *a = container_of(op, struct dns_ask, end);

    (void)io;
    (void)result;
    a->closing = false;
    a->fd = -1;
    if (a->over)
        finish(a);
    else
        begin_try(a);
}

/* ---- what came ----------------------------------------------------------------------------- */

/* This server is of no use: the next one, unless all were of none. */
static void server_failed(struct dns_ask *a)
{
    a->failures++;
    a->next++;
    a->tcp = false;
    if (a->failures >= a->server_count)
        end_with(a, DNS_ASK_FAILED);
    else
        close_try(a);
}

/* Servers from before EDNS say so in one of these ways (RFC 6891 §7). */
static bool wants_plain(const struct dns_ask *a)
{
    return !a->plain && (a->rcode == DNS_FORMAT_ERROR || a->rcode == DNS_NOT_IMPLEMENTED);
}

/* The message in a->reply answers the question. */
static void judge(struct dns_ask *a)
{
    a->rcode = a->message.rcode;
    if (a->rcode == DNS_OK && a->message.truncated && !a->tcp) {
        a->tcp = true;
        close_try(a);
    } else if (a->rcode == DNS_OK || a->rcode == DNS_NO_SUCH_NAME) {
        end_with(a, DNS_ASK_ANSWERED);
    } else if (wants_plain(a)) {
        a->plain = true;
        close_try(a);
    } else {
        server_failed(a);
    }
}

static bool fits(struct dns_ask *a, const uint8_t *bytes, size_t size)
{
    return dns_open(&a->message, bytes, size) && a->message.id == a->id &&
           dns_answers(&a->message, a->name, a->type);
}

static bool make_room(struct dns_ask *a, size_t size)
{
    if (size <= a->reply_room)
        return true;
    block_free(a->reply);
    a->reply = block_alloc(size);
    a->reply_room = a->reply != NULL ? size : 0;
    return a->reply != NULL;
}

/* What is no answer to the question came from somebody else: the wait goes on (RFC 5452 §9.1). */
static void on_datagram(struct io *io, struct io_op *op, struct io_result result)
{
    struct dns_ask *a = container_of(op, struct dns_ask, rx);
    size_t size = result.res > 0 ? (size_t)result.res : 0;
    bool mine = false, room = true;

    if (result.buf != NULL) {
        mine = !a->closing && fits(a, result.buf->bytes, size);
        room = !mine || make_room(a, size);
        if (mine && room) {
            memcpy(a->reply, result.buf->bytes, size);
            a->message.bytes = a->reply;
        }
        io_buf_release(io, result.buf);
    }
    if (a->closing)
        return;
    if (!room)
        end_with(a, DNS_ASK_NO_MEMORY);
    else if (mine)
        judge(a);
    else if (result.res < 0)
        server_failed(a);
    else
        io_recv_dgram(io, &a->rx, a->fd, 0, on_datagram);
}

/* The size of the message once it is known; 0: not yet. */
static size_t expected(const struct dns_ask *a)
{
    return a->reply_size < PREFIX ? 0 : (size_t)a->reply[0] << 8 | a->reply[1];
}

static void take_stream(struct dns_ask *a, const uint8_t *bytes, size_t size)
{
    size_t room = a->reply_room - a->reply_size;

    size = size < room ? size : room;
    memcpy(a->reply + a->reply_size, bytes, size);
    a->reply_size += size;
}

static void on_stream(struct io *io, struct io_op *op, struct io_result result)
{
    struct dns_ask *a = container_of(op, struct dns_ask, rx);

    if (result.buf != NULL) {
        if (!a->closing)
            take_stream(a, result.buf->bytes, (size_t)result.res);
        io_buf_release(io, result.buf);
    }
    if (a->closing)
        return;
    if (result.res <= 0)
        server_failed(a);
    else if (expected(a) == 0 || a->reply_size < PREFIX + expected(a))
        io_recv(io, &a->rx, a->fd, 0, on_stream);
    else if (fits(a, a->reply + PREFIX, expected(a)))
        judge(a);
    else
        server_failed(a);
}

/* ---- a try --------------------------------------------------------------------------------- */

static void on_sent(struct io *io, struct io_op *op, struct io_result result)
{
    struct dns_ask *a = container_of(op, struct dns_ask, tx);

    (void)io;
    if (!a->closing && result.res < 0)
        server_failed(a);
}

static void on_connected(struct io *io, struct io_op *op, struct io_result result)
{
    struct dns_ask *a = container_of(op, struct dns_ask, tx);

    if (a->closing)
        return;
    if (result.res < 0) {
        server_failed(a);
        return;
    }
    a->reply_size = 0;
    if (!make_room(a, PREFIX + DNS_MESSAGE_MAX)) {
        end_with(a, DNS_ASK_NO_MEMORY);
        return;
    }
    io_send(io, &a->tx, a->fd, &a->iov, 1, 0, on_sent);
    io_recv(io, &a->rx, a->fd, 0, on_stream);
}

static uint64_t left_ns(const struct dns_ask *a)
{
    uint64_t now = io_now_ns(a->io);

    return a->until_ns > now ? a->until_ns - now : 0;
}

/* Silence: the next server, and a longer wait once all have been tried. */
static void on_late(struct io *io, struct io_timer *timer)
{
    struct dns_ask *a = container_of(timer, struct dns_ask, timer);

    (void)io;
    a->tries++;
    a->next++;
    a->failures = 0;
    a->tcp = false;
    if (left_ns(a) == 0)
        end_with(a, DNS_ASK_LATE);
    else
        close_try(a);
}

static uint64_t patience_ns(const struct dns_ask *a)
{
    unsigned round = a->tries / a->server_count;
    uint64_t ms = round > 3 ? DNS_LAST_WAIT_MS : (uint64_t)DNS_FIRST_WAIT_MS << round;
    uint64_t left = left_ns(a);

    return ms * NS_PER_MS < left ? ms * NS_PER_MS : left;
}

/* False: the name cannot be asked for. */
static bool write_query(struct dns_ask *a)
{
    size_t size;

    if (getrandom(&a->id, sizeof a->id, 0) != (ssize_t)sizeof a->id)
        return false;
    size = dns_write_query(a->query + PREFIX, a->id, a->name, a->type, !a->plain);
    a->query[0] = (uint8_t)(size >> 8);
    a->query[1] = (uint8_t)size;
    a->iov = (struct iovec){ a->query, PREFIX + size };
    if (!a->tcp)
        a->iov = (struct iovec){ a->query + PREFIX, size };
    return size > 0;
}

/* A socket, connected if it is UDP's: what comes from elsewhere is not heard. -errno */
static int socket_to(struct dns_ask *a, const struct addr *server)
{
    int fd, error;

    a->peer = (struct io_dgram){ 0 };
    a->peer.peer_size = addr_to_sockaddr(server, &a->peer.peer);
    fd = socket(server->family, (a->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    error = a->tcp || connect(fd, (struct sockaddr *)&a->peer.peer, a->peer.peer_size) == 0
                ? io_adopt(a->io, fd)
                : -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static void begin_try(struct dns_ask *a)
{
    const struct addr *server = &a->servers[(a->first + a->next) % a->server_count];

    if (!write_query(a)) {
        a->outcome = DNS_ASK_BAD_NAME;
        finish(a);
        return;
    }
    a->fd = socket_to(a, server);
    if (a->fd < 0) { /* no way there at all */
        a->outcome = is_shortage(a->fd) ? DNS_ASK_NO_MEMORY : DNS_ASK_FAILED;
        a->next++;
        if (is_shortage(a->fd) || ++a->failures >= a->server_count)
            finish(a);
        else
            begin_try(a);
        return;
    }
    io_timer_set(a->io, &a->timer, patience_ns(a), on_late);
    if (a->tcp) {
        io_connect(a->io, &a->tx, a->fd, (struct sockaddr *)&a->peer.peer, a->peer.peer_size,
                   on_connected);
        return;
    }
    a->peer.peer_size = 0; /* the socket knows */
    io_send_dgram(a->io, &a->tx, a->fd, &a->peer, &a->iov, 1, on_sent);
    io_recv_dgram(a->io, &a->rx, a->fd, 0, on_datagram);
}

void dns_ask_begin(struct dns_ask *a)
{
    CHECK(a->server_count > 0 && a->server_count <= DNS_SERVERS_MAX);
    a->until_ns = io_now_ns(a->io) + (uint64_t)a->timeout_ms * NS_PER_MS;
    a->fd = -1;
    begin_try(a);
}

void dns_ask_cancel(struct dns_ask *a)
{
    if (a->over)
        return;
    if (a->fd >= 0) {
        end_with(a, DNS_ASK_CANCELLED);
        return;
    }
    a->outcome = DNS_ASK_CANCELLED; /* the timer is about to tell */
}
