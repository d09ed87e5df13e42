/* http2_sim.c - the real HTTP/2, pipeline and handlers over a simulated network: frames cut up
 * anywhere, windows that open a little at a time, streams reset at any moment, connections that
 * break off, go silent, or are fed nonsense.
 *
 *   http2_sim [COUNT [FIRST]]      runs COUNT seeds; a failure prints its seed
 *
 * A polite client must get exactly the answers to what it asked; in the end the books must be
 * balanced: no connection, request, buffer, timer or op left.
 */
#include "sim/world.h"
#include "wire/h2_frame.h"
#include "wire/hpack_read.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 3, ASKS_MAX = 24, OUT_MAX = 1 << 20, IN_MAX = 1 << 20, PATIENCE_S = 600 };

/* ---- what clients ask, and what they must get ------------------------------------------ */

struct ask {
    const char *method, *path;
    size_t body; /* bytes of the request's                       */
    unsigned status;
    size_t size; /* of the answer's body; SIZE_MAX: any          */
    const char *begins;
    bool reset; /* it may be reset instead of answered whole      */
};

static const struct ask menu[] = {
    { "GET", "/h.txt", 0, 200, 13, "Hello, world!", false },
    { "GET", "/", 0, 200, 13, "Hello", false },
    { "HEAD", "/h.txt", 0, 200, 0, NULL, false },
    { "GET", "/big.bin", 0, 200, BIG_SIZE, "abcdef", false },
    { "GET", "/slow/big.bin", 0, 200, BIG_SIZE, "abcdef", false },
    { "GET", "/list/", 0, 200, SIZE_MAX, "<!DOCTYPE", false },
    { "GET", "/missing", 0, 404, SIZE_MAX, "<!DOCTYPE", false },
    { "GET", "/ret", 0, 200, 9, "returned", false },
    { "GET", "/%zz", 0, 400, SIZE_MAX, NULL, false },
    { "GET", "/none", 0, 0, 0, NULL, true },
    { "GET", "/held", 0, 200, 7, "0 bytes", false },
    { "POST", "/read", 0, 200, 7, "0 bytes", false },
    { "POST", "/read", 16, 200, 8, "16 bytes", false },
    { "POST", "/read", 5200, 200, 10, "5200 bytes", false },
    { "POST", "/stream", 0, 200, 7, "0 bytes", false },
    { "POST", "/stream", 52, 200, 8, "52 bytes", false },
    { "POST", "/stream", 2600, 200, 10, "2600 bytes", false },
    { "POST", "/echo", 40000, 200, 2, "ok", false },
    { "POST", "/h.txt", 4, 405, SIZE_MAX, NULL, false },
};

enum manner {
    POLITE,
    RESETS_STREAMS,
    RESETS,
    HALF_CLOSES,
    GOES_SILENT,
    NEVER_READS,
    RAVES,
    MANNERS
};

struct asked {
    const struct ask *ask;
    size_t body_left, got;
    char begin[16];
    unsigned status;
    bool ended, reset, cancelled;
    enum h2_error code;
    int64_t window; /* what we allowed and did not get yet */
};

struct client {
    struct sim_peer *peer;
    enum manner manner;
    struct asked asks[ASKS_MAX];
    unsigned ask_count, begun;
    nghttp2_hd_deflater *encoder;
    struct hpack_reader *decoder;
    uint8_t *out, *in;
    size_t out_size, out_done, out_stop, in_size;
    int64_t send_window, stream_window[ASKS_MAX], window;
    uint32_t initial_window, first_window;
    bool over, goaway, pinging;
};

/* ---- writing ------------------------------------------------------------------------------ */

static void put(struct client *c, enum h2_type type, unsigned flags, uint32_t stream,
                const void *payload, size_t size)
{
    MUST(c->out_size + H2_FRAME_HEAD + size < OUT_MAX);
    uint8_t *at = h2_put_head(c->out + c->out_size, (uint32_t)size, type, flags, stream);

    if (size > 0)
        memcpy(at, payload, size);
    c->out_size += H2_FRAME_HEAD + size;
}

static void put_u32(struct client *c, enum h2_type type, uint32_t stream, uint32_t n)
{
    uint8_t payload[4];

    h2_put_u32(payload, n);
    put(c, type, 0, stream, payload, sizeof payload);
}

