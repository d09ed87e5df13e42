/* cgi.c - parameters of a request, and the heads of answers, as CGI has them (RFC 3875 §4, §6). */
#include "upstream/cgi.h"

#include "conf/expr.h"
#include "handler/small.h"
#include "upstream/cache.h"
#include "upstream/relay_answer.h"
#include "upstream/relay_tls.h"

enum { ANSWER_FIELDS_MAX = 200, ANSWER_FIRST = 1024, VALUE_MAX = 64 * 1024, NAME_MAX_SIZE = 256 };

static struct cgi_exchange *exchange_of(const struct relay *y)
{
    return y->own;
}

/* ---- directives ---------------------------------------------------------------------------- */

bool cgi_set_param(struct conf_load *load, const struct conf_node *node, void *own,
                   const struct directive *row)
{
    struct cgi_conf *c = own;
    struct cgi_param *p = arena_must(conf_arena(load), sizeof *p);

    (void)row;
    p->name = conf_arg(node, 0);
    p->value = expr_compile(load, node, 1);
    p->if_not_empty = node->arg_count > 2;
    if (p->if_not_empty && !slice_eq(conf_arg(node, 2), SLICE("if_not_empty"))) {
        conf_complain(load, CONF_EMERG, node, 2, "\"%.*s\" means nothing here",
                      SLICE_FMT(conf_arg(node, 2)));
        conf_hint(load, "expected: if_not_empty");
        return false;
    }
    if (c->end == NULL)
        c->end = &c->params;
    *c->end = p;
    c->end = &p->next;
    return p->value != NULL;
}

bool cgi_set_target(struct conf_load *load, const struct conf_node *node, struct cgi_conf *c,
                    size_t skip, content_fn *answer)
{
    struct cgi_target *t = arena_must(conf_arena(load), sizeof *t);

    t->node = node;
    t->http = conf_scope_of(load, CTX_HTTP);
    t->text = expr_compile_text(load, node, 0, slice_skip(conf_arg(node, 0), skip));
    c->target = t;
    if (t->text == NULL || !content_set(load, node, answer))
        return false;
    if (expr_constant(t->text, &t->address))
        t->text = NULL;
    return true;
}

bool cgi_merge(struct conf_load *load, struct scope *scope, const char *prefix,
               const struct cgi_conf *outer, struct cgi_conf *c)
{
    struct cgi_target *t;

    if (c->params == NULL && outer != NULL)
        c->params = outer->params;
    if (c->target == NULL && outer != NULL && scope->context == CTX_IF_LOCATION)
        c->target = outer->target;
    c->limits = (struct h1_limits){ .line_max = (uint32_t)c->relay.buffer_size,
                                    .head_max = (uint32_t)c->relay.buffer_size,
                                    .fields_max = ANSWER_FIELDS_MAX,
                                    .first_size = ANSWER_FIRST };
    t = c->target;
    if (t != NULL && !cache_merge(load, scope, prefix, &c->relay.cache))
        return false;
    if (t == NULL || t->text != NULL || t->group != NULL)
        return true;
    t->group = destination_group(load, t->node, t->http, t->address, 0);
    return t->group != NULL;
}

/* ---- a request ----------------------------------------------------------------------------- */

static enum verdict find_peer(struct request *r, struct cgi_exchange *x)
{
    const struct cgi_target *t = x->conf->target;

    if (t->text == NULL) {
        x->finding.group = t->group;
        return NEXT;
    }
    x->finding.http = t->http;
    if (x->finding.address.at == NULL &&
        !expr_eval(t->text, r, &r->arena, VALUE_MAX, &x->finding.address))
        return request_fail(r, 500);
    return destination_find(r, &x->finding);
}

static enum verdict begin(struct request *r, const struct cgi_conf *c, size_t size)
{
    struct cgi_exchange *x = r->slots[SLOT_PROXIED];
    enum verdict v = NEXT;

    if (x == NULL) {
        x = arena_zalloc(&r->arena, size);
        if (x == NULL)
            return request_fail(r, 500);
        x->conf = c;
        r->slots[SLOT_PROXIED] = x;
    }
    if (c->relay.pass_body && (c->relay.request_buffering || r->head.chunked) && r->parent == NULL)
        v = client_body_read(r); /* its length is a parameter */
    if (v == NEXT)
        v = cache_begin(r, &c->relay);
    if (v == NEXT && !cache_serves(r) && x->finding.group == NULL)
        v = find_peer(r, x);
    return v;
}

static struct slice address_of(const struct cgi_exchange *x)
{
    return x->conf->target->text != NULL ? x->finding.address : x->conf->target->address;
}

