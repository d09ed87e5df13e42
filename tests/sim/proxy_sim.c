/* proxy_sim.c - the proxy between clients and servers of which neither behave: the real protocol,
 * pipeline, relay and channels over a simulated network.
 *
 *   proxy_sim [--seeds COUNT] [--seed FIRST] [--verbose]            servers of HTTP/1
 *   proxy_h2_sim [--seeds COUNT] [--seed FIRST] [--verbose]         … of HTTP/2
 *
 * A failure prints its seed; --seed alone repeats it.
 *
 * Each seed makes a configuration, a few clients that ask through weir, and servers
 * (proxy_servers.c, proxy_h2_servers.c) that refuse, freeze, break off, lie about lengths, answer
 * too early, too often, or not at all. What is demanded:
 *   - a client gets what a server said, whole; or its beginning, visibly broken off, when that is
 *     all the server said; or 502 or 504, when no server said anything of use;
 *   - not a byte of another request's answer, and no server another request's body;
 *   - nobody waits longer than the time limits allow;
 *   - a connection to a server serves again only behind a whole exchange;
 *   - in the end the books are balanced: connections, requests, channels, buffers, timers, ops.
 */
#include "base/clock.h"
#include "proto/http1.h"
#include "sim/proxy_sim.h"
#include "upstream/group.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 12,
    ASKS_MAX = 6,
    PATIENCE_MS = 25000, /* three servers, each with every time limit it has */
    STEP_MAX_MS = 64,
};

bool verbose;

/* ---- the server ------------------------------------------------------------------------------ */

/* /s/: as it stands by default; /n/: nothing is buffered; /r/: every request may be asked again;
 * /u/: upgrades; /i/: clients that leave do not end requests; /o/: HTTP/1.0 with servers, or
 * trailers are passed on; /f/: a
 * filter reads each body; /l/: not too fast; /e/: an error is asked about elsewhere. */
static void write_conf(struct io *io)
{
    static const char *const methods[] = { "", "least_conn;", "hash $uri;", "least_time header;" };
    static const char *const keeps[] = { "",
                                         "keepalive 1;",
                                         "keepalive 8;",
                                         "keepalive 0;",
                                         "keepalive 8; keepalive_requests 2;",
                                         "keepalive 8; keepalive_timeout 1s;" };
    static const char *const fails[] = { "", "max_fails=0", "fail_timeout=1s", "max_conns=2" };
    const char *fail = mood.calm ? "" : fails[sim_random(io, COUNT_OF(fails))];

    snprintf(stage.text, sizeof stage.text,
             "events { }\nhttp { access_log off; error_log %s; %s\n"
             "upstream g { %s %s server 127.0.0.1:1001 %s; server 127.0.0.1:1002 %s;\n"
             "server 127.0.0.1:1003 %s; }\n"
             "server { listen 80; keepalive_timeout 5s; client_header_timeout 3s;\n"
             "client_body_timeout 3s; send_timeout 4s; lingering_timeout 1s; lingering_time 5s;\n"
             "client_body_buffer_size %s; client_body_temp_path %s/bodies;\n"
             "proxy_temp_path %s/answers; proxy_buffers %s;\n"
             "proxy_connect_timeout 2s; proxy_read_timeout 3s; proxy_send_timeout 3s;\n"
             "location /s/ { proxy_pass http://g; }\n"
             "location /n/ { proxy_pass http://g; proxy_buffering off;\n"
             "               proxy_request_buffering off; }\n"
             "location /r/ { proxy_pass http://g; proxy_next_upstream error timeout\n"
             "               invalid_header non_idempotent; }\n"
             "location /u/ { proxy_pass http://g; proxy_set_header Upgrade $http_upgrade;\n"
             "               proxy_set_header Connection $http_connection; }\n"
             "location /i/ { proxy_pass http://g; proxy_ignore_client_abort on; }\n"
             "location /o/ { proxy_pass http://g; %s }\n"
             "location /f/ { proxy_pass http://g; sub_filter_types *; sub_filter never y; }\n"
             "location /l/ { proxy_pass http://g; proxy_limit_rate 20k; }\n"
             "location /e/ { proxy_pass http://g; error_page 502 504 = @again; }\n"
             "location @again { proxy_pass http://g; } } }\n",
             verbose ? "stderr info" : "/dev/null crit", servers.conf,
             methods[sim_random(io, COUNT_OF(methods))], keeps[sim_random(io, COUNT_OF(keeps))],
             fail, fail, fail, sim_random(io, 2) ? "16" : "16k", stage.dir, stage.dir,
             sim_random(io, 2) ? "2 256" : "8 4k", servers.old);
}

