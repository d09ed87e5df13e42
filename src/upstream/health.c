/* health.c - asks peers whether they are well; one loop does it for all. */
#include "upstream/health.h"

#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "io/io.h"
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/peers.h"
#include "upstream/queue.h"
#include "upstream/proxy.h"

#include <sys/random.h>

enum { NS_PER_MS = 1000000, INTERVAL_MS = 5000, FIRST_NS = 1000 };

static uint32_t health_index;

struct check;

/* One health_check directive. */
struct health {
    const struct conf_node *node;
    const struct scope *scope, *http;
    const struct location *location;
    struct group *group;
    int64_t interval_ms, jitter_ms, fails, passes, port; /* port 0: the peer's own       */
    struct slice uri, match_name;
    unsigned match_arg;
    const struct match *match;
    bool mandatory, persistent;
    struct check *checks;
    struct health *next;
};

/* One peer that it asks. */
struct check {
    const struct health *health;
    struct peer *peer;
    struct peer probe; /* what is asked: the peer, perhaps at another port; counts by itself */
    struct loop *loop; /* NULL: nobody checks                                        */
    struct request *request;
    struct io_timer timer;
    int64_t failed, passed; /* in a row                                              */
    struct gather body;
    bool reading; /* its answer's body                                               */
    struct check *next;
};

/* ---- what came of it ----------------------------------------------------------------------- */

static void tell(const struct check *c, struct request *r, bool well, const char *what)
{
    request_log(r, well ? LOG_NOTICE : LOG_WARN, 0,
                "peer is %s while checking %s, health check of peer %.*s in upstream \"%.*s\"",
                well ? "healthy" : "unhealthy", what, SLICE_FMT(c->peer->at.text),
                SLICE_FMT(c->health->group->name));
}

/* A peer changes sides after so many answers in a row; one that was never asked, at the first. */
static void note(struct check *c, struct request *r, const char *fault)
{
    const struct health *h = c->health;
    struct peer *p = c->peer;
    bool changed;

    c->failed = fault != NULL ? c->failed + 1 : 0;
    c->passed = fault != NULL ? 0 : c->passed + 1;
    pthread_mutex_lock(&h->group->lock);
    p->stats.checks++;
    p->stats.check_fails += fault != NULL;
    p->stats.checked = true;
    p->stats.passed = fault == NULL;
    changed = fault != NULL ? !p->unhealthy && c->failed >= h->fails
                            : (p->unhealthy && c->passed >= h->passes) || p->unchecked;
    if (changed) {
        p->unhealthy = fault != NULL;
        p->stats.unhealthy += p->unhealthy;
        p->fails = 0;
        p->back_ms = loop_now_ns(r->loop, r->io) / NS_PER_MS;
    }
    p->unchecked = p->unchecked && fault != NULL;
    if (changed)
        queue_wake(h->group);
    peer_settle(p, loop_wall_ns(r->loop), loop_now_ns(r->loop, r->io) / NS_PER_MS);
    pthread_mutex_unlock(&h->group->lock);
    if (changed)
        tell(c, r, fault == NULL, fault != NULL ? fault : "status code");
}

static io_fire_fn on_due;

static uint64_t random_below(uint64_t most)
{
    uint64_t n = 0;

    return most > 0 && getrandom(&n, sizeof n, GRND_NONBLOCK) == (ssize_t)sizeof n ? n % most : 0;
}

static void wait(struct check *c)
{
    uint64_t ms = (uint64_t)c->health->interval_ms + random_below((uint64_t)c->health->jitter_ms);

    io_timer_set(c->loop->io, &c->timer, ms * NS_PER_MS, on_due);
}

static void finish(struct check *c)
{
    struct request *r = c->request;

    note(c, r, health_match_judge(c->health->match, r, gather_get(&c->body)));
    c->request = NULL;
    request_end(r);
    wait(c);
}

/* ---- a request that nobody sent ------------------------------------------------------------ */

static struct check *check_of(const struct request *r)
{
    return r->exchange;
}

/* Of the body, as much as is looked at. */
static void read_on(struct check *c)
{
    struct body *b = c->request->response.body;

    while (b != NULL && !c->body.full) {
        struct chunk k;
        enum body_status status = b->ops->pull(b, HEALTH_BODY_MAX - c->body.used, &k);

        if (status == BODY_LATER)
            return;
        if (status != BODY_CHUNK)
            break;
        if (k.file < 0)
            gather_bytes(&c->body, k.at, k.size);
        if (b->ops->sent != NULL)
            b->ops->sent(b, k.size);
        if (c->body.used >= HEALTH_BODY_MAX)
            break;
    }
    c->reading = false;
    finish(c);
}

