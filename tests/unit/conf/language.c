/* language.c - the features of the fixture: one row of every type, every block. */
#include "fixture.h"

static uint32_t main_index, http_index;

/* ---- the main context ---------------------------------------------------------------- */

static bool set_block(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    static const struct {
        const char *name;
        uint32_t context;
    } inside[] = {
        { "events", CTX_EVENTS }, { "http", CTX_HTTP }, { "server", CTX_SERVER },
        { "types", CTX_TYPES },   { "map", CTX_MAP },
    };
    (void)conf;
    for (size_t i = 0; i < COUNT_OF(inside); i++)
        if (strcmp(row->name, inside[i].name) == 0)
            return conf_enter(load, node, inside[i].context, NULL) != NULL;
    return false;
}

static const struct conf_word engines[] = {
    { "auto", 0 }, { "io_uring", 1 }, { "epoll", 2 }, { "poll", 3 }, { NULL, 0 }
};

#define MAIN_AT(member) offsetof(struct test_main, member)

static const struct directive main_rows[] = {
    { "user", CTX_MAIN, 1, 1, CONF_STRING, MAIN_AT(user), "nobody", .syntax = "name" },
    { "worker_processes", CTX_MAIN, 1, 1, CONF_NUMBER, MAIN_AT(workers), "1", .min = 1, .max = 512,
      .syntax = "number" },
    { "worker_rlimit_nofile", CTX_MAIN, 1, 1, CONF_NUMBER, MAIN_AT(limit), "-1", .min = -1 },
    { "pid", CTX_MAIN, 1, 1, CONF_PATH, MAIN_AT(pid), "logs/weir.pid", .syntax = "file" },
    { "events", CTX_MAIN, 0, 0, CONF_BLOCK, .set = set_block },
    { "use", CTX_EVENTS, 1, 1, CONF_ENUM, MAIN_AT(engine), "auto", .words = engines,
      .syntax = "engine" },
    { "accept_mutex", CTX_EVENTS, 1, 1, CONF_CUSTOM, .set = conf_set_ignored,
      .help = "connections are shared out by the kernel." },
};

const struct feature feature_test_main = {
    .name = "main",
    .rows = main_rows,
    .row_count = COUNT_OF(main_rows),
    .size = sizeof(struct test_main),
    .index = &main_index,
};

/* ---- http ---------------------------------------------------------------------------- */

static bool set_location(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    (void)conf;
    (void)row;
    const struct regex *re = NULL;
    bool nocase = slice_eq(conf_arg(node, 0), SLICE("~*"));
    if ((nocase || slice_eq(conf_arg(node, 0), SLICE("~"))) &&
        (re = regex_compile(load, node, 1, conf_arg(node, 1), nocase ? REGEX_NOCASE : 0)) == NULL)
        return false;
    struct scope *scope = conf_enter(load, node, CTX_LOCATION, NULL);
    ((struct test_http *)scope_conf(scope, &feature_test_http))->pattern = re;
    return true;
}

static bool set_if(struct conf_load *load, const struct conf_node *node, void *conf,
                   const struct directive *row)
{
    bool location = conf_scope(load)->context == CTX_LOCATION;
    (void)conf;
    (void)row;
    return conf_enter(load, node, location ? CTX_IF_LOCATION : CTX_IF_SERVER, NULL) != NULL;
}

static bool set_buffers(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct test_http *http = conf;
    uint64_t n;
    (void)row;
    if (!slice_to_u64(conf_arg(node, 0), 64, &n) ||
        !conf_parse_size(conf_arg(node, 1), &http->header_size)) {
        conf_complain(load, CONF_EMERG, node, 0, "not a number and a size");
        return false;
    }
    http->header_buffers = (int64_t)n;
    return true;
}

static bool set_name(struct conf_load *load, const struct conf_node *node, void *conf,
                     const struct directive *row)
{
    struct test_http *http = conf;
    (void)load;
    (void)row;
    if (http->first_name.size == 0)
        http->first_name = conf_arg(node, 0);
    return true;
}

