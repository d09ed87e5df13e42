/* stub_status.c - how many connections there are, in nginx's notation, and as variables. */
#include "conf/expr.h"
#include "handler/small.h"

static uint32_t status_index;

/* Over all loops of the worker. */
struct totals {
    uint64_t active, accepted, handled, requests, reading, writing, waiting;
};

static uint64_t load(const _Atomic uint64_t *counter)
{
    return __atomic_load_n((const uint64_t *)counter, __ATOMIC_RELAXED);
}

/* The loops count without stopping for one another: sums may be off by what happens just now. */
static struct totals count(const struct loop *here)
{
    struct totals t = { 0 };
    const struct loop *l = here;

    do {
        t.active += load(&l->stats.active);
        t.accepted += load(&l->stats.accepted);
        t.handled += load(&l->stats.handled);
        t.requests += load(&l->stats.requests);
        t.writing += load(&l->stats.writing);
        t.waiting += load(&l->stats.waiting);
        l = l->next;
    } while (l != NULL && l != here);
    if (t.active > t.writing + t.waiting)
        t.reading = t.active - t.writing - t.waiting;
    return t;
}

static enum verdict answer(struct request *r)
{
    struct totals t = count(r->loop);
    struct slice text;

    if (!method_is_get(r))
        return DONE;
    text = arena_printf(&r->arena,
                        "Active connections: %llu \nserver accepts handled requests\n"
                        " %llu %llu %llu \nReading: %llu Writing: %llu Waiting: %llu \n",
                        (unsigned long long)t.active, (unsigned long long)t.accepted,
                        (unsigned long long)t.handled, (unsigned long long)t.requests,
                        (unsigned long long)t.reading, (unsigned long long)t.writing,
                        (unsigned long long)t.waiting);
    if (text.at == NULL)
        return request_fail(r, 500);
    return request_reply(r, 200, SLICE("text/plain"), text);
}

static bool set_status(struct conf_load *load, const struct conf_node *node, void *conf,
                       const struct directive *row)
{
    (void)conf;
    (void)row;
    return content_set(load, node, answer);
}

static bool get_total(void *subject, const struct variable_use *use, struct gather *g)
{
    struct totals t = count(((const struct request *)subject)->loop);

    gather_u64(g, *(const uint64_t *)((const char *)&t + use->row->arg));
    return true;
}

static const struct directive rows[] = {
    { "stub_status", CTX_SERVER | CTX_LOCATION, 0, 1, CONF_CUSTOM, .set = set_status,
      .inherit = INHERIT_NOT, .syntax = "",
      .help = "Answers with the numbers of connections and requests. An argument means nothing.",
      .example = "location = /status { stub_status; allow 127.0.0.1; deny all; }" },
};

#define TOTAL(name, text)                                                                 \
    {                                                                                     \
        "connections_" #name, get_total, offsetof(struct totals, name), false, text, NULL \
    }

static const struct variable vars[] = {
    TOTAL(active, "Connections, waiting ones included"),
    TOTAL(reading, "Connections on which a request's head is awaited or read"),
    TOTAL(writing, "Connections on which a request is answered"),
    TOTAL(waiting, "Connections kept open between two requests"),
};

const struct feature feature_stub_status = {
    .name = "stub_status",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "Numbers of connections and requests.",
    .index = &status_index,
};
