/* referer.c - valid_referers: was the request made from a page that may make it? $invalid_referer
 * says "1" if not. */
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"

struct referer {
    enum { HOST_IS, HOST_ENDS, HOST_BEGINS, TEXT_MATCHES, HOST_MATCHES } kind;
    struct slice host; /* in lower case; of *.a.test ".a.test", of www.a.* "www.a."             */
    struct slice path; /* what the path must begin with; size 0: any                             */
    struct regex *regex;
    struct referer *next;
};

struct referer_conf {
    struct referer *valid, **end;
    bool none, blocked, server_names, said;
};

static uint32_t referer_index;

/* ---- looking -------------------------------------------------------------------------------- */

/* Cuts "http://" or "https://" off. */
static bool cut_scheme(struct slice *text)
{
    static const char *const schemes[] = { "http://", "https://" };

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        struct slice scheme = slice_str(schemes[i]);

        if (text->size <= scheme.size || !slice_eq_nocase(slice_head(*text, scheme.size), scheme))
            continue;
        *text = slice_skip(*text, scheme.size);
        return true;
    }
    return false;
}

static bool ends_nocase(struct slice s, struct slice end)
{
    return s.size > end.size && slice_eq_nocase(slice_skip(s, s.size - end.size), end);
}

static bool fits(struct request *r, const struct referer *v, struct slice text, struct slice host,
                 struct slice path)
{
    struct slice captures[CAPTURES_MAX];
    enum regex_verdict verdict;

    switch (v->kind) {
    case HOST_IS:
        if (!slice_eq_nocase(host, v->host))
            return false;
        break;
    case HOST_ENDS:
        if (!ends_nocase(host, v->host))
            return false;
        break;
    case HOST_BEGINS:
        if (host.size <= v->host.size || !slice_eq_nocase(slice_head(host, v->host.size), v->host))
            return false;
        break;
    case TEXT_MATCHES:
    case HOST_MATCHES:
        verdict =
            regex_match(v->regex, v->kind == HOST_MATCHES ? host : text, captures, CAPTURES_MAX);
        if (verdict == REGEX_LIMIT)
            request_log(r, LOG_ERROR, 0, "matching \"%.*s\" of valid_referers took too long",
                        SLICE_FMT(regex_pattern(v->regex)));
        return verdict == REGEX_YES;
    }
    return slice_starts(path, v->path);
}

static bool is_valid(struct request *r, const struct referer_conf *conf)
{
    struct slice text = request_field(r, FIELD_REFERER), host;
    size_t end = 0;

    if (!conf->said)
        return true;
    if (text.at == NULL)
        return conf->none;
    if (!cut_scheme(&text))
        return conf->blocked;
    while (end < text.size && text.at[end] != '/' && text.at[end] != ':' && text.at[end] != '?')
        end++;
    host = slice_head(text, end);
    for (const struct referer *v = conf->valid; v != NULL; v = v->next)
        if (fits(r, v, text, host, slice_skip(text, slice_find(text, '/'))))
            return true;
    return false;
}

static bool get_invalid(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct referer_conf *conf = request_conf((struct request *)subject, &feature_referer);

    (void)use;
    if (!is_valid(subject, conf))
        gather_byte(g, '1');
    return true;
}

static const struct variable vars[] = {
    { "invalid_referer", get_invalid,
      .help = "1 if the field Referer is none of those that valid_referers names, else nothing." },
};

/* ---- reading --------------------------------------------------------------------------------- */

static struct referer *add(struct conf_load *load, struct referer_conf *conf)
{
    struct referer *v = arena_must(conf_arena(load), sizeof *v);

    if (conf->end == NULL)
        conf->end = &conf->valid;
    *conf->end = v;
    conf->end = &v->next;
    return v;
}

static void add_host(struct conf_load *load, struct referer_conf *conf, struct slice host,
                     struct slice path)
{
    struct referer *v = add(load, conf);

    v->path = path;
    v->host = host;
    if (slice_starts(host, SLICE("*."))) {
        v->kind = HOST_ENDS;
        v->host = slice_skip(host, 1);
    } else if (slice_ends(host, SLICE(".*"))) {
        v->kind = HOST_BEGINS;
        v->host = slice_head(host, host.size - 1);
    } else if (host.size > 1 && host.at[0] == '.') {
        v->kind = HOST_ENDS;
        add_host(load, conf, slice_skip(host, 1), path);
    }
}

static bool read_word(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct referer_conf *conf)
{
    static const struct {
        const char *word;
        size_t offset;
    } words[] = {
        { "none", offsetof(struct referer_conf, none) },
        { "blocked", offsetof(struct referer_conf, blocked) },
        { "server_names", offsetof(struct referer_conf, server_names) },
    };
    struct slice text = conf_arg(node, arg);
    size_t slash;

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (slice_eq(text, slice_str(words[i].word))) {
            *(bool *)((char *)conf + words[i].offset) = true;
            return true;
        }
    if (text.size > 1 && text.at[0] == '~') {
        struct referer *v = add(load, conf);

        v->kind = TEXT_MATCHES;
        v->regex = regex_compile(load, node, arg, slice_skip(text, 1), REGEX_NOCASE);
        return v->regex != NULL;
    }
    slash = slice_find(text, '/');
    if (slash == 0 || text.size == 0 || slice_search(text, SLICE("://")) < text.size) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is no host", SLICE_FMT(text));
        conf_hint(load, "expected: none, blocked, server_names, a host such as *.example.com or "
                        "www.example.com/path, or ~regex, all without a scheme");
        return false;
    }
    add_host(load, conf, slice_head(text, slash), slice_skip(text, slash));
    return true;
}

static bool set_valid(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct referer_conf *conf = own;

    (void)row;
    conf->said = true;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!read_word(load, node, i, conf))
            return false;
    return true;
}

static void add_server_names(struct conf_load *load, const struct scope *scope,
                             struct referer_conf *conf)
{
    const struct server *server;

    while (scope->context != CTX_SERVER && scope->parent != NULL)
        scope = scope->parent;
    server = scope->context == CTX_SERVER ? scope->object : NULL;
    for (const struct server_name *n = server != NULL ? server->names : NULL; n != NULL;
         n = n->next) {
        if (n->regex != NULL) {
            struct referer *v = add(load, conf);

            v->kind = HOST_MATCHES;
            v->regex = n->regex;
        } else if (n->text.size > 0) {
            add_host(load, conf, n->text, (struct slice){ 0 });
        }
    }
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct referer_conf *outer = parent;
    struct referer_conf *conf = own;

    if (!conf->said && outer != NULL)
        *conf = *outer;
    else if (conf->server_names)
        add_server_names(load, scope, conf);
    return true;
}

#define WHERE (CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "valid_referers", WHERE, 1, ARGS_MANY, CONF_CUSTOM, .set = set_valid, .repeats = true,
      .syntax = "none | blocked | server_names | host | ~regex …",
      .help = "The pages that may ask: none (no field Referer), blocked (one that is no address), "
              "the names of the server, hosts with or without a path, or regular expressions for "
              "what follows the scheme.",
      .example = "valid_referers none blocked server_names *.example.com ~\\.partner\\.;" },
    { "referer_hash_max_size", WHERE, 1, 1, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "size",
      .help = "Accepted; weir sizes its tables itself." },
    { "referer_hash_bucket_size", WHERE, 1, 1, CONF_CUSTOM, .set = conf_set_ignored,
      .syntax = "size", .help = "Accepted; weir sizes its tables itself." },
};

const struct feature feature_referer = {
    .name = "referer",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct referer_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Requests from other sites' pages, told apart.",
    .index = &referer_index,
};
