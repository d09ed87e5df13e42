/* headers.c - add_header, add_trailer and expires: what a configuration adds to answers. */
#include "conf/expr.h"
#include "conf/load.h"
#include "http/error_page.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/date.h"
#include "wire/field.h"

enum { VALUE_MAX = 8192, DAY_SEC = 86400 };
enum { ADD_INHERIT_OFF, ADD_INHERIT_ON, ADD_INHERIT_MERGE };
enum { EXPIRES_OFF, EXPIRES_EPOCH, EXPIRES_MAX, EXPIRES_AFTER, EXPIRES_MODIFIED, EXPIRES_DAILY };

struct added {
    struct slice name;
    struct expr *value;
    bool always;
    struct added *next;
};

struct expires {
    int how;
    int64_t sec;
};

struct added_list {
    struct added *first, **end;
    int inherit; /* off, on, merge                         */
};

struct headers_conf {
    struct added_list headers, trailers;
    struct expires expires;    /* when it is constant                     */
    struct expr *expires_expr; /* when it has variables                   */
};

static uint32_t headers_index;

/* ---- reading the configuration ------------------------------------------------------- */

/* Where a message ends is said by whoever sends it, and nobody else. */
static bool is_framing(struct slice name)
{
    return slice_eq_nocase(name, SLICE("Content-Length")) ||
           slice_eq_nocase(name, SLICE("Transfer-Encoding"));
}

/* … and so is what it is made of: known before the content, or not at all (RFC 9110 §6.5.1). */
static bool is_no_trailer(struct slice name)
{
    static const char *const names[] = { "Content-Encoding", "Content-Range", "Content-Type",
                                         "Host", "Trailer" };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_eq_nocase(name, slice_str(names[i])))
            return true;
    return is_framing(name);
}

/* "name value [always]"; NULL after a complaint. */
static struct added *read_added(struct conf_load *load, const struct conf_node *node)
{
    struct added *a = arena_must(conf_arena(load), sizeof *a);

    a->name = conf_arg(node, 0);
    a->value = expr_compile(load, node, 1);
    a->always = node->arg_count == 3;
    if (!field_name_ok(a->name)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be a field's name",
                      SLICE_FMT(a->name));
        conf_hint(load, "expected: letters, digits and !#$%%&'*+-.^_`|~");
        return NULL;
    }
    if (a->always && !slice_eq(conf_arg(node, 2), SLICE("always"))) {
        conf_complain(load, CONF_EMERG, node, 2, "\"%.*s\" is not a parameter of %.*s",
                      SLICE_FMT(conf_arg(node, 2)), SLICE_FMT(node->name));
        conf_hint(load, "expected: always");
        return NULL;
    }
    return a->value != NULL ? a : NULL;
}

static void list_add(struct added_list *list, struct added *a)
{
    if (list->end == NULL)
        list->end = &list->first;
    *list->end = a;
    list->end = &a->next;
}

/* What add_header and add_trailer do not do, and why. */
static const struct adder {
    size_t list;
    bool (*refuses)(struct slice name);
    const char *why;
} header_adder = { offsetof(struct headers_conf, headers), is_framing,
                   "note: weir itself says how long an answer is" },
  trailer_adder = { offsetof(struct headers_conf, trailers), is_no_trailer,
                    "note: this has to be known before the body" };

static bool add(struct conf_load *load, const struct conf_node *node, void *conf,
                const struct adder *adder)
{
    struct added *a = read_added(load, node);

    if (a == NULL)
        return false;
    if (adder->refuses(a->name)) {
        conf_complain(load, CONF_WARN, node, 0, "\"%.*s\" is not added", SLICE_FMT(a->name));
        conf_hint(load, "%s", adder->why);
        return true;
    }
    list_add((struct added_list *)(void *)((char *)conf + adder->list), a);
    return true;
}

static bool set_add_header(struct conf_load *load, const struct conf_node *node, void *conf,
                           const struct directive *row)
{
    (void)row;
    return add(load, node, conf, &header_adder);
}

static bool set_add_trailer(struct conf_load *load, const struct conf_node *node, void *conf,
                            const struct directive *row)
{
    (void)row;
    return add(load, node, conf, &trailer_adder);
}