static uint32_t id_of(unsigned ask)
{
    return 2 * ask + 1;
}

#define FIELD(name, text)                                                                       \
    {                                                                                           \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(text), strlen(name), strlen(text), \
            NGHTTP2_NV_FLAG_NONE                                                                \
    }

/* A head, sometimes in several frames. */
static void put_request(struct client *c, struct io *io, unsigned i, uint32_t id)
{
    const struct ask *a = c->asks[i].ask;
    char length[24];
    uint8_t block[1024];
    bool announced = a->body > 0 && sim_random(io, 2) == 0;
    unsigned end = a->body > 0 ? 0 : H2_END_STREAM;

    snprintf(length, sizeof length, "%zu", a->body);
    nghttp2_nv fields[] = { FIELD(":method", a->method),
                            FIELD(":scheme", "http"),
                            FIELD(":path", a->path),
                            FIELD(":authority", "a.test"),
                            FIELD("priority", i % 3 ? "u=1, i" : "u=4"),
                            FIELD("content-length", length) };
    ssize_t size = nghttp2_hd_deflate_hd(c->encoder, block, sizeof block, fields,
                                         COUNT_OF(fields) - !announced);

    MUST(size > 0);
    size_t cut = sim_random(io, 3) == 0 ? sim_random(io, (uint32_t)size) : (size_t)size;

    put(c, H2_HEADERS, end | (cut == (size_t)size ? H2_END_HEADERS : 0), id, block, cut);
    if (cut < (size_t)size)
        put(c, H2_CONTINUATION, H2_END_HEADERS, id, block + cut, (size_t)size - cut);
    c->stream_window[i] = c->first_window;
    c->asks[i].window = c->initial_window;
    c->asks[i].body_left = a->body;
}

static void put_some_body(struct client *c, struct io *io, unsigned i)
{
    struct asked *k = &c->asks[i];
    uint8_t bytes[500]; /* windows are to be opened in time behind it */
    int64_t most = c->send_window < c->stream_window[i] ? c->send_window : c->stream_window[i];
    size_t size = 1 + sim_random(io, sizeof bytes - 1), from = k->ask->body - k->body_left;

    if (size > k->body_left)
        size = k->body_left;
    if ((int64_t)size > most)
        return;
    for (size_t b = 0; b < size; b++)
        bytes[b] = (uint8_t)('a' + (from + b) % 26);
    k->body_left -= size;
    c->send_window -= (int64_t)size;
    c->stream_window[i] -= (int64_t)size;
    put(c, H2_DATA, k->body_left == 0 ? H2_END_STREAM : 0, id_of(i), bytes, size);
}

static void begin_client(struct client *c, struct io *io)
{
    uint8_t settings[H2_SETTING_SIZE];

    c->initial_window = sim_random(io, 2) ? 65535 : 1 + sim_random(io, 3000);
    memcpy(c->out, H2_PREFACE, H2_PREFACE_SIZE);
    c->out_size = H2_PREFACE_SIZE;
    h2_put_setting(settings, H2_INITIAL_WINDOW_SIZE, c->initial_window);
    put(c, H2_SETTINGS, 0, 0, settings, sizeof settings);
}

