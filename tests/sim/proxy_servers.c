/* proxy_servers.c - the servers behind the proxy of proxy_sim.c: each connection reads requests,
 * strictly, and answers as the seed says: well, oddly, halfway, or not at all.
 */
#include "proxy_sim.h"

#include <errno.h>
#include <stdarg.h>

enum {
    CONNS_MAX = 128,
    IN_ROOM = 60000,
    OUT_ROOM = 90000,
    PAUSES = 6,
    INTERIMS_MOST = 16,
    MS = 1000000,
};

struct trip trips[TRIPS_MAX];
struct servers_mood mood;

enum ending { GO_ON, FIN, RESET, FREEZE, LATE_FIN, LATE_NOISE };

/* How an answer goes. Those of `whole` are all that a calm server does. */
enum manner {
    BY_LENGTH,
    BY_CHUNKS,
    BY_CLOSE,
    EMPTY,
    WITH_INTERIMS,
    SAYS_CLOSE,
    OLD,
    SLOW,
    EARLY,
    CALM_MANNERS,
    EARLY_AND_DEAF = CALM_MANNERS,
    NOISE_BEHIND,
    NOISE_LATER,
    CLOSES_IDLE,
    GARBAGE,
    HALF_HEAD,
    NO_ANSWER,
    BAD_LENGTH,
    LENGTH_AND_CHUNKS,
    OLD_CHUNKS,
    ODD_CODING,
    HUGE_HEAD,
    MANY_FIELDS,
    BAD_STATUS,
    INTERIMS_FOR_EVER,
    SWITCHES_UNASKED,
    FOLDED,
    NUL_IN_FIELD,
    SHORT_BODY,
    BAD_CHUNK,
    SHORT_CHUNKS,
    RESET_FOR_END,
    MANNERS,
};

struct conn {
    struct sim_peer *end; /* NULL: free */
    char *in, *out;
    size_t in_size, out_size, out_done;
    struct trip *trip; /* being read or answered */
    bool mute, deaf;   /* reads nothing; … any more */
    bool noisy;        /* says more than its answer */
    bool up_whole, answering, chunked, reusable, tunnel;
    size_t up_at, up_left, chunk_left;
    unsigned chunk_state;
    struct {
        size_t at;
        unsigned ms;
    } pauses[PAUSES];
    unsigned pause_count;
    uint64_t wait_until;
    enum manner manner;
    enum ending ending;
};

static struct conn conns[CONNS_MAX];

/* ---- answers ---------------------------------------------------------------------------- */

static void say(struct conn *c, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    c->out_size +=
        (size_t)vsnprintf(c->out + c->out_size, OUT_ROOM - c->out_size, format, list);
    va_end(list);
    MUST(c->out_size < OUT_ROOM);
}

static void say_bytes(struct conn *c, size_t from, size_t size)
{
    MUST(c->out_size + size < OUT_ROOM);
    for (size_t i = 0; i < size; i++)
        c->out[c->out_size++] = trip_byte(c->trip->number, false, from + i);
}

static void pause_here(struct io *io, struct conn *c, unsigned most_ms)
{
    if (c->pause_count == PAUSES)
        return;
    c->pauses[c->pause_count].at = c->out_size;
    c->pauses[c->pause_count++].ms = sim_random(io, most_ms);
}

static void say_head(struct conn *c, const char *more)
{
    say(c, "HTTP/1.%d %u Fine\r\nX-Trip: %u\r\n%s", c->manner != OLD, c->trip->status,
        c->trip->number, more);
}

static void say_length(struct conn *c)
{
    say(c, "Content-Length: %zu\r\n\r\n", c->trip->down_size);
}

static void say_chunks(struct io *io, struct conn *c, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        n = 1 + sim_random(io, (uint32_t)(size - at));
        say(c, "%zx%s\r\n", n, sim_random(io, 8) == 0 ? ";x=y" : "");
        say_bytes(c, at, n);
        say(c, "\r\n");
        pause_here(io, c, sim_random(io, 4) == 0 ? 500 : 1);
    }
}

static size_t some_size(struct io *io)
{
    static const uint32_t most[] = { 2, 50, 3000, 40000 };

    return sim_random(io, most[sim_random(io, COUNT_OF(most))]);
}

static void end_with(struct io *io, struct conn *c, enum ending a, enum ending b, enum ending or)
{
    enum ending all[] = { a, b, or };

    c->ending = all[sim_random(io, 3)];
    mood.silent |= c->ending == FREEZE;
}

static bool is_head(const struct conn *c)
{
    return strcmp(c->trip->method, "HEAD") == 0;
}

