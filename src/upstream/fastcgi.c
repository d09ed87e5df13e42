/* fastcgi.c - fastcgi_pass: requests passed on to FastCGI applications such as php-fpm. */
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/relay_conf.h"

#include "conf/expr.h"
#include "conf/regex.h"
#include "wire/fcgi.h"

enum { ERROR_LINE_MAX = 2048 };

static uint32_t fastcgi_index;

struct fastcgi_conf {
    struct cgi_conf cgi; /* first */
    struct slice index;
    struct regex *split;
    bool keep_conn;
    struct slice catch_stderr; /* of the nearest scope; size 0: none */
};

struct fastcgi_exchange {
    struct cgi_exchange cgi; /* first */
    struct fcgi records;
    bool caught; /* its standard error says that it failed */
};

static struct fastcgi_exchange *exchange_of(const struct relay *y)
{
    return y->own;
}

static const struct fastcgi_conf *conf_of(const struct request *r)
{
    return request_conf(r, &feature_fastcgi);
}

/* ---- the request ------------------------------------------------------------------------- */

static size_t stdin_header(struct relay *y, size_t size, char into[RELAY_FRAME_MAX])
{
    (void)y;
    fcgi_header(FCGI_STDIN, size, into);
    return FCGI_HEADER_SIZE;
}

static const struct relay_framing framing_stdin = {
    .piece_max = 32 * 1024,
    .before = stdin_header,
    .end = { "\1\5\0\1\0\0\0\0", FCGI_HEADER_SIZE },
};

static void put(void *params, struct slice name, struct slice value)
{
    fcgi_param(params, name, value);
}

static bool write_head(struct relay *y, struct gather *g)
{
    struct fcgi_params params;

    y->framing = &framing_stdin;
    fcgi_begin(g, conf_of(y->request)->keep_conn);
    fcgi_params_open(&params, g);
    if (!cgi_each_param(y, put, &params))
        return false;
    fcgi_params_close(&params);
    return !params.failed;
}

/* ---- the answer -------------------------------------------------------------------------- */

static bool begin(struct relay *y)
{
    cgi_begin(y);
    exchange_of(y)->records = (struct fcgi){ 0 };
    exchange_of(y)->caught = false;
    return true;
}

static void take_error(struct relay *y, struct slice text)
{
    struct slice caught = conf_of(y->request)->catch_stderr,
                 line = slice_head(text, ERROR_LINE_MAX);

    if (caught.size > 0 && slice_search(text, caught) < text.size)
        exchange_of(y)->caught = true;
    while (line.size > 0 && (line.at[line.size - 1] == '\n' || line.at[line.size - 1] == '\r'))
        line.size--;
    if (line.size > 0)
        request_log(y->request, LOG_ERROR, 0, "FastCGI sent in stderr: \"%.*s\"", SLICE_FMT(line));
}

static enum h1_verdict bad(struct relay *y, const char *why)
{
    y->why = why;
    return H1_BAD;
}

static enum h1_verdict read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct fastcgi_exchange *x = exchange_of(y);
    enum h1_verdict v = H1_MORE;

    for (*taken = 0; v == H1_MORE;) {
        struct slice piece;
        size_t some = 0, used = 0;
        enum fcgi_verdict f = fcgi_feed(&x->records, at + *taken, size - *taken, &some, &piece);

        *taken += some;
        if (f == FCGI_MORE)
            return H1_MORE;
        if (f == FCGI_BAD)
            return bad(y, x->records.why);
        if (f == FCGI_END)
            return bad(y, "upstream closed the request before it had answered");
        if (f == FCGI_ERR) {
            take_error(y, piece);
            continue;
        }
        v = cgi_read_head(y, piece.at, piece.size, &used);
        if (v == H1_DONE) {
            fcgi_untake(&x->records, piece.size - used);
            *taken -= piece.size - used;
        }
    }
    return v == H1_DONE && x->caught ? bad(y, "upstream said in stderr that it failed") : v;
}

static enum h1_verdict read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                                 struct slice *piece)
{
    struct fastcgi_exchange *x = exchange_of(y);

    for (*taken = 0;;) {
        size_t some = 0;
        enum fcgi_verdict f = fcgi_feed(&x->records, at + *taken, size - *taken, &some, piece);

        *taken += some;
        switch (f) {
        case FCGI_ERR:
            take_error(y, *piece);
            *piece = (struct slice){ 0 };
            continue;
        case FCGI_BAD:
            return bad(y, x->records.why);
        case FCGI_END:
            return H1_DONE;
        case FCGI_MORE:
        case FCGI_OUT:
            return H1_MORE;
        }
    }
}

/* Some applications close behind the end of what they have to say. */
static enum h1_verdict read_end(struct relay *y)
{
    return exchange_of(y)->records.out_ended ? H1_DONE : H1_BAD;
}

