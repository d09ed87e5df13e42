/* sim_net.c - sim's sockets, and what a test does with their other ends. */
#include "io/sim_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance --------------------------------------------------------------------------------- */

uint32_t sim_random(struct io *io, uint32_t below)
{
    struct sim_state *s = sim_of(io);

    /* xorshift64*: small, and the same everywhere */
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return below > 0 ? (uint32_t)((s->random * 2685821657736338717u) >> 33) % below : 0;
}

bool sim_chance(struct io *io, unsigned percent)
{
    return percent > 0 && sim_random(io, 100) < percent;
}

uint64_t sim_due(struct io *io)
{
    const struct sim_faults *f = &sim_of(io)->faults;
    uint64_t after = 0;

    if (sim_chance(io, f->delay))
        after = (uint64_t)sim_random(io, f->delay_max_us + 1) * 1000u;
    return sim_of(io)->now_ns + after;
}

size_t sim_short(struct io *io, size_t most)
{
    if (most < 2 || !sim_chance(io, sim_of(io)->faults.short_io))
        return most;
    uint32_t bound = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;

    return 1 + (sim_chance(io, 50) ? sim_random(io, bound) : 0);
}

/* ---- ends ----------------------------------------------------------------------------------- */

struct sim_peer *sim_end_at(const struct io *io, int fd)
{
    CHECK(io_fd_fits(io, fd));
    struct sim_peer *e = sim_of(io)->ends[fd - SIM_FD_BASE];

    CHECK(e != NULL && e->open);
    return e;
}

struct sim_peer *sim_end_new(struct io *io)
{
    struct sim_peer *e = calloc(1, sizeof *e);

    CHECK(e != NULL); /* a test that has no memory has no result either */
    e->io = io;
    e->fd = -1;
    e->open = true;
    e->reads_left = e->writes_left = UINT64_MAX;
    sim_of(io)->peers++;
    return e;
}

int sim_end_number(struct sim_peer *e)
{
    struct sim_state *s = sim_of(e->io);

    for (uint32_t i = 0; i < e->io->limits.fds; i++) {
        if (s->ends[i] != NULL)
            continue;
        s->ends[i] = e;
        s->top = i < s->top ? s->top : i + 1;
        s->sockets++;
        s->peers--;
        e->fd = SIM_FD_BASE + (int)i;
        return e->fd;
    }
    return -EMFILE;
}

void sim_end_join(struct sim_peer *a, struct sim_peer *b)
{
    a->other = b;
    b->other = a;
}

static void end_free(struct sim_peer *e)
{
    free(e->bytes);
    free(e);
}

static void end_reset(struct sim_peer *e)
{
    e->got_reset = true;
}

/* Unread bytes make a close a reset, as TCP does it. */
void sim_end_close(struct sim_peer *e)
{
    struct sim_state *s = sim_of(e->io);
    struct sim_peer *o = e->other;

    CHECK(e->open);
    e->open = false;
    if (e->fd >= 0) {
        s->ends[e->fd - SIM_FD_BASE] = NULL;
        s->sockets--;
    } else {
        s->peers--;
    }
    for (struct sim_peer *q; (q = sim_queue_take(e)) != NULL;) {
        end_reset(q->other);
        sim_end_close(q);
    }
    if (o != NULL && o->open) {
        if (e->used > 0 || e->resets)
            end_reset(o);
        o->got_fin = true;
        return;
    }
    if (o != NULL)
        end_free(o);
    end_free(e);
}

void sim_end_finish(struct sim_peer *e)
{
    if (e->other != NULL)
        e->other->got_fin = true;
}

struct sim_peer *sim_listener_at(struct io *io, uint16_t port)
{
    struct sim_state *s = sim_of(io);

    for (uint32_t i = 0; i < s->top; i++)
        if (s->ends[i] != NULL && s->ends[i]->port == port && port != 0)
            return s->ends[i];
    return NULL;
}

void sim_queue_push(struct sim_peer *listener, struct sim_peer *end)
{
    struct sim_peer **at = &listener->queue;

    while (*at != NULL)
        at = &(*at)->next;
    *at = end;
}

struct sim_peer *sim_queue_take(struct sim_peer *listener)
{
    struct sim_peer *e = listener->queue;