/* An answer that is whole, whatever else is odd about it. */
static void answer_well(struct io *io, struct conn *c)
{
    struct trip *t = c->trip;
    bool close = c->manner == SAYS_CLOSE || c->manner == OLD || c->manner == EARLY_AND_DEAF;

    t->fate = FATE_WHOLE;
    c->reusable = !close && c->manner != BY_CLOSE;
    for (unsigned i = sim_random(io, INTERIMS_MOST + 1); c->manner == WITH_INTERIMS && i > 0; i--)
        say(c, "HTTP/1.1 %s\r\n\r\n",
            sim_random(io, 2) ? "100 Continue" : "103 Early\r\nLink: <a>");
    if (c->manner == EMPTY)
        t->status = sim_random(io, 2) ? 204 : 304;
    say_head(c, c->manner == SAYS_CLOSE ? "Connection: close\r\n" : "");
    if (c->manner == EMPTY) {
        t->down_size = 0;
        say(c, "\r\n");
        return;
    }
    if (c->manner == BY_CLOSE) {
        say(c, is_head(c) ? "Connection: close\r\n\r\n" : "\r\n");
        say_bytes(c, 0, is_head(c) ? 0 : t->down_size);
        c->ending = FIN;
        return;
    }
    if (c->manner == BY_CHUNKS) {
        say(c, "Transfer-Encoding: chunked\r\n\r\n");
        if (is_head(c))
            return;
        say_chunks(io, c, t->down_size);
        say(c, "0\r\n%s\r\n", sim_random(io, 4) == 0 ? "T: railer\r\n" : "");
        return;
    }
    say_length(c);
    if (is_head(c))
        t->down_size = 0;
    for (size_t at = 0, n; at < t->down_size; at += n) {
        n = t->down_size - at;
        if (c->manner == SLOW)
            n = 1 + n / 3;
        say_bytes(c, at, n);
        if (c->manner == SLOW)
            pause_here(io, c, 2000);
    }
    if (close)
        c->ending = FIN;
}

static void answer_oddly(struct io *io, struct conn *c)
{
    enum manner manner = c->manner;

    c->manner = manner == EARLY_AND_DEAF ? manner : BY_LENGTH;
    answer_well(io, c);
    switch (manner) {
    case EARLY_AND_DEAF:
        c->deaf = true;
        break;
    case NOISE_BEHIND:
        say(c, "noise that nobody asked for");
        c->noisy = true;
        c->ending = sim_random(io, 2) ? FIN : FREEZE;
        break;
    case NOISE_LATER:
        c->ending = LATE_NOISE;
        break;
    default:
        c->ending = LATE_FIN;
        break;
    }
}

