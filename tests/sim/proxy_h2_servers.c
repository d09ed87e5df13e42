/* proxy_h2_servers.c - the servers of HTTP/2 behind the proxy of proxy_sim.c: connections from
 * their greeting to their end, and what a server says of its own accord. */
#include "proxy_h2_servers.h"

#include <errno.h>

enum { CONNS_MAX = 256, ACK_MOST_MS = 6000, GOODBYE_MOST_MS = 6000 };

static struct conn conns[CONNS_MAX];

/* ---- what is sent -------------------------------------------------------------------------- */

void conn_put(struct conn *c, enum h2_type type, unsigned flags, uint32_t stream,
              const void *payload, size_t size)
{
    MUST(c->out_size + H2_FRAME_HEAD + size < OUT_ROOM);
    uint8_t *at = h2_put_head(c->out + c->out_size, (uint32_t)size, type, flags, stream);

    if (size > 0)
        memcpy(at, payload, size);
    c->out_size += H2_FRAME_HEAD + size;
}

void conn_put_u32(struct conn *c, enum h2_type type, uint32_t stream, uint32_t n)
{
    uint8_t payload[4];

    h2_put_u32(payload, n);
    conn_put(c, type, 0, stream, payload, sizeof payload);
}

/* A free place for what is to be acknowledged; NULL: enough waits. */
static struct unacked *await_ack(struct conn *c)
{
    struct unacked *u = &c->unacked[c->unacked_count];

    if (c->unacked_count == UNACKED_MOST)
        return NULL;
    memset(u, 0, sizeof *u);
    c->unacked_count++;
    return u;
}

void conn_ping(struct io *io, struct conn *c, bool goodbye)
{
    struct unacked *u = await_ack(c);

    if (u == NULL)
        return;
    u->ping = true;
    u->goodbye = goodbye;
    for (size_t i = 0; i < sizeof u->payload; i++)
        u->payload[i] = (uint8_t)sim_random(io, 256);
    conn_put(c, H2_PING, 0, 0, u->payload, sizeof u->payload);
    u->out_end = conn_said(c);
}

static uint32_t some_setting(struct io *io, unsigned id)
{
    static const uint32_t streams[] = { 1, 2, 5, 100, 1000 };
    static const uint32_t windows[] = { 0, 1, 100, 5000, 65535, 1 << 20, H2_WINDOW_MAX / 2 };
    static const uint32_t frames[] = { 16384, 16385, 40000, 1 << 20, 0xffffff };

    switch (id) {
    case H2_MAX_CONCURRENT_STREAMS:
        return !mood.calm && sim_random(io, 40) == 0 ? 0 : streams[sim_random(io, 5)];
    case H2_INITIAL_WINDOW_SIZE:
        return windows[sim_random(io, COUNT_OF(windows))];
    case H2_MAX_FRAME_SIZE:
        return frames[sim_random(io, COUNT_OF(frames))];
    default:
        return sim_random(io, 100000);
    }
}

static void say_settings(struct io *io, struct conn *c)
{
    static const unsigned ids[] = { H2_HEADER_TABLE_SIZE, H2_MAX_CONCURRENT_STREAMS,
                                    H2_INITIAL_WINDOW_SIZE, H2_MAX_FRAME_SIZE,
                                    H2_MAX_HEADER_LIST_SIZE };
    struct unacked *u = await_ack(c);
    uint8_t payload[COUNT_OF(ids) * H2_SETTING_SIZE], *at = payload;

    if (u == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        if (sim_random(io, 2) == 0)
            continue;
        u->has[ids[i]] = true;
        u->settings[ids[i]] = some_setting(io, ids[i]);
        at = h2_put_setting(at, (enum h2_setting)ids[i], u->settings[ids[i]]);
    }
    conn_put(c, H2_SETTINGS, 0, 0, payload, (size_t)(at - payload));
    u->out_end = conn_said(c);
}

