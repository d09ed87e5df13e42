/* cache_answer.c - what is kept, as the answer; and what variables say about it. */
#include "upstream/cache.h"

#include "handler/static.h"
#include "http/vars_rows.h"
#include "upstream/relay_answer.h"
#include "wire/date.h"

static uint32_t cache_index;

static struct body *body_of(struct request *r, struct cached *k)
{
    struct file *f = k->file;
    struct body *all;

    if (f->content != NULL)
        return body_memory(r, slice_of(f->content + k->head_size, (size_t)k->head.body_size));
    all = static_body(r, f);
    return all != NULL ? all->ops->slice(all, k->head_size, k->head.body_size) : NULL;
}

/* An answer without a body may have said how long it would be. */
static int64_t length_said(const struct cache_head *h)
{
    uint64_t n;

    for (uint32_t i = 0; i < h->field_count; i++)
        if (h->fields[i].id == FIELD_CONTENT_LENGTH &&
            slice_to_u64(h->fields[i].value, INT64_MAX, &n))
            return (int64_t)n;
    return -1;
}

enum verdict cache_answer(struct relay *y)
{
    static const struct relay_rewrites none = { NULL, NULL };
    struct request *r = y->request;
    struct cached *k = y->cached;
    const struct cache_head *h = &k->head;
    enum verdict v;

    k->state = CACHED_OVER;
    y->state = RELAY_OVER;
    y->over = true;
    y->fields = h->fields;
    y->field_count = h->field_count;
    y->from_cache = true;
    v = relay_fill(y, h->status, y->protocol->rewrites != NULL ? y->protocol->rewrites : &none);
    if (v != NEXT)
        return v;
    if (h->status == 204 || h->status == 304) {
        r->header_only = true;
        return DONE;
    }
    if ((h->flags & CACHE_OF_HEAD) != 0) {
        r->response.length = length_said(h);
        return DONE;
    }
    r->response.length = (int64_t)h->body_size;
    r->response.accept_ranges = h->status == 200;
    if (h->body_size == 0)
        return DONE;
    r->response.body = body_of(r, k);
    return r->response.body != NULL ? DONE : request_fail(r, 500);
}

/* ---- variables ----------------------------------------------------------------------------- */

static const struct cached *last_of(void *subject)
{
    return ((const struct request *)subject)->slots[SLOT_CACHED];
}

static bool print_status(void *subject, const struct variable_use *use, struct gather *g)
{
    static const char *const words[] = {
        [CACHE_UNUSED] = NULL,
        [CACHE_MISS] = "MISS",
        [CACHE_BYPASS] = "BYPASS",
        [CACHE_EXPIRED] = "EXPIRED",
        [CACHE_STALE] = "STALE",
        [CACHE_UPDATING] = "UPDATING",
        [CACHE_REVALIDATED] = "REVALIDATED",
        [CACHE_HIT] = "HIT",
        [CACHE_SCARCE] = "SCARCE",
    };
    const struct cached *k = last_of(subject);

    (void)use;
    if (k == NULL || words[k->status] == NULL)
        return false;
    gather_str(g, words[k->status]);
    return true;
}

static bool print_key(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct cached *k = last_of(subject);

    (void)use;
    if (k != NULL)
        gather_slice(g, k->key);
    return k != NULL;
}

static const struct cache_head *head_of(void *subject)
{
    const struct cached *k = last_of(subject);

    return k != NULL && k->file != NULL ? &k->head : NULL;
}

static bool print_modified(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct cache_head *h = head_of(subject);

    (void)use;
    if (h != NULL)
        gather_slice(g, h->modified);
    return h != NULL && h->modified.size > 0;
}

static bool print_etag(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct cache_head *h = head_of(subject);

    (void)use;
    if (h != NULL)
        gather_slice(g, h->etag);
    return h != NULL && h->etag.size > 0;
}

static bool print_age(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct cache_head *h = head_of(subject);
    int64_t age = h != NULL ? loop_wall_ns(r->loop) / 1000000000 - h->stored : -1;

    (void)use;
    if (age >= 0)
        gather_u64(g, (uint64_t)age);
    return age >= 0;
}

static const struct variable vars[] = {
    { "upstream_cache_status", print_status,
      .help = "What the cache was good for: MISS, BYPASS, EXPIRED, STALE, UPDATING, REVALIDATED, "
              "HIT, SCARCE (asked for too seldom to be kept)." },
    { "upstream_cache_key", print_key, .help = "The key." },
    { "upstream_cache_last_modified", print_modified, .help = "Last-Modified of what is kept." },
    { "upstream_cache_etag", print_etag, .help = "ETag of what is kept." },
    { "upstream_cache_age", print_age,
      .help = "Seconds since what is kept was fetched, or confirmed." },
};

const struct feature feature_cache = {
    .name = "upstream-cache",
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "What is kept of answers of servers.",
    .index = &cache_index,
};