/* Answers that are none. */
static void answer_wrongly(struct io *io, struct conn *c)
{
    static const char *const codes[] = { "99", "600", "999", "20", "2000", "abc", "-20" };
    unsigned n;

    c->trip->fate = FATE_NONE;
    c->reusable = false;
    end_with(io, c, FIN, RESET, FIN);
    switch (c->manner) {
    case GARBAGE:
        say(c, "%s\r\n\r\n", sim_random(io, 2) ? "\x16\x03\x01 what?" : "HTTP/9.1 200 OK");
        return;
    case HALF_HEAD:
        say_head(c, "Content-Length: 5\r\n\r\n");
        c->out_size = sim_random(io, (uint32_t)c->out_size);
        end_with(io, c, FIN, RESET, FREEZE);
        return;
    case NO_ANSWER:
        end_with(io, c, FIN, RESET, FREEZE);
        return;
    case BAD_LENGTH:
        say_head(c, sim_random(io, 2) ? "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
                                      : "Content-Length: 5 5\r\n\r\n");
        break;
    case LENGTH_AND_CHUNKS:
        say_head(c, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        break;
    case OLD_CHUNKS:
        say(c, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        break;
    case ODD_CODING:
        say_head(c, "Transfer-Encoding: gzip, chunked\r\n\r\n");
        break;
    case HUGE_HEAD:
        say_head(c, "Long: ");
        for (n = 0; n < 17000; n++)
            say(c, "x");
        say(c, "\r\n\r\n");
        break;
    case MANY_FIELDS:
        say_head(c, "");
        for (n = 0; n < 250; n++)
            say(c, "A: b\r\n");
        say(c, "Content-Length: 0\r\n\r\n");
        break;
    case BAD_STATUS:
        say(c, "HTTP/1.1 %s OK\r\nContent-Length: 0\r\n\r\n", codes[sim_random(io, 7)]);
        break;
    case INTERIMS_FOR_EVER:
        for (n = 0; n < INTERIMS_MOST + 1; n++)
            say(c, "HTTP/1.1 100 Continue\r\n\r\n");
        end_with(io, c, FIN, RESET, FREEZE);
        break;
    case SWITCHES_UNASKED:
        say(c, "HTTP/1.1 101 Why not\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nnoise");
        break;
    case FOLDED:
        say_head(c, "A: b\r\n c\r\nContent-Length: 0\r\n\r\n");
        break;
    default:
        say_head(c, "A: b");
        c->out[c->out_size++] = '\0';
        say(c, "c\r\nContent-Length: 0\r\n\r\n");
        break;
    }
    mood.silent |= c->ending == FREEZE;
}

/* Answers that begin well. */
static void answer_halfway(struct io *io, struct conn *c)
{
    struct trip *t = c->trip;
    size_t size = ++t->down_size;

    t->fate = FATE_BROKEN;
    c->reusable = false;
    end_with(io, c, FIN, RESET, FREEZE);
    say_head(c, c->manner == SHORT_BODY || c->manner == RESET_FOR_END
                    ? ""
                    : "Transfer-Encoding: chunked\r\n\r\n");
    switch (c->manner) {
    case SHORT_BODY:
        say_length(c);
        say_bytes(c, 0, sim_random(io, (uint32_t)size));
        return;
    case BAD_CHUNK:
        say_chunks(io, c, size);
        if (sim_random(io, 2))
            c->out_size -= 2;
        say(c, "zz\r\n");
        return;
    case SHORT_CHUNKS:
        say_chunks(io, c, size);
        c->out_size -= 1 + sim_random(io, 2);
        return;
    default:
        say(c, "\r\n");
        say_bytes(c, 0, size);
        c->ending = RESET;
        return;
    }
}

static void answer_switching(struct io *io, struct conn *c)
{
    struct trip *t = c->trip;

    t->fate = mood.calm || sim_random(io, 3) > 0 ? FATE_TUNNEL : FATE_CUT;
    t->status = 101;
    c->reusable = false;
    c->tunnel = true;
    c->up_left = t->up_size;
    c->up_whole = c->up_left == 0;
    say_head(c, "Connection: upgrade\r\nUpgrade: x\r\n\r\n");
    pause_here(io, c, 100);
    say_bytes(c, 0, t->down_size);
    c->ending = FIN;
    if (t->fate == FATE_CUT)
        end_with(io, c, RESET, FREEZE, RESET);
}

static void answer(struct io *io, struct conn *c)
{
    struct trip *t = c->trip;

    c->manner = sim_random(io, mood.calm || sim_random(io, 2) ? CALM_MANNERS : MANNERS);
    if (c->manner >= SHORT_BODY && (is_head(c) || t->upgrade))
        c->manner = GARBAGE;
    if (c->manner == SWITCHES_UNASKED && t->upgrade)
        c->manner = BY_LENGTH;
    t->status = 200;
    t->down_size = some_size(io);
    c->out_size = c->out_done = 0;
    c->pause_count = 0;
    c->wait_until = 0;
    c->ending = GO_ON;
    c->answering = true;
    if (t->upgrade && c->manner < CALM_MANNERS && sim_random(io, 2))
        answer_switching(io, c);
    else if (c->manner < CALM_MANNERS || c->manner == EARLY_AND_DEAF)
        answer_well(io, c);
    else if (c->manner < GARBAGE)
        answer_oddly(io, c);
    else if (c->manner < SHORT_BODY)
        answer_wrongly(io, c);
    else
        answer_halfway(io, c);
    if (verbose)
        fprintf(stderr, "  trip %u: asked %u, manner %d, fate %d, ending %d, down %zu of %zu\n",
                t->number, t->asked, c->manner, t->fate, c->ending, t->down_size, c->out_size);
}

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
    answer(io, c);
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
    mood.touched = true;
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

void servers_step(struct io *io)
{
    struct sim_peer *end;

    for (uint16_t port = PORT_FIRST; port < PORT_FIRST + SERVERS; port++) {
        if (!mood.calm && sim_random(io, 3000) == 0) {
            bool mute = sim_random(io, 2);

            sim_listener_mute(io, port, mute);
            mood.silent |= mute;
        }
        while ((end = sim_accept(io, port)) != NULL)
            welcome(io, end);
    }
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++)
        if (c->end != NULL)
            conn_step(io, c);
}

void servers_open(struct io *io, bool calm)
{
    mood = (struct servers_mood){ .calm = calm };
    memset(trips, 0, sizeof trips);
    for (uint16_t port = PORT_FIRST; port < PORT_FIRST + SERVERS; port++)
        MUST(sim_listener(io, port) >= 0);
}

void servers_close(struct io *io)
{
    servers_step(io);
    for (struct conn *c = conns; c < conns + CONNS_MAX; c++) {
        if (c->end == NULL)
            continue;
        sim_peer_close(c->end);
        let_go(c);
    }
}