/* ---- clients -------------------------------------------------------------------------------- */

enum manner { POLITE, STALLS, RESETS, HALF_CLOSES, GOES_SILENT, NEVER_READS, MANNERS };

struct client {
    struct sim_peer *peer; /* NULL: it has left */
    enum manner manner;
    struct trip *asks[ASKS_MAX];
    unsigned ask_count;
    char *out, *in;
    size_t out_size, out_done, out_stop, in_size, in_room;
    uint64_t moved_ns, stalled_until;
    bool over;     /* the connection has ended */
    bool reset;    /* … by a reset */
    bool finishes; /* its way ends, too, when all was sent */
};

static void put(struct client *c, const char *bytes, size_t size)
{
    c->out = realloc(c->out, c->out_size + size);
    MUST(c->out != NULL);
    memcpy(c->out + c->out_size, bytes, size);
    c->out_size += size;
}

static void put_text(struct client *c, const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    int size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    put(c, text, (size_t)size);
}

static void put_up(struct client *c, const struct trip *t, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char byte = trip_byte(t->number, true, from + i);

        put(c, &byte, 1);
    }
}

static void put_body(struct io *io, struct client *c, const struct trip *t)
{
    if (!t->up_chunked) {
        put_up(c, t, 0, t->up_size);
        return;
    }
    for (size_t at = 0, n; at < t->up_size; at += n) {
        n = 1 + sim_random(io, (uint32_t)(t->up_size - at));
        put_text(c, "%zX\r\n", n);
        put_up(c, t, at, n);
        put_text(c, "\r\n");
    }
    put_text(c, "0\r\n\r\n");
}

static void ask(struct io *io, struct client *c, struct trip *t, bool last)
{
    static const char *const methods[] = { "GET", "GET", "HEAD", "POST", "PUT", "DELETE" };
    static const uint32_t sizes[] = { 1, 20, 2000, 20000 };
    char place = "snriofle"[sim_random(io, 8)];

    t->method = methods[sim_random(io, COUNT_OF(methods))];
    t->upgrade = servers.upgrades && last && sim_random(io, 6) == 0;
    if (t->method[0] == 'P' || t->upgrade)
        t->up_size = sim_random(io, sizes[sim_random(io, COUNT_OF(sizes))]);
    if (t->upgrade) {
        t->method = "GET";
        place = 'u';
    }
    t->up_chunked = t->method[0] == 'P' && sim_random(io, 2);
    t->frail = place == 'n' && t->up_size > 0;
    t->repeats = place == 'r' || place == 'e';
    t->old = last && !t->up_chunked && !t->upgrade && sim_random(io, 4) == 0;
    put_text(c, "%s /%c/%u HTTP/1.%d\r\nHost: a.test\r\n", t->method, place, t->number, !t->old);
    if (t->upgrade)
        put_text(c, "Connection: upgrade\r\nUpgrade: x\r\n");
    else if (last && sim_random(io, 4) == 0)
        put_text(c, "Connection: %s\r\n", t->old ? "keep-alive" : "close");
    if (place == 'o' && sim_random(io, 2))
        put_text(c, "TE: trailers\r\n");
    if (t->up_chunked)
        put_text(c, "Transfer-Encoding: chunked\r\n\r\n");
    else if (t->up_size > 0 && !t->upgrade)
        put_text(c, "Content-Length: %zu\r\n\r\n", t->up_size);
    else
        put_text(c, "\r\n");
    if (!t->upgrade)
        put_body(io, c, t);
}