static bool may_keep(const struct relay *y)
{
    return conf_of(y->request)->keep_conn && exchange_of(y)->records.ended;
}

static const struct relay_protocol fastcgi = {
    .name = "fastcgi",
    .scheme = "fastcgi://",
    .write_head = write_head,
    .begin = begin,
    .read_head = read_head,
    .read_body = read_body,
    .read_end = read_end,
    .answer = cgi_answer,
    .may_keep = may_keep,
};

static enum verdict fastcgi_content(struct request *r)
{
    return cgi_content(r, &feature_fastcgi, &fastcgi, sizeof(struct fastcgi_exchange));
}

/* ---- directives -------------------------------------------------------------------------- */

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    (void)row;
    return cgi_set_target(load, node, own, 0, fastcgi_content);
}

static bool set_split(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct fastcgi_conf *c = own;

    (void)row;
    c->split = regex_compile(load, node, 0, conf_arg(node, 0), 0);
    return c->split != NULL;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct fastcgi_conf *outer = parent;
    struct fastcgi_conf *c = own;

    if (c->split == NULL && outer != NULL)
        c->split = outer->split;
    return cgi_merge(load, scope, "fastcgi_", outer != NULL ? &outer->cgi : NULL, &c->cgi);
}

/* Script and path of the request's; false: nothing is to be split. */
static bool split(struct request *r, struct slice *script, struct slice *path)
{
    const struct fastcgi_conf *c = conf_of(r);
    struct slice captures[CAPTURES_MAX];

    if (c->split == NULL || regex_match(c->split, r->uri, captures, CAPTURES_MAX) != REGEX_YES)
        return false;
    *script = captures[1];
    *path = captures[2];
    return true;
}

static bool print_script(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct slice script = r->uri, path;

    (void)use;
    if (!split(r, &script, &path))
        script = r->uri;
    gather_slice(g, script);
    if (slice_ends(script, SLICE("/")))
        gather_slice(g, conf_of(r)->index);
    return true;
}

static bool print_path(void *subject, const struct variable_use *use, struct gather *g)
{
    struct slice script, path;

    (void)use;
    if (split(subject, &script, &path))
        gather_slice(g, path);
    return true;
}

static const struct variable vars[] = {
    { "fastcgi_script_name", print_script,
      .help = "The path, with fastcgi_index behind a slash; or its first part by "
              "fastcgi_split_path_info." },
    { "fastcgi_path_info", print_path, .help = "Its second part by fastcgi_split_path_info." },
};

static const struct directive rows[] = {
    { "fastcgi_pass", CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_pass,
      .inherit = INHERIT_NOT, .syntax = "address",
      .help = "Passes requests on to this FastCGI application: an upstream, name:port, "
              "address:port or unix:/path. Variables may stand in it.",
      .example = "location ~ \\.php$ { fastcgi_pass unix:/run/php/php-fpm.sock; "
                 "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; }" },
    { "fastcgi_param", RELAY_WHERE | CTX_IF_LOCATION, 2, 3, CONF_CUSTOM, .set = cgi_set_param,
      .repeats = true, .inherit = INHERIT_NOT, .syntax = "parameter value [if_not_empty]",
      .help = "A parameter that the application gets. A scope that sets any does not inherit those "
              "around it.",
      .example = "fastcgi_param QUERY_STRING $query_string;" },
    { "fastcgi_index", RELAY_WHERE, 1, 1, CONF_STRING, offsetof(struct fastcgi_conf, index), NULL,
      .syntax = "name",
      .help = "What stands behind a path that ends in a slash, in "
              "$fastcgi_script_name.",
      .example = "fastcgi_index index.php;" },
    { "fastcgi_split_path_info", CTX_LOCATION, 1, 1, CONF_CUSTOM, .set = set_split,
      .inherit = INHERIT_NOT, .syntax = "regex",
      .help = "Its first capture is $fastcgi_script_name, its second $fastcgi_path_info.",
      .example = "fastcgi_split_path_info ^(.+\\.php)(/.+)$;" },
    { "fastcgi_keep_conn", RELAY_WHERE, 1, 1, CONF_FLAG, offsetof(struct fastcgi_conf, keep_conn),
      "off", .syntax = "on | off",
      .help = "Asks the application to leave connections open, and keeps them." },
    { "fastcgi_catch_stderr", RELAY_WHERE, 1, 1, CONF_STRING,
      offsetof(struct fastcgi_conf, catch_stderr), NULL, .syntax = "string",
      .help = "An answer is invalid if the application writes this text to its standard error "
              "before its header." },
    RELAY_ROWS("fastcgi_"),
    CACHE_ROWS("fastcgi_", NULL),
};

const struct feature feature_fastcgi = {
    .name = "fastcgi",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct fastcgi_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Passes requests on to FastCGI applications.",
    .index = &fastcgi_index,
};
