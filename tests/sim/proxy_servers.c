/* proxy_servers.c - the servers behind the proxy of proxy_sim.c: each connection reads requests,
 * strictly, and answers as the seed says (proxy_answers.c); some never come that far.
 */
#include "proxy_servers.h"

#include <errno.h>

enum { CONNS_MAX = 128, MS = 1000000 };

static struct conn conns[CONNS_MAX];

/* ---- requests ---------------------------------------------------------------------------- */

static void consume(struct conn *c, size_t size)
{
    c->in_size -= size;
    memmove(c->in, c->in + size, c->in_size);
}

/* Every field of a request stands in a line of its own, and says one thing. */
static void read_fields(struct conn *c, struct slice head, size_t *length)
{
    unsigned hosts = 0, lengths = 0, codings = 0;

    while (head.size > 0) {
        size_t end = slice_search(head, SLICE("\r\n"));
        struct slice line = slice_head(head, end);
        uint64_t n;

        head = slice_skip(head, end + 2);
        MUST(line.size > 0 && slice_find(line, '\r') == line.size);
        MUST(slice_find(line, '\n') == line.size && slice_find(line, '\0') == line.size);
        MUST(slice_search(line, SLICE(": ")) < line.size);
        hosts += slice_starts(line, SLICE("Host: "));
        codings += slice_eq(line, SLICE("Transfer-Encoding: chunked"));
        if (slice_starts(line, SLICE("Content-Length: "))) {
            lengths++;
            MUST(slice_to_u64(slice_skip(line, 16), SIZE_MAX / 2, &n));
            *length = (size_t)n;
        }
    }
    MUST(hosts == 1 && lengths + codings <= 1);
    c->chunked = codings > 0;
}

/* METHOD /x/NUMBER HTTP/1.1 */
static struct trip *trip_of(struct slice line)
{
    struct slice method = slice_cut(&line, ' '), path = slice_cut(&line, ' ');
    uint64_t number;

    MUST(slice_eq(line, path.at[1] == 'o' ? SLICE("HTTP/1.0") : SLICE("HTTP/1.1")));
    MUST(slice_to_u64(slice_skip(path, 3), TRIPS_MAX - 1, &number));
    MUST(trips[number].method != NULL && slice_eq(method, slice_str(trips[number].method)));
    return &trips[number];
}

static bool is_idempotent(const struct trip *t)
{
    return strcmp(t->method, "POST") != 0;
}

static void read_head(struct io *io, struct conn *c)
{
    struct slice in = slice_of(c->in, c->in_size);
    size_t end = slice_search(in, SLICE("\r\n\r\n")), length = 0, line;

    if (end == in.size)
        return;
    /* a second request: only behind a whole exchange, and where it is allowed */
    MUST(c->reusable && !c->answering && c->up_whole);
    line = slice_search(in, SLICE("\r\n"));
    c->trip = trip_of(slice_head(in, line));
    read_fields(c, slice_of(in.at + line + 2, end - line), &length);
    MUST(c->trip->asked++ == 0 || is_idempotent(c->trip) || c->trip->repeats);
    consume(c, end + 4);
    c->up_at = 0;
    c->up_left = c->trip->upgrade ? 0 : length;
    c->chunk_state = 0;
    c->up_whole = !c->chunked && c->up_left == 0;
    MUST(c->trip->upgrade || c->chunked || length == c->trip->up_size);
    conn_answers(io, c);
    if (c->manner != EARLY && c->manner != EARLY_AND_DEAF)
        c->answering = c->up_whole || c->tunnel;
}

static void check_up(struct conn *c, size_t size)
{
    for (size_t i = 0; i < size; i++)
        MUST(c->in[i] == trip_byte(c->trip->number, true, c->up_at + i));
    c->up_at += size;
    consume(c, size);
}

/* A line of the chunked coding; false: it is not whole. */
static bool take_line(struct conn *c, char into[64])
{
    size_t end = slice_search(slice_of(c->in, c->in_size), SLICE("\r\n"));

    if (end == c->in_size)
        return false;
    MUST(end < 63);
    memcpy(into, c->in, end);
    into[end] = '\0';
    consume(c, end + 2);
    return true;
}

/* False: more bytes are needed. */
static bool read_chunk(struct conn *c)
{
    char line[64], *end;

    if (c->chunk_state == 1) { /* content */
        size_t n = c->in_size < c->chunk_left ? c->in_size : c->chunk_left;

        check_up(c, n);
        c->chunk_left -= n;
        c->chunk_state = c->chunk_left == 0 ? 2 : 1;
        return c->chunk_left == 0;
    }
    if (!take_line(c, line))
        return false;
    if (c->chunk_state == 0) { /* its size */
        c->chunk_left = strtoul(line, &end, 16);
        MUST(end > line && *end == '\0');
        c->chunk_state = c->chunk_left > 0 ? 1 : 3;
        return true;
    }
    MUST(line[0] == '\0');
    c->up_whole = c->chunk_state == 3; /* 2: behind a chunk; 3: behind the last */
    c->chunk_state = 0;
    return !c->up_whole;
}

