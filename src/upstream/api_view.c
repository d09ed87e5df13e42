/* api_view.c - the server as a whole: who it is, its connections and requests. */
#include "upstream/api_private.h"

#include "base/clock.h"

#include <unistd.h>

/* Over all loops of the worker. */
struct api_totals {
    uint64_t accepted, handled, active, waiting, requests, writing;
};

static uint64_t load(const _Atomic uint64_t *counter)
{
    return __atomic_load_n((const uint64_t *)counter, __ATOMIC_RELAXED);
}

static struct api_totals totals_of(const struct loop *here)
{
    struct api_totals t = { 0 };
    const struct loop *l = here;

    do {
        t.accepted += load(&l->stats.accepted);
        t.handled += load(&l->stats.handled);
        t.active += load(&l->stats.active);
        t.waiting += load(&l->stats.waiting);
        t.requests += load(&l->stats.requests);
        t.writing += load(&l->stats.writing);
        l = l->next;
    } while (l != NULL && l != here);
    return t;
}

bool api_get_nginx(struct api_call *c)
{
    struct request *r = c->request;
    struct addr here;
    struct gather text;
    char room[ADDR_TEXT_MAX];

    r->ops->local(r, &here);
    gather_init(&text, room, sizeof room, NULL, 0);
    if (here.family != AF_UNIX)
        addr_print(&here, &text);
    else
        gather_lit(&text, "unix:");
    api_choose(c, 1);
    json_open(&c->json, NULL, '{');
    json_text(&c->json, "version", SLICE(WEIR_VERSION));
    json_text(&c->json, "build", SLICE("weir"));
    json_text(&c->json, "address", gather_get(&text));
    json_u64(&c->json, "generation", r->site->number);
    json_time(&c->json, "load_timestamp", r->site->loaded_wall_ns);
    json_time(&c->json, "timestamp", loop_wall_ns(r->loop));
    json_i64(&c->json, "pid", getpid());
    json_i64(&c->json, "ppid", getppid());
    json_shut(&c->json);
    return true;
}

bool api_get_processes(struct api_call *c)
{
    json_open(&c->json, NULL, '{');
    json_u64(&c->json, "respawned", c->request->site->respawned);
    json_shut(&c->json);
    return true;
}

bool api_get_connections(struct api_call *c)
{
    struct api_totals t = totals_of(c->request->loop);

    api_choose(c, 1);
    json_open(&c->json, NULL, '{');
    json_u64(&c->json, "accepted", t.accepted);
    json_u64(&c->json, "dropped", t.accepted > t.handled ? t.accepted - t.handled : 0);
    json_u64(&c->json, "active", t.active > t.waiting ? t.active - t.waiting : 0);
    json_u64(&c->json, "idle", t.waiting);
    json_shut(&c->json);
    return true;
}

bool api_get_requests(struct api_call *c)
{
    struct api_totals t = totals_of(c->request->loop);

    api_choose(c, 1);
    json_open(&c->json, NULL, '{');
    json_u64(&c->json, "total", t.requests);
    json_u64(&c->json, "current", t.writing);
    json_shut(&c->json);
    return true;
}