enum verdict cgi_content(struct request *r, const struct feature *feature,
                         const struct relay_protocol *protocol, size_t size)
{
    const struct cgi_conf *c = scope_conf(r->scope, feature);
    struct relay *y = relay_of(r);

    if (c->target == NULL)
        return NEXT;
    if (y == NULL) {
        enum verdict v = begin(r, c, size);
        struct cgi_exchange *x = r->slots[SLOT_PROXIED];

        if (v != WAIT)
            r->slots[SLOT_PROXIED] = NULL;
        if (v == DONE)
            cache_leave(cache_of(r));
        if (v != NEXT)
            return v;
        if (cache_serves(r))
            return relay_serve(r, &c->relay, protocol, x);
        y = relay_begin(r, &c->relay, protocol, x->finding.group, x);
        if (y == NULL || (c->target->tls && !relay_secure(y, address_of(x)))) {
            cache_leave(cache_of(r));
            return request_fail(r, 500);
        }
    }
    return relay_step(y);
}

/* ---- parameters -------------------------------------------------------------------------- */

typedef void put_fn(void *arg, struct slice name, struct slice value);

static bool put_set(struct request *r, const struct cgi_conf *c, put_fn *put, void *arg)
{
    for (const struct cgi_param *p = c->params; p != NULL; p = p->next) {
        struct slice value;

        if (!expr_eval(p->value, r, &r->arena, VALUE_MAX, &value))
            return false;
        if (!p->if_not_empty || value.size > 0)
            put(arg, p->name, value);
    }
    return true;
}

static bool is_set(const struct cgi_conf *c, struct slice name)
{
    for (const struct cgi_param *p = c->params; p != NULL; p = p->next)
        if (slice_eq(p->name, name))
            return true;
    return false;
}

/* "User-Agent" is HTTP_USER_AGENT. */
static struct slice meta_name(struct slice field, char into[NAME_MAX_SIZE])
{
    size_t used = 5;

    memcpy(into, "HTTP_", 5);
    for (size_t i = 0; i < field.size && used < NAME_MAX_SIZE; i++) {
        char c = field.at[i];

        into[used++] = c == '-' ? '_' : (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return slice_of(into, used);
}

static bool seen_before(const struct request *r, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (slice_eq_nocase(r->head.fields[i].name, r->head.fields[at].name))
            return true;
    return false;
}

/* All values of the field, in one. at == NULL: no memory. */
static struct slice joined(struct request *r, uint32_t at)
{
    const struct field *f = &r->head.fields[at];
    struct slice value = f->value, between = f->id == FIELD_COOKIE ? SLICE("; ") : SLICE(", ");

    for (uint32_t i = at + 1; i < r->head.field_count && value.at != NULL; i++)
        if (slice_eq_nocase(r->head.fields[i].name, f->name))
            value = arena_printf(&r->arena, "%.*s%.*s%.*s", SLICE_FMT(value), SLICE_FMT(between),
                                 SLICE_FMT(r->head.fields[i].value));
    return value;
}

/* Proxy would become HTTP_PROXY, which programs take for their own setting. */
static bool is_dangerous(struct slice name)
{
    return slice_eq_nocase(name, SLICE("Proxy"));
}

/* What is kept is kept whole: conditions are the cache's own. */
static bool is_conditional(enum field_id id)
{
    return id == FIELD_RANGE || id == FIELD_IF_RANGE || id == FIELD_IF_MATCH ||
           id == FIELD_IF_NONE_MATCH || id == FIELD_IF_MODIFIED_SINCE ||
           id == FIELD_IF_UNMODIFIED_SINCE;
}

static void put_conditions(const struct cached *k, put_fn *put, void *arg)
{
    struct slice tag = cache_if_none_match(k), since = cache_if_modified_since(k);

    if (tag.size > 0)
        put(arg, SLICE("HTTP_IF_NONE_MATCH"), tag);
    if (since.size > 0)
        put(arg, SLICE("HTTP_IF_MODIFIED_SINCE"), since);
}

bool cgi_each_param(struct relay *y, put_fn *put, void *arg)
{
    bool whole = cache_asks_whole(y->cached);
    struct request *r = y->request;
    const struct cgi_conf *c = exchange_of(y)->conf;
    char room[NAME_MAX_SIZE];

    if (!put_set(r, c, put, arg))
        return false;
    put_conditions(y->cached, put, arg);
    for (uint32_t i = 0; c->relay.pass_fields && i < r->head.field_count; i++) {
        const struct field *f = &r->head.fields[i];
        struct slice name = meta_name(f->name, room), value;

        if (f->id == FIELD_CONTENT_LENGTH || f->id == FIELD_CONTENT_TYPE || is_set(c, name) ||
            is_dangerous(f->name) || seen_before(r, i) || (whole && is_conditional(f->id)))
            continue;
        value = joined(r, i);
        if (value.at == NULL && f->value.size > 0)
            return false;
        put(arg, name, value);
    }
    return true;
}

/* ---- the head of an answer --------------------------------------------------------------- */

void cgi_begin(struct relay *y)
{
    struct cgi_exchange *x = exchange_of(y);
    struct request *r = y->request;

    h1_response_init(&x->answer, &x->conf->limits, &r->arena, r->head.method);
    x->last = '\0';
    x->head_begun = false;
    x->first_used = 0;
}

static enum h1_verdict feed(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct cgi_exchange *x = exchange_of(y);
    enum h1_verdict v = h1_response_feed(&x->answer, at, size, taken);

    if (v == H1_BAD)
        y->why = x->answer.why;
    return v;
}

static enum h1_verdict feed_all(struct relay *y, struct slice bytes)
{
    size_t taken;

    return bytes.size > 0 ? feed(y, bytes.at, bytes.size, &taken) : H1_MORE;
}

/* Lines may end in a line feed alone: it gets its carriage return here. */
static enum h1_verdict feed_lines(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct cgi_exchange *x = exchange_of(y);
    enum h1_verdict v = H1_MORE;

    for (*taken = 0; *taken < size && v == H1_MORE;) {
        struct slice rest = slice_of(at + *taken, size - *taken);
        size_t line = slice_find(rest, '\n'), some;
        char before = line > 0 ? rest.at[line - 1] : x->last;

        if (line == rest.size) {
            x->last = rest.at[rest.size - 1];
            v = feed(y, rest.at, rest.size, &some);
            *taken = size;
            break;
        }
        if (line > 0)
            v = feed(y, rest.at, line, &some);
        if (v == H1_MORE)
            v = feed_all(y, before == '\r' ? SLICE("\n") : SLICE("\r\n"));
        x->last = '\n';
        *taken += line + 1;
    }
    return v;
}

/* Collects what tells a status line from a field. True: it is known. */
static bool begin_head(struct relay *y, const char *at, size_t size, size_t *taken,
                       enum h1_verdict *v)
{
    struct cgi_exchange *x = exchange_of(y);

    while (*taken < size && x->first_used < 5) {
        x->first[x->first_used++] = at[(*taken)++];
        if (x->first[x->first_used - 1] == '\n')
            break;
    }
    struct slice first = slice_of(x->first, x->first_used);
    size_t some = 0;

    if (first.size < 5 && (first.size == 0 || first.at[first.size - 1] != '\n'))
        return false;
    x->head_begun = true;
    if (!slice_eq(first, SLICE("HTTP/")))
        *v = feed_all(y, SLICE("HTTP/1.0 200 OK\r\n"));
    if (*v == H1_MORE)
        *v = feed_lines(y, first.at, first.size, &some);
    return true;
}

/* RFC 3875 §6.3.3: "404 Not Found"; without it, Location makes a redirect. */
static enum h1_verdict judge(struct relay *y)
{
    struct h1_response *a = &exchange_of(y)->answer;
    bool redirects = false;

    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct field *f = &a->fields[i];
        uint64_t status;

        redirects |= slice_eq_nocase(f->name, SLICE("Location"));
        if (!slice_eq_nocase(f->name, SLICE("Status")))
            continue;
        if (!slice_to_u64(slice_head(f->value, 3), 599, &status) || status < 200) {
            y->why = "upstream sent a Status that is none";
            return H1_BAD;
        }
        a->status = (uint16_t)status;
        redirects = false;
    }
    if (redirects && a->status == 200)
        a->status = 302;
    y->attempt->status = a->status;
    y->fields = a->fields;
    y->field_count = a->field_count;
    return H1_DONE;
}

enum h1_verdict cgi_read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct cgi_exchange *x = exchange_of(y);
    enum h1_verdict v = H1_MORE;