/* "off", "epoch", "max", "[modified] time", "@time of day"; false for anything else. */
static bool expires_parse(struct slice text, bool modified, struct expires *ret)
{
    static const struct {
        const char *word;
        int how;
    } words[] = { { "off", EXPIRES_OFF }, { "epoch", EXPIRES_EPOCH }, { "max", EXPIRES_MAX } };
    bool negative = text.size > 0 && text.at[0] == '-';

    for (size_t i = 0; i < COUNT_OF(words) && !modified; i++)
        if (slice_eq(text, slice_str(words[i].word))) {
            *ret = (struct expires){ words[i].how, 0 };
            return true;
        }
    ret->how = modified ? EXPIRES_MODIFIED : EXPIRES_AFTER;
    if (text.size > 0 && text.at[0] == '@' && !modified) {
        ret->how = EXPIRES_DAILY;
        return conf_parse_sec(slice_skip(text, 1), &ret->sec) && ret->sec < DAY_SEC;
    }
    if (text.size > 0 && (negative || text.at[0] == '+'))
        text = slice_skip(text, 1);
    if (!conf_parse_sec(text, &ret->sec))
        return false;
    ret->sec = negative ? -ret->sec : ret->sec;
    return true;
}

static bool set_expires(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct headers_conf *c = conf;
    unsigned last = node->arg_count - 1;
    struct expr *e = expr_compile(load, node, last);
    bool modified = node->arg_count == 2;
    struct slice text;

    (void)row;
    if (e == NULL)
        return false;
    if (modified && !slice_eq(conf_arg(node, 0), SLICE("modified"))) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a parameter of expires",
                      SLICE_FMT(conf_arg(node, 0)));
        conf_hint(load, "expected: modified");
        return false;
    }
    if (!expr_constant(e, &text)) {
        c->expires_expr = e;
        c->expires.how = modified ? EXPIRES_MODIFIED : EXPIRES_AFTER;
        return true;
    }
    if (expires_parse(text, modified, &c->expires))
        return true;
    conf_complain(load, CONF_EMERG, node, (int)last, "\"%.*s\" is not a time for expires",
                  SLICE_FMT(text));
    conf_hint(load, "expected: a time, -time, @time, epoch, max or off");
    return false;
}

static struct added *copy_list(struct conf_load *load, const struct added *from,
                               struct added *behind)
{
    struct added *first = behind, **end = &first;

    for (; from != NULL; from = from->next) {
        struct added *a = arena_must(conf_arena(load), sizeof *a);

        *a = *from;
        a->next = behind;
        *end = a;
        end = &a->next;
    }
    return first;
}

static void list_merge(struct conf_load *load, const struct added_list *outer,
                       struct added_list *list)
{
    if (list->inherit == ADD_INHERIT_MERGE)
        list->first = copy_list(load, outer->first, list->first);
    else if (list->first == NULL && list->inherit == ADD_INHERIT_ON)
        list->first = outer->first;
}

static bool headers_merge(struct conf_load *load, struct scope *scope, const void *parent_conf,
                          void *conf)
{
    const struct headers_conf *parent = parent_conf;
    struct headers_conf *c = conf;

    (void)scope;
    if (parent == NULL)
        return true;
    list_merge(load, &parent->headers, &c->headers);
    list_merge(load, &parent->trailers, &c->trailers);
    return true;
}

/* ---- answering ----------------------------------------------------------------------- */

static bool status_counts(unsigned status)
{
    static const uint16_t good[] = { 200, 201, 204, 206, 301, 302, 303, 304, 307, 308 };

    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (good[i] == status)
            return true;
    return false;
}

static void give_up(struct request *r)
{
    request_fail(r, 500);
    error_text_fill(r);
}

/* Some fields are the answer's own: they are set, not added behind. What an added ETag or
 * Last-Modified promises, nobody compared: conditions were looked at before. */
static bool set_own(struct request *r, struct slice name, struct slice value)
{
    int64_t sec;

    if (slice_eq_nocase(name, SLICE("Last-Modified"))) {
        r->response.last_modified_text = (struct slice){ 0 };
        r->response.last_modified = date_parse(value, 0, &sec) ? sec : -1;
        return true;
    }
    if (slice_eq_nocase(name, SLICE("ETag"))) {
        r->response.etag = value;
        return true;
    }
    if (slice_eq_nocase(name, SLICE("Content-Type"))) {
        r->response.content_type = value;
        return true;
    }
    return false;
}