static void greet(struct io *io, struct conn *c)
{
    c->greeted = true;
    if (!mood.calm && sim_random(io, 40) == 0) { /* not what was expected */
        c->raved = true;
        if (sim_random(io, 2))
            conn_put(c, H2_PING, 0, 0, "12345678", 8);
        else
            c->out_size += (size_t)snprintf((char *)c->out + c->out_size, 64,
                                            "HTTP/1.1 400 Bad Request\r\n\r\n");
        conn_lost_from(c, 0);
        return;
    }
    say_settings(io, c);
    if (c->settings_seen)
        conn_put(c, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

bool conn_is_idle(const struct conn *c)
{
    for (unsigned i = 0; i < c->stream_count; i++)
        if (!stream_is_closed(&c->streams[i]))
            return false;
    return true;
}

/* ---- of its own accord --------------------------------------------------------------------- */

static uint32_t some_more(struct io *io, const struct conn *c)
{
    return 1 + sim_random(io, c->generous || sim_random(io, 4) == 0 ? 60000 : 1000);
}

static void open_windows(struct io *io, struct conn *c)
{
    if (c->up_window < 4000 && sim_random(io, 2)) {
        uint32_t more = some_more(io, c);

        conn_put_u32(c, H2_WINDOW_UPDATE, 0, more);
        c->up_window += more;
    }
    for (unsigned i = 0; i < c->stream_count; i++) {
        struct stream *s = &c->streams[i];

        if (stream_is_closed(s) || s->up_ended || s->up_window >= 2000 || sim_random(io, 4) > 0)
            continue;
        uint32_t more = some_more(io, c);

        conn_put_u32(c, H2_WINDOW_UPDATE, 2 * i + 1, more);
        s->up_window += more;
    }
}

static void make_noise(struct io *io, struct conn *c)
{
    if (c->noise_left == 0 || sim_random(io, 30) > 0)
        return;
    c->noise_left--;
    switch (sim_random(io, 6)) {
    case 0:
        conn_ping(io, c, false);
        break;
    case 4:
        MUST(nghttp2_hd_deflate_change_table_size(c->encoder, sim_random(io, 4097)) == 0);
        break;
    case 1:
    case 2:
        say_settings(io, c);
        break;
    case 3:
        conn_put(c, H2_PRIORITY, 0, 1 + 2 * sim_random(io, 50), "\0\0\0\0\1", 5);
        break;
    default:
        conn_put(c, (enum h2_type)(0x20 + sim_random(io, 9)), sim_random(io, 256),
                 sim_random(io, 30), "whatever", sim_random(io, 9));
        break;
    }
}

/* ---- steps --------------------------------------------------------------------------------- */

static void let_go(struct conn *c)
{
    nghttp2_hd_deflate_del(c->encoder);
    hpack_reader_destroy(c->decoder);
    free(c->streams);
    free(c->block);
    free(c->in);
    free(c->out);
    memset(c, 0, sizeof *c);
}

/* What was sent is answered, soon. */
static void check_acks(struct io *io, struct conn *c)
{
    uint64_t now = io_now_ns(io);

    for (unsigned i = 0; i < c->unacked_count; i++) {
        struct unacked *u = &c->unacked[i];

        if (u->out_end > conn_written(c) || c->raved || now < c->deaf_until)
            return;
        if (u->sent_ns == 0 || u->sent_ns < c->deaf_until)
            u->sent_ns = now;
        MUST(now - u->sent_ns < ACK_MOST_MS * (uint64_t)MS);
    }
}

/* A connection that goes away is closed by weir, when it knows, and nothing is left to be done. */
static void check_goodbye(struct io *io, struct conn *c)
{
    uint64_t now = io_now_ns(io);

    if (!c->knows_goodbye || !conn_is_idle(c) || now < c->deaf_until)
        c->goodbye_ns = now;
    MUST(now - c->goodbye_ns < GOODBYE_MOST_MS * (uint64_t)MS);
}

static void write_some(struct io *io, struct conn *c)
{
    size_t left = c->out_size - c->out_done, n = 0;
    size_t most = 1 + sim_random(io, sim_random(io, 2) ? 100 : 100000);

    if (left > 0)
        n = sim_peer_write(c->end, c->out + c->out_done, left < most ? left : most);
    c->out_done += n;
    mood.touched |= n > 0;
    if (c->out_done < c->out_size && c->out_done < OUT_FULL)
        return;
    c->out_size -= c->out_done;
    memmove(c->out, c->out + c->out_done, c->out_size);
    c->out_before += c->out_done;
    c->out_done = 0;
}

/* False: the connection is over. */
static bool read_some(struct conn *c)
{
    ssize_t n = 0;

    while (c->in_size < IN_ROOM &&
           (n = sim_peer_read(c->end, c->in + c->in_size, IN_ROOM - c->in_size)) > 0) {
        c->in_size += (size_t)n;
        mood.touched = true;
    }
    if (n == 0 && c->in_size < IN_ROOM)
        return false;
    return !(n < 0 && errno == ECONNRESET) && !sim_peer_reset_seen(c->end);
}

static void speak(struct io *io, struct conn *c)
{
    if (!c->greeted) {
        if (io_now_ns(io) >= c->greet_at)
            greet(io, c);
        return;
    }
    if (c->silent || c->raved || c->out_size - c->out_done > OUT_FULL)
        return;
    open_windows(io, c);
    make_noise(io, c);
    conn_answers(io, c);
}

static void conn_step(struct io *io, struct conn *c)
{
    bool open = true;

    if (c->frozen)
        return;
    if (io_now_ns(io) >= c->deaf_until) {
        open = read_some(c);
        conn_reads(io, c);
    }
    if (!open) {
        sim_peer_close(c->end);
        let_go(c);
        return;
    }
    speak(io, c);
    if (conn_meets_doom(io, c)) {
        let_go(c);
        return;
    }
    if (c->silent)
        return;
    write_some(io, c);
    check_acks(io, c);
    check_goodbye(io, c);
}

static void step(struct io *io)
{
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++)
        if (c->end != NULL)
            conn_step(io, c);
}

static void set_up(struct io *io, struct conn *c, struct sim_peer *end)
{
    c->end = end;
    c->in = malloc(IN_ROOM);
    c->out = malloc(OUT_ROOM);
    MUST(c->in != NULL && c->out != NULL);
    MUST(nghttp2_hd_deflate_new(&c->encoder, 4096) == 0);
    c->decoder = hpack_reader_create();
    MUST(c->decoder != NULL);
    c->up_window = c->window = c->first_window = c->first_up_window = H2_WINDOW_FIRST;
    c->frame_most = H2_FRAME_MAX_LEAST;
    c->streams_most = UINT32_MAX;
    c->generous = sim_random(io, 2);
    c->noise_left = sim_random(io, 2) ? sim_random(io, 30) : 0;
    c->greet_at = io_now_ns(io);
    if (sim_random(io, 4) == 0)
        c->greet_at += (uint64_t)sim_random(io, 500) * MS;
    conn_choose_doom(io, c);
}

static void welcome(struct io *io, struct sim_peer *end)
{
    struct conn *c = conns;

    switch (mood.calm ? 99 : sim_random(io, 30)) {
    case 0:
        sim_peer_reset(end);
        return;
    case 1:
        sim_peer_close(end);
        return;
    default:
        break;
    }
    while (c->end != NULL)
        c++;
    MUST(c < conns + CONNS_MAX);
    set_up(io, c, end);
    c->frozen = !mood.calm && sim_random(io, 30) == 0;
    mood.silent |= c->frozen;
}

static void close_all(void)
{
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++) {
        if (c->end == NULL)
            continue;
        sim_peer_close(c->end);
        let_go(c);
    }
}

const struct servers_kind servers = {
    .name = "proxy_h2_sim",
    .conf = "proxy_http_version 2;",
    .old = "proxy_pass_trailers on;",
    .clients_max = 12,
    .upgrades = false,
    .welcome = welcome,
    .step = step,
    .close = close_all,
};
