/* fetch.c - looks the host up, connects to its addresses in turn, asks, reads. */
#include "net/fetch.h"

#include "base/block.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { HTTP_PORT = 80, ARENA_BLOCK = 4096, ARENA_MAX = 128 * 1024 };

static const struct h1_limits limits = {
    .line_max = 8 * 1024,
    .head_max = 32 * 1024,
    .fields_max = 100,
    .first_size = 1024,
};

/* ---- the URL -------------------------------------------------------------------------------- */

static bool plain(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if ((unsigned char)s.at[i] <= ' ' || (unsigned char)s.at[i] >= 0x7f)
            return false;
    return true;
}

const char *fetch_read_url(struct slice text, struct fetch_url *u)
{
    struct slice rest, port = { 0 };
    uint64_t number = HTTP_PORT;
    size_t cut;

    if (!slice_starts(text, SLICE("http://")))
        return "only http:// is spoken here";
    if (!plain(text))
        return "there are blanks or other bytes in it that no URL has";
    rest = slice_skip(text, strlen("http://"));
    u->authority = slice_head(rest, slice_find(rest, '/'));
    u->path = slice_skip(rest, u->authority.size);
    u->path = slice_head(u->path, slice_find(u->path, '#'));
    u->host = u->authority;
    if (u->host.size > 0 && u->host.at[0] == '[') {
        cut = slice_find(u->host, ']');
        if (cut == u->host.size)
            return "there is no \"]\" behind its address";
        port = slice_skip(u->host, cut + 1);
        u->host = slice_head(slice_skip(u->host, 1), cut - 1);
    } else {
        cut = slice_find(u->host, ':');
        port = slice_skip(u->host, cut);
        u->host = slice_head(u->host, cut);
    }
    if (port.size > 0 &&
        (port.at[0] != ':' || !slice_to_u64(slice_skip(port, 1), 65535, &number) || number == 0))
        return "its port is none";
    u->port = (uint16_t)number;
    return u->host.size > 0 ? NULL : "there is no host in it";
}

/* ---- the end -------------------------------------------------------------------------------- */

static void tell(struct fetch *f)
{
    io_timer_stop(f->io, &f->timer);
    lookup_end(&f->lookup);
    f->answer = slice_of(f->bytes, f->used);
    arena_done(&f->arena);

    char *bytes = f->bytes;

    f->done(f);
    block_free(bytes);
}

static void on_soon(struct io *io, struct io_timer *timer)
{
    (void)io;
    tell(container_of(timer, struct fetch, soon));
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)r;
    tell(container_of(op, struct fetch, end));
}

/* why: NULL: it went well. */
static void finish(struct fetch *f, const char *why)
{
    if (f->over)
        return;
    f->over = true;
    f->why = why;
    if (f->looking)
        lookup_cancel(&f->lookup);
    if (io_busy(&f->end))
        return; /* its completion tells */
    if (f->fd >= 0)
        io_close(f->io, &f->end, f->fd, on_closed);
    else
        io_timer_set(f->io, &f->soon, 0, on_soon);
}

