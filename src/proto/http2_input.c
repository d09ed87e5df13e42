/* http2_input.c - frames are found in what comes, however it is cut up, and obeyed (RFC 9113 §6).
 *
 * A payload that lies in one piece is read where it lies; else it is gathered first, but a DATA
 * frame's: that goes to its stream as it comes.
 */
#include "proto/http2_private.h"

#include <stdlib.h>

typedef bool frame_fn(struct h2 *, const struct h2_frame *, struct slice payload);

/* ---- frames without a stream, or of few bytes ---------------------------------------------- */

static bool on_priority(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    (void)f;
    (void)payload;
    return h2_glitch(h2); /* RFC 9218 is what we go by */
}

static bool on_rst_stream(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    struct h2_stream *s = h2_find(h2, f->stream);

    (void)payload;
    if (s == NULL && (f->stream > h2->last_id || f->stream % 2 == 0))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "RST_STREAM of a stream that was never begun");
    if (s == NULL)
        return h2_late_frame(h2);
    h2_stream_end(s, false, false);
    return h2_count_reset(h2);
}

/* The window that streams begin with counts for those that have begun, too (RFC 9113 §6.9.2). */
static bool change_windows(struct h2 *h2, uint32_t size)
{
    int64_t more = (int64_t)size - h2->peer_window;

    h2->peer_window = size;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct h2_stream *s = h2->streams[i]; s != NULL; s = s->same) {
            s->send_window += more;
            if (s->send_window > H2_WINDOW_MAX)
                return h2_fail(h2, H2_FLOW_CONTROL_ERROR, "a window grew beyond 2^31-1");
            if (s->send_window > 0)
                h2_make_ready(s);
        }
    return true;
}

static bool set(struct h2 *h2, unsigned id, uint32_t value)
{
    enum h2_error e = h2_setting_judge(id, value);

    if (e != H2_NO_ERROR)
        return h2_fail(h2, e, "a setting has a value that it may not have");
    if (id == H2_INITIAL_WINDOW_SIZE)
        return change_windows(h2, value);
    if (id == H2_MAX_FRAME_SIZE)
        h2->peer_frame = value;
    return true;
}

/* Ours have been obeyed: what streams were allowed before is corrected. */
static void settings_obeyed(struct h2 *h2)
{
    if (h2->settings_acked)
        return;
    h2->settings_acked = true;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct h2_stream *s = h2->streams[i]; s != NULL; s = s->same)
            if (s->early_window)
                s->recv_window += (int64_t)h2->preread - H2_WINDOW_FIRST;
}

static bool acknowledge(struct h2 *h2, enum h2_type type, struct slice payload)
{
    if (++h2->acks > ACKS_MAX)
        return h2_fail(h2, H2_ENHANCE_YOUR_CALM, "too many frames that want an answer");
    h2_put_frame(h2, type, H2_ACK, 0, payload.at, (uint32_t)payload.size);
    return true;
}

static bool on_settings(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    if (f->flags & H2_ACK) {
        settings_obeyed(h2);
        return true;
    }
    if (h2->settings_seen && !h2_glitch(h2))
        return false;
    h2->settings_seen = true;
    for (size_t i = 0; i < payload.size; i += H2_SETTING_SIZE) {
        const uint8_t *at = (const uint8_t *)payload.at + i;

        if (i >= SETTINGS_FREE * H2_SETTING_SIZE && !h2_glitch(h2))
            return false;
        if (!set(h2, (unsigned)at[0] << 8 | at[1], h2_u32(at + 2)))
            return false;
    }
    return acknowledge(h2, H2_SETTINGS, (struct slice){ 0 });
}

static bool on_push_promise(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    (void)f;
    (void)payload;
    return h2_fail(h2, H2_PROTOCOL_ERROR, "PUSH_PROMISE from a client");
}

static bool on_ping(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    if (f->flags & H2_ACK) {
        if (h2->conn->state == WARNED) {
            conn_goto(h2->conn, DRAINING);
            return true;
        }
        return h2_glitch(h2);
    }
    return h2_glitch(h2) && acknowledge(h2, H2_PING, payload);
}

static bool on_goaway(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    (void)f;
    (void)payload;
    return h2_glitch(h2); /* it will open no streams; what it has opened is answered */
}

static bool on_window_update(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    uint32_t more = h2_u31((const uint8_t *)payload.at);
    struct h2_stream *s = f->stream != 0 ? h2_find(h2, f->stream) : NULL;

    if (f->stream != 0 && s == NULL && (f->stream > h2->last_id || f->stream % 2 == 0))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "WINDOW_UPDATE of a stream that was never begun");
    if (f->stream != 0 && s == NULL)
        return h2_late_frame(h2);
    if (more == 0)
        return s != NULL ? h2_reset(h2, f->stream, H2_PROTOCOL_ERROR)
                         : h2_fail(h2, H2_PROTOCOL_ERROR, "WINDOW_UPDATE of nothing");
    if (more < UPDATE_LEAST && !h2_late_frame(h2))
        return false;
    if (s == NULL) {
        h2->send_window += more;
        return h2->send_window <= H2_WINDOW_MAX ||
               h2_fail(h2, H2_FLOW_CONTROL_ERROR, "the window grew beyond 2^31-1");
    }
    s->send_window += more;
    if (s->send_window > H2_WINDOW_MAX)
        return h2_reset(h2, f->stream, H2_FLOW_CONTROL_ERROR);
    if (s->send_window >= WINDOW_FAIR && s->head_written)
        io_timer_stop(h2->conn->io, &s->timer);
    if (s->send_window > 0)
        h2_make_ready(s);
    return true;
}

