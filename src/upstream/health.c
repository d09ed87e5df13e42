/* health.c - asks peers whether they are well; one loop does it for all. */
#include "base/block.h"
#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "io/io.h"
#include "upstream/health_private.h"
#include "upstream/peers.h"
#include "upstream/queue.h"

#include <sys/random.h>

enum { NS_PER_MS = 1000000, FIRST_NS = 1000, LOOK_MS = 200 };

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

static const char *judge(const struct check *c, struct request *r)
{
    const struct health *h = c->health;

    return h->grpc ? health_grpc_judge(h, r, gather_get(&c->body))
                   : health_match_judge(h->match, r, gather_get(&c->body));
}

static void finish(struct check *c)
{
    struct request *r = c->request;

    note(c, r, judge(c, r));
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

    if (!c->health->grpc && !health_match_reads(c->health->match)) {
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

struct slice health_body(const struct request *r)
{
    return check_of(r)->health->grpc_asked;
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
    return name_host(r, h->group->name) && (!h->grpc || health_grpc_prepare(r, h));
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

    io_timer_stop(c->loop->io, &c->timer);
    c->request = NULL;
    if (r != NULL)
        request_end(r);
    pthread_mutex_lock(&c->health->group->lock);
    group_unuse(c->health->group, c->peer);
    pthread_mutex_unlock(&c->health->group->lock);
    block_free(c);
}

/* persistent: what the peer was before a reload, it is after it. */
static void remember(const struct health *h, struct peer *p, const struct site *from)
{
    struct group *old =
        h->persistent && from != NULL && from->http != NULL && h->group->node != NULL
            ? group_find_in(from->http, h->group->name)
            : NULL;
    bool unhealthy = p->unhealthy, unchecked = p->unchecked;

    if (old == NULL)
        return;
    pthread_mutex_lock(&old->lock);
    for (const struct peer *o = old->peers; o != NULL; o = o->next)
        if (slice_eq(o->at.text, p->at.text)) {
            unhealthy = o->unhealthy;
            unchecked = o->unchecked;
        }
    pthread_mutex_unlock(&old->lock);
    pthread_mutex_lock(&h->group->lock);
    p->unhealthy = unhealthy;
    p->unchecked = unchecked;
    pthread_mutex_unlock(&h->group->lock);
}

static void set_port(struct peer *p, int64_t port)
{
    if (port != 0 && p->at.address.any.sa_family == AF_INET)
        p->at.address.in.sin_port = htons((uint16_t)port);
    if (port != 0 && p->at.address.any.sa_family == AF_INET6)
        p->at.address.in6.sin6_port = htons((uint16_t)port);
}

static bool is_checked(const struct health *h, const struct peer *p)
{
    for (const struct check *c = h->checks; c != NULL; c = c->next)
        if (c->peer == p)
            return true;
    return false;
}

/* Behind the lock: peers that are there and not yet checked, linked by next. */
static struct check *newcomers(struct health *h, struct loop *loop)
{
    struct check *first = NULL;

    for (struct peer *p = h->group->peers; p != NULL; p = p->next) {
        struct check *c =
            p->down || p->at.text.size == 0 || is_checked(h, p) ? NULL : block_alloc(sizeof *c);

        if (c == NULL)
            continue;
        *c = (struct check){ .health = h, .peer = p, .probe = *p, .loop = loop, .next = first };
        c->probe.next = NULL;
        c->probe.stats = (struct peer_stats){ 0 };
        set_port(&c->probe, h->port);
        p->users++;
        first = c;
    }
    return first;
}

/* Those who have gone are not asked any more; those who came are. */
static void look(struct health *h, struct loop *loop, const struct site *from)
{
    struct group *g = h->group;
    struct check *fresh, *next;
    unsigned version;

    for (struct check **at = &h->checks; *at != NULL;) {
        struct check *c = *at;
        bool gone;

        pthread_mutex_lock(&g->lock);
        gone = c->peer->gone;
        pthread_mutex_unlock(&g->lock);
        if (!gone) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        stop(c);
    }
    pthread_mutex_lock(&g->lock);
    fresh = newcomers(h, loop);
    version = g->version;
    pthread_mutex_unlock(&g->lock);
    for (; fresh != NULL; fresh = next) {
        next = fresh->next;
        fresh->next = h->checks;
        h->checks = fresh;
        remember(h, fresh->peer, from);
        io_timer_set(loop->io, &fresh->timer, FIRST_NS, on_due);
    }
    h->seen = version;
}

static void on_look(struct io *io, struct io_timer *timer)
{
    struct health *h = container_of(timer, struct health, timer);
    bool changed;

    pthread_mutex_lock(&h->group->lock);
    changed = h->group->version != h->seen;
    pthread_mutex_unlock(&h->group->lock);
    if (changed)
        look(h, h->loop, NULL);
    io_timer_set(io, &h->timer, (uint64_t)LOOK_MS * NS_PER_MS, on_look);
}

static void leave(struct health *h, struct loop *loop)
{
    io_timer_stop(loop->io, &h->timer);
    for (struct check *c = h->checks, *next; c != NULL; c = next) {
        next = c->next;
        stop(c);
    }
    h->checks = NULL;
}

void health_follow(struct loop *loop, struct site *from, struct site *to)
{
    for (struct health *h = all_of(from); h != NULL; h = h->next)
        leave(h, loop);
    for (struct health *h = all_of(to); h != NULL; h = h->next) {
        h->loop = loop;
        look(h, loop, from);
        if (h->group->changes)
            io_timer_set(loop->io, &h->timer, (uint64_t)LOOK_MS * NS_PER_MS, on_look);
    }
}
