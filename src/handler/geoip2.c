/* geoip2.c - variables that a database knows of an address: its country, city, network.
 *
 * The words are those of the well-known module. The address is the client's, behind trusted
 * proxies what X-Forwarded-For says, or what `source=` holds. */
#include "conf/expr.h"
#include "handler/mmdb.h"
#include "handler/small.h"
#include "http/forwarded.h"
#include "io/io.h"

#include <errno.h>

enum { KEYS_MAX = 16 };

struct geoip2 {
    struct mmdb db;
    const struct conf_node *node;
    int64_t reload_ms; /* auto_reload; 0: never */
    const struct geoip2_conf *conf;
    struct geoip2 *next;
};

struct geoip2_conf {
    struct geoip2 *all;
    struct trusted *proxies, **proxies_end;
    bool recursive;
};

/* One variable. */
struct geoip2_value {
    struct geoip2 *of;
    struct expr *source; /* NULL: the client */
    struct slice fallback;
    bool is_fact;
    enum mmdb_fact fact;
    const char *keys[KEYS_MAX + 1];
};

static uint32_t geoip2_index;

/* ---- another file -------------------------------------------------------------------------- */

struct refreshing {
    struct io_op op;
    struct request *request;
    struct geoip2 *what;
};

static int32_t refresh(struct io_op *op)
{
    return mmdb_refresh(&container_of(op, struct refreshing, op)->what->db);
}

static void refreshed(struct io *io, struct io_op *op, struct io_result res)
{
    struct refreshing *f = container_of(op, struct refreshing, op);
    struct request *r = f->request;

    (void)io;
    if (res.res == -EBADMSG)
        request_log(r, LOG_ERROR, 0,
                    "geoip2 \"%s\": the new file is no database; the old one "
                    "stays",
                    f->what->db.path);
    else if (res.res < 0)
        request_log(r, LOG_ERROR, -res.res, "geoip2 \"%s\": looking at it failed",
                    f->what->db.path);
    else if (res.res > 0)
        request_log(r, LOG_NOTICE, 0, "geoip2 \"%s\": reloaded", f->what->db.path);
    request_unpin(r);
}

/* The request does not wait for it; its memory does. */
static void refresh_if_due(struct request *r, struct geoip2 *geo)
{
    struct refreshing *f;

    if (geo->reload_ms == 0 || r->io == NULL ||
        !mmdb_due(&geo->db, loop_now_ns(r->loop, r->io) / 1000000, geo->reload_ms) ||
        (f = arena_zalloc(&r->arena, sizeof *f)) == NULL)
        return;
    f->request = r;
    f->what = geo;
    request_pin(r);
    io_work(r->io, &f->op, refresh, refreshed);
}

/* ---- values -------------------------------------------------------------------------------- */

static void behind_proxies(const struct request *r, const struct geoip2_conf *conf,
                           struct addr *client)
{
    bool found = false;

    if (!forwarded_trusted(conf->proxies, client))
        return;
    for (uint32_t i = r->head.field_count; i > 0; i--) {
        const struct field *f = &r->head.fields[i - 1];

        if (slice_eq_nocase(f->name, SLICE("X-Forwarded-For")) &&
            !forwarded_look_back(conf->proxies, conf->recursive, f->value, client, &found))
            return;
    }
}

/* False: the text is no address. */
static bool address_of(struct request *r, const struct geoip2_value *v, struct addr *ret)
{
    struct addr_net net;
    struct slice text;
    bool low_bits;

    if (v->source != NULL) {
        if (!expr_eval(v->source, r, &r->arena, ADDR_TEXT_MAX, &text) ||
            slice_find(text, '/') < text.size || !addr_net_parse(text, &net, &low_bits))
            return false;
        *ret = net.base;
        return true;
    }
    *ret = *request_client(r);
    if (v->of->conf->proxies != NULL)
        behind_proxies(r, v->of->conf, ret);
    return true;
}

/* use->number: the value. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct geoip2_value *v = (const struct geoip2_value *)use->number;
    struct request *r = subject;
    struct addr address;

    refresh_if_due(r, v->of);
    if (v->is_fact) {
        gather_printf(g, "%lld", (long long)mmdb_fact(&v->of->db, v->fact));
        return true;
    }
    if (address_of(r, v, &address) && mmdb_find(&v->of->db, &address, v->keys, g))
        return true;
    gather_slice(g, v->fallback);
    return v->fallback.size > 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool read_fact(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct geoip2_value *v)
{
    static const struct {
        const char *word;
        enum mmdb_fact fact;
    } facts[] = { { "build_epoch", MMDB_BUILT },
                  { "last_check", MMDB_CHECKED },
                  { "last_change", MMDB_CHANGED } };

    v->is_fact = true;
    for (size_t i = 0; i < COUNT_OF(facts) && node->arg_count == arg + 1; i++)
        if (slice_eq(conf_arg(node, arg), slice_str(facts[i].word))) {
            v->fact = facts[i].fact;
            return true;
        }
    conf_complain(load, CONF_EMERG, node, node->arg_count > arg ? (int)arg : CONF_AT_NAME,
                  "this is nothing that is known of a database");
    conf_hint(load, "expected: metadata build_epoch, last_check or last_change");
    return false;
}

/* "default=X" and "source=$x" stand before the keys. */
static bool read_parameters(struct conf_load *load, const struct conf_node *node, unsigned *arg,
                            struct geoip2_value *v)
{
    for (; *arg < node->arg_count; ++*arg) {
        struct slice text = conf_arg(node, *arg);

        if (slice_starts(text, SLICE("default="))) {
            v->fallback = slice_skip(text, 8);
        } else if (slice_starts(text, SLICE("source="))) {
            v->source = expr_compile_text(load, node, *arg, slice_skip(text, 7));
            if (v->source == NULL)
                return false;
        } else {
            break;
        }
    }
    return true;
}

