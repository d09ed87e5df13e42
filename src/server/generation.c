/* generation.c - from a bundle to something that loops can run, and back to nothing. */
#include "server/generation.h"

#include "base/clock.h"
#include "conf/zone.h"
#include "server/bundle.h"
#include "server/log_files.h"
#include "upstream/api.h"
#include "upstream/discover.h"
#include "upstream/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- listeners -------------------------------------------------------------------------- */

static struct listener *find(struct listener *book, uint32_t id)
{
    while (book != NULL && book->id != id)
        book = book->next;
    return book;
}

static struct listener *listener_create(uint32_t id, uint32_t sockets, const int *fds)
{
    struct listener *l = calloc(1, sizeof *l + sockets * sizeof *fds);

    CHECK(l != NULL);
    l->id = id;
    l->sockets = sockets;
    memcpy(l->fds, fds, sockets * sizeof *fds);
    atomic_init(&l->users, 1); /* the book's own */
    return l;
}

void listener_use(struct listener *l)
{
    atomic_fetch_add(&l->users, 1);
}

void listener_release(struct listener *l)
{
    atomic_fetch_sub(&l->users, 1);
}

void listeners_give_up(struct listener **book, struct listener **leaving,
                       const struct generation *now)
{
    for (struct listener **at = book; *at != NULL;) {
        struct listener *l = *at;

        if (now != NULL && l->id < now->site->listener_count && now->listeners[l->id] != NULL) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        l->next = *leaving;
        *leaving = l;
        listener_release(l);
    }
}

void listeners_sweep(struct listener **leaving)
{
    for (struct listener **at = leaving; *at != NULL;) {
        struct listener *l = *at;

        if (atomic_load(&l->users) > 0) {
            at = &l->next;
            continue;
        }
        for (uint32_t i = 0; i < l->sockets; i++)
            close(l->fds[i]);
        *at = l->next;
        free(l);
    }
}

/* ---- building --------------------------------------------------------------------------- */

struct building {
    const int *fds;
    uint32_t count, used; /* descriptors: given, taken so far                      */
    const struct generation_around *around;
    unsigned loop_count;
    struct bundle bundle;
};

static const struct bundle_listener *bundle_find(const struct bundle *b,
                                                 const struct listener_want *w)
{
    char key[LISTENER_KEY_SIZE];

    listener_key(w->addr, key);
    for (uint32_t i = 0; i < b->listener_count; i++)
        if (strcmp(b->listeners[i].key, key) == 0)
            return &b->listeners[i];
    return NULL;
}

static bool still_used(const struct generation_around *around, uint32_t id)
{
    const struct listener *l = *around->book;

    while (l != NULL && l->id != id)
        l = l->next;
    if (l != NULL)
        return true;
    for (l = around->leaving; l != NULL && l->id != id;)
        l = l->next;
    return l != NULL;
}

/* Listeners that leave keep the servers they had until their last connection is gone. (The
 * loops hold the site that owns those: see accept_follow().) */
static void remember_leaving(struct site *site, const struct generation_around *around)
{
    const struct site *before = around->now->site;

    for (unsigned i = 0; i < before->listener_count; i++)
        if (site->by_listener[i] == NULL && before->by_listener[i] != NULL && still_used(around, i))
            site->by_listener[i] = before->by_listener[i];
}

/* Gives each socket that the site wants its id, by what it is bound to. */
static bool number_listeners(struct site *site, const struct bundle *b,
                             const struct generation_around *around)
{
    site->listener_count = around->now != NULL ? around->now->site->listener_count : 0;
    for (struct listener_want *w = site->listeners; w != NULL; w = w->next) {
        const struct bundle_listener *l = bundle_find(b, w);

        if (l == NULL)
            return false;
        w->id = l->id;
        if (w->id >= site->listener_count)
            site->listener_count = w->id + 1;
    }
    site->by_listener =
        arena_must(site->arena, (site->listener_count + 1) * sizeof *site->by_listener);
    for (struct listener_want *w = site->listeners; w != NULL; w = w->next)
        site->by_listener[w->id] = w;
    if (around->now != NULL)
        remember_leaving(site, around);
    return true;
}