static void make_client(struct io *io, struct client *c, unsigned number)
{
    int fd;

    memset(c, 0, sizeof *c);
    c->peer = sim_pair(io, &fd);
    c->manner = mood.calm || sim_random(io, 3) > 0 ? POLITE : (enum manner)sim_random(io, MANNERS);
    c->ask_count = 1 + sim_random(io, ASKS_MAX);
    for (unsigned i = 0; i < c->ask_count; i++) {
        struct trip *t = &trips[number * ASKS_MAX + i];

        t->number = number * ASKS_MAX + i;
        c->asks[i] = t;
        ask(io, c, t, i + 1 == c->ask_count);
    }
    c->out_stop = c->manner == POLITE || c->manner == STALLS || c->manner == NEVER_READS
                      ? c->out_size
                      : sim_random(io, (uint32_t)c->out_size + 1);
    c->moved_ns = io_now_ns(io);
    MUST(http1_open(&stage.loop, io, fd, 0));
}

static void client_reads(struct io *io, struct client *c)
{
    char bytes[16384];
    ssize_t n;

    while ((n = sim_peer_read(c->peer, bytes, 1 + sim_random(io, sizeof bytes))) > 0) {
        if (c->in_size + (size_t)n > c->in_room) {
            c->in_room = (c->in_size + (size_t)n) * 2;
            c->in = realloc(c->in, c->in_room);
            MUST(c->in != NULL);
        }
        memcpy(c->in + c->in_size, bytes, (size_t)n);
        c->in_size += (size_t)n;
        c->moved_ns = io_now_ns(io);
        mood.touched = true;
    }
    c->reset |= n < 0 && errno == ECONNRESET;
    c->over |= n == 0 || c->reset;
}

static void rudeness(struct io *io, struct client *c)
{
    if (c->manner == RESETS && sim_random(io, 20) == 0) {
        sim_peer_reset(c->peer);
        c->over = true;
        c->peer = NULL;
    } else if (c->manner == HALF_CLOSES) {
        sim_peer_shutdown(c->peer);
        c->manner = GOES_SILENT;
    }
}

/* What goes up a tunnel, once there is one. */
static void enter_tunnel(struct client *c)
{
    struct trip *t = c->asks[c->ask_count - 1];

    if (!t->upgrade || c->finishes || c->out_done < c->out_size || t->fate < FATE_TUNNEL ||
        slice_search(slice_of(c->in, c->in_size), SLICE("HTTP/1.1 101 ")) == c->in_size)
        return;
    put_up(c, t, 0, t->up_size);
    c->out_stop = c->out_size;
    c->finishes = true;
}