static void ops_respond(struct request *r)
{
    struct check *c = check_of(r);

    if (!health_match_reads(c->health->match)) {
        finish(c);
        return;
    }
    gather_init(&c->body, NULL, 0, &r->arena, HEALTH_BODY_MAX);
    c->reading = true;
    read_on(c);
}

static void ops_body_ready(struct request *r)
{
    if (check_of(r)->reading)
        read_on(check_of(r));
}

/* It has none. */
static void ops_read_body(struct request *r)
{
    CHECK(r->parent != NULL);
}

static void ops_interim(struct request *r, unsigned status)
{
    (void)r;
    (void)status;
}

static void ops_address(struct request *r, struct addr *ret)
{
    (void)r;
    *ret = (struct addr){ .family = AF_UNIX };
}

static int ops_socket(struct request *r)
{
    (void)r;
    return -1;
}

/* The generation may be gone by now: all that is left is the loop that it ran on. */
static void ops_freed(void *io)
{
    io_branch_end(io);
}

static const struct request_ops ops = {
    .name = "HTTP/1.1",
    .read_body = ops_read_body,
    .respond = ops_respond,
    .body_ready = ops_body_ready,
    .interim = ops_interim,
    .peer = ops_address,
    .local = ops_address,
    .socket = ops_socket,
    .freed = ops_freed,
};

static const struct server *server_of(const struct scope *s)
{
    while (s->context != CTX_SERVER)
        s = s->parent;
    return s->object;
}

/* Its only field: what is passed on may be made of $http_host. */
static bool name_host(struct request *r, struct slice host)
{
    struct field *f = arena_zalloc(&r->arena, sizeof *f);

    if (f == NULL)
        return false;
    *f = (struct field){ .name = SLICE("Host"), .value = host, .id = FIELD_HOST };
    r->head.fields = r->head.known[FIELD_HOST] = f;
    r->head.field_count = 1;
    return true;
}

static bool prepare(struct request *r, struct check *c)
{
    const struct health *h = c->health;
    struct slice path = h->uri;
    size_t mark = slice_find(path, '?');

    memset(&r->head, 0, sizeof r->head);
    r->head.method = METHOD_GET;
    r->head.method_text = SLICE("GET");
    r->head.version_minor = 1;
    r->head.host = r->head.authority = r->host = h->group->name;
    if (mark < path.size)
        r->args = slice_skip(path, mark + 1);
    request_set_uri(r, slice_head(path, mark));
    r->server = server_of(h->scope);
    r->vhosts = r->server->listens->addr->vhosts;
    location_use(r, h->location);
    r->internal = r->no_error_page = r->is_check = true;
    r->slots[SLOT_ONLY_PEER] = &c->probe;
    r->exchange = c;
    r->step = (uint16_t)r->loop->pipeline->content_step;
    return name_host(r, h->group->name);
}

static void ask(struct check *c)
{
    struct io *io = io_branch(c->loop->io);
    struct request *r = io != NULL ? request_create_on(c->loop, io, c->loop->site, &ops, io) : NULL;

    if (r == NULL) {
        if (io != NULL)
            io_branch_end(io);
        wait(c);
        return;
    }
    c->request = r;
    c->body = (struct gather){ 0 };
    c->reading = false;
    if (prepare(r, c)) {
        request_run_on(r);
        return;
    }
    c->request = NULL;
    request_end(r);
    wait(c);
}

static void on_due(struct io *io, struct io_timer *timer)
{
    (void)io;
    ask(container_of(timer, struct check, timer));
}

/* ---- from one generation to the next ------------------------------------------------------- */

static struct health *all_of(const struct site *site)
{
    const struct health_conf *conf =
        site != NULL && site->http != NULL ? scope_conf(site->http, &feature_health) : NULL;

    return conf != NULL ? conf->all : NULL;
}

static void stop(struct check *c)
{
    struct request *r = c->request;

    if (c->loop == NULL)
        return;
    io_timer_stop(c->loop->io, &c->timer);
    c->loop = NULL;
    c->request = NULL;
    if (r != NULL)
        request_end(r);
}