/* Sockets the book knows already came once more: those duplicates are closed. */
static bool take_listeners(struct building *b, struct generation *g)
{
    g->listeners =
        arena_must(g->site->arena, (g->site->listener_count + 1) * sizeof(struct listener *));
    for (uint32_t i = 0; i < b->bundle.listener_count; i++) {
        const struct bundle_listener *said = &b->bundle.listeners[i];
        struct listener *l = find(*b->around->book, said->id);

        if (said->sockets > b->count - b->used || said->id >= g->site->listener_count)
            return false;
        if (l == NULL) {
            l = listener_create(said->id, said->sockets, b->fds + b->used);
            l->next = *b->around->book;
            *b->around->book = l;
        } else {
            for (uint32_t k = 0; k < said->sockets; k++)
                close(b->fds[b->used + k]);
        }
        b->used += said->sockets;
        g->listeners[said->id] = l;
    }
    return true;
}

static const char *build(struct building *b, struct generation *g)
{
    struct config *c = bundle_read(&b->bundle, b->fds[0], b->around->registry);

    if (c == NULL)
        return "the bundle cannot be read";
    g->config = c;
    config_to_run(c);
    config_read(c);
    if (!config_good(c))
        return "the worker reads the configuration differently from the master";
    g->site = c->site;
    g->site->generation = g;
    g->number = g->site->number = b->bundle.number;
    g->site->respawned = b->bundle.respawned;
    g->site->loaded_wall_ns = clock_wall_ns();
    g->loops = b->bundle.loops;
    if (b->loop_count == 0)
        b->loop_count = g->loops;
    size_t uses_size = b->loop_count * sizeof(struct site_use);

    g->site->uses = aligned_alloc(_Alignof(struct site_use), uses_size);
    if (g->site->uses == NULL)
        return "out of memory";
    memset(g->site->uses, 0, uses_size);
    if (!zones_take(c->load, b->around->now != NULL ? b->around->now->config->load : NULL))
        return "there is no memory for the zones";
    discover_take(g->site, b->around->now != NULL ? b->around->now->site : NULL);
    peers_take(g->site, b->around->now != NULL ? b->around->now->site : NULL);
    if (!status_zones_take(g->site, b->around->now != NULL ? b->around->now->site : NULL))
        return "there is no memory for the status zones";
    if (log_files_count(c->logs) != b->bundle.log_count ||
        !number_listeners(g->site, &b->bundle, b->around))
        return "the bundle does not fit its configuration";
    uint32_t sockets = 0;

    for (uint32_t i = 0; i < b->bundle.listener_count; i++)
        sockets += b->bundle.listeners[i].sockets;
    if (1 + sockets + b->bundle.log_count != b->count || !take_listeners(b, g))
        return "the bundle's descriptors are not complete";
    log_files_take(c->logs, b->fds + b->used);
    b->used = b->count;
    return NULL;
}

struct generation *generation_build(const struct generation_around *around, const int *fds,
                                    uint32_t count, char *text, size_t size)
{
    struct building b = {
        .fds = fds, .count = count, .used = 1, .around = around, .loop_count = around->loop_count
    };
    struct generation *g = calloc(1, sizeof *g);

    CHECK(g != NULL && count > 0);
    const char *why = build(&b, g);

    close(fds[0]);
    bundle_done(&b.bundle);
    atomic_init(&g->loops_on_it, b.loop_count);
    if (why == NULL)
        return g;
    snprintf(text, size, "%s", why);
    for (uint32_t i = b.used; i < count; i++)
        close(fds[i]);
    generation_destroy(g);
    return NULL;
}

void generation_destroy(struct generation *g)
{
    if (g->config != NULL && g->config->logs != NULL)
        log_files_close(g->config->logs);
    if (g->site != NULL)
        status_zones_drop(g->site);
    if (g->site != NULL)
        free(g->site->uses);
    if (g->config != NULL) {
        zones_drop(g->config->load);
        config_destroy(g->config);
    }
    free(g);
}

bool generation_left(struct generation *g)
{
    return atomic_fetch_sub(&g->loops_on_it, 1) == 1;
}