static void make_client(struct io *io, struct client *c)
{
    int fd;

    memset(c, 0, sizeof *c);
    c->peer = sim_pair(io, &fd);
    c->in = malloc(IN_MAX);
    c->out = malloc(OUT_MAX);
    MUST(c->in != NULL && c->out != NULL);
    MUST(nghttp2_hd_deflate_new(&c->encoder, 4096) == 0);
    c->decoder = hpack_reader_create();
    MUST(c->decoder != NULL);
    c->manner = sim_random(io, 3) > 0 ? POLITE : (enum manner)sim_random(io, MANNERS);
    c->ask_count = 1 + sim_random(io, ASKS_MAX);
    for (unsigned i = 0; i < c->ask_count; i++)
        c->asks[i].ask = &menu[sim_random(io, COUNT_OF(menu))];
    c->send_window = c->window = 65535;
    c->first_window = 65535;
    c->out_stop = c->manner >= RESETS && c->manner <= GOES_SILENT ? sim_random(io, 3000) : SIZE_MAX;
    begin_client(c, io);
    MUST(http1_open(&stage.loop, io, fd, 0));
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool add_field(void *asked, struct slice name, struct slice value)
{
    uint64_t status;

    if (!slice_eq(name, SLICE(":status")))
        return true;
    MUST(slice_to_u64(value, 999, &status));
    ((struct asked *)asked)->status = (unsigned)status;
    return true;
}

static void read_block(struct client *c, struct asked *k, const uint8_t *at, size_t size)
{
    struct slice block = slice_of((const char *)at, size);

    MUST(hpack_read(c->decoder, block, true, add_field, k) == HPACK_FINE);
}

static void read_answer(struct client *c, struct asked *k, const uint8_t *at, size_t size)
{
    MUST(!k->ended && k->status != 0);
    for (size_t i = 0; i < size; i++, k->got++) {
        if (k->got < sizeof k->begin)
            k->begin[k->got] = (char)at[i];
        if (k->ask->size == BIG_SIZE)
            MUST(at[i] == (uint8_t)('a' + k->got % 23));
    }
    k->window -= (int64_t)size;
    c->window -= (int64_t)size;
    MUST(k->window >= 0 && c->window >= 0);
}

static void change_windows(struct client *c, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i + H2_SETTING_SIZE <= size; i += H2_SETTING_SIZE) {
        if (at[i + 1] != H2_INITIAL_WINDOW_SIZE)
            continue;
        int64_t more = (int64_t)h2_u32(at + i + 2) - c->first_window;

        c->first_window = h2_u32(at + i + 2);
        for (unsigned k = 0; k < c->begun; k++)
            c->stream_window[k] += more;
    }
    put(c, H2_SETTINGS, H2_ACK, 0, NULL, 0);
}

static void obey(struct client *c, const struct h2_frame *f, const uint8_t *at)
{
    struct asked *k = f->stream != 0 ? &c->asks[f->stream / 2] : NULL;

    MUST(k == NULL || f->stream / 2 < c->begun);
    switch (f->type) {
    case H2_DATA:
        read_answer(c, k, at, f->size);
        k->ended = f->flags & H2_END_STREAM;
        break;
    case H2_HEADERS:
        MUST(f->flags & H2_END_HEADERS);
        read_block(c, k, at, f->size);
        k->ended |= (f->flags & H2_END_STREAM) != 0;
        break;
    case H2_RST_STREAM:
        k->reset = true;
        k->code = (enum h2_error)h2_u32(at);
        break;
    case H2_SETTINGS:
        if (!(f->flags & H2_ACK))
            change_windows(c, at, f->size);
        break;
    case H2_PING:
        if (f->flags & H2_ACK)
            c->pinging = false;
        else
            put(c, H2_PING, H2_ACK, 0, at, 8);
        break;
    case H2_WINDOW_UPDATE:
        *(k == NULL ? &c->send_window : &c->stream_window[f->stream / 2]) += h2_u31(at);
        break;
    case H2_GOAWAY:
        c->goaway = true;
        if (h2_u32(at + 4) != H2_NO_ERROR && c->manner != RAVES)
            fprintf(stderr, "goodbye: %s: %.*s\n", h2_error_name((enum h2_error)h2_u32(at + 4)),
                    (int)f->size - 8, (const char *)at + 8);
        MUST(c->manner == RAVES || h2_u32(at + 4) == H2_NO_ERROR);
        break;
    default:
        MUST(!"a frame that a server does not send");
    }
}

static void read_frames(struct client *c)
{
    size_t at = 0;

    while (c->in_size - at >= H2_FRAME_HEAD) {
        struct h2_frame f;

        h2_frame_read(c->in + at, &f);
        MUST(f.size <= H2_FRAME_MAX_LEAST);
        if (c->in_size - at < H2_FRAME_HEAD + f.size)
            break;
        if (c->manner != RAVES)
            obey(c, &f, c->in + at + H2_FRAME_HEAD);
        at += H2_FRAME_HEAD + f.size;
    }
    memmove(c->in, c->in + at, c->in_size - at);
    c->in_size -= at;
}

