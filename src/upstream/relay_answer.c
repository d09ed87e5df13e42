/* relay_answer.c - what a peer's fields mean for the answer that the client gets. */
#include "upstream/relay_answer.h"

#include "http/early_hints.h"
#include "http/error_page.h"
#include "http/site.h"
#include "upstream/cache.h"
#include "upstream/sticky.h"
#include "wire/date.h"
#include "wire/uri.h"

struct filling {
    struct relay *relay;
    struct request *request;
    const struct relay_rewrites *rewrites;
    bool full; /* no memory, or too many fields */
};

typedef void take_fn(struct filling *, const struct field *);

/* ---- fields that are more than text ------------------------------------------------------ */

static void pass(struct filling *f, const struct field *field)
{
    f->full |= !response_add(f->request, field->name, field->value);
}

static void skip(struct filling *f, const struct field *field)
{
    (void)f;
    (void)field;
}

static void take_type(struct filling *f, const struct field *field)
{
    f->request->response.content_type = field->value;
}

static void take_modified(struct filling *f, const struct field *field)
{
    struct request *r = f->request;
    int64_t now = loop_wall_ns(r->loop) / 1000000000, sec;

    if (!date_parse(field->value, now, &sec)) {
        pass(f, field);
        return;
    }
    r->response.last_modified = sec;
    r->response.last_modified_text = field->value;
}

/* With …_force_ranges, and of what is kept, weir says it. */
static void take_accept_ranges(struct filling *f, const struct field *field)
{
    if (!relay_does_ranges(f->relay))
        pass(f, field);
}

static void take_etag(struct filling *f, const struct field *field)
{
    f->request->response.etag = field->value;
}

/* One that proxy_redirect changed is made absolute like weir's own; another goes on as it is. */
static void take_location(struct filling *f, const struct field *field)
{
    struct slice value = field->value;
    bool changed = false;

    if (f->rewrites->location != NULL)
        value = f->rewrites->location(f->relay, value, &changed);
    if (value.at == NULL && field->value.size > 0)
        f->full = true;
    else if (changed)
        f->request->response.location = value;
    else
        pass(f, field);
}

/* "5; url=/next" */
static void take_refresh(struct filling *f, const struct field *field)
{
    struct field changed = *field;
    size_t at = slice_search(field->value, SLICE("url="));
    bool any = false;

    if (at == field->value.size || f->rewrites->location == NULL) {
        pass(f, field);
        return;
    }
    struct slice to = f->rewrites->location(f->relay, slice_skip(field->value, at + 4), &any);

    if (any)
        changed.value = arena_printf(&f->request->arena, "%.*s%.*s", (int)at + 4, field->value.at,
                                     SLICE_FMT(to));
    f->full |= to.at == NULL || changed.value.at == NULL;
    if (!f->full)
        pass(f, &changed);
}

static void take_cookie(struct filling *f, const struct field *field)
{
    struct field changed = *field;

    if (f->rewrites->cookie != NULL)
        changed.value = f->rewrites->cookie(f->relay, field->value);
    f->full |= changed.value.at == NULL && field->value.size > 0;
    if (!f->full)
        pass(f, &changed);
}

static void take_rate(struct filling *f, const struct field *field)
{
    uint64_t rate;

    if ((f->relay->conf->ignore & ACCEL_LIMIT_RATE) != 0 ||
        !slice_to_u64(field->value, INT64_MAX, &rate))
        return;
    f->request->rate = rate;
    f->request->rate_set = true;
}

static void take_buffering(struct filling *f, const struct field *field)
{
    if ((f->relay->conf->ignore & ACCEL_BUFFERING) == 0)
        f->relay->buffering = !slice_eq_nocase(field->value, SLICE("no"));
}

/* Held back, unless …_pass_header names them; then weir's own line does not stand beside it. */
static void take_date(struct filling *f, const struct field *field)
{
    f->request->response.has_date = true;
    pass(f, field);
}

static void take_server(struct filling *f, const struct field *field)
{
    f->request->response.has_server = true;
    pass(f, field);
}