    *taken = 0;
    if (!x->head_begun && !begin_head(y, at, size, taken, &v))
        return H1_MORE;
    if (v == H1_MORE) {
        size_t some = 0;

        v = feed_lines(y, at + *taken, size - *taken, &some);
        *taken += some;
    }
    return v == H1_DONE ? judge(y) : v;
}

/* ---- the answer -------------------------------------------------------------------------- */

enum verdict cgi_answer(struct relay *y)
{
    static const struct relay_rewrites none = { NULL, NULL };
    const struct h1_response *a = &exchange_of(y)->answer;
    struct request *r = y->request;
    enum verdict v = relay_fill(y, a->status, &none);

    if (v != NEXT)
        return v;
    r->response.accept_ranges = relay_does_ranges(y) && a->status == 200 && a->has_length;
    if (a->has_length && a->status != 304)
        r->response.length = (int64_t)a->length;
    if (r->head.method == METHOD_HEAD || a->status == 204 || a->status == 304 ||
        r->response.length == 0) {
        y->broken = true; /* what it still says is not waited for */
        relay_end(y);
        r->header_only |= a->status == 204 || a->status == 304;
        return DONE;
    }
    r->response.body = relay_body(y);
    return DONE;
}

/* ---- answers that end with the connection ------------------------------------------------ */

bool cgi_begin_plain(struct relay *y)
{
    cgi_begin(y);
    return true;
}

enum h1_verdict cgi_read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                              struct slice *piece)
{
    (void)y;
    *taken = size;
    *piece = slice_of(at, size);
    return H1_MORE;
}

/* A Content-Length that is not reached is noticed by who sends the answer on. */
enum h1_verdict cgi_read_end(struct relay *y)
{
    (void)y;
    return H1_DONE;
}

bool cgi_never_keep(const struct relay *y)
{
    (void)y;
    return false;
}
