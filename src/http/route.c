/* route.c - from a connection to its servers, from a path to its location. */
#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/uri.h"

enum { NESTING_MAX = 32 };

const struct vhosts *site_vhosts(const struct site *site, unsigned id,
                                 void (*local)(void *arg, struct addr *), void *arg)
{
    const struct listener_want *w = id < site->listener_count ? site->by_listener[id] : NULL;
    struct addr here;

    if (w == NULL)
        return NULL;
    if (w->covered == NULL)
        return w->addr->vhosts;
    local(arg, &here);
    for (const struct listen_addr *a = w->covered; a != NULL; a = a->also)
        if (addr_eq(&a->addr, &here))
            return a->vhosts;
    return w->addr->vhosts;
}

/* ---- locations --------------------------------------------------------------------- */

/* The longest prefix of uri among the children, or NULL: the last name that is not greater
 * than uri, or one of its own prefixes. */
static const struct location *longest_prefix(const struct location *l, struct slice uri)
{
    uint32_t low = 0, high = l->prefix_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (slice_cmp(l->prefixes[middle]->name, uri) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    const struct location *p = low > 0 ? l->prefixes[low - 1] : NULL;

    while (p != NULL && !slice_starts(uri, p->name))
        p = p->shorter;
    return p;
}

/* As slice_cmp(name, uri + "/"). */
static int compare_slashed(struct slice name, struct slice uri)
{
    int order = slice_cmp(slice_head(name, uri.size), uri);

    return order != 0 || name.size < uri.size ? order
                                              : slice_cmp(slice_skip(name, uri.size), SLICE("/"));
}

/* The child that is named like uri with a slash behind it, if it wants that slash; or NULL. */
static const struct location *wants_slash(const struct location *l, struct slice uri)
{
    uint32_t low = 0, high = l->prefix_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare_slashed(l->prefixes[middle]->name, uri);

        if (order == 0)
            return l->prefixes[middle]->auto_redirect ? l->prefixes[middle] : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct search {
    struct slice uri;
    struct slice *captures;
    const struct regex **of;
    const struct location *found;
    enum location_found how;
};

/* True: the search is over (an exact location, or a regular expression matched). */
static bool search_in(const struct location *l, struct search *s, unsigned depth)
{
    const struct location *p;
    bool final = false;

    if (depth > NESTING_MAX)
        return true;
    if (l->exact.live > 0 && (p = map_get(&l->exact, s->uri)) != NULL) {
        s->found = p;
        return true;
    }
    p = longest_prefix(l, s->uri);
    if (l->has_redirects && (p == NULL || p->name.size < s->uri.size)) {
        const struct location *slashed = wants_slash(l, s->uri);

        if (slashed != NULL) {
            s->found = slashed;
            s->how = LOCATION_SLASH;
            return true;
        }
    }
    if (p != NULL) {
        final = p->kind == LOCATION_PREFIX_FINAL;
        s->found = p;
        if (p->children != NULL && search_in(p, s, depth + 1))
            return true;
    }
    for (uint32_t i = 0; i < l->regex_count && !final; i++) {
        enum regex_verdict v = regex_match(l->regexes[i]->regex, s->uri, s->captures, CAPTURES_MAX);

        if (v == REGEX_NO)
            continue;
        s->found = l->regexes[i];
        s->how = v == REGEX_LIMIT ? LOCATION_REGEX_LIMIT : LOCATION_FOUND;
        *s->of = s->found->regex;
        if (v == REGEX_YES && s->found->children != NULL)
            search_in(s->found, s, depth + 1);
        return true;
    }
    return false;
}

enum location_found location_find(const struct location *root, struct slice uri,
                                  struct slice captures[CAPTURES_MAX], const struct regex **ret_of,
                                  const struct location **ret)
{
    struct search s = { .uri = uri, .captures = captures, .of = ret_of };

    search_in(root, &s, 0);
    *ret = s.found;
    return s.how;
}

void location_use(struct request *r, const struct location *l)
{
    r->location = l;
    r->scope = l->scope;
    r->log = log_of_scope(l->scope);
    r->root_path = (struct slice){ 0 };
}

/* The named groups of the patterns around it matched, too; their captures are gone. */
static bool keep_named(struct request *r, const struct location *l)
{
    struct slice captures[CAPTURES_MAX];

    if (l->parent != NULL && !keep_named(r, l->parent))
        return false;
    if (l->regex == NULL || regex_name_count(l->regex) == 0)
        return true;
    if (request_values(r) == NULL)
        return false;
    if (l->regex == r->captures_of)
        regex_keep_named(l->regex, r->captures, r->values);
    else if (regex_match(l->regex, r->uri, captures, CAPTURES_MAX) == REGEX_YES)
        regex_keep_named(l->regex, captures, r->values);
    return true;
}

/* Is the body that comes too large here? The page for an error has nothing to do with it. */
static bool body_too_large(const struct request *r)
{
    int64_t most = core_conf(r)->client_max_body_size;

    return most != 0 && r->head.has_length && !r->page_asked && r->head.length > (uint64_t)most;
}

/* "/app?a" to "/app/?a": the location's own settings hold for the answer. */
static enum verdict add_slash(struct request *r, const struct location *l)
{
    struct gather g;

    location_use(r, l);
    gather_init(&g, NULL, 0, &r->arena, r->uri.size * 3 + r->args.size + 2);
    uri_encode_path(&g, r->uri);
    gather_byte(&g, '/');
    if (r->args.at != NULL) {
        gather_byte(&g, '?');
        gather_slice(&g, r->args);
    }
    return g.full ? request_fail(r, 500) : request_redirect_out(r, 301, gather_get(&g));
}

enum verdict step_find_location(struct request *r)
{
    const struct location *l = NULL;

    r->uri_rewritten = false;
    if (r->routed) {
        r->routed = false;
        return NEXT;
    }
    enum location_found how =
        location_find(r->server->root, r->uri, r->captures, &r->captures_of, &l);

    if (how == LOCATION_SLASH)
        return add_slash(r, l);
    if (how == LOCATION_REGEX_LIMIT) {
        request_log(r, LOG_ERROR, 0, "matching location \"%.*s\" (%s:%u) took too long",
                    SLICE_FMT(l->name), l->node->file->path, l->node->line);
        return request_fail(r, 500);
    }
    if (l != NULL)
        location_use(r, l);
    else
        r->root_path = (struct slice){ 0 };
    if (l != NULL && l->has_names && !keep_named(r, l))
        return request_fail(r, 500);
    if (l != NULL && l->is_internal && !r->internal)
        return request_fail(r, 404);
    if (body_too_large(r)) {
        request_log(r, LOG_ERROR, 0, "client intended to send too large body: %llu bytes",
                    (unsigned long long)r->head.length);
        return request_fail(r, 413);
    }
    return NEXT;
}