static bool set_nothing(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    (void)load;
    (void)node;
    (void)conf;
    (void)row;
    return true;
}

static bool set_refused(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    (void)load;
    (void)node;
    (void)conf;
    (void)row;
    return false;
}

static bool get_set(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    gather_lit(g, "set");
    gather_u64(g, use->number);
    return true;
}

static bool set_variable(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    static uintptr_t count;
    struct slice name = conf_arg(node, 0);
    (void)conf;
    (void)row;
    if (name.size < 2 || name.at[0] != '$' ||
        conf_declare_variable(load, slice_skip(name, 1), get_set, ++count) == NULL) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be set", SLICE_FMT(name));
        return false;
    }
    return expr_compile(load, node, 1) != NULL;
}

static bool set_rewrite(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    (void)conf;
    (void)row;
    return regex_compile(load, node, 0, conf_arg(node, 0), 0) != NULL &&
           expr_compile(load, node, 1) != NULL;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *conf)
{
    struct test_http *http = conf;
    const struct test_http *outer = parent;
    http->merges++;
    http->merge_parent = parent;
    if (outer != NULL)
        CHECK(outer->merges == 1); /* parents first */
    if (http->first_name.size == 0 && outer != NULL)
        http->first_name = outer->first_name;
    if (!slice_eq(http->first_name, SLICE("forbidden")))
        return true;
    conf_complain(load, CONF_EMERG, scope->node, CONF_AT_NAME, "that name is forbidden");
    return false;
}

static const struct conf_word tokens[] = { { "on", 1 }, { "off", 0 }, { "build", 2 }, { NULL, 0 } };

#define HTTP_AT(member) offsetof(struct test_http, member)
#define HSL CTX_ANY_HTTP
#define IFS (CTX_IF_SERVER | CTX_IF_LOCATION)

static const struct directive http_rows[] = {
    { "http", CTX_MAIN, 0, 0, CONF_BLOCK, .set = set_block },
    { "server", CTX_HTTP, 0, 0, CONF_BLOCK, .set = set_block, .repeats = true },
    { "location", CTX_SERVER | CTX_LOCATION, 1, 2, CONF_BLOCK, .set = set_location, .repeats = true,
      .syntax = "[ = | ~ | ~* | ^~ ] uri { … }" },
    { "if", CTX_SERVER | CTX_LOCATION, 1, ARGS_MANY, CONF_BLOCK, .set = set_if, .repeats = true },
    { "types", HSL, 0, 0, CONF_BLOCK, .set = set_block },
    { "map", CTX_HTTP, 2, 2, CONF_BLOCK, .set = set_block, .repeats = true },
    { "*", CTX_TYPES | CTX_MAP, 1, ARGS_MANY, CONF_CUSTOM, .set = set_nothing },
    { "sendfile", HSL, 1, 1, CONF_FLAG, HTTP_AT(sendfile), "off", .syntax = "on | off" },
    { "client_max_body_size", HSL, 1, 1, CONF_SIZE, HTTP_AT(body_size), "1m", .syntax = "size" },
    { "client_header_buffer_size", HSL, 1, 1, CONF_SIZE, HTTP_AT(header_size), "1k", .min = 256,
      .max = 65536 },
    { "large_client_header_buffers", CTX_HTTP | CTX_SERVER, 2, 2, CONF_CUSTOM,
      HTTP_AT(header_buffers), "4 8k", .set = set_buffers, .size = sizeof(int64_t),
      .syntax = "number size" },
    { "send_timeout", HSL, 1, 1, CONF_MSEC, HTTP_AT(timeout_ms), "60s", .max = 3600000 },
    { "expires", HSL, 1, 1, CONF_SEC, HTTP_AT(cache_sec), .fallback = "1h" },
    { "server_tokens", HSL, 1, 1, CONF_ENUM, HTTP_AT(tokens), "on", .words = tokens },
    { "root", HSL, 1, 1, CONF_PATH, HTTP_AT(root), "html", .syntax = "path" },
    { "document_root", HSL, 1, 1, CONF_PATH, HTTP_AT(root), NULL, .syntax = "path" },
    { "default_type", HSL, 1, 1, CONF_STRING, HTTP_AT(type), .fallback = "text/plain" },
    { "ssl_certificate", HSL, 1, 1, CONF_FILE, HTTP_AT(certificate), .fallback = "cert.pem" },
    { "answer", HSL | IFS, 1, 1, CONF_EXPR, HTTP_AT(answer), "none", .syntax = "text" },
    { "max_ranges", HSL, 1, 1, CONF_NUMBER, HTTP_AT(not_inherited), "7", .inherit = INHERIT_NOT },
    { "server_name", CTX_SERVER, 1, ARGS_MANY, CONF_CUSTOM, .set = set_name, .repeats = true,
      .syntax = "name …" },
    { "listen", CTX_SERVER, 1, ARGS_MANY, CONF_CUSTOM, .set = set_nothing, .repeats = true },
    { "index", HSL, 1, ARGS_MANY, CONF_CUSTOM, .set = set_nothing, .repeats = true },
    { "add_header", HSL | IFS, 2, 3, CONF_CUSTOM, .set = set_nothing, .repeats = true,
      .syntax = "name value [always]" },
    { "log_format", CTX_HTTP, 2, ARGS_MANY, CONF_CUSTOM, .set = set_nothing, .repeats = true },
    { "set", CTX_SERVER | CTX_LOCATION | IFS, 2, 2, CONF_CUSTOM, .set = set_variable,
      .repeats = true, .syntax = "$variable value" },
    { "rewrite", CTX_SERVER | CTX_LOCATION | IFS, 2, 3, CONF_CUSTOM, .set = set_rewrite,
      .repeats = true, .syntax = "regex replacement [flag]" },
    { "refuse", HSL, 0, 0, CONF_CUSTOM, .set = set_refused },
};