static void on_late(struct io *io, struct io_timer *timer)
{
    (void)io;
    finish(container_of(timer, struct fetch, timer), "there was no answer in time");
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool keep(struct fetch *f, struct slice piece)
{
    if (piece.size > f->answer_max - f->used)
        return false;
    if (f->bytes == NULL && piece.size > 0)
        f->bytes = block_alloc(f->answer_max);
    if (f->bytes == NULL)
        return piece.size == 0;
    memcpy(f->bytes + f->used, piece.at, piece.size);
    f->used += (uint32_t)piece.size;
    return true;
}

static void begin_response(struct fetch *f)
{
    h1_response_init(&f->response, &limits, &f->arena, f->body.size > 0 ? METHOD_POST : METHOD_GET);
}

/* False: all of it was read, and more is needed; else it is finished. */
static bool read_bytes(struct fetch *f, struct slice in)
{
    while (!f->head_read) {
        size_t taken;
        enum h1_verdict v = h1_response_feed(&f->response, in.at, in.size, &taken);

        in = slice_skip(in, taken);
        if (v == H1_MORE)
            return false;
        if (v == H1_BAD) {
            finish(f, "the answer is not HTTP");
            return true;
        }
        if (f->response.interim) {
            begin_response(f);
            continue;
        }
        f->head_read = true;
        f->status = f->response.status;
    }
    for (;;) {
        size_t taken;
        struct slice piece = { 0 };
        enum h1_verdict v = h1_response_body(&f->response, in.at, in.size, &taken, &piece);

        in = slice_skip(in, taken);
        if (!keep(f, piece)) {
            finish(f, "the answer is too large");
            return true;
        }
        if (v != H1_MORE) {
            finish(f, v == H1_BAD ? "the answer is not HTTP" : NULL);
            return true;
        }
        if (in.size == 0)
            return false;
    }
}

static void on_bytes(struct io *io, struct io_op *op, struct io_result r)
{
    struct fetch *f = container_of(op, struct fetch, rx);
    bool over = f->over;

    if (r.buf != NULL) {
        if (!over)
            over = read_bytes(f, slice_of((const char *)r.buf->bytes, r.buf->filled));
        io_buf_release(io, r.buf);
    }
    if (over)
        return;
    if (r.res > 0)
        io_recv(f->io, &f->rx, f->fd, 0, on_bytes);
    else if (r.res == 0 && f->head_read && h1_response_end(&f->response) == H1_DONE)
        finish(f, NULL);
    else
        finish(f, "the connection ended before the answer did");
}

/* ---- asking --------------------------------------------------------------------------------- */

static void on_sent(struct io *io, struct io_op *op, struct io_result r)
{
    struct fetch *f = container_of(op, struct fetch, tx);

    (void)io;
    if (r.res < 0 && r.res != -EPIPE && r.res != -ECONNRESET)
        finish(f, "the question could not be sent");
}

static void ask(struct fetch *f)
{
    const struct fetch_url *u = &f->target;
    struct slice path = u->path.size > 0 ? u->path : SLICE("/");
    struct slice head;

    if (f->body.size > 0)
        head = arena_printf(&f->arena,
                            "POST %.*s HTTP/1.1\r\nHost: %.*s\r\nContent-Type: %.*s\r\n"
                            "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                            SLICE_FMT(path), SLICE_FMT(u->authority), SLICE_FMT(f->type),
                            f->body.size);
    else
        head =
            arena_printf(&f->arena, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n\r\n",
                         SLICE_FMT(path), SLICE_FMT(u->authority));
    if (head.at == NULL) {
        finish(f, "no memory");
        return;
    }
    f->iov[0] = (struct iovec){ (void *)(uintptr_t)head.at, head.size };
    f->iov[1] = (struct iovec){ (void *)(uintptr_t)f->body.at, f->body.size };
    io_send(f->io, &f->tx, f->fd, f->iov, f->body.size > 0 ? 2 : 1, 0, on_sent);
    io_recv(f->io, &f->rx, f->fd, 0, on_bytes);
}

static void next_address(struct fetch *f);

static void on_given_up(struct io *io, struct io_op *op, struct io_result r)
{
    struct fetch *f = container_of(op, struct fetch, end);

    (void)io;
    (void)r;
    f->fd = -1;
    if (f->over)
        tell(f);
    else
        next_address(f);
}

static void on_connected(struct io *io, struct io_op *op, struct io_result r)
{
    struct fetch *f = container_of(op, struct fetch, tx);

    (void)io;
    if (f->over)
        return;
    if (r.res < 0)
        io_close(f->io, &f->end, f->fd, on_given_up);
    else
        ask(f);
}

static void next_address(struct fetch *f)
{
    bool literal = f->literal.addr.family != AF_UNSPEC;
    struct resolved *all = literal ? &f->literal : f->lookup.found;
    struct addr *a;

    if (f->next == (literal ? 1 : f->lookup.count)) {
        finish(f, "nobody could be connected to");
        return;
    }
    a = &all[f->next++].addr;
    a->port = f->target.port;
    f->peer_size = addr_to_sockaddr(a, &f->peer);
    f->fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->fd >= 0 && io_adopt(f->io, f->fd) != 0) {
        close(f->fd);
        f->fd = -1;
    }
    if (f->fd < 0) {
        finish(f, "no descriptor is left");
        return;
    }
    io_connect(f->io, &f->tx, f->fd, (const struct sockaddr *)&f->peer, f->peer_size, on_connected);
}

static void found(struct fetch *f)
{
    f->looking = false;
    if (f->lookup.outcome == LOOKUP_FOUND)
        next_address(f);
    else
        finish(f, lookup_why(f->lookup.outcome));
}

static void on_found(struct lookup *l)
{
    struct fetch *f = container_of(l, struct fetch, lookup);

    if (!f->over)
        found(f);
}

void fetch_begin(struct fetch *f)
{
    const char *why = fetch_read_url(f->url, &f->target);

    f->fd = -1;
    arena_init(&f->arena, NULL, 0, ARENA_BLOCK, ARENA_MAX);
    begin_response(f);
    io_timer_set(f->io, &f->timer, (uint64_t)f->timeout_ms * NS_PER_MS, on_late);
    if (why != NULL) {
        finish(f, why);
        return;
    }
    if (addr_parse_ip(f->target.host, &f->literal.addr)) {
        next_address(f);
        return;
    }
    f->literal.addr.family = AF_UNSPEC;
    f->lookup = (struct lookup){ .resolver = f->resolver,
                                 .how = f->how,
                                 .name = f->target.host,
                                 .port = f->target.port,
                                 .done = on_found };
    f->looking = true;
    if (lookup_begin(&f->lookup))
        found(f);
}

void fetch_cancel(struct fetch *f)
{
    finish(f, "it was cancelled");
}
