/* memcached.c - memcached_pass: answers that lie in a memcached server, under $memcached_key.
 *
 * What is asked is "get key", what is answered "VALUE key flags size", the bytes, and END; END
 * alone is a 404 (the text protocol of memcached, protocol.txt). */
#include "handler/small.h"
#include "http/types.h"
#include "upstream/cgi.h"
#include "upstream/gateways.h"
#include "upstream/relay_answer.h"
#include "upstream/relay_conf.h"

enum { LINE_MAX_SIZE = 1024, KEY_MAX = 16 * 1024 };

static const char trailer[] = "\r\nEND\r\n";

static uint32_t memcached_index;

struct memcached_conf {
    struct cgi_conf cgi; /* first: the target, and what relays have in common           */
    int64_t gzip_flag;   /* bits of an entry's flags; 0: none                           */
    unsigned key;        /* the place of $memcached_key                                 */
};

struct memcached_exchange {
    struct cgi_exchange cgi; /* first */
    struct slice key;        /* as it is sent */
    char line[LINE_MAX_SIZE];
    uint32_t line_used;
    uint64_t flags, size, left; /* left: bytes of content that have not come yet */
    unsigned trailer_seen;
    bool found, ended;
};

static struct memcached_exchange *exchange_of(const struct relay *y)
{
    return y->own;
}

/* ---- the request --------------------------------------------------------------------------- */

static const struct memcached_conf *conf_of(const struct request *r)
{
    return request_conf(r, &feature_memcached);
}

/* Blanks and control bytes end a key there: they are written as %XX, and so is the % itself. */
static struct slice write_key(struct request *r)
{
    const struct slice *values = request_values(r);
    struct slice key = values != NULL ? values[conf_of(r)->key] : (struct slice){ 0 };
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, KEY_MAX);
    for (size_t i = 0; i < key.size; i++) {
        unsigned char c = (unsigned char)key.at[i];

        if (c <= ' ' || c == 0x7f || c == '%')
            gather_printf(&g, "%%%02X", c);
        else
            gather_byte(&g, (char)c);
    }
    return g.full ? (struct slice){ 0 } : gather_get(&g);
}

static bool write_head(struct relay *y, struct gather *g)
{
    struct memcached_exchange *x = exchange_of(y);

    x->key = write_key(y->request);
    if (x->key.size == 0) {
        request_log(y->request, LOG_ERROR, 0, "$memcached_key is not set, or much too long");
        return false;
    }
    y->source = SOURCE_NONE;
    gather_lit(g, "get ");
    gather_slice(g, x->key);
    gather_lit(g, "\r\n");
    return true;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static bool begin(struct relay *y)
{
    struct memcached_exchange *x = exchange_of(y);

    x->line_used = x->trailer_seen = 0;
    x->found = x->ended = false;
    return true;
}

/* "VALUE key flags size": false: it is not that. */
static bool read_value(struct memcached_exchange *x, struct slice line)
{
    if (!slice_eq(slice_cut(&line, ' '), SLICE("VALUE")) ||
        !slice_eq(slice_cut(&line, ' '), x->key) ||
        !slice_to_u64(slice_cut(&line, ' '), UINT32_MAX, &x->flags) ||
        !slice_to_u64(slice_cut(&line, ' '), INT64_MAX, &x->size))
        return false;
    x->left = x->size;
    return line.size == 0;
}

static enum h1_verdict read_line(struct relay *y, struct slice line)
{
    struct memcached_exchange *x = exchange_of(y);

    y->field_count = 0;
    if (slice_eq(line, SLICE("END"))) {
        y->attempt->status = 404;
        x->ended = true;
        return H1_DONE;
    }
    if (!read_value(x, line)) {
        y->why = "memcached sent an answer that is none";
        return H1_BAD;
    }
    y->attempt->status = 200;
    x->found = true;
    return H1_DONE;
}

static enum h1_verdict read_head(struct relay *y, const char *at, size_t size, size_t *taken)
{
    struct memcached_exchange *x = exchange_of(y);

    for (*taken = 0; *taken < size;) {
        char c = at[(*taken)++];

        if (c == '\n' && x->line_used > 0 && x->line[x->line_used - 1] == '\r')
            return read_line(y, slice_of(x->line, x->line_used - 1));
        if (x->line_used == LINE_MAX_SIZE) {
            y->why = "memcached sent a line that is too long";
            return H1_BAD;
        }
        x->line[x->line_used++] = c;
    }
    return H1_MORE;
}

static enum h1_verdict read_body(struct relay *y, const char *at, size_t size, size_t *taken,
                                 struct slice *piece)
{
    struct memcached_exchange *x = exchange_of(y);
    size_t some = x->left < size ? (size_t)x->left : size;

    *piece = slice_of(at, some);
    *taken = some;
    x->left -= some;
    while (*taken < size && x->left == 0 && x->trailer_seen < sizeof trailer - 1) {
        if (at[(*taken)++] != trailer[x->trailer_seen++]) {
            y->why = "memcached sent something else where its answer should end";
            return H1_BAD;
        }
    }
    x->ended = x->trailer_seen == sizeof trailer - 1;
    return x->ended ? H1_DONE : H1_MORE;
}

static enum h1_verdict read_end(struct relay *y)
{
    y->why = "memcached closed the connection before its answer was complete";
    return H1_BAD;
}

static enum verdict answer(struct relay *y)
{
    static const struct relay_rewrites none = { NULL, NULL };
    const struct memcached_exchange *x = exchange_of(y);
    struct request *r = y->request;
    enum verdict v;

    if (!x->found) {
        request_log(r, LOG_INFO, 0, "\"%.*s\" is not in memcached", SLICE_FMT(x->key));
        relay_end(y);
        return request_fail(r, 404);
    }
    v = relay_fill(y, 200, &none);
    if (v != NEXT)
        return v;
    r->response.content_type = types_of(r);
    r->response.length = (int64_t)x->size;
    if ((x->flags & (uint64_t)conf_of(r)->gzip_flag) != 0 &&
        !response_add(r, SLICE("Content-Encoding"), SLICE("gzip")))
        return request_fail(r, 500);
    if (r->head.method == METHOD_HEAD || x->size == 0) {
        y->broken = true; /* what it still says is not waited for */
        relay_end(y);
        return DONE;
    }
    r->response.body = relay_body(y);
    return DONE;
}

static bool may_keep(const struct relay *y)
{
    return exchange_of(y)->ended;
}

static const struct relay_protocol memcached = {
    .name = "memcached",
    .scheme = "memcached://",
    .write_head = write_head,
    .begin = begin,
    .read_head = read_head,
    .read_body = read_body,
    .read_end = read_end,
    .answer = answer,
    .may_keep = may_keep,
};

static enum verdict memcached_content(struct request *r)
{
    if (!method_is_get(r))
        return DONE;
    return cgi_content(r, &feature_memcached, &memcached, sizeof(struct memcached_exchange));
}

/* ---- directives ---------------------------------------------------------------------------- */

static bool set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    (void)row;
    return cgi_set_target(load, node, own, 0, memcached_content);
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct memcached_conf *c = own;

    c->key = conf_place(load, SLICE("memcached_key"));
    return cgi_merge(load, scope, "memcached_", parent, own);
}

