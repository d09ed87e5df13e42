/* encoding.c - gzip_vary, gzip_http_version, gzip_proxied, gzip_disable. */
#include "http/encoding.h"

#include "conf/load.h"
#include "http/site.h"
#include "wire/date.h"

struct disabled {
    struct regex *regex; /* NULL: msie6 */
    struct disabled *next;
};

struct encoding_conf {
    bool vary;
    int version;      /* HTTP/1.x */
    unsigned proxied; /* bits of words[] */
    struct disabled *disabled, **disabled_end;
};

static uint32_t encoding_index;

/* ---- gzip_proxied: one test a word -------------------------------------------------------- */

static bool always(struct request *r)
{
    (void)r;
    return true;
}

static bool never(struct request *r)
{
    (void)r;
    return false;
}

static bool is_expired(struct request *r)
{
    const struct header *h = response_find(r, SLICE("Expires"));
    int64_t now = loop_wall_ns(r->loop) / 1000000000, at;

    return h != NULL && date_parse(h->value, now, &at) && at < now;
}

/* Is the word a member of the list in fields of that name? */
static bool field_says(struct request *r, struct slice name, struct slice word)
{
    for (const struct header *h = r->response.headers; h != NULL; h = h->next) {
        struct slice rest = h->value, member;

        if (h->value.at == NULL || !slice_eq_nocase(h->name, name))
            continue;
        while (field_list_next(&rest, &member))
            if (slice_eq_nocase(slice_trim(slice_cut(&member, '=')), word))
                return true;
    }
    return false;
}

static bool is_no_cache(struct request *r)
{
    return field_says(r, SLICE("Cache-Control"), SLICE("no-cache"));
}

static bool is_no_store(struct request *r)
{
    return field_says(r, SLICE("Cache-Control"), SLICE("no-store"));
}

static bool is_private(struct request *r)
{
    return field_says(r, SLICE("Cache-Control"), SLICE("private"));
}

static bool has_no_date(struct request *r)
{
    return r->response.last_modified < 0;
}

static bool has_no_tag(struct request *r)
{
    return r->response.etag.size == 0;
}

static bool is_authorized(struct request *r)
{
    return request_field(r, FIELD_AUTHORIZATION).at != NULL;
}

static const struct {
    const char *word;
    bool (*holds)(struct request *);
} words[] = {
    { "off", never },
    { "expired", is_expired },
    { "no-cache", is_no_cache },
    { "no-store", is_no_store },
    { "private", is_private },
    { "no_last_modified", has_no_date },
    { "no_etag", has_no_tag },
    { "auth", is_authorized },
    { "any", always },
};

/* A request that comes from a proxy says so with Via (RFC 9110 §7.6.3). */
static bool proxy_allows(struct request *r, unsigned proxied)
{
    if (request_field(r, FIELD_VIA).at == NULL)
        return true;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if ((proxied & 1u << i) != 0 && words[i].holds(r))
            return true;
    return false;
}

/* ---- gzip_disable ------------------------------------------------------------------------- */

/* Internet Explorer 4 to 6, but for the 6 of Windows XP's second service pack. */
static bool is_old_explorer(struct slice agent)
{
    size_t at = slice_search(agent, SLICE("MSIE "));
    struct slice version = slice_skip(agent, at < agent.size ? at + 5 : agent.size);

    return version.size >= 2 && version.at[0] >= '4' && version.at[0] <= '6' &&
           version.at[1] == '.' && slice_search(agent, SLICE("SV1")) == agent.size;
}

static bool is_disabled(const struct request *r, const struct disabled *d)
{
    struct slice agent = request_field(r, FIELD_USER_AGENT);

    for (; d != NULL && agent.at != NULL; d = d->next)
        if (d->regex == NULL ? is_old_explorer(agent)
                             : regex_match(d->regex, agent, NULL, 0) != REGEX_NO)
            return true;
    return false;
}

/* ---- for filters and handlers --------------------------------------------------------------- */

enum coding encoding_choose(struct request *r, unsigned offered)
{
    const struct encoding_conf *c = request_conf(r, &feature_encoding);
    const struct h1_head *h = &r->head;
    struct coding_accept accept;
    enum coding best;

    if (h->known[FIELD_ACCEPT_ENCODING] == NULL)
        return CODING_IDENTITY;
    coding_accept_init(&accept);
    for (uint32_t i = (uint32_t)(h->known[FIELD_ACCEPT_ENCODING] - h->fields); i < h->field_count;
         i++)
        if (h->fields[i].id == FIELD_ACCEPT_ENCODING)
            coding_accept_read(&accept, h->fields[i].value);
    best = coding_best(&accept, offered);
    if (best == CODING_IDENTITY || h->version_minor < c->version || is_disabled(r, c->disabled) ||
        !proxy_allows(r, c->proxied))
        return CODING_IDENTITY;
    return best;
}