static bool read_keys(struct conf_load *load, const struct conf_node *node, unsigned arg,
                      struct geoip2_value *v)
{
    unsigned count = node->arg_count - arg;

    if (count == 0 || count > KEYS_MAX) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "%s",
                      count == 0 ? "it does not say what of an entry the variable is"
                                 : "it has too many keys");
        conf_hint(load, "expected: $name [default=text] [source=$address] key …");
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        struct slice copy = arena_copy(conf_arena(load), conf_arg(node, arg + i));

        CHECK(copy.at != NULL);
        v->keys[i] = copy.at;
    }
    return true;
}

static bool read_variable(struct conf_load *load, const struct conf_node *node, struct geoip2 *geo)
{
    struct geoip2_value *v = arena_must(conf_arena(load), sizeof *v);
    const struct variable *known;
    unsigned arg = 0;

    *v = (struct geoip2_value){ .of = geo };
    if (node->name.size < 2 || node->name.at[0] != '$') {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "\"%.*s\" is no variable",
                      SLICE_FMT(node->name));
        conf_hint(load, "expected: $name key …; or auto_reload time;");
        return false;
    }
    known = conf_declare_variable(load, slice_skip(node->name, 1), get_value, (uintptr_t)v);
    if (known == NULL || known->arg != (uintptr_t)v) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "\"%.*s\" is made elsewhere already",
                      SLICE_FMT(node->name));
        return false;
    }
    if (!read_parameters(load, node, &arg, v))
        return false;
    if (arg < node->arg_count && slice_eq(conf_arg(node, arg), SLICE("metadata")))
        return read_fact(load, node, arg + 1, v);
    return read_keys(load, node, arg, v);
}

static bool read_line(struct conf_load *load, const struct conf_node *node, struct geoip2 *geo)
{
    if (!slice_eq(node->name, SLICE("auto_reload")))
        return read_variable(load, node, geo);
    if (node->arg_count == 1 && conf_parse_msec(conf_arg(node, 0), &geo->reload_ms) &&
        geo->reload_ms > 0)
        return true;
    conf_complain(load, CONF_EMERG, node, node->arg_count > 0 ? 0 : CONF_AT_NAME,
                  "this is no interval");
    conf_hint(load, "expected: auto_reload time; such as 5m");
    return false;
}

static void close_database(void *db)
{
    mmdb_close(db);
}

static bool set_geoip2(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct geoip2 *geo = arena_must(conf_arena(load), sizeof *geo);
    struct slice path = conf_arg(node, 0);
    const char *why;
    bool good = true;

    (void)row;
    path = path.size > 0 && path.at[0] == '/'
               ? arena_copy(conf_arena(load), path)
               : arena_printf(conf_arena(load), "%s%.*s", conf_dir(load), SLICE_FMT(path));
    CHECK(path.at != NULL);
    *geo = (struct geoip2){ .node = node, .conf = own };
    if (!mmdb_open(&geo->db, path.at, &why)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%s\" cannot be opened as a database: %s",
                      path.at, why);
        return false;
    }
    conf_at_end(load, close_database, &geo->db);
    for (const struct conf_node *n = node->children; n != NULL; n = n->next)
        good &= read_line(load, n, geo);
    return good;
}

static bool set_proxy(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    struct geoip2_conf *conf = own;
    struct trusted *t = forwarded_read(load, node, 0);

    (void)row;
    if (t == NULL)
        return false;
    if (conf->proxies_end == NULL)
        conf->proxies_end = &conf->proxies;
    *conf->proxies_end = t;
    conf->proxies_end = &t->next;
    return true;
}

static const struct directive rows[] = {
    { "geoip2", CTX_HTTP, 1, 1, CONF_BLOCK, .set = set_geoip2, .inherit = INHERIT_NOT,
      .repeats = true,
      .syntax = "file { $variable [default=text] [source=$address] key …; "
                "$variable metadata fact; auto_reload time; }",
      .help = "Makes variables of what a database in MaxMind's format knows of the client's "
              "address. Keys lead into an entry (country names en). metadata is build_epoch, "
              "last_check or last_change. With auto_reload, a file that was replaced (by rename) "
              "is opened within that time, without a reload; what is no database is told in the "
              "error log, and the old one stays.",
      .example = "geoip2 /var/lib/GeoIP/country.mmdb { $country default=XX country iso_code; }" },
    { "geoip2_proxy", CTX_HTTP, 1, 1, CONF_CUSTOM, .set = set_proxy, .inherit = INHERIT_NOT,
      .repeats = true, .syntax = "address | net",
      .help = "From this proxy, the client's address is what X-Forwarded-For says.",
      .example = "geoip2_proxy 10.0.0.0/8;" },
    { "geoip2_proxy_recursive", CTX_HTTP, 1, 1, CONF_FLAG, offsetof(struct geoip2_conf, recursive),
      "off", .syntax = "on | off",
      .help = "Trusted addresses in X-Forwarded-For are passed over, too." },
};

const struct feature feature_geoip2 = {
    .name = "geoip2",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct geoip2_conf),
    .about = "What a database knows of an address: country, city, network.",
    .index = &geoip2_index,
};