static void read_up(struct conn *c)
{
    if (c->chunked && !c->tunnel) {
        while (read_chunk(c))
            ;
    } else {
        size_t n = c->in_size < c->up_left ? c->in_size : c->up_left;

        check_up(c, n);
        c->up_left -= n;
        c->up_whole = c->up_left == 0;
    }
    if (!c->up_whole)
        return;
    MUST(c->tunnel || c->up_at == c->trip->up_size || c->trip->upgrade);
    c->answering |= c->out_done < c->out_size || c->ending != GO_ON;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void let_go(struct conn *c)
{
    free(c->in);
    free(c->out);
    memset(c, 0, sizeof *c);
}

static void finish(struct io *io, struct conn *c)
{
    uint64_t now = io_now_ns(io);

    switch (c->ending) {
    case GO_ON:
        c->answering = false;
        return;
    case FIN:
        if (c->tunnel && !c->up_whole)
            return; /* it wants all that was promised */
        sim_peer_close(c->end);
        let_go(c);
        return;
    case RESET:
        sim_peer_reset(c->end);
        let_go(c);
        return;
    case FREEZE:
        return;
    case LATE_FIN:
    case LATE_NOISE:
        c->answering = false;
        if (c->wait_until == 0)
            c->wait_until = now + (uint64_t)sim_random(io, 3000) * MS;
        if (now < c->wait_until || !c->up_whole)
            return;
        if (c->ending == LATE_NOISE)
            sim_peer_write(c->end, "noise", 5);
        sim_peer_close(c->end);
        let_go(c);
        return;
    }
}

static void write_some(struct io *io, struct conn *c)
{
    size_t until = c->out_size, most = 1 + sim_random(io, sim_random(io, 2) ? 100 : 100000), n;
    uint64_t now = io_now_ns(io);

    if (now < c->wait_until)
        return;
    for (unsigned i = 0; i < c->pause_count; i++) {
        if (c->pauses[i].at == c->out_done && c->pauses[i].ms > 0) {
            c->wait_until = now + (uint64_t)c->pauses[i].ms * MS;
            c->pauses[i].ms = 0;
            return;
        }
        if (c->pauses[i].at > c->out_done && c->pauses[i].at < until)
            until = c->pauses[i].at;
    }
    n = until - c->out_done;
    n = sim_peer_write(c->end, c->out + c->out_done, n < most ? n : most);
    c->out_done += n;
    mood.touched |= n > 0;
    if (c->out_done == c->out_size)
        c->wait_until = 0;
}

/* False: the connection is over. */
static bool read_some(struct conn *c)
{
    ssize_t n = 0;

    while (!c->mute && !c->deaf && c->in_size < IN_ROOM &&
           (n = sim_peer_read(c->end, c->in + c->in_size, IN_ROOM - c->in_size)) > 0) {
        c->in_size += (size_t)n;
        mood.touched = true;
    }
    if (n == 0 && c->in_size < IN_ROOM && !c->mute && !c->deaf)
        return c->tunnel && c->out_done < c->out_size;
    return !(n < 0 && errno == ECONNRESET) && !sim_peer_reset_seen(c->end);
}

static void conn_step(struct io *io, struct conn *c)
{
    bool open;

    c->deaf |= c->noisy && c->answering; /* its next request is lost, too */
    open = read_some(c);

    if (c->trip != NULL && !c->up_whole)
        read_up(c);
    if (c->in_size > 0 && (c->trip == NULL || c->up_whole))
        read_head(io, c);
    if (c->trip != NULL && !c->up_whole)
        read_up(c);
    if (!open) {
        sim_peer_close(c->end);
        let_go(c);
        return;
    }
    if (c->answering && c->out_done < c->out_size)
        write_some(io, c);
    if (c->trip != NULL && c->out_done == c->out_size && (c->answering || c->ending > FREEZE))
        finish(io, c);
}

static void welcome(struct io *io, struct sim_peer *end)
{
    struct conn *c = conns;

    while (c->end != NULL)
        c++;
    MUST(c < conns + CONNS_MAX);
    c->end = end;
    c->in = malloc(IN_ROOM);
    c->out = malloc(OUT_ROOM);
    MUST(c->in != NULL && c->out != NULL);
    c->reusable = c->up_whole = true;
    switch (mood.calm ? 99 : sim_random(io, 30)) {
    case 0:
        sim_peer_reset(end);
        let_go(c);
        return;
    case 1:
        sim_peer_close(end);
        let_go(c);
        return;
    case 2:
        c->mute = mood.silent = true;
        return;
    case 3:
        sim_peer_write(end, "220 hello\r\n", 11);
        c->mute = mood.silent = true;
        return;
    default:
        return;
    }
}

static void step(struct io *io)
{
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++)
        if (c->end != NULL)
            conn_step(io, c);
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
    .name = "proxy_sim",
    .conf = "",
    .old = "proxy_http_version 1.0;",
    .clients_max = 5,
    .upgrades = true,
    .welcome = welcome,
    .step = step,
    .close = close_all,
};