/* By size, the shortest first. */
static const struct rule {
    struct slice name;
    take_fn *take, *held; /* held: what is done when it is not passed on           */
} rules[] = {
    { { "ETag", 4 }, take_etag, NULL },
    { { "Date", 4 }, take_date, skip },
    { { "X-Pad", 5 }, pass, skip },
    { { "Server", 6 }, take_server, skip },
    { { "Refresh", 7 }, take_refresh, NULL },
    { { "Upgrade", 7 }, skip, NULL },
    { { "Trailer", 7 }, skip, NULL },
    { { "Location", 8 }, take_location, NULL },
    { { "Connection", 10 }, skip, NULL },
    { { "Keep-Alive", 10 }, skip, NULL },
    { { "Set-Cookie", 10 }, take_cookie, NULL },
    { { "Content-Type", 12 }, take_type, NULL },
    { { "Last-Modified", 13 }, take_modified, NULL },
    { { "Accept-Ranges", 13 }, take_accept_ranges, NULL },
    { { "Content-Length", 14 }, skip, NULL },
    { { "X-Accel-Expires", 15 }, pass, skip },
    { { "X-Accel-Charset", 15 }, pass, skip },
    { { "Proxy-Connection", 16 }, skip, NULL },
    { { "X-Accel-Redirect", 16 }, pass, skip },
    { { "Transfer-Encoding", 17 }, skip, NULL },
    { { "X-Accel-Buffering", 17 }, pass, take_buffering },
    { { "X-Accel-Limit-Rate", 18 }, pass, take_rate },
};

enum { RULE_NAME_MAX = 18 };

/* Where the names of a size begin. */
static const uint8_t rules_from[RULE_NAME_MAX + 1] = {
    [5] = 2,   [6] = 3,   [7] = 4,   [8] = 7,   [9] = 8,   [10] = 8,  [11] = 11,
    [12] = 11, [13] = 12, [14] = 14, [15] = 15, [16] = 17, [17] = 19, [18] = 21,
};

static const struct rule *rule_for(struct slice name)
{
    size_t i = name.size <= RULE_NAME_MAX ? rules_from[name.size] : COUNT_OF(rules);

    DCHECK(i == 0 || rules[i - 1].name.size < name.size);
    for (; i < COUNT_OF(rules) && rules[i].name.size == name.size; i++)
        if (slice_eq_nocase(name, rules[i].name))
            return &rules[i];
    return NULL;
}

static bool listed(const struct name_list *list, struct slice name)
{
    for (; list != NULL; list = list->next)
        if (list->name.size == name.size && slice_eq_nocase(list->name, name))
            return true;
    return false;
}

static void take(struct filling *f, const struct field *field)
{
    const struct relay_conf *c = f->relay->conf;
    const struct rule *rule = rule_for(field->name);

    if (rule != NULL && rule->held != NULL) {
        rule->held(f, field);
        if (!listed(c->pass, field->name))
            return;
    }
    if (listed(c->hide, field->name))
        return;
    (rule != NULL ? rule->take : pass)(f, field);
}

/* ---- answers that are replaced ----------------------------------------------------------- */

static const struct field *find(const struct relay *y, struct slice name)
{
    for (uint32_t i = 0; i < y->field_count; i++)
        if (y->fields[i].name.size == name.size && slice_eq_nocase(y->fields[i].name, name))
            return &y->fields[i];
    return NULL;
}

/* What a page elsewhere cannot know goes with it. */
static bool carry(struct relay *y)
{
    static const struct slice names[] = {
        { "Set-Cookie", 10 }, { "Content-Disposition", 19 }, { "Cache-Control", 13 },
        { "Expires", 7 },     { "Content-Type", 12 },        { "Content-Language", 16 },
    };
    struct request *r = y->request;
    struct header **end = &r->carried;

    r->carried = NULL;
    for (uint32_t i = 0; i < y->field_count; i++) {
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            if (!slice_eq_nocase(y->fields[i].name, names[k]))
                continue;
            struct header *h = arena_alloc(&r->arena, sizeof *h);

            if (h == NULL)
                return false;
            *h = (struct header){ y->fields[i].name, y->fields[i].value, NULL };
            *end = h;
            end = &h->next;
        }
    }
    return true;
}