    if (e != NULL) {
        listener->queue = e->next;
        e->next = NULL;
    }
    return e;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

size_t sim_end_room(const struct sim_peer *e)
{
    size_t most = sim_of(e->io)->faults.queue_max;
    const struct sim_peer *o = e->other;

    if (most == 0)
        most = SIM_QUEUE_USUAL;
    if (o == NULL || !o->open)
        return most; /* they go nowhere */
    return most > o->used ? most - o->used : 0;
}

static void countdown(uint64_t *left, size_t moved, struct sim_peer *e)
{
    if (*left == UINT64_MAX)
        return;
    *left = *left > moved ? *left - moved : 0;
    if (*left > 0)
        return;
    end_reset(e);
    if (e->other != NULL)
        e->other->used = 0;
}

/* Bytes for a closed end are lost, and answered by a reset. */
void sim_end_put(struct sim_peer *e, const void *bytes, size_t size)
{
    struct sim_peer *o = e->other;

    if (o == NULL || !o->open) {
        end_reset(e);
        return;
    }
    if (o->used + size > o->room) {
        o->room = (o->used + size) * 2;
        o->bytes = realloc(o->bytes, o->room);
        CHECK(o->bytes != NULL);
    }
    memcpy(o->bytes + o->used, bytes, size);
    o->used += size;
    if (e->fd >= 0)
        countdown(&e->writes_left, size, e);
}

size_t sim_end_get(struct sim_peer *e, void *into, size_t size)
{
    if (size > e->used)
        size = e->used;
    if (size == 0)
        return 0;
    memcpy(into, e->bytes, size);
    e->used -= size;
    memmove(e->bytes, e->bytes + size, e->used);
    if (e->fd >= 0)
        countdown(&e->reads_left, size, e);
    return size;
}

/* ---- what tests call ---------------------------------------------------------------------- */

struct sim_peer *sim_pair(struct io *io, int *ret_fd)
{
    struct sim_peer *ours = sim_end_new(io), *peer = sim_end_new(io);

    sim_end_join(ours, peer);
    *ret_fd = sim_end_number(ours);
    CHECK(*ret_fd >= 0);
    return peer;
}

int sim_listener(struct io *io, uint16_t port)
{
    CHECK(port != 0 && sim_listener_at(io, port) == NULL);
    struct sim_peer *e = sim_end_new(io);

    e->port = port;
    int fd = sim_end_number(e);

    CHECK(fd >= 0);
    return fd;
}

void sim_listener_mute(struct io *io, uint16_t port, bool mute)
{
    struct sim_peer *listener = sim_listener_at(io, port);

    CHECK(listener != NULL);
    listener->mute = mute;
}

int sim_socket(struct io *io)
{
    int fd = sim_end_number(sim_end_new(io));

    CHECK(fd >= 0);
    return fd;
}

struct sim_peer *sim_connect(struct io *io, uint16_t port)
{
    struct sim_peer *listener = sim_listener_at(io, port);

    if (listener == NULL)
        return NULL;
    struct sim_peer *server = sim_end_new(io), *client = sim_end_new(io);

    sim_end_join(server, client);
    sim_queue_push(listener, server);
    return client;
}

struct sim_peer *sim_accept(struct io *io, uint16_t port)
{
    struct sim_peer *listener = sim_listener_at(io, port);

    return listener != NULL ? sim_queue_take(listener) : NULL;
}

size_t sim_peer_write(struct sim_peer *p, const void *bytes, size_t size)
{
    size_t room = sim_end_room(p);

    if (p->got_reset || p->other == NULL || p->other->got_fin)
        return 0;
    if (size > room)
        size = room;
    if (size > 0)
        sim_end_put(p, bytes, size);
    return size;
}

ssize_t sim_peer_read(struct sim_peer *p, void *into, size_t size)
{
    size_t n = sim_end_get(p, into, size);

    if (n > 0)
        return (ssize_t)n;
    if (p->got_fin && !p->got_reset)
        return 0;
    errno = p->got_reset ? ECONNRESET : EAGAIN;
    return -1;
}

void sim_peer_shutdown(struct sim_peer *p)
{
    sim_end_finish(p);
}

void sim_peer_close(struct sim_peer *p)
{
    sim_end_close(p);
}

void sim_peer_reset(struct sim_peer *p)
{
    if (p->other != NULL && p->other->open)
        end_reset(p->other);
    sim_end_close(p);
}

bool sim_peer_reset_seen(const struct sim_peer *p)
{
    return p->got_reset;
}

void sim_peer_reset_after(struct sim_peer *p, uint64_t read, uint64_t written)
{
    CHECK(p->other != NULL);
    p->other->reads_left = read;
    p->other->writes_left = written;
}