static bool add_all(struct request *r, const struct headers_conf *c)
{
    bool counts = status_counts(r->response.status);

    for (const struct added *a = c->headers.first; a != NULL; a = a->next) {
        struct slice value;

        if (!counts && !a->always)
            continue;
        if (!expr_eval(a->value, r, &r->arena, VALUE_MAX, &value))
            return false;
        if (value.size == 0 || set_own(r, a->name, value))
            continue;
        if (!response_add(r, a->name, value))
            return false;
    }
    return true;
}

static bool add_date(struct request *r, int64_t sec)
{
    char *text = arena_bytes(&r->arena, DATE_HTTP_SIZE);

    if (text == NULL)
        return false;
    date_http(sec, text);
    return response_add(r, SLICE("Expires"), slice_of(text, DATE_HTTP_SIZE));
}

/* They say it again, and better: what a handler said of it is taken out. */
static void forget_freshness(struct request *r)
{
    static const struct slice names[] = { { "Expires", 7 }, { "Cache-Control", 13 } };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        for (struct header *h = response_find(r, names[i]); h != NULL;
             h = response_find(r, names[i]))
            h->value = (struct slice){ 0 };
}

/* The next time that local clocks show that time of day. */
static int64_t next_daily(int64_t now, int64_t of_day)
{
    int64_t zone = (int64_t)loop_zone_min(now) * 60;
    int64_t midnight = now - (now + zone) % DAY_SEC;
    int64_t next = midnight + of_day > now ? midnight + of_day : midnight + DAY_SEC + of_day;

    /* clocks may be put forward or back in between */
    return next - ((int64_t)loop_zone_min(next) * 60 - zone);
}

static bool expires_at(struct request *r, int64_t now, int64_t sec)
{
    struct slice control = SLICE("no-cache");

    if (sec >= now)
        control = arena_printf(&r->arena, "max-age=%lld", (long long)(sec - now));
    return control.at != NULL && add_date(r, sec) &&
           response_add(r, SLICE("Cache-Control"), control);
}

static bool add_expires(struct request *r, const struct headers_conf *c)
{
    int64_t now = loop_wall_ns(r->loop) / 1000000000;
    struct expires e = c->expires;
    struct slice text;

    if (c->expires_expr != NULL && (!expr_eval(c->expires_expr, r, &r->arena, 128, &text) ||
                                    !expires_parse(text, e.how == EXPIRES_MODIFIED, &e)))
        return true; /* a value that means nothing adds nothing, as "off" */
    if (e.how != EXPIRES_OFF)
        forget_freshness(r);
    switch (e.how) {
    case EXPIRES_EPOCH:
        return response_add(r, SLICE("Expires"), SLICE("Thu, 01 Jan 1970 00:00:01 GMT")) &&
               response_add(r, SLICE("Cache-Control"), SLICE("no-cache"));
    case EXPIRES_MAX:
        return response_add(r, SLICE("Expires"), SLICE("Thu, 31 Dec 2037 23:55:55 GMT")) &&
               response_add(r, SLICE("Cache-Control"), SLICE("max-age=315360000"));
    case EXPIRES_AFTER:
        return expires_at(r, now, now + e.sec);
    case EXPIRES_MODIFIED:
        return expires_at(
            r, now, (r->response.last_modified >= 0 ? r->response.last_modified : now) + e.sec);
    case EXPIRES_DAILY:
        return expires_at(r, now, next_daily(now, e.sec));
    default:
        return true;
    }
}

void filter_headers(struct request *r)
{
    const struct headers_conf *c = request_conf(r, &feature_headers);

    if ((c->expires.how != EXPIRES_OFF || c->expires_expr != NULL) &&
        status_counts(r->response.status) && !add_expires(r, c)) {
        give_up(r);
        return;
    }
    if (c->headers.first != NULL && !add_all(r, c))
        give_up(r);
}

/* ---- behind the body ----------------------------------------------------------------- */