/* RFC 9218 §7.1. */
static bool on_priority_update(struct h2 *h2, const struct h2_frame *f, struct slice payload)
{
    uint32_t id = h2_u31((const uint8_t *)payload.at);
    struct slice text = slice_skip(payload, 4);
    struct h2_stream *s = h2_find(h2, id);

    (void)f;
    if (id == 0 || id % 2 == 0)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "PRIORITY_UPDATE of no request");
    if (s != NULL) {
        h2_prioritise(s, text);
    } else if (id > h2->last_id) {
        struct h2_early *e = &h2->early[h2->early_at++ % EARLY_MAX];

        *e = (struct h2_early){ id, PRIORITY_DEFAULT };
        priority_from(text, &e->priority);
    }
    return h2_glitch(h2);
}

/* ---- DATA ------------------------------------------------------------------------------------ */

static bool data_end(struct h2 *h2)
{
    struct h2_stream *s = h2_find(h2, h2->frame.stream);

    h2->feeding_frame = false;
    h2->head_have = 0;
    if (s == NULL || !(h2->frame.flags & H2_END_STREAM))
        return true;
    return h2_body_end(s);
}

/* DATA for a stream that is no more. */
static bool data_closed(struct h2 *h2, uint32_t id)
{
    uint32_t recent = h2_recent(h2, id);

    if (recent & RESET_BY_US)
        return h2_glitch(h2); /* sent before it knew */
    return h2_reset(h2, id, H2_STREAM_CLOSED);
}

static bool data_begin(struct h2 *h2)
{
    const struct h2_frame *f = &h2->frame;
    struct h2_stream *s = h2_find(h2, f->stream);

    if (s == NULL && (f->stream > h2->last_id || f->stream % 2 == 0))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "DATA of a stream that was never begun");
    if ((f->flags & H2_PADDED) && f->size == 0)
        return h2_fail(h2, H2_FRAME_SIZE_ERROR, "a padded frame without a padding's length");
    if (f->size > h2->recv_window)
        return h2_fail(h2, H2_FLOW_CONTROL_ERROR, "more DATA than the connection's window allows");
    h2->recv_window -= f->size;
    h2->feeding_frame = true;
    h2->pad_due = f->flags & H2_PADDED;
    h2->feed_left = f->size;
    h2->skip = 0;
    if (f->size == 0 && !(f->flags & H2_END_STREAM) && !h2_glitch(h2))
        return false;
    if (s == NULL)
        return data_closed(h2, f->stream);
    if (s->remote_ended)
        return h2_reset(h2, f->stream, H2_STREAM_CLOSED);
    if (f->size > s->recv_window)
        return h2_reset(h2, f->stream, H2_FLOW_CONTROL_ERROR);
    s->recv_window -= f->size;
    return true;
}

/* The first byte of a padded payload. */
static bool data_padding(struct h2 *h2, uint8_t size)
{
    h2->pad_due = false;
    h2->feed_left--;
    if (size > h2->feed_left)
        return h2_fail(h2, H2_PROTOCOL_ERROR, "the padding is longer than its frame");
    h2->feed_left -= size;
    h2->skip = size;
    h2_credit(h2, h2_find(h2, h2->frame.stream), 1u + size);
    return true;
}

/* Takes what there is of a DATA frame's payload off *in. */
static bool data_more(struct h2 *h2, struct slice *in)
{
    if (h2->pad_due && in->size > 0) {
        if (!data_padding(h2, (uint8_t)in->at[0]))
            return false;
        *in = slice_skip(*in, 1);
    }
    if (h2->feed_left > 0 && in->size > 0) {
        struct slice piece = slice_head(*in, h2->feed_left);
        struct h2_stream *s = h2_find(h2, h2->frame.stream);

        h2->feed_left -= (uint32_t)piece.size;
        *in = slice_skip(*in, piece.size);
        if (s == NULL || s->remote_ended)
            h2_credit(h2, NULL, (uint32_t)piece.size);
        else if (!h2_body_take(s, piece))
            return false;
    }
    if (h2->feed_left == 0 && h2->skip > 0) {
        struct slice padding = slice_head(*in, h2->skip);

        h2->skip -= (uint32_t)padding.size;
        *in = slice_skip(*in, padding.size);
    }
    if (h2->feed_left > 0 || h2->skip > 0 || h2->pad_due)
        return true;
    return data_end(h2);
}