static void read_some(struct client *c)
{
    ssize_t n;

    if (c->manner == NEVER_READS)
        return;
    while (c->in_size < IN_MAX &&
           (n = sim_peer_read(c->peer, c->in + c->in_size, IN_MAX - c->in_size)) != -1) {
        c->in_size += (size_t)n;
        read_frames(c);
        if (n == 0) {
            c->over = true;
            return;
        }
    }
    if (errno == ECONNRESET)
        c->over = true;
}

/* ---- what it does next ---------------------------------------------------------------------- */

static bool answered(const struct asked *k)
{
    return k->ended || k->reset || k->cancelled;
}

static bool all_answered(const struct client *c)
{
    for (unsigned i = 0; i < c->ask_count; i++)
        if (!answered(&c->asks[i]))
            return false;
    return true;
}

static void open_windows(struct client *c, struct io *io)
{
    if (c->window < 30000 || sim_random(io, 8) == 0) {
        put_u32(c, H2_WINDOW_UPDATE, 0, 40000);
        c->window += 40000;
    }
    for (unsigned i = 0; i < c->begun; i++) {
        uint32_t more = 1 + sim_random(io, 60000);

        if (answered(&c->asks[i]) || c->asks[i].window > 20000)
            continue;
        put_u32(c, H2_WINDOW_UPDATE, id_of(i), more);
        c->asks[i].window += more;
    }
}

static void rave(struct client *c, struct io *io)
{
    uint8_t noise[64];
    size_t size = sim_random(io, sizeof noise);

    for (size_t i = 0; i < size; i++)
        noise[i] = (uint8_t)sim_random(io, 256);
    put(c, (enum h2_type)sim_random(io, 12), sim_random(io, 64), sim_random(io, 2 * ASKS_MAX),
        noise, size);
}

static void act(struct client *c, struct io *io)
{
    if (c->out_size > 3000 || c->goaway)
        return;
    if (c->begun < c->ask_count && sim_random(io, 2) == 0) {
        put_request(c, io, c->begun, id_of(c->begun));
        c->begun++;
    }
    for (unsigned i = 0; i < c->begun; i++)
        if (c->asks[i].body_left > 0 && !answered(&c->asks[i]) && c->out_size < 4000)
            put_some_body(c, io, i);
    open_windows(c, io);
    if (sim_random(io, 20) == 0 && !c->pinging) {
        put(c, H2_PING, 0, 0, "abcdefgh", 8);
        c->pinging = true;
    }
    if (c->manner == RAVES && sim_random(io, 4) == 0)
        rave(c, io);
    if (c->manner != RESETS_STREAMS || c->begun == 0 || sim_random(io, 4) > 0)
        return;
    unsigned which = sim_random(io, c->begun);

    c->asks[which].cancelled = true;
    put_u32(c, H2_RST_STREAM, id_of(which), H2_CANCEL);
}

static void write_some(struct client *c, struct io *io)
{
    size_t left = c->out_size - c->out_done,
           most = 1 + sim_random(io, sim_random(io, 2) ? 40 : 8192);
    size_t allowed = c->out_stop > c->out_done ? c->out_stop - c->out_done : 0;

    most = most < left ? most : left;
    most = most < allowed ? most : allowed;
    size_t n = most > 0 ? sim_peer_write(c->peer, c->out + c->out_done, most) : 0;

    c->out_done += n;
    if (c->out_stop != SIZE_MAX)
        return;
    memmove(c->out, c->out + c->out_done, c->out_size - c->out_done);
    c->out_size -= c->out_done;
    c->out_done = 0;
}

static void client_step(struct io *io, struct client *c)
{
    if (c->over)
        return;
    act(c, io);
    write_some(c, io);
    if (c->out_done >= c->out_stop && c->manner == RESETS) {
        sim_peer_reset(c->peer);
        c->peer = NULL;
        c->over = true;
        return;
    }
    if (c->out_done >= c->out_stop && c->manner == HALF_CLOSES) {
        sim_peer_shutdown(c->peer);
        c->manner = GOES_SILENT;
    }
    read_some(c);
}