static const struct directive rows[] = {
    { "memcached_pass", CTX_LOCATION | CTX_IF_LOCATION, 1, 1, CONF_CUSTOM, .set = set_pass,
      .inherit = INHERIT_NOT, .syntax = "address",
      .help = "Answers with what this memcached server has under $memcached_key, which `set` gives "
              "a value to; 404 when it has nothing. An upstream, name:port, address:port or "
              "unix:/path.",
      .example = "location / { set $memcached_key $uri$is_args$args; "
                 "memcached_pass 127.0.0.1:11211; error_page 404 502 504 = @app; }" },
    { "memcached_gzip_flag", RELAY_WHERE, 1, 1, CONF_NUMBER,
      offsetof(struct memcached_conf, gzip_flag), "0", .max = UINT32_MAX, .syntax = "flag",
      .help = "Entries with one of these bits in their flags are sent with Content-Encoding: "
              "gzip." },
    RELAY_TIME("memcached_connect_timeout", connect_timeout, "60s",
               "How long a connection to a server may take to be made."),
    RELAY_TIME("memcached_send_timeout", send_timeout, "60s",
               "How long a server may take nothing of a request."),
    RELAY_TIME("memcached_read_timeout", read_timeout, "60s",
               "How long a server may say nothing, before its answer and in it."),
    RELAY_TIME("memcached_next_upstream_timeout", next_timeout, "0",
               "No other server is asked when that much time has passed; 0: no limit."),
    { "memcached_next_upstream_tries", RELAY_WHERE, 1, 1, CONF_NUMBER, RELAY_AT(next_tries), "0",
      .max = INT32_MAX, .syntax = "number",
      .help = "How many servers are asked at most; 0: no limit." },
    RELAY_OWN("memcached_next_upstream", 1, ARGS_MANY, relay_set_next, next, "error timeout",
              "error | timeout | invalid_response | not_found | off …",
              "When the next server is asked."),
    RELAY_SIZE("memcached_buffer_size", buffer_size, "8k",
               "How much of an answer may wait for its client."),
    RELAY_FLAG("memcached_socket_keepalive", keepalive, "off",
               "Has the system look after connections that say nothing (SO_KEEPALIVE)."),
    RELAY_OWN("memcached_bind", 1, 2, relay_set_bind, bind, NULL, "address [transparent] | off",
              "The local address that connections come from."),
    RELAY_EACH("memcached_"),
};

const struct feature feature_memcached = {
    .name = "memcached",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct memcached_conf),
    .merge = merge,
    .about = "Answers from memcached servers.",
    .index = &memcached_index,
};
