/* proxy_h2_dooms.c - what happens to connections of proxy_h2_servers.c: they break off, fall
 * silent, rave, go away; and what that makes of their streams. */
#include "proxy_h2_servers.h"

/* ---- what is lost -------------------------------------------------------------------------- */

static enum fate fate_if_cut(const struct stream *s, uint64_t at)
{
    if (s->head_end == 0 || s->head_end > at)
        return FATE_NONE;
    if (strcmp(s->trip->method, "HEAD") == 0 || s->trip->status != 200)
        return FATE_WHOLE;
    if (s->manner == LONG_BODY) /* more than all of it may be in the frame that was cut */
        return FATE_EITHER;
    return s->has_length && s->content_end != 0 && s->content_end <= at ? FATE_EITHER : FATE_BROKEN;
}

void conn_lost_from(struct conn *c, uint64_t at)
{
    for (unsigned i = 0; i < c->stream_count; i++) {
        struct stream *s = &c->streams[i];

        if ((s->end != 0 && s->end <= at) || !stream_is_last(s) || s->trip->fate == FATE_NONE)
            continue;
        s->trip->fate = fate_if_cut(s, at);
    }
}

void conn_blurs(struct conn *c)
{
    c->blurs = true;
    for (unsigned i = 0; i < c->stream_count; i++)
        if (!stream_is_closed(&c->streams[i]))
            c->streams[i].trip->blurred = true;
}

/* ---- raving -------------------------------------------------------------------------------- */

/* Frames that end a connection, whatever its streams do. */
static const struct {
    enum h2_type type;
    unsigned flags;
    uint32_t stream; /* BEYOND: one that weir has not begun */
    const char *payload;
    size_t size;
} ravings[] = {
#define BEYOND 0x70000001
    { H2_DATA, 0, 0, "abc", 3 },
    { H2_DATA, 0, BEYOND, "abc", 3 },
    { H2_DATA, 0, 2, "abc", 3 },
    { H2_HEADERS, H2_END_HEADERS, BEYOND, "\x88", 1 },
    { H2_HEADERS, H2_END_HEADERS, 0, "\x88", 1 },
    { H2_CONTINUATION, H2_END_HEADERS, BEYOND, "\x88", 1 },
    { H2_RST_STREAM, 0, BEYOND, "\0\0\0\1", 4 },
    { H2_RST_STREAM, 0, BEYOND, "\0\0\1", 3 },
    { H2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4 },
    { H2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4 },
    { H2_WINDOW_UPDATE, 0, BEYOND, "\0\0\0\1", 4 },
    { H2_SETTINGS, 0, 0, "\0\3\0\0\0", 5 },
    { H2_SETTINGS, 0, 0, "\0\2\0\0\0\1", 6 },
    { H2_SETTINGS, 0, 0, "\0\4\x80\0\0\0", 6 },
    { H2_SETTINGS, 0, 0, "\0\5\0\0\0\1", 6 },
    { H2_SETTINGS, 0, 1, "", 0 },
    { H2_SETTINGS, H2_ACK, 0, "\0\3\0\0\0\1", 6 },
    { H2_PING, 0, 0, "1234567", 7 },
    { H2_PING, 0, 1, "12345678", 8 },
    { H2_PUSH_PROMISE, H2_END_HEADERS, 1, "\0\0\0\2\x88", 5 },
    { H2_GOAWAY, 0, 0, "\0\0\0\0", 4 },
};

/* A header block of a stream that is open, cut short by something else. */
static void rave_in_block(struct conn *c)
{
    conn_put(c, H2_HEADERS, 0, 2 * c->stream_count - 1, "\x88", 1);
    conn_put(c, H2_PING, 0, 0, "12345678", 8);
}

static bool last_is_open(const struct conn *c)
{
    return c->stream_count > 0 && !c->streams[c->stream_count - 1].over &&
           !c->streams[c->stream_count - 1].up_reset && !c->streams[c->stream_count - 1].head_said;
}

static void rave(struct io *io, struct conn *c)
{
    unsigned i = sim_random(io, COUNT_OF(ravings) + 4);
    uint8_t noise[H2_FRAME_HEAD + 20];

    conn_lost_from(c, conn_said(c));
    c->raved = true;
    if (i < COUNT_OF(ravings)) {
        conn_put(c, ravings[i].type, ravings[i].flags, ravings[i].stream, ravings[i].payload,
                 ravings[i].size);
    } else if (i == COUNT_OF(ravings) && last_is_open(c)) {
        rave_in_block(c);
    } else if (i == COUNT_OF(ravings) + 1 && last_is_open(c)) { /* refers to no entry of a table */
        conn_put(c, H2_HEADERS, H2_END_HEADERS, 2 * c->stream_count - 1, "\xff\x80\x7f", 3);
    } else { /* a frame that is too large */
        h2_put_head(noise, 0x40404040, H2_DATA, 0, 1);
        memset(noise + H2_FRAME_HEAD, '!', 20);
        memcpy(c->out + c->out_size, noise, sizeof noise);
        c->out_size += sizeof noise;
    }
}