/* persistent: what the peer was before a reload, it is after it. */
static void remember(const struct health *h, struct peer *p, const struct site *from)
{
    const struct group *old = from != NULL && from->http != NULL && h->group->node != NULL
                                  ? group_find_in(from->http, h->group->name)
                                  : NULL;

    for (const struct peer *o = old != NULL ? old->peers : NULL; o != NULL; o = o->next)
        if (slice_eq(o->at.text, p->at.text)) {
            p->unhealthy = o->unhealthy;
            p->unchecked = o->unchecked;
        }
}

void health_follow(struct loop *loop, struct site *from, struct site *to)
{
    for (const struct health *h = all_of(from); h != NULL; h = h->next)
        for (struct check *c = h->checks; c != NULL; c = c->next)
            stop(c);
    for (const struct health *h = all_of(to); h != NULL; h = h->next)
        for (struct check *c = h->checks; c != NULL; c = c->next) {
            if (h->persistent) {
                pthread_mutex_lock(&h->group->lock);
                remember(h, c->peer, from);
                pthread_mutex_unlock(&h->group->lock);
            }
            c->loop = loop;
            io_timer_set(loop->io, &c->timer, FIRST_NS, on_due);
        }
}

/* ---- directives ---------------------------------------------------------------------------- */

struct number {
    const char *name;
    size_t offset;
    bool is_time;
    int64_t min;
};

static const struct number numbers[] = {
    { "interval=", offsetof(struct health, interval_ms), true, 1 },
    { "jitter=", offsetof(struct health, jitter_ms), true, 0 },
    { "fails=", offsetof(struct health, fails), false, 1 },
    { "passes=", offsetof(struct health, passes), false, 1 },
    { "port=", offsetof(struct health, port), false, 1 },
};

static bool read_number(const struct number *n, struct slice text, struct health *h)
{
    int64_t *at = (int64_t *)(void *)((char *)h + n->offset);
    uint64_t value;

    if (n->is_time)
        return conf_parse_msec(text, at) && *at >= n->min;
    *at = slice_to_u64(text, n->offset == offsetof(struct health, port) ? UINT16_MAX : INT32_MAX,
                       &value)
              ? (int64_t)value
              : -1;
    return *at >= n->min;
}

static bool read_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct health *h)
{
    struct slice text = conf_arg(node, arg);

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (!slice_starts(text, slice_str(numbers[i].name)))
            continue;
        if (read_number(&numbers[i], slice_skip(text, strlen(numbers[i].name)), h))
            return true;
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" has no value that can be",
                      SLICE_FMT(text));
        conf_hint(load, "expected: %s and %s", numbers[i].name,
                  numbers[i].is_time ? "a time" : "a number");
        return false;
    }
    if (slice_starts(text, SLICE("uri=/"))) {
        h->uri = slice_skip(text, 4);
    } else if (slice_starts(text, SLICE("match="))) {
        h->match_name = slice_skip(text, 6);
        h->match_arg = arg;
    } else if (slice_eq(text, SLICE("mandatory"))) {
        h->mandatory = true;
    } else if (slice_eq(text, SLICE("persistent"))) {
        h->persistent = true;
    } else {
        conf_complain(load, CONF_EMERG, node, (int)arg, "health_check has no parameter \"%.*s\"",
                      SLICE_FMT(text));
        conf_hint(load, "expected: interval=, jitter=, fails=, passes=, uri=/…, match=, port=, "
                        "mandatory or persistent");
        return false;
    }
    return true;
}

static bool set_health_check(struct conf_load *load, const struct conf_node *node, void *own,
                             const struct directive *row)
{
    struct health_conf *conf = own;
    struct health *h = arena_must(conf_arena(load), sizeof *h);

    (void)row;
    *h = (struct health){ .node = node, .interval_ms = INTERVAL_MS, .fails = 1, .passes = 1 };
    h->uri = SLICE("/");
    h->scope = conf_scope(load);
    h->http = conf_scope_of(load, CTX_HTTP);
    h->location = h->scope->object;
    conf->here = h;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!read_word(load, node, i, h))
            return false;
    return true;
}

/* Whom the location passes requests on to, if that is known in advance. */
static struct group *group_here(const struct scope *scope)
{
    const struct feature *const gateways[] = { &feature_fastcgi, &feature_uwsgi, &feature_scgi };
    const struct proxy_conf *proxy = scope_conf(scope, &feature_proxy);

