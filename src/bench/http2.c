/* http2.c - asks by HTTP/2: the preface, requests and their bodies, frames in their order. */
#include "bench/http2.h"

#include "base/check.h"

enum {
    BODY_PIECE = 16 * 1024,
    OUT_ENOUGH = 128 * 1024, /* of bodies in one send */
    ARENA_BLOCK = 16 * 1024,
    ARENA_MAX = 256 * 1024,
    STREAM_LAST = H2_STREAM_MAX - 2,
};

/* ---- what all of them say ------------------------------------------------------------------- */

enum bench_read http2_bad(struct http2 *h, const char *why)
{
    h->answer->why = why;
    return BENCH_BAD;
}

void http2_forget(struct http2 *h, struct stream *s)
{
    h->bodies -= !s->sent_end;
    streams_remove(&h->streams, s);
}

enum bench_read http2_lose(struct http2 *h, struct stream *s, enum bench_error error,
                           const char *why)
{
    h->answer->slot = (unsigned)(s - h->streams.all);
    h->answer->error = error;
    h->answer->why = why;
    http2_forget(h, s);
    return BENCH_LOST;
}

enum bench_read http2_reset(struct http2 *h, struct stream *s, enum h2_error code,
                            enum bench_error error, const char *why)
{
    outbox_reset(&h->out, s->id, code);
    h->resets++;
    return http2_lose(h, s, error, why);
}

bool http2_is_late(const struct http2 *h, uint32_t id)
{
    return h->resets > 0 && id % 2 == 1 && id < h->next_id;
}

/* ---- life ----------------------------------------------------------------------------------- */

static size_t http2_size(const struct bench_plan *plan)
{
    return sizeof(struct http2) + streams_size(plan->depth);
}

/* What stands before the first request (RFC 9113 §3.4). */
static void greet(struct http2 *h)
{
    uint8_t settings[2 * H2_SETTING_SIZE];

    h2_put_setting(h2_put_setting(settings, H2_ENABLE_PUSH, 0), H2_INITIAL_WINDOW_SIZE,
                   H2_STREAM_WINDOW);
    outbox_bytes(&h->out, slice_of(H2_PREFACE, H2_PREFACE_SIZE));
    outbox_frame(&h->out, H2_SETTINGS, 0, 0, slice_of((const char *)settings, sizeof settings));
    outbox_update(&h->out, 0, H2_LINK_WINDOW - H2_WINDOW_FIRST);
}

static bool http2_begin(void *link, const struct bench_plan *plan)
{
    struct http2 *h = link;

    *h = (struct http2){
        .plan = plan,
        .next_id = 1,
        .last_id = UINT32_MAX,
        .peer_streams = UINT32_MAX,
        .peer_frame = H2_FRAME_MAX_LEAST,
        .peer_window = H2_WINDOW_FIRST,
        .send_window = H2_WINDOW_FIRST,
        .recv_window = H2_LINK_WINDOW,
    };
    arena_init(&h->arena, h->first_block, sizeof h->first_block, ARENA_BLOCK, ARENA_MAX);
    streams_init(&h->streams, plan->depth, h + 1);
    h->fields = hpack_reader_create();
    if (h->fields == NULL)
        return false;
    greet(h);
    return !h->out.no_memory;
}