/* ---- going away ----------------------------------------------------------------------------- */

static void say_goodbye(struct io *io, struct conn *c, uint32_t last, uint32_t code)
{
    uint8_t payload[8 + 5];

    h2_put_u32(h2_put_u32(payload, last), code);
    memcpy(payload + 8, "bye!!", 5);
    conn_put(c, H2_GOAWAY, 0, 0, payload, 8 + sim_random(io, 6));
}

/* Streams that nothing was said of yet may be disowned: whoever is told may ask again. */
static void go_away(struct io *io, struct conn *c)
{
    unsigned kept = c->answered_most + sim_random(io, c->stream_count - c->answered_most + 1);

    c->away = true;
    c->last_id = kept > 0 ? 2 * kept - 1 : 0;
    say_goodbye(io, c, c->last_id, sim_random(io, 2) ? H2_NO_ERROR : H2_ENHANCE_YOUR_CALM);
    for (unsigned i = kept; i < c->stream_count; i++) {
        struct stream *s = &c->streams[i];

        s->over = s->reset = true;
        s->trip->asked -= s->counted;
        s->counted = false;
        if (stream_is_last(s))
            s->trip->fate = FATE_NONE;
    }
    conn_ping(io, c, true);
}

/* First a word that disowns nothing; what was on its way is still answered. */
static void go_away_slowly(struct io *io, struct conn *c)
{
    say_goodbye(io, c, H2_STREAM_MAX, H2_NO_ERROR);
    conn_ping(io, c, true);
    c->doom = GOES_AWAY;
    c->doom_at = io_now_ns(io) + (uint64_t)sim_random(io, 1000) * MS;
}

/* ---- all of them --------------------------------------------------------------------------- */

/* The rest of the output may go, or some of it. */
static void write_a_part(struct io *io, struct conn *c)
{
    size_t left = c->out_size - c->out_done;

    if (left > 0)
        c->out_done +=
            sim_peer_write(c->end, c->out + c->out_done, sim_random(io, (uint32_t)left + 1));
    conn_lost_from(c, conn_written(c));
}

void conn_choose_doom(struct io *io, struct conn *c)
{
    static const uint32_t most_ms[] = { 3, 30, 300, 3000 };

    c->doom = NO_DOOM;
    if (mood.calm) {
        if (sim_random(io, 4) > 0 || mood.spent) /* one may go away: there are others */
            return;
        mood.spent = true;
        c->doom = sim_random(io, 2) ? GOES_AWAY : GOES_AWAY_SLOWLY;
    } else if (sim_random(io, 2) == 0) {
        c->doom = (enum doom)sim_random(io, DOOMS);
    }
    c->doom_at =
        io_now_ns(io) + (uint64_t)sim_random(io, most_ms[sim_random(io, COUNT_OF(most_ms))]) * MS;
}

static bool cut(struct io *io, struct conn *c, bool reset)
{
    write_a_part(io, c);
    if (reset)
        sim_peer_reset(c->end);
    else
        sim_peer_close(c->end);
    return true;
}

static void fall_silent(struct io *io, struct conn *c)
{
    write_a_part(io, c);
    c->silent = mood.silent = true;
}

static void turn_deaf(struct io *io, struct conn *c)
{
    uint32_t ms = sim_random(io, sim_random(io, 2) ? 300 : 6000);

    c->deaf_until = io_now_ns(io) + (uint64_t)ms * MS;
    if (ms < 300)
        return;
    mood.silent = true;
    conn_blurs(c);
}

bool conn_meets_doom(struct io *io, struct conn *c)
{
    enum doom doom = c->doom;

    if (doom == NO_DOOM || io_now_ns(io) < c->doom_at || !c->greeted ||
        (doom == CLOSES_IDLE && !conn_is_idle(c)))
        return false;
    if (verbose)
        fprintf(stderr, "  doom %d of %p\n", doom, (void *)c);
    c->doom = NO_DOOM;
    switch (doom) {
    case CUT_BY_FIN:
    case CUT_BY_RESET:
        return cut(io, c, doom == CUT_BY_RESET);
    case FREEZES:
        fall_silent(io, c);
        c->frozen = true;
        break;
    case FALLS_SILENT:
        fall_silent(io, c);
        break;
    case DEAF_FOR_A_WHILE:
        turn_deaf(io, c);
        break;
    case RAVES:
        rave(io, c);
        break;
    case GOES_AWAY:
        go_away(io, c);
        break;
    case GOES_AWAY_SLOWLY:
        go_away_slowly(io, c);
        break;
    case CLOSES_IDLE:
        return cut(io, c, false);
    case NO_DOOM:
        break;
    }
    return false;
}
