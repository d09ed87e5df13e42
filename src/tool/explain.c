/* explain.c - `weir explain`: the command, and a server of one request around it. */
#include "tool/explain.h"

#include "conf/zone.h"
#include "http/client_body.h"
#include "io/io.h"
#include "server/features.h"
#include "tool/explain_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXPLAINED = 0, CANNOT = 1, BAD_COMMAND = 2 };
enum { HEAD_SIZE = 64 * 1024, RING_SIZE = 256 * 1024, FDS = 4096, BUFS = 16, BUF_SIZE = 4096 };

static const char usage[] =
    "usage: weir explain [-X METHOD] [-H 'Name: value']... [-l LISTEN] [-f ADDRESS] [-a]\n"
    "                    [-c FILE] [-p PREFIX] [-g DIRECTIVES] URL\n\n"
    "  URL   http://host[:port]/path?args, or /path?args for the default server\n"
    "  -X    the method (GET)\n"
    "  -H    a field of the request; may be given often\n"
    "  -l    the listen it comes in on, as configured (\"*:8080\", \"unix:/run/w.sock\")\n"
    "  -f    the client's address (127.0.0.1)\n"
    "  -a    names every server and location that was not chosen\n"
    "  -c, -p, -g   as of the server\n";

/* ---- a protocol that speaks to nobody ------------------------------------------------------ */

/* A request that says it has a body has an empty one here. */
static void end_body(struct io *io, struct io_timer *timer);

struct bodiless {
    struct io_timer timer;
    struct request *request;
};

static void end_body(struct io *io, struct io_timer *timer)
{
    struct request *r = container_of(timer, struct bodiless, timer)->request;

    (void)io;
    r->sink->end(r, 0);
}

static void body_over(void *arg)
{
    struct bodiless *b = arg;

    io_timer_stop(b->request->io, &b->timer);
}

static void read_body(struct request *r)
{
    struct bodiless *b = arena_zalloc(&r->arena, sizeof *b);

    CHECK(b != NULL);
    b->request = r;
    CHECK(request_at_end(r, body_over, b));
    io_timer_set(r->io, &b->timer, 1, end_body);
}

static void respond(struct request *r)
{
    struct explaining *e = r->conn;

    explain_answer(e, r);
    e->answered = true;
}

static void body_ready(struct request *r)
{
    (void)r;
}

static void interim(struct request *r, unsigned status)
{
    explain_say(r, "interim", NULL, "%u", status);
}

static void peer(struct request *r, struct addr *ret)
{
    *ret = explaining_of(r)->client;
}

static void local(struct request *r, struct addr *ret)
{
    *ret = explaining_of(r)->local;
}

static int no_socket(struct request *r)
{
    (void)r;
    return -1;
}

static void freed(void *conn)
{
    (void)conn;
}

static const struct request_ops ops = {
    .name = "HTTP/1.1",
    .read_body = read_body,
    .respond = respond,
    .body_ready = body_ready,
    .interim = interim,
    .peer = peer,
    .local = local,
    .socket = no_socket,
    .freed = freed,
};

/* ---- the server around the request --------------------------------------------------------- */

static void no_site_unused(struct loop *loop, struct site *site)
{
    (void)loop;
    (void)site;
}

/* What the error logs would get is heard here instead. */
static bool open_logs(struct explaining *e)
{
    int fd = log_ring_file(RING_SIZE);

    e->ring = fd >= 0 ? log_ring_map(fd) : NULL;
    if (fd >= 0)
        close(fd);
    for (struct log_target *t = e->config->logs->first; t != NULL && e->ring != NULL; t = t->next) {
        if (!t->error_log)
            continue;
        t->sink.fd = -1;
        t->sink.syslog_facility = -1;
        t->sink.ring = e->ring;
    }
    return e->ring != NULL;
}

static bool open_server(struct explaining *e)
{
    const struct io_limits limits = { FDS, BUFS, BUF_SIZE };
    struct loop *loop = &e->loop;
    int error = 0;

    loop->io = io_create(&io_engine_poll, &limits, &error);
    if (loop->io == NULL || !open_logs(e) || !zones_take(e->config->load, NULL))
        return false;
    explain_pipeline(e);
    e->config->site->uses = &e->use;
    loop->now = io_now_ns;
    loop->real_path = realpath;
    loop->site = e->config->site;
    loop->site_unused = no_site_unused;
    loop->pipeline = &e->pipeline;
    loop->conn_numbers = loop->conn_number_step = 1;
    list_init(&loop->conns);
    list_init(&loop->idle);
    slab_init(&loop->request_slab, REQUEST_SLOT, 8);
    return features_loop_open(loop) == 0;
}

static void close_server(struct explaining *e)
{
    if (e->loop.io == NULL)
        return;
    while (e->loop.channels != NULL && !features_loop_leave(&e->loop))
        io_turn(e->loop.io, UINT64_MAX);
    features_loop_close(&e->loop);
    slab_done(&e->loop.request_slab);
    io_destroy(e->loop.io);
    log_ring_unmap(e->ring);
    zones_drop(e->config->load);
}

/* ---- the request --------------------------------------------------------------------------- */

/* "http://host:port/path" or "/path". */
struct place {
    struct slice host, target; /* host: with its port */
    uint16_t port;
};

