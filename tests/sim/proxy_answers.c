/* proxy_answers.c - what the servers of proxy_servers.c answer: well, oddly, wrongly, halfway. */
#include "proxy_servers.h"

#include <stdarg.h>

/* ---- answers ---------------------------------------------------------------------------- */

static void say(struct conn *c, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    c->out_size += (size_t)vsnprintf(c->out + c->out_size, OUT_ROOM - c->out_size, format, list);
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

void conn_answers(struct io *io, struct conn *c)
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