static void http2_done(void *link)
{
    struct http2 *h = link;

    hpack_reader_destroy(h->fields);
    h->fields = NULL;
    arena_done(&h->arena);
    cut_done(&h->in);
    outbox_done(&h->out);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* One goes with the preface: no server can mind. The others wait to hear how many it takes. */
static unsigned http2_room(const void *link)
{
    const struct http2 *h = link;
    uint32_t most = !h->settled                        ? 1
                    : h->peer_streams < h->plan->depth ? h->peer_streams
                                                       : h->plan->depth;

    return h->leaving || h->streams.open >= most ? 0 : most - h->streams.open;
}

static unsigned http2_ask(void *link, uint64_t now_ns)
{
    struct http2 *h = link;
    struct stream *s = streams_add(&h->streams, h->next_id);

    h->next_id += 2;
    h->leaving |= !h->plan->keep_alive || s->id >= STREAM_LAST;
    s->send_window = h->peer_window;
    s->recv_window = H2_STREAM_WINDOW;
    s->progress_ns = now_ns;
    s->sent_end = h->plan->payload.size == 0;
    h->bodies += !s->sent_end;
    outbox_block(&h->out, s->id, h->plan->block, s->sent_end);
    return (unsigned)(s - h->streams.all);
}

/* The next piece of a request's body; false: its window is shut, or it has none. */
static bool put_piece(struct http2 *h, struct stream *s)
{
    int64_t window = s->send_window < h->send_window ? s->send_window : h->send_window;
    struct slice piece;

    if (s->state == STREAM_NONE || s->sent_end || window <= 0)
        return false;
    piece = slice_head(slice_skip(h->plan->payload, s->sent), BODY_PIECE);
    piece = slice_head(slice_head(piece, (size_t)window), h->peer_frame);
    s->sent += piece.size;
    s->send_window -= (int64_t)piece.size;
    h->send_window -= (int64_t)piece.size;
    s->sent_end = s->sent == h->plan->payload.size;
    h->bodies -= s->sent_end;
    outbox_frame(&h->out, H2_DATA, s->sent_end ? H2_END_STREAM : 0, s->id, piece);
    return true;
}

static struct slice http2_write(void *link)
{
    struct http2 *h = link;
    unsigned idle = 0;

    while (h->bodies > 0 && idle < h->streams.count && h->out.next.used < OUT_ENOUGH) {
        idle = put_piece(h, &h->streams.all[h->turn]) ? 0 : idle + 1;
        if (++h->turn == h->streams.count)
            h->turn = 0;
    }
    h->acks = 0;
    return outbox_fly(&h->out);
}

static int http2_give_up(void *link, uint64_t now_ns, uint64_t timeout_ns)
{
    struct http2 *h = link;
    struct bench_answer answer = { 0 };

    if (now_ns < h->look_ns)
        return BENCH_NO_SLOT;
    h->look_ns = now_ns + timeout_ns;
    h->answer = &answer;
    for (unsigned i = 0; i < h->streams.count; i++) {
        struct stream *s = &h->streams.all[i];
        uint64_t end_ns = s->progress_ns + timeout_ns;

        if (s->state == STREAM_NONE)
            continue;
        if (end_ns <= now_ns) {
            h->look_ns = now_ns;
            http2_reset(h, s, H2_CANCEL, BENCH_TIMEOUT, NULL);
            return (int)i;
        }
        if (end_ns < h->look_ns)
            h->look_ns = end_ns;
    }
    return BENCH_NO_SLOT;
}

/* ---- frames --------------------------------------------------------------------------------- */

static enum bench_read more_bytes(struct http2 *h, struct slice piece)
{
    (void)h;
    (void)piece;
    return BENCH_MORE;
}

/* The head of a frame is there. */
static enum bench_read judge(struct http2 *h, struct slice piece)
{
    const struct h2_frame *f = &h->in.frame;

    (void)piece;
    if (!h->settled && (f->type != H2_SETTINGS || (f->flags & H2_ACK)))
        return http2_bad(h, "the server does not speak HTTP/2: no SETTINGS at first");
    if (h2_frame_judge(f, H2_FRAME_MAX_LEAST) != H2_NO_ERROR)
        return http2_bad(h, "the server sent a frame whose size or stream cannot be");
    if (h->block.open && f->type != H2_CONTINUATION)
        return http2_bad(h, "the server sent a frame inside a header block");
    return f->type == H2_DATA ? http2_content_head(h) : BENCH_MORE;
}

static enum bench_read payload_whole(struct http2 *h, struct slice payload)
{
    switch (h->in.frame.type) {
    case H2_HEADERS:
        return http2_headers(h, payload);
    case H2_CONTINUATION:
        return http2_continuation(h, payload);
    default:
        return http2_control(h, payload);
    }
}

static enum bench_read cut_wrongly(struct http2 *h, struct slice piece)
{
    (void)piece;
    return http2_bad(h, h->in.why);
}

typedef enum bench_read step_fn(struct http2 *, struct slice piece);

static step_fn *const STEPS[] = {
    [CUT_MORE] = more_bytes,       [CUT_HEAD] = judge,      [CUT_CONTENT] = http2_content,
    [CUT_PAYLOAD] = payload_whole, [CUT_BAD] = cut_wrongly,
};

/* What the server has not begun when it takes leave. With an error it means that, too. */
static enum bench_read sweep(struct http2 *h)
{
    for (unsigned i = 0; i < h->streams.count; i++) {
        struct stream *s = &h->streams.all[i];

        if (s->state == STREAM_NONE || s->id <= h->last_id)
            continue;
        if (h->left_code != H2_NO_ERROR)
            return http2_lose(h, s, BENCH_RESET, h2_error_name(h->left_code));
        h->answer->slot = i;
        http2_forget(h, s);
        return BENCH_AGAIN;
    }
    h->sweep = false;
    return BENCH_MORE;
}

static enum bench_read take_leave(struct http2 *h)
{
    enum bench_read verdict = h->sweep ? sweep(h) : BENCH_MORE;

    if (verdict != BENCH_MORE)
        return verdict;
    if (h->out.no_memory)
        return http2_bad(h, "there is no memory left");
    return h->leaving && h->streams.open == 0 ? BENCH_OVER : BENCH_MORE;
}

static enum bench_read http2_read(void *link, uint64_t now_ns, const char *bytes, size_t size,
                                  size_t *taken, struct bench_answer *answer)
{
    struct http2 *h = link;
    struct slice in = slice_of(bytes, size), piece;
    enum bench_read verdict;

    h->now_ns = now_ns;
    h->answer = answer;
    for (;;) {
        verdict = take_leave(h);
        if (verdict != BENCH_MORE)
            break;
        enum cut_step step = cut_next(&h->in, &in, &piece);

        verdict = STEPS[step](h, piece);
        if (verdict != BENCH_MORE || step == CUT_MORE)
            break;
    }
    *taken = size - in.size;
    return verdict;
}

static enum bench_read http2_end(void *link, struct bench_answer *answer)
{
    (void)link;
    (void)answer;
    return BENCH_BAD; /* every stream has an end of its own */
}

const struct bench_protocol bench_http2 = {
    .name = "HTTP/2",
    .streams = true,
    .link_size = http2_size,
    .begin = http2_begin,
    .room = http2_room,
    .ask = http2_ask,
    .write = http2_write,
    .read = http2_read,
    .end = http2_end,
    .give_up = http2_give_up,
    .done = http2_done,
};