/* ---- all frames ------------------------------------------------------------------------------ */

static frame_fn *const OBEY[H2_TYPE_COUNT] = {
    [H2_HEADERS] = h2_block_begin,
    [H2_PRIORITY] = on_priority,
    [H2_RST_STREAM] = on_rst_stream,
    [H2_SETTINGS] = on_settings,
    [H2_PUSH_PROMISE] = on_push_promise,
    [H2_PING] = on_ping,
    [H2_GOAWAY] = on_goaway,
    [H2_WINDOW_UPDATE] = on_window_update,
    [H2_CONTINUATION] = h2_block_more,
};

static frame_fn *obey_of(const struct h2_frame *f)
{
    if (f->type < H2_TYPE_COUNT)
        return OBEY[f->type];
    return f->type == H2_PRIORITY_UPDATE ? on_priority_update : NULL;
}

/* The head of a frame is there. */
static bool frame_begin(struct h2 *h2)
{
    const struct h2_frame *f = &h2->frame;
    enum h2_error e = h2_frame_judge(f, H2_FRAME_MAX_LEAST);

    if (!h2->settings_seen && (f->type != H2_SETTINGS || (f->flags & H2_ACK)))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "the first frame is not SETTINGS");
    if (h2->block_open && (f->type != H2_CONTINUATION || f->stream != h2->block_id))
        return h2_fail(h2, H2_PROTOCOL_ERROR, "a frame in the middle of a header block");
    if (e != H2_NO_ERROR)
        return h2_fail(h2, e, "a frame of a size or on a stream that it may not have");
    if (f->type == H2_DATA)
        return data_begin(h2);
    if (obey_of(f) == NULL) { /* unknown: passed over (RFC 9113 §5.5) */
        h2->skip = f->size;
        return h2_glitch(h2);
    }
    return true;
}

/* Copies what has come of a payload that is cut up. True: it is whole. */
static bool gather(struct h2 *h2, struct slice *in)
{
    struct slice piece = slice_head(*in, h2->frame.size - h2->partial_have);

    if (h2->partial == NULL)
        h2->partial = calloc(1, h2->frame.size);
    if (h2->partial == NULL) {
        h2->no_memory = true;
        return false;
    }
    if (piece.size > 0)
        memcpy(h2->partial + h2->partial_have, piece.at, piece.size);
    h2->partial_have += (uint32_t)piece.size;
    *in = slice_skip(*in, piece.size);
    return h2->partial_have == h2->frame.size;
}

static bool obey_gathered(struct h2 *h2)
{
    char *payload = h2->partial;
    uint32_t size = h2->partial_have;

    h2->partial = NULL;
    h2->partial_have = 0;
    h2->head_have = 0;
    bool ok = obey_of(&h2->frame)(h2, &h2->frame, slice_of(payload, size));

    free(payload);
    return ok;
}

/* The payload, or some of it. */
static bool frame_on(struct h2 *h2, struct slice *in)
{
    const struct h2_frame *f = &h2->frame;
    frame_fn *obey = obey_of(f);

    if (h2->feeding_frame)
        return data_more(h2, in);
    if (obey == NULL) {
        struct slice piece = slice_head(*in, h2->skip);

        h2->skip -= (uint32_t)piece.size;
        *in = slice_skip(*in, piece.size);
        if (h2->skip == 0)
            h2->head_have = 0;
        return true;
    }
    if (h2->partial == NULL && in->size >= f->size) {
        struct slice payload = slice_head(*in, f->size);

        *in = slice_skip(*in, f->size);
        h2->head_have = 0;
        return obey(h2, f, payload);
    }
    return !gather(h2, in) || obey_gathered(h2);
}

bool h2_input(struct h2 *h2, struct slice in)
{
    while (h2->error == H2_NO_ERROR && !h2->no_memory) {
        if (h2->head_have == 0 && in.size >= H2_FRAME_HEAD) { /* nearly always */
            h2_frame_read((const uint8_t *)in.at, &h2->frame);
            in = slice_skip(in, H2_FRAME_HEAD);
            h2->head_have = H2_FRAME_HEAD;
            if (!frame_begin(h2))
                return false;
        } else if (h2->head_have < H2_FRAME_HEAD) {
            struct slice piece = slice_head(in, (size_t)(H2_FRAME_HEAD - h2->head_have));

            if (piece.size == 0)
                return true;
            memcpy(h2->head + h2->head_have, piece.at, piece.size);
            h2->head_have = (uint8_t)(h2->head_have + piece.size);
            in = slice_skip(in, piece.size);
            if (h2->head_have < H2_FRAME_HEAD)
                return true;
            h2_frame_read(h2->head, &h2->frame);
            if (!frame_begin(h2))
                return false;
        }
        bool waits =
            in.size == 0 && (h2->feeding_frame ? h2->feed_left > 0 || h2->skip > 0 || h2->pad_due
                                               : h2->frame.size > 0);

        if (waits)
            return true;
        if (!frame_on(h2, &in))
            return false;
    }
    return h2->error == H2_NO_ERROR;
}
