/* site.c - turns what was loaded into the tables that requests are routed by: locations,
 * names per address, and the sockets that must be open. */
#include "http/site.h"

#include "http/core.h"

#include <stdlib.h>

/* ---- locations ----------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct location *const *x = a, *const *y = b;

    return slice_cmp((*x)->name, (*y)->name);
}

/* Each prefix knows the next shorter sibling that is a prefix of it. */
static void link_shorter(struct location *l)
{
    for (uint32_t i = 1; i < l->prefix_count; i++) {
        const struct location *p = l->prefixes[i - 1];

        while (p != NULL && !slice_starts(l->prefixes[i]->name, p->name))
            p = p->shorter;
        l->prefixes[i]->shorter = p;
    }
}

static bool duplicate(struct conf_load *load, const struct location *l,
                      const struct location *known)
{
    conf_complain(load, CONF_EMERG, l->node, CONF_AT_NAME,
                  "location \"%.*s\" stands here a second time; the first is at %s:%u",
                  SLICE_FMT(l->name), known->node->file->path, known->node->line);
    return false;
}

static bool sort_prefixes(struct conf_load *load, struct location *l)
{
    qsort(l->prefixes, l->prefix_count, sizeof *l->prefixes, by_name);
    for (uint32_t i = 1; i < l->prefix_count; i++)
        if (slice_eq(l->prefixes[i]->name, l->prefixes[i - 1]->name))
            return duplicate(load, l->prefixes[i], l->prefixes[i - 1]);
    link_shorter(l);
    return true;
}

static bool build_location(struct conf_load *load, struct location *l)
{
    uint32_t prefixes = 0, regexes = 0;
    bool ok = true;

    l->has_names = (l->regex != NULL && regex_name_count(l->regex) > 0) ||
                   (l->parent != NULL && l->parent->has_names);
    for (struct location *k = l->children; k != NULL; k = k->next) {
        prefixes += k->kind == LOCATION_PREFIX || k->kind == LOCATION_PREFIX_FINAL;
        regexes += k->kind == LOCATION_REGEX;
    }
    l->prefixes = arena_must(conf_arena(load), (prefixes + 1) * sizeof *l->prefixes);
    l->regexes = arena_must(conf_arena(load), (regexes + 1) * sizeof *l->regexes);
    map_init_arena(&l->exact, MAP_CASE, conf_arena(load));
    for (struct location *k = l->children; k != NULL; k = k->next) {
        if (k->kind == LOCATION_REGEX) {
            l->regexes[l->regex_count++] = k;
        } else if (k->kind == LOCATION_EXACT) {
            struct location *known = map_get(&l->exact, k->name);

            ok = known == NULL ? map_put(&l->exact, k->name, k) && ok : duplicate(load, k, known);
        } else {
            l->prefixes[l->prefix_count++] = k;
            l->has_redirects |= k->auto_redirect;
        }
        ok = build_location(load, k) && ok;
    }
    return sort_prefixes(load, l) && ok;
}

static bool build_server(struct conf_load *load, struct site *site, struct server *s)
{
    bool ok = build_location(load, s->root);

    for (struct location *l = s->named; l != NULL; l = l->next) {
        for (struct location *m = s->named; m != l; m = m->next)
            if (slice_eq(m->name, l->name))
                ok = duplicate(load, l, m);
        ok = build_location(load, l) && ok;
    }
    if (s->listens == NULL)
        listen_default(load, site, s);
    return ok;
}

/* ---- names per address ------------------------------------------------------------------- */

static struct vhosts *vhosts_of(struct conf_load *load, struct listen_addr *a)
{
    if (a->vhosts == NULL) {
        a->vhosts = arena_must(conf_arena(load), sizeof *a->vhosts);
        map_init_arena(&a->vhosts->exact, MAP_NOCASE, conf_arena(load));
        map_init_arena(&a->vhosts->head_wildcards, MAP_NOCASE, conf_arena(load));
        map_init_arena(&a->vhosts->tail_wildcards, MAP_NOCASE, conf_arena(load));
    }
    return a->vhosts;
}

