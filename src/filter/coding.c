/* coding.c - the filter that compresses, whichever coding it is. */
#include "filter/coding.h"

#include "conf/expr.h"
#include "http/encoding.h"
#include "http/error_page.h"

static const struct coder *const coders[CODING_COUNT] = {
    [CODING_BR] = &coder_brotli,
    [CODING_ZSTD] = &coder_zstd,
    [CODING_GZIP] = &coder_gzip,
};

/* One compressed answer. */
struct packing {
    const struct coder *coder;
    void *compressor;
    struct coders *home;
    uint64_t in, out; /* bytes so far */
};

/* ---- compressors, used again ---------------------------------------------------------------- */

static void *take(struct coders *home, const struct coder *k, const struct coding_conf *c,
                  int64_t length)
{
    while (home->count[k->coding] > 0) {
        void *compressor = home->kept[k->coding][--home->count[k->coding]];

        if (k->again(compressor, c, length))
            return compressor;
        k->close(compressor);
    }
    return k->open(c, length);
}

static void give(struct coders *home, const struct coder *k, void *compressor)
{
    if (k->again == NULL || home->count[k->coding] == CODERS_KEPT ||
        (k->size != NULL && k->size(compressor) > CODERS_KEPT_BYTES))
        k->close(compressor);
    else
        home->kept[k->coding][home->count[k->coding]++] = compressor;
}

void coders_done(struct coders *home)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        while (home->count[i] > 0)
            coders[i]->close(home->kept[i][--home->count[i]]);
}

/* ---- the body -------------------------------------------------------------------------------- */

static enum transform_status run(void *state, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    struct packing *p = state;
    size_t before = in->size, room = out->left;
    enum transform_status s = p->coder->ops->run(p->compressor, op, in, out);

    p->in += before - in->size;
    p->out += room - out->left;
    return s;
}

static void done(void *state)
{
    struct packing *p = state;

    give(p->home, p->coder, p->compressor);
}

static const struct transform_ops packing_ops = { "coding", run, done };

static bool wrap(struct request *r, const struct coder *k, const struct coding_conf *c)
{
    struct packing *p;

    if (r->response.body == NULL || r->head.method == METHOD_HEAD) {
        r->response.length = -1;
        r->response.accept_ranges = false;
        return true;
    }
    p = arena_zalloc(&r->arena, sizeof *p);
    if (p == NULL)
        return false;
    p->coder = k;
    p->home = r->loop->coders;
    p->compressor = take(p->home, k, c, r->response.length);
    if (p->compressor == NULL)
        return false;
    r->slots[SLOT_PACKING] = p;
    return transform_wrap(r, &packing_ops, p);
}

/* ---- the filter ------------------------------------------------------------------------------ */

/* Answers that stand for themselves and were not compressed by whoever made them. */
static bool may_be_packed(struct request *r)
{
    const struct response *a = &r->response;

    return (a->status == 200 || a->status == 403 || a->status == 404) && a->body != NULL &&
           response_find(r, SLICE("Content-Encoding")) == NULL;
}

static bool is_wanted(const struct coding_conf *c, const struct response *a)
{
    return c->on && (a->length < 0 || a->length >= c->min_length) &&
           media_in(c->types, a->content_type);
}

static bool pack(struct request *r, enum coding best)
{
    if (best == CODING_IDENTITY)
        return true;
    return wrap(r, coders[best], scope_conf(r->scope, coders[best]->feature)) &&
           encoding_set(r, best) && encoding_weaken_etag(r);
}

bool coding_idle(const struct scope *scope)
{
    for (unsigned i = 0; i < CODING_COUNT; i++) {
        const struct coding_conf *c =
            coders[i] != NULL ? scope_conf(scope, coders[i]->feature) : NULL;

        if (c != NULL && c->on)
            return false;
    }
    return true;
}

void filter_coding(struct request *r)
{
    unsigned offered = 0;

    r->slots[SLOT_PACKING] = NULL;
    if (!may_be_packed(r))
        return;
    for (unsigned i = 0; i < CODING_COUNT; i++)
        if (coders[i] != NULL && is_wanted(scope_conf(r->scope, coders[i]->feature), &r->response))
            offered |= 1u << i;
    if (offered == 0)
        return;
    if (!encoding_vary(r) || !pack(r, encoding_choose(r, offered))) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}

/* In nginx's notation: two digits, rounded. */
bool coding_ratio(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;
    const struct packing *p = r->slots[SLOT_PACKING];
    uint64_t hundredths;

    if (p == NULL || p->coder->coding != (enum coding)use->row->arg || p->out == 0)
        return false;
    hundredths = (p->in * 100 + p->out / 2) / p->out;
    gather_printf(g, "%llu.%02u", (unsigned long long)(hundredths / 100),
                  (unsigned)(hundredths % 100));
    return true;
}
