/* world.c - the server of the simulations. */
#include "sim/world.h"

#include "base/clock.h"
#include "handler/client_body.h"
#include "handler/file_cache.h"
#include "http/log_target.h"
#include "server/features.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct world world;
uint64_t seed_now;

static int read_text(struct conf_source *s, const char *path, struct slice *ret)
{
    (void)s;
    (void)path;
    *ret = slice_str(world.text);
    return 0;
}

static int glob_nothing(struct conf_source *s, const char *pattern,
                        void (*each)(void *arg, const char *path), void *arg)
{
    (void)s;
    (void)pattern;
    (void)each;
    (void)arg;
    return -ENOENT;
}

static void complain(void *arg, struct slice text, enum conf_severity severity)
{
    (void)arg;
    (void)severity;
    fprintf(stderr, "%.*s", SLICE_FMT(text));
}

static void write_file(const char *name, size_t size, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", world.dir, name);
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
    for (struct location *l = world.site->servers->root->children; l != NULL; l = l->next) {
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
    struct conf_load *load;
    struct scope *root;

    snprintf(world.dir, sizeof world.dir, "/tmp/weir-sim-XXXXXX");
    MUST(mkdtemp(world.dir) != NULL);
    write_file("h.txt", 13, "Hello, world!");
    write_file("big.bin", BIG_SIZE, NULL);
    snprintf(world.text, sizeof world.text,
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
             world.dir, world.dir, world.dir, world.dir);
    world.source = (struct conf_source){ .read = read_text, .glob = glob_nothing };
    arena_init(&world.arena, NULL, 0, 65536, SIZE_MAX);
    world.registry = registry_create(features);
    load = conf_load_create(world.registry, &world.source, &world.arena, "/tmp/");
    root = conf_load_run(load, "/tmp/weir.conf");
    world.site = root != NULL && conf_load_errors(load) == 0 ? site_build(load, root) : NULL;
    conf_load_report(load, false, complain, NULL);
    MUST(world.site != NULL);
    world.regexes = conf_regexes(load);
    give_handlers();
    conf_load_destroy(load);
    world.by_listener[0] = world.site->listeners;
    world.site->by_listener = world.by_listener;
    world.site->listener_count = 1;
    world.site->uses = world.uses;
}

void world_unload(void)
{
    char command[128];

    regex_free_all(world.regexes);
    registry_destroy(world.registry);
    arena_done(&world.arena);
    snprintf(command, sizeof command, "rm -r %s", world.dir);
    MUST(system(command) == 0);
}

static void site_unused(struct loop *loop, struct site *site)
{
    (void)loop;
    (void)site;
}

struct loop *world_open(uint64_t seed)
{
    struct io_limits limits = { SIM_FD_BASE * 2, 16, 1024 };
    struct loop *loop = &world.loop;
    int error = 0;

    memset(loop, 0, sizeof *loop);
    loop->io = io_create(&io_engine_sim, &limits, &error);
    MUST(loop->io != NULL);
    sim_seed(loop->io, seed);
    loop->now = io_now_ns;
    loop->site = world.site;
    loop->site_unused = site_unused;
    loop->pipeline = &pipeline;
    loop->conn_number_step = 1;
    list_init(&loop->conns);
    list_init(&loop->idle);
    slab_init(&loop->conn_slab, sizeof(struct conn), 8);
    slab_init(&loop->request_slab, REQUEST_SLOT, 8);
    slab_init(&loop->out_slab, HTTP1_OUT_SLOT, 8);
    MUST(features_loop_open(loop) == 0);
    return loop;
}

void world_close(struct loop *loop)
{
    features_loop_close(loop);
    slab_done(&loop->conn_slab);
    slab_done(&loop->request_slab);
    slab_done(&loop->out_slab);
    io_destroy(loop->io);
}
