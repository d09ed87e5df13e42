/* random_index.c - a file of the directory, whichever chance picks. */
#include "conf/load.h"
#include "handler/listing.h"
#include "handler/static.h"

struct random_conf {
    bool on;
};

static uint32_t random_index;

/* Hashing is keyed by a random number of the process. */
static uint64_t by_chance(struct request *r, uint64_t below)
{
    uint64_t seen[] = { (uint64_t)loop_wall_ns(r->loop), r->number, r->nth, (uintptr_t)r };

    return slice_hash(slice_of((char *)seen, sizeof seen)) % below;
}

/* NULL: there is no file. Files stand behind the directories. */
static const struct entry *choose(struct request *r, const struct listing *l)
{
    unsigned files = 0;
    uint64_t nth;

    for (unsigned i = 0; i < l->count; i++)
        files += l->entries[i].kind == ENTRY_FILE;
    if (files == 0)
        return NULL;
    nth = by_chance(r, files);
    for (unsigned i = 0; i < l->count; i++)
        if (l->entries[i].kind == ENTRY_FILE && nth-- == 0)
            return &l->entries[i];
    return NULL;
}

static enum verdict go_to(struct request *r, const struct listing *l)
{
    const struct entry *e;
    struct slice uri;

    if (l->error != 0) {
        file_log(r, l->place.path, l->error);
        return request_fail(r, file_status(l->error));
    }
    e = choose(r, l);
    if (e == NULL)
        return NEXT;
    uri = arena_printf(&r->arena, "%.*s%.*s", SLICE_FMT(r->uri), SLICE_FMT(e->name));
    return uri.at != NULL ? request_reroute_args(r, uri, r->args) : request_fail(r, 500);
}

bool random_index_idle(const struct scope *scope)
{
    const struct random_conf *c = scope_conf(scope, &feature_random_index);

    return !c->on;
}

enum verdict step_random_index(struct request *r)
{
    const struct random_conf *c = request_conf(r, &feature_random_index);
    struct listing *l = r->slots[SLOT_LISTING];

    if (!c->on || r->uri.size == 0 || r->uri.at[r->uri.size - 1] != '/' ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD &&
         r->head.method != METHOD_POST))
        return NEXT;
    if (l == NULL)
        return listing_begin(r);
    r->slots[SLOT_LISTING] = NULL;
    return go_to(r, l);
}

static const struct directive rows[] = {
    { "random_index", CTX_LOCATION, 1, 1, CONF_FLAG, offsetof(struct random_conf, on), "off",
      .syntax = "on | off",
      .help = "A request for a directory gets one of its files, chosen by chance; before index.",
      .example = "random_index on;" },
};

const struct feature feature_random_index = {
    .name = "random_index",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct random_conf),
    .about = "A file of the directory by chance, as what the directory shows.",
    .index = &random_index,
};
