/* world.c - the server of the simulations. */
#include "sim/world.h"

#include "handler/client_body.h"

#include <unistd.h>

struct world world;

static void write_file(const char *name, size_t size, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", stage.dir, name);
    f = fopen(path, "w");
    MUST(f != NULL);
    for (size_t i = 0; i < size; i++)
        putc(text != NULL ? text[i] : (int)('a' + i % 23), f);
    MUST(fclose(f) == 0);
}

/* ---- handlers that read bodies ----------------------------------------------------------- */

static enum verdict reply_size(struct request *r, uint64_t size)
{
    struct slice text = arena_printf(&r->arena, "%llu bytes", (unsigned long long)size);

    MUST(text.at != NULL);
    return request_reply(r, 200, SLICE("text/plain"), text);
}

static void check_piece(const char *at, size_t size, uint64_t from)
{
    for (size_t i = 0; i < size && !world.any_bodies; i++)
        MUST(at[i] == (char)('a' + (from + i) % 26));
}

static uint64_t read_whole(struct body *b)
{
    struct chunk k;
    uint64_t size = 0;

    MUST(b != NULL);
    while (b->ops->pull(b, 7, &k) == BODY_CHUNK) {
        char bytes[8];

        if (k.file >= 0)
            MUST(pread(k.file, bytes, k.size, (off_t)k.offset) == (ssize_t)k.size);
        check_piece(k.file >= 0 ? bytes : k.at, k.size, size);
        size += k.size;
    }
    return size;
}

static enum verdict content_read(struct request *r)
{
    enum verdict v = client_body_read(r);

    if (v != NEXT)
        return v;
    uint64_t size = read_whole(client_body_open(r));

    MUST(read_whole(client_body_open(r)) == size); /* as a second try would */
    return reply_size(r, size);
}

struct sim_stream {
    struct request *request;
    struct body *body;
    struct io_timer pause;
    uint64_t size;
    enum body_status now;
};

static io_fire_fn pause_over;

/* Pulls what is there; sometimes leaves it for a while. */
static void stream_on(struct sim_stream *s)
{
    struct chunk k;

    while (s->now != BODY_END && s->now != BODY_FAILED) {
        if (sim_random(s->request->io, 4) == 0) {
            io_timer_set(s->request->io, &s->pause, 20000000, pause_over);
            return;
        }
        s->now = s->body->ops->pull(s->body, 5, &k);
        if (s->now == BODY_LATER)
            return;
        if (s->now != BODY_CHUNK)
            break;
        check_piece(k.at, k.size, s->size);
        s->size += k.size;
        s->body->ops->sent(s->body, k.size);
    }
    if (s->request->waiting)
        request_resume(s->request);
}

static void pause_over(struct io *io, struct io_timer *timer)
{
    (void)io;
    stream_on(container_of(timer, struct sim_stream, pause));
}

static void stream_ready(struct request *r, void *arg)
{
    (void)r;
    if (((struct sim_stream *)arg)->pause.at_ns == 0)
        stream_on(arg);
}

static void stream_gone(void *arg)
{
    io_timer_stop(((struct sim_stream *)arg)->request->io, &((struct sim_stream *)arg)->pause);
}

enum { SLOT_SIM = 7 };

static enum verdict content_stream(struct request *r)
{
    struct sim_stream *s = r->slots[SLOT_SIM];

    if (s == NULL) {
        s = arena_zalloc(&r->arena, sizeof *s);
        MUST(s != NULL && request_at_end(r, stream_gone, s));
        s->request = r;
        s->now = BODY_LATER;
        s->body = client_body_stream(r, stream_ready, s);
        MUST(s->body != NULL);
        r->slots[SLOT_SIM] = s;
        stream_on(s);
    }
    if (s->now == BODY_END)
        return reply_size(r, s->size);
    return s->now == BODY_FAILED ? request_fail(r, client_body_status(r)) : WAIT;
}

/* A request whose memory outlives it for a while: something of it is still under way. */
struct sim_hold {
    struct io_timer timer;
    struct request *request;
};

static void let_go(struct io *io, struct io_timer *timer)
{
    struct request *r = container_of(timer, struct sim_hold, timer)->request;

    (void)io;
    if (!request_unpin(r))
        request_resume(r);
}

static enum verdict content_held(struct request *r)
{
    struct sim_hold *h = r->slots[SLOT_SIM];

    if (h != NULL)
        return reply_size(r, 0);
    h = arena_zalloc(&r->arena, sizeof *h);
    MUST(h != NULL);
    h->request = r;
    r->slots[SLOT_SIM] = h;
    request_pin(r);
    io_timer_set(r->io, &h->timer, 200000000, let_go);
    return WAIT;
}

static void give_handlers(void)
{
    for (struct location *l = stage.site->servers->root->children; l != NULL; l = l->next) {
        if (slice_eq(l->name, SLICE("/read")))
            l->content = content_read;
        if (slice_eq(l->name, SLICE("/stream")))
            l->content = content_stream;
        if (slice_eq(l->name, SLICE("/held")))
            l->content = content_held;
    }
}

void world_load(void)
{
    stage_begin();
    write_file("h.txt", 13, "Hello, world!");
    write_file("big.bin", BIG_SIZE, NULL);
    snprintf(stage.text, sizeof stage.text,
             "events { }\nhttp { access_log off; error_log /dev/null crit;\n"
             "server { listen 80; http2 on; root %s; index h.txt; keepalive_timeout 5s;\n"
             "client_header_timeout 3s; client_body_timeout 3s; send_timeout 4s;\n"
             "location = /ret { return 200 \"returned\\n\"; }\n"
             "location = /echo { return 200 \"ok\"; }\n"
             "location = /none { return 444; }\n"
             "client_body_buffer_size 16; client_body_temp_path %s/bodies;\n"
             "location = /read { } location = /stream { } location = /held { }\n"
             "location /list/ { autoindex on; alias %s/; index none; }\n"
             "location /slow/ { limit_rate 100k; alias %s/; } } }\n",
             stage.dir, stage.dir, stage.dir, stage.dir);
    stage_load();
    give_handlers();
}

void world_unload(void)
{
    stage_unload();
    stage_end();
}

struct loop *world_open(uint64_t seed)
{
    struct io_limits limits = { SIM_FD_BASE * 2, 16, 1024 };
    int error = 0;
    struct io *io = io_create(&io_engine_sim, &limits, &error);

    MUST(io != NULL);
    sim_seed(io, seed);
    return stage_open(io);
}

void world_close(struct loop *loop)
{
    struct io *io = loop->io;

    stage_close(loop);
    io_destroy(io);
}