    if (proxy->target != NULL)
        return proxy->target->group;
    for (size_t i = 0; i < COUNT_OF(gateways); i++) {
        const struct cgi_conf *c = scope_conf(scope, gateways[i]);

        if (c->target != NULL)
            return c->target->group;
    }
    return NULL;
}

static void set_port(struct peer *p, int64_t port)
{
    if (port != 0 && p->at.address.any.sa_family == AF_INET)
        p->at.address.in.sin_port = htons((uint16_t)port);
    else if (port != 0 && p->at.address.any.sa_family == AF_INET6)
        p->at.address.in6.sin6_port = htons((uint16_t)port);
}

static void add_checks(struct conf_load *load, struct health *h)
{
    if (h->group->served != NULL) {
        conf_complain(load, CONF_WARN, h->node, CONF_AT_NAME,
                      "servers of upstream \"%.*s\" with the word resolve are not checked",
                      SLICE_FMT(h->group->name));
        conf_hint(load, "note: max_fails and fail_timeout take care of them");
    }
    for (struct peer *p = h->group->peers; p != NULL; p = p->next) {
        struct check *c = arena_must(conf_arena(load), sizeof *c);

        if (p->down)
            continue;
        *c = (struct check){ .health = h, .peer = p, .probe = *p, .next = h->checks };
        c->probe.next = NULL;
        set_port(&c->probe, h->port);
        p->unchecked = h->mandatory;
        h->checks = c;
    }
}

static bool health_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct health_conf *conf = own;
    struct health *h = conf->here;

    (void)parent;
    if (scope->context != CTX_LOCATION || h == NULL)
        return true;
    h->group = group_here(scope);
    if (h->group == NULL) {
        conf_complain(load, CONF_EMERG, h->node, CONF_AT_NAME,
                      "there is nobody here whose health could be checked");
        conf_hint(load, "expected: a proxy_pass, fastcgi_pass, uwsgi_pass or scgi_pass without "
                        "variables in this location");
        return false;
    }
    if (h->match_name.size > 0)
        h->match = health_match_find(h->http, h->match_name);
    if (h->match_name.size > 0 && h->match == NULL) {
        conf_complain(load, CONF_EMERG, h->node, (int)h->match_arg, "there is no match \"%.*s\"",
                      SLICE_FMT(h->match_name));
        conf_hint(load, "expected: the name of a match { … } in http");
        return false;
    }
    add_checks(load, h);
    struct health_conf *all = scope_conf(h->http, &feature_health);

    h->next = all->all;
    all->all = h;
    return true;
}

static const struct directive rows[] = {
    { "health_check", CTX_LOCATION, 0, ARGS_MANY, CONF_CUSTOM, .set = set_health_check,
      .inherit = INHERIT_NOT,
      .syntax = "[interval=time] [jitter=time] [fails=number] [passes=number] [uri=path] "
                "[match=name] [port=number] [mandatory] [persistent]",
      .help = "Asks each server that this location passes requests on to, every interval (5s), and "
              "takes it out of use after so many answers (fails=1) that do not fit, until so many "
              "(passes=1) do. An answer fits if its status is 200 to 399, or as match says. "
              "mandatory: a server is used only once it was found well; persistent: what is known "
              "survives a reload. Checks are made by one loop, with what the location says of "
              "passing on, its timeouts included.",
      .example = "location / { proxy_pass http://127.0.0.1:8080; health_check interval=2s "
                 "uri=/health; }" },
    { "match", CTX_HTTP, 1, 1, CONF_BLOCK, .set = health_set_match, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "name { condition; … }",
      .help = "What an answer must be like for health_check: all conditions must hold.",
      .example = "match welcome { status 200-299; header Content-Type = text/html; "
                 "body ~ \"Welcome\"; }" },
    { "*", CTX_MATCH, 0, ARGS_MANY, CONF_CUSTOM, .set = health_set_match_line, .repeats = true,
      .syntax = "condition",
      .help = "status [!] 200-399 …; header Name; header ! Name; header Name = | != | ~ | !~ "
              "value; body ~ | !~ regex; require $variable …" },
};

const struct feature feature_health = {
    .name = "health",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct health_conf),
    .merge = health_merge,
    .about = "Asks servers whether they are well, and passes requests on to those that are.",
    .index = &health_index,
};