/* The next one of the list that such an answer gets. */
static const struct added *next_trailer(const struct added *a, unsigned status)
{
    bool counts = a != NULL && status_counts(status);

    while (a != NULL && !counts && !a->always)
        a = a->next;
    return a;
}

static const struct added *first_trailer(const struct request *r)
{
    const struct headers_conf *c = request_conf(r, &feature_headers);

    return next_trailer(c->trailers.first, r->response.status);
}

bool trailers_wanted(const struct request *r)
{
    return r->response.passes_trailers || first_trailer(r) != NULL;
}

bool trailer_is_allowed(struct slice name)
{
    return !is_no_trailer(name);
}

void trailers_name(const struct request *r, struct gather *g)
{
    const struct added *a = first_trailer(r);

    while (a != NULL) {
        gather_slice(g, a->name);
        a = next_trailer(a->next, r->response.status);
        if (a != NULL)
            gather_lit(g, ", ");
    }
}

bool trailers_make(struct request *r)
{
    struct header **end = &r->response.trailers;

    *end = r->response.passed_trailers;
    while (*end != NULL)
        end = &(*end)->next;
    for (const struct added *a = first_trailer(r); a != NULL;
         a = next_trailer(a->next, r->response.status)) {
        struct header *h = arena_alloc(&r->arena, sizeof *h);

        if (h == NULL)
            return false;
        *h = (struct header){ .name = a->name };
        if (!expr_eval(a->value, r, &r->arena, VALUE_MAX, &h->value))
            return false;
        if (h->value.size == 0)
            continue;
        *end = h;
        end = &h->next;
    }
    return true;
}

/* ---- rows ---------------------------------------------------------------------------- */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct conf_word inherit_words[] = { { "off", ADD_INHERIT_OFF },
                                                  { "on", ADD_INHERIT_ON },
                                                  { "merge", ADD_INHERIT_MERGE },
                                                  { NULL, 0 } };

static const struct directive rows[] = {
    { "add_header", HSL | CTX_IF_LOCATION, 2, 3, CONF_CUSTOM, .set = set_add_header,
      .repeats = true, .inherit = INHERIT_NOT, .syntax = "name value [always]",
      .help = "Adds a field to good answers, or to all answers with \"always\".",
      .example = "add_header X-Frame-Options DENY always;" },
    { "add_header_inherit", HSL | CTX_IF_LOCATION, 1, 1, CONF_ENUM,
      offsetof(struct headers_conf, headers.inherit), "on", .words = inherit_words,
      .syntax = "off | on | merge",
      .help = "Whether the enclosing block's add_header directives hold here too: only if there "
              "are none here (on), never (off), or beside those here (merge).",
      .example = "add_header_inherit merge;" },
    { "add_trailer", HSL | CTX_IF_LOCATION, 2, 3, CONF_CUSTOM, .set = set_add_trailer,
      .repeats = true, .inherit = INHERIT_NOT, .syntax = "name value [always]",
      .help = "Sends a field behind the body of good answers, or of all answers with \"always\". "
              "Its value is made when the body has been sent. HTTP/1.1 clients get such an answer "
              "in chunks, without a Content-Length; others, and HEAD, get no trailer.",
      .example = "add_trailer Server-Timing \"total;dur=$request_time\";" },
    { "add_trailer_inherit", HSL | CTX_IF_LOCATION, 1, 1, CONF_ENUM,
      offsetof(struct headers_conf, trailers.inherit), "on", .words = inherit_words,
      .syntax = "off | on | merge",
      .help = "Whether the enclosing block's add_trailer directives hold here too: only if there "
              "are none here (on), never (off), or beside those here (merge).",
      .example = "add_trailer_inherit merge;" },
    { "expires", HSL | CTX_IF_LOCATION, 1, 2, CONF_CUSTOM, offsetof(struct headers_conf, expires),
      NULL, .set = set_expires, .size = sizeof(struct expires) + sizeof(struct expr *),
      .syntax = "[modified] time | @time | epoch | max | off",
      .help = "Adds Expires and Cache-Control to good answers, in place of those they have.",
      .example = "expires 30d;" },
};

const struct feature feature_headers = {
    .name = "headers",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct headers_conf),
    .merge = headers_merge,
    .about = "Fields that the configuration adds to answers.",
    .index = &headers_index,
};