/* ---- variables ----------------------------------------------------------------------- */

static bool get_uri(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct test_subject *s = subject;
    (void)use;
    gather_slice(g, s->uri);
    return s->uri.at != NULL;
}

static bool get_prefixed(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    gather_str(g, use->row->name);
    gather_byte(g, '=');
    gather_slice(g, use->rest);
    return true;
}

static bool get_absent(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    (void)use;
    gather_lit(g, "left behind");
    return false;
}

/* Evaluates the subject's own expression `number` times: how map and set nest. */
static bool get_again(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct test_subject *s = subject;
    for (uintptr_t i = 0; i < use->number; i++)
        expr_append(s->again, subject, g, SLICE(""), NULL);
    return true;
}

static bool get_capture(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct test_subject *s = subject;
    struct slice value = use->number < CAPTURES_MAX      ? s->captures[use->number]
                         : slice_eq(use->rest, s->named) ? s->named_value
                                                         : (struct slice){ 0 };
    gather_slice(g, value);
    return value.at != NULL;
}

static const struct variable variables[] = {
    { "uri", get_uri, .help = "" },
    { "host", get_uri, .help = "" },
    { "http_host", get_uri, .help = "" },
    { "absent", get_absent, .help = "" },
    { "again", get_again, .arg = 1, .help = "" },
    { "twice", get_again, .arg = 2, .help = "" },
    { "http_", get_prefixed, .prefix = true, .help = "" },
    { "sent_http_", get_prefixed, .prefix = true, .help = "" },
    { "sent_", get_prefixed, .prefix = true, .help = "" },
    { "", get_capture, .prefix = true, .help = "" },
};

const struct feature feature_test_http = {
    .name = "http",
    .rows = http_rows,
    .row_count = COUNT_OF(http_rows),
    .size = sizeof(struct test_http),
    .vars = variables,
    .var_count = COUNT_OF(variables),
    .merge = merge,
    .index = &http_index,
};

const struct feature *const fixture_features[] = { &feature_test_main, &feature_test_http, NULL };