/* X-Accel-Redirect: the answer is found on this server. */
static enum verdict redirect(struct relay *y, struct slice to)
{
    struct request *r = y->request;
    size_t mark = slice_find(to, '?');
    struct slice path = slice_head(to, mark), uri, args = { 0 };
    char *into = arena_bytes(&r->arena, path.size + 1);

    relay_end(y);
    if (into == NULL || !carry(y))
        return request_fail(r, 500);
    if (r->head.method != METHOD_HEAD) {
        r->head.method = METHOD_GET;
        r->head.method_text = SLICE("GET");
    }
    if (to.size > 0 && to.at[0] == '@')
        return request_reroute_named(r, to);
    if (to.size == 0 || to.at[0] != '/' || uri_normalise(path, true, into, &uri) == URI_BAD) {
        request_log(r, LOG_ERROR, 0, "the server sent an X-Accel-Redirect that leads nowhere");
        return request_fail(r, 500);
    }
    if (mark < to.size)
        args = slice_skip(to, mark + 1);
    return request_reroute_args(r, uri, args);
}

/* With what a client must know to ask again. */
static enum verdict intercept(struct relay *y, unsigned status)
{
    struct request *r = y->request;

    relay_end(y);
    request_fail(r, status);
    r->response.close = false;
    for (uint32_t i = 0; status == 401 && i < y->field_count; i++)
        if (slice_eq_nocase(y->fields[i].name, SLICE("WWW-Authenticate")) &&
            !response_add(r, y->fields[i].name, y->fields[i].value))
            return request_fail(r, 500);
    return DONE;
}

bool relay_does_ranges(const struct relay *y)
{
    return y->conf->force_ranges || y->from_cache || y->keeping != NULL;
}

/* ---- the whole --------------------------------------------------------------------------- */

enum verdict relay_fill(struct relay *y, unsigned status, const struct relay_rewrites *rewrites)
{
    struct filling f = { y, y->request, rewrites, false };
    struct request *r = y->request;
    const struct field *to = find(y, SLICE("X-Accel-Redirect"));

    if (to != NULL && (y->conf->ignore & ACCEL_REDIRECT) == 0)
        return redirect(y, to->value);
    if (status >= 300 && y->conf->intercept && error_page_has(r, status))
        return intercept(y, status);
    if (!y->from_cache)
        cache_take(y, status);
    request_fail(r, status); /* nothing of an earlier answer stays */
    r->response.close = false;
    r->response.no_answer = false;
    for (uint32_t i = 0; i < y->field_count && !f.full; i++)
        take(&f, &y->fields[i]);
    if (!y->from_cache)
        f.full |= !sticky_tell(r, y->pick.group, y->pick.peer);
    if (f.full) {
        y->broken = true;
        relay_end(y);
        return request_fail(r, 502);
    }
    r->response.final = true;
    r->response.judged = !y->from_cache && y->keeping == NULL;
    return NEXT;
}

/* Fields that mean more than their text belong to the answer. */
static bool add_hints(struct relay *y, const struct field *fields, uint32_t count)
{
    bool any = false;

    for (uint32_t i = 0; i < count; i++) {
        if (rule_for(fields[i].name) != NULL || listed(y->conf->hide, fields[i].name))
            continue;
        if (!response_add(y->request, fields[i].name, fields[i].value))
            return false;
        any = true;
    }
    return any;
}

void relay_hints(struct relay *y, const struct field *fields, uint32_t count)
{
    struct request *r = y->request;
    struct response before = r->response;

    if (r->parent != NULL || !early_hints_wanted(r))
        return;
    r->response.headers = NULL;
    r->response.headers_end = &r->response.headers;
    r->response.header_count = 0;
    if (add_hints(y, fields, count))
        r->ops->interim(r, 103);
    r->response = before;
}

void filter_carried(struct request *r)
{
    for (struct header *h = r->carried; h != NULL; h = h->next) {
        if (slice_eq_nocase(h->name, SLICE("Content-Type")))
            r->response.content_type = h->value;
        else if (!response_add(r, h->name, h->value))
            break;
    }
    r->carried = NULL;
}