bool encoding_varies(struct request *r)
{
    return ((const struct encoding_conf *)request_conf(r, &feature_encoding))->vary;
}

bool encoding_vary(struct request *r)
{
    if (!encoding_varies(r) || field_says(r, SLICE("Vary"), SLICE("Accept-Encoding")))
        return true;
    return response_add(r, SLICE("Vary"), SLICE("Accept-Encoding"));
}

bool encoding_set(struct request *r, enum coding coding)
{
    return response_add(r, SLICE("Content-Encoding"), coding_name(coding));
}

bool encoding_weaken_etag(struct request *r)
{
    struct slice tag = r->response.etag;

    if (tag.size == 0 || slice_starts(tag, SLICE("W/")))
        return true;
    r->response.etag = arena_printf(&r->arena, "W/%.*s", SLICE_FMT(tag));
    return r->response.etag.at != NULL;
}

/* ---- directives ------------------------------------------------------------------------------ */

static bool set_proxied(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct encoding_conf *c = conf;

    (void)row;
    for (unsigned i = 0; i < node->arg_count; i++) {
        size_t w = 0;

        while (w < COUNT_OF(words) && !slice_eq(conf_arg(node, i), slice_str(words[w].word)))
            w++;
        if (w == COUNT_OF(words)) {
            conf_complain(load, CONF_EMERG, node, (int)i,
                          "\"%.*s\" is not a parameter of gzip_proxied",
                          SLICE_FMT(conf_arg(node, i)));
            conf_hint(load, "expected: off, expired, no-cache, no-store, private, "
                            "no_last_modified, no_etag, auth or any");
            return false;
        }
        c->proxied |= 1u << w;
    }
    return true;
}

static bool set_disable(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct encoding_conf *c = conf;

    (void)row;
    if (c->disabled_end == NULL)
        c->disabled_end = &c->disabled;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct disabled *d = arena_must(conf_arena(load), sizeof *d);

        if (!slice_eq(conf_arg(node, i), SLICE("msie6"))) {
            d->regex = regex_compile(load, node, i, conf_arg(node, i), REGEX_NOCASE);
            if (d->regex == NULL)
                return false;
        }
        *c->disabled_end = d;
        c->disabled_end = &d->next;
    }
    return true;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct conf_word versions[] = { { "1.0", 0 }, { "1.1", 1 }, { NULL, 0 } };

static const struct directive rows[] = {
    { "gzip_vary", HSL, 1, 1, CONF_FLAG, offsetof(struct encoding_conf, vary), "off",
      .syntax = "on | off",
      .help = "Adds \"Vary: Accept-Encoding\" to answers that are, or for another client would "
              "be, compressed.",
      .example = "gzip_vary on;" },
    { "gzip_http_version", HSL, 1, 1, CONF_ENUM, offsetof(struct encoding_conf, version), "1.1",
      .words = versions, .syntax = "1.0 | 1.1",
      .help = "The lowest version of HTTP in which answers are compressed.",
      .example = "gzip_http_version 1.0;" },
    { "gzip_proxied", HSL, 1, ARGS_MANY, CONF_CUSTOM, offsetof(struct encoding_conf, proxied),
      "off", .set = set_proxied, .size = sizeof(unsigned), .repeats = true,
      .syntax = "off | expired | no-cache | no-store | private | no_last_modified | no_etag | "
                "auth | any …",
      .help = "Which answers are compressed for a request that came through a proxy, as its Via "
              "says: those to which one of the words applies.",
      .example = "gzip_proxied expired no-cache no-store private auth;" },
    { "gzip_disable", HSL, 1, ARGS_MANY, CONF_CUSTOM, offsetof(struct encoding_conf, disabled),
      NULL, .set = set_disable, .size = sizeof(struct disabled *), .repeats = true,
      .syntax = "regex …",
      .help = "Browsers whose User-Agent matches one of the expressions (in any case) get no "
              "compressed answers; \"msie6\" stands for Internet Explorer 4 to 6 without SV1.",
      .example = "gzip_disable msie6;" },
};

const struct feature feature_encoding = {
    .name = "encoding",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct encoding_conf),
    .about = "Which clients are given compressed answers, whatever compresses them.",
    .index = &encoding_index,
};