static void judge(const struct client *c)
{
    for (unsigned i = 0; c->manner == POLITE && i < c->ask_count; i++) {
        const struct asked *k = &c->asks[i];
        const struct ask *a = k->ask;

        if (!answered(k) || (!a->reset && (!k->ended || k->status != a->status)))
            fprintf(stderr, "%s %s: status %u, %zu bytes, window %lld, %s\n", a->method, a->path,
                    k->status, k->got, (long long)k->window,
                    k->reset ? h2_error_name(k->code) : "not reset");
        MUST(answered(k));
        if (a->reset) {
            MUST(k->reset);
            continue;
        }
        MUST(k->ended && k->status == a->status);
        MUST(a->size == SIZE_MAX || k->got == a->size);
        if (a->begins != NULL)
            MUST(memcmp(k->begin, a->begins, strlen(a->begins)) == 0);
    }
}

static uint64_t requests;

/* ---- one seed -------------------------------------------------------------------------------- */

static void give_up(struct client *c)
{
    judge(c);
    free(c->in);
    free(c->out);
    nghttp2_hd_deflate_del(c->encoder);
    hpack_reader_destroy(c->decoder);
    if (c->peer != NULL)
        sim_peer_close(c->peer);
}

static void run(uint64_t seed)
{
    struct loop *loop = world_open(seed);
    struct io *io = loop->io;
    struct sim_ledger before = sim_ledger(io);
    struct client clients[CLIENTS_MAX];
    unsigned count = 1 + sim_random(io, CLIENTS_MAX);
    struct sim_faults faults = { .short_io = (uint8_t)sim_random(io, 90),
                                 .delay = (uint8_t)sim_random(io, 60),
                                 .late_cancel = (uint8_t)sim_random(io, 100),
                                 .no_bufs = (uint8_t)sim_random(io, 30),
                                 .delay_max_us = 1 + sim_random(io, 20000),
                                 .queue_max = 512u << sim_random(io, 9) };

    sim_faults(io, &faults);
    for (unsigned i = 0; i < count; i++)
        make_client(io, &clients[i]);
    for (unsigned s = 0; s < PATIENCE_S * 1000; s++) {
        bool over = true;

        for (unsigned i = 0; i < count; i++) {
            client_step(io, &clients[i]);
            over &= clients[i].over || clients[i].manner == NEVER_READS ||
                    (clients[i].manner < RESETS && all_answered(&clients[i]));
        }
        sim_step(io, 1000000);
        if (over)
            break;
    }
    for (unsigned i = 0; i < count; i++)
        give_up(&clients[i]);
    sim_step(io, PATIENCE_S * 1000000000ull);
    MUST(loop->conn_count == 0);
    MUST(stage.uses[0].count == 0);
    MUST(loop->conn_slab.taken == 0 && loop->request_slab.taken == 0 && loop->out_slab.taken == 0);
    struct sim_ledger after = sim_ledger(io);

    MUST(memcmp(&before, &after, sizeof before) == 0);
    requests += loop->stats.requests;
    world_close(loop);
}

/* A slot is free again only when everything that its request has begun is over, also behind the
 * client's reset: of 200 requests that are reset at once, 128 are run. */
static void slots(void)
{
    static const struct ask held = { "GET", "/held", 0, 200, 7, "0 bytes", false };
    struct loop *loop = world_open(1);
    struct io *io = loop->io;
    struct client c;

    make_client(io, &c);
    c.manner = RAVES; /* nothing is obeyed */
    c.out_stop = SIZE_MAX;
    c.ask_count = 0;
    for (unsigned i = 0; i < 200; i++) {
        c.asks[0].ask = &held;
        put_request(&c, io, 0, id_of(i));
        put_u32(&c, H2_RST_STREAM, id_of(i), H2_CANCEL);
    }
    for (unsigned s = 0; s < 50; s++) {
        write_some(&c, io);
        sim_step(io, 1000000);
        read_some(&c);
    }
    MUST(c.out_size == 0 && loop->stats.requests == 128 && loop->request_slab.taken == 128);
    MUST(loop->stats.h2_resets == 200);
    sim_step(io, 1000000000);
    MUST(loop->request_slab.taken == 0);
    give_up(&c);
    sim_step(io, PATIENCE_S * 1000000000ull);
    world_close(loop);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    signal(SIGPIPE, SIG_IGN);
    world_load();
    slots();
    for (seed_now = first; seed_now < first + count; seed_now++)
        run(seed_now);
    world_unload();
    MUST(requests > count); /* something was tried */
    printf("%llu seeds, %llu requests passed\n", (unsigned long long)count,
           (unsigned long long)requests);
    return 0;
}