static bool choose_default(struct conf_load *load, struct vhosts *v, const struct server *s,
                           const struct server_listen *l)
{
    if (l->is_default && v->default_explicit) {
        conf_complain(load, CONF_EMERG, l->node, 0,
                      "this address already has a default server, at %s:%u",
                      v->default_node->file->path, v->default_node->line);
        return false;
    }
    if (v->default_server == NULL || l->is_default) {
        v->default_server = s;
        v->default_node = l->node;
        v->default_explicit = l->is_default;
    }
    return true;
}

static bool build_names(struct conf_load *load, struct server *s)
{
    bool ok = true;

    for (struct server_listen *l = s->listens; l != NULL; l = l->next) {
        struct vhosts *v = vhosts_of(load, l->addr);

        v->server_count++;
        ok = choose_default(load, v, s, l) && names_enter(load, v, s, l->addr) && ok;
    }
    return ok;
}

/* What a head may be like before the server is known: the default server's limits. */
static void finish_vhosts(struct conf_load *load, struct vhosts *v)
{
    const struct http_core *core = scope_conf(v->default_server->scope, &feature_http_core);
    struct h1_limits *h = arena_must(conf_arena(load), sizeof *h);

    h->line_max = (uint32_t)core->large_buffer_size;
    if (core->client_header_buffer_size > core->large_buffer_size)
        h->line_max = (uint32_t)core->client_header_buffer_size;
    h->head_max = (uint32_t)(core->large_buffer_size * core->large_buffer_count);
    if (h->head_max < h->line_max)
        h->head_max = h->line_max;
    h->fields_max = (uint32_t)core->max_headers;
    h->allow_bare_lf = core->allow_bare_lf;
    h->underscores = core->underscores;
    h->ignore_invalid = core->ignore_invalid;
    h->first_size = (uint32_t)core->client_header_buffer_size;
    v->head_limits = h;
    if (v->server_count == 1 && v->regexes == NULL)
        v->only = v->default_server;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool covers(const struct listen_addr *wide, const struct listen_addr *a)
{
    return wide != a && wide->addr.family == a->addr.family && a->addr.family != AF_UNIX &&
           wide->addr.port == a->addr.port && addr_is_any(&wide->addr) && !a->bind;
}

/* A wildcard address takes the connections of the addresses it covers on one socket; those
 * are told apart by the local address of each connection. */
static void build_listeners(struct conf_load *load, struct site *site)
{
    struct listener_want **end = &site->listeners;

    for (struct listen_addr *a = site->addrs; a != NULL; a = a->next) {
        bool covered = false;

        for (struct listen_addr *wide = site->addrs; wide != NULL; wide = wide->next)
            covered |= covers(wide, a);
        if (covered)
            continue;
        struct listener_want *w = arena_must(conf_arena(load), sizeof *w);

        w->addr = a;
        for (struct listen_addr *b = site->addrs; b != NULL; b = b->next) {
            if (!covers(a, b))
                continue;
            b->also = w->covered;
            w->covered = b;
        }
        *end = w;
        end = &w->next;
    }
}

struct site *site_build(struct conf_load *load, struct scope *root)
{
    struct site *site = NULL;
    bool ok = true;

    for (struct scope *s = root->children; s != NULL; s = s->next)
        if (s->context == CTX_HTTP)
            site = s->object;
    if (site == NULL) {
        site = arena_must(conf_arena(load), sizeof *site);
        site->arena = conf_arena(load);
    }
    site->root = root;
    site->log = log_of_scope(root);
    site->value_count = conf_place_count(load);
    for (struct server *s = site->servers; s != NULL; s = s->next)
        ok = build_server(load, site, s) && ok;
    for (struct server *s = site->servers; s != NULL && ok; s = s->next)
        ok = build_names(load, s) && ok;
    if (!ok || conf_load_errors(load) > 0)
        return NULL;
    for (struct listen_addr *a = site->addrs; a != NULL; a = a->next) {
        finish_vhosts(load, a->vhosts);
        a->vhosts->proxy_protocol = a->proxy_protocol;
        a->vhosts->tls = a->tls;
        a->vhosts->listen_http2 = a->http2;
    }
    build_listeners(load, site);
    return site;
}