static void client_step(struct io *io, struct client *c)
{
    size_t left = c->out_stop - c->out_done, n;

    if (c->over || io_now_ns(io) < c->stalled_until)
        return;
    if (c->manner == STALLS && sim_random(io, 100) == 0)
        c->stalled_until = io_now_ns(io) + sim_random(io, 3000) * (uint64_t)NS_PER_MS;
    if (left > 0) {
        size_t most = 1 + sim_random(io, sim_random(io, 2) ? 40 : 8192);

        n = sim_peer_write(c->peer, c->out + c->out_done, left < most ? left : most);
        c->out_done += n;
        if (n > 0)
            c->moved_ns = io_now_ns(io);
        mood.touched |= n > 0;
    } else if (c->manner == POLITE) {
        enter_tunnel(c);
    } else {
        rudeness(io, c);
    }
    if (!c->over && c->manner != NEVER_READS)
        client_reads(io, c);
    if (c->over || c->manner == NEVER_READS || c->manner == STALLS ||
        io_now_ns(io) - c->moved_ns < PATIENCE_MS * (uint64_t)NS_PER_MS)
        return;
    fprintf(stderr, "the client of trip %u waits, behind %zu bytes\n", c->asks[0]->number,
            c->in_size);
    MUST(!"it has waited long enough");
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void check_books(struct loop *loop, const struct sim_ledger *before)
{
    struct sim_ledger after = sim_ledger(loop->io);

    MUST(loop->conn_count == 0 && stage.uses[0].count == 0);
    MUST(loop->conn_slab.taken == 0 && loop->request_slab.taken == 0 && loop->out_slab.taken == 0);
    MUST(channels_gone(loop->channels));
    for (struct group *g = group_first(stage.site->http); g != NULL; g = g->next)
        for (struct peer *p = g->peers; p != NULL; p = p->next)
            MUST(p->conns == 0 && p->begun_ms == 0);
    MUST(memcmp(before, &after, sizeof after) == 0);
}

/* Steps are longer while nothing moves. */
static void let_talk(struct loop *loop, struct client *clients, unsigned count)
{
    uint64_t step_ms = 1, still = 0;
    bool over = false;

    while (!over || loop->conn_count > 0) {
        over = true;
        mood.touched = false;
        for (unsigned i = 0; i < count; i++) {
            client_step(loop->io, &clients[i]);
            over &= clients[i].over || clients[i].manner != POLITE;
        }
        servers_step(loop->io);
        still = mood.touched ? 0 : still + 1;
        step_ms = still < 64 ? 1 : step_ms < STEP_MAX_MS ? step_ms * 2 : step_ms;
        sim_step(loop->io, step_ms * NS_PER_MS);
        MUST(loop->io != NULL && io_now_ns(loop->io) / NS_PER_MS < 600000);
    }
}

static void run(uint64_t seed)
{
    struct io_limits limits = { 512, 16, seed % 3 == 0 ? 32768 : 1024 };
    struct client clients[CLIENTS_MAX];
    int error = 0;
    struct io *io = io_create(&io_engine_sim, &limits, &error);

    MUST(io != NULL);
    sim_seed(io, seed);
    servers_open(io, sim_random(io, 5) == 0);
    write_conf(io);
    stage_load();
    struct loop *loop = stage_open(io);
    struct sim_ledger before = sim_ledger(io);
    unsigned count = 1 + sim_random(io, servers.clients_max);
    struct sim_faults faults = { .short_io = (uint8_t)sim_random(io, 90),
                                 .delay = (uint8_t)sim_random(io, 60),
                                 .late_cancel = (uint8_t)sim_random(io, 100),
                                 .no_bufs = (uint8_t)sim_random(io, 30),
                                 .delay_max_us = 1 + sim_random(io, 10000),
                                 .queue_max = 256u << sim_random(io, 10) };

    mood.wide = seed % 6 == 0;
    if (mood.wide) {
        faults.short_io = 2;
        faults.queue_max = 256 * 1024;
    }
    mood.thin = faults.queue_max < 8192;
    sim_faults(io, &faults);
    for (unsigned i = 0; i < count; i++)
        make_client(io, &clients[i], i);
    let_talk(loop, clients, count);
    for (unsigned i = 0; i < count; i++) {
        struct client *c = &clients[i];

        judge(&(struct outcome){ .asks = c->asks,
                                 .ask_count = c->ask_count,
                                 .in = slice_of(c->in, c->in_size),
                                 .reset = c->reset,
                                 .polite = c->manner == POLITE });
        free(clients[i].in);
        free(clients[i].out);
        if (clients[i].peer != NULL)
            sim_peer_close(clients[i].peer);
    }
    servers_close(io);
    sim_step(io, 100000ull * NS_PER_MS);
    check_books(loop, &before);
    stage_close(loop);
    io_destroy(io);
    stage_unload();
}

/* Also where weir itself stops: a CHECK, a sanitizer. */
static void tell_seed(int number)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s --seed %llu fails\n", servers.name,
                        (unsigned long long)seed_now);

    (void)!write(STDERR_FILENO, text, (size_t)size);
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv)
{
    uint64_t count = 0, first = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
            count = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            first = strtoull(argv[++i], NULL, 10);
    }
    if (count == 0)
        count = first > 0 ? 1 : 1000;
    if (first == 0)
        first = 1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGABRT, tell_seed);
    signal(SIGSEGV, tell_seed);
    stage_begin();
    for (seed_now = first; seed_now < first + count; seed_now++)
        run(seed_now);
    stage_end();
    printf("%llu seeds passed\n", (unsigned long long)count);
    return 0;
}