static bool read_url(const char *url, struct place *p)
{
    struct slice rest = slice_str(url), host;
    size_t colon;
    uint64_t port = 80;

    *p = (struct place){ .port = 80, .target = rest };
    if (slice_starts(rest, SLICE("/")))
        return true;
    if (slice_starts(rest, SLICE("http://")))
        rest = slice_skip(rest, 7);
    else if (slice_starts(rest, SLICE("https://"))) {
        rest = slice_skip(rest, 8);
        port = 443;
    }
    host = slice_head(rest, slice_find(rest, '/'));
    p->host = host;
    p->target = host.size < rest.size ? slice_skip(rest, host.size) : SLICE("/");
    for (colon = host.size; colon > 0 && host.at[colon - 1] != ':' && host.at[colon - 1] != ']';)
        colon--;
    if (colon > 0 && host.at[colon - 1] == ':' &&
        !slice_to_u64(slice_skip(host, colon), UINT16_MAX, &port))
        return false;
    p->port = (uint16_t)port;
    return host.size > 0;
}

static bool has_field(const struct explaining *e, const char *name)
{
    for (unsigned i = 0; i < e->field_count; i++)
        if (slice_eq_nocase(slice_head(slice_str(e->fields[i]), strlen(name)), slice_str(name)))
            return true;
    return false;
}

static bool write_head(const struct explaining *e, const struct place *p, struct gather *g)
{
    gather_printf(g, "%s %.*s HTTP/1.1\r\n", e->method, SLICE_FMT(p->target));
    if (!has_field(e, "Host:"))
        gather_printf(g, "Host: %.*s\r\n", SLICE_FMT(p->host));
    for (unsigned i = 0; i < e->field_count; i++)
        gather_printf(g, "%s\r\n", e->fields[i]);
    gather_str(g, "\r\n");
    return !g->full;
}

static void start(struct explaining *e, struct request *r, struct slice head)
{
    const struct vhosts *v = e->at->vhosts;
    size_t taken;

    r->vhosts = v;
    r->scope = v->default_server->scope;
    r->number = r->nth = 1;
    h1_head_init(&r->head, v->head_limits, &r->arena);
    explain_say(NULL, "request", NULL, "%s %s from %s", e->method, e->url, e->from);
    if (h1_head_feed(&r->head, head.at, head.size, &taken) == H1_DONE) {
        request_start(r, v);
        return;
    }
    explain_say(NULL, "refused", NULL, "%s",
                r->head.why != NULL ? r->head.why : "the head is not complete");
    request_start_refused(r, v, r->head.status != 0 ? r->head.status : 400);
}

static int explain(struct explaining *e)
{
    static char room[HEAD_SIZE];
    struct place place;
    struct request *r;
    struct gather g;

    gather_init(&g, room, sizeof room, NULL, 0);
    if (!read_url(e->url, &place) || !write_head(e, &place, &g)) {
        fprintf(stderr, "weir: \"%s\" is no URL to ask for\n", e->url);
        return BAD_COMMAND;
    }
    e->at = explain_listener(e, place.host, place.port);
    if (e->at == NULL)
        return CANNOT;
    e->local = e->at->addr;
    if (addr_is_any(&e->local))
        CHECK(addr_parse(SLICE("127.0.0.1"), e->at->addr.port, &e->local));
    if (!open_server(e) || (r = request_create(&e->loop, e->loop.io, &ops, e)) == NULL) {
        fprintf(stderr, "weir: there is not enough memory\n");
        return CANNOT;
    }
    start(e, r, gather_get(&g));
    while (!e->answered)
        io_turn(e->loop.io, UINT64_MAX);
    request_end(r);
    return EXPLAINED;
}

/* ---- the command --------------------------------------------------------------------------- */

static bool read_option(struct explaining *e, char letter, const char *value)
{
    switch (letter) {
    case 'X':
        e->method = value;
        return true;
    case 'H':
        if (e->field_count == EXPLAIN_FIELDS_MAX)
            return false;
        e->fields[e->field_count++] = value;
        return true;
    case 'l':
        e->listen = value;
        return true;
    case 'f':
        e->from = value;
        return addr_parse(slice_str(value), 50000, &e->client);
    case 'c':
        e->options.conf_path = value;
        return true;
    case 'p':
        e->options.prefix_said = value;
        return true;
    case 'g':
        e->options.globals = value;
        return true;
    default:
        return false;
    }
}

static bool read_command(struct explaining *e, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-a") == 0)
            e->all = true;
        else if (argv[i][0] != '-' && e->url == NULL)
            e->url = argv[i];
        else if (argv[i][0] != '-' || argv[i][1] == '\0' || argv[i][2] != '\0' || i + 1 == argc ||
                 !read_option(e, argv[i][1], argv[i + 1])) {
            fprintf(stderr, "weir: \"%s\" is not understood\n\n%s", argv[i], usage);
            return false;
        } else
            i++;
    }
    if (e->url == NULL)
        fprintf(stderr, "weir: which URL?\n\n%s", usage);
    return e->url != NULL;
}

int tool_explain(const struct registry *registry, int argc, char **argv)
{
    static struct explaining e;
    struct config_place place;
    int status = CANNOT;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXPLAINED;
    }
    e.method = "GET";
    e.from = "127.0.0.1";
    CHECK(addr_parse(slice_str(e.from), 50000, &e.client));
    if (!read_command(&e, argc, argv))
        return BAD_COMMAND;
    if (!options_paths(&e.options))
        return CANNOT;
    place = (struct config_place){ e.options.prefix, e.options.conf, e.options.globals };
    e.config = config_create(registry, &place, true);
    config_read(e.config);
    if (!config_good(e.config))
        config_print(e.config, true);
    else if (e.config->site->http == NULL)
        fprintf(stderr, "weir: the configuration has no http block\n");
    else
        status = explain(&e);
    close_server(&e);
    config_destroy(e.config);
    return status;
}
