/* cache_conf.c - reads the directives about answers that are kept. */
#include "upstream/cache_conf.h"

#include "upstream/cache_index.h"
#include "upstream/relay_conf.h"

#include <limits.h>

static struct cache_conf *conf_of(void *own)
{
    return &((struct relay_conf *)own)->cache;
}

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *why, const char *expected)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" %s", SLICE_FMT(conf_arg(node, arg)),
                  why);
    conf_hint(load, "expected: %s", expected);
    return false;
}

/* ---- …_cache_path -------------------------------------------------------------------------- */

enum option_kind {
    OPTION_TIME,
    OPTION_SIZE,
    OPTION_COUNT,
    OPTION_FLAG,
    OPTION_LEVELS,
    OPTION_ZONE
};

#define AT(member) offsetof(struct cache_place, member)

static const struct option {
    struct slice name;
    enum option_kind kind;
    size_t at;
} options[] = {
    { { "levels", 6 }, OPTION_LEVELS, 0 },
    { { "use_temp_path", 13 }, OPTION_FLAG, 0 },
    { { "keys_zone", 9 }, OPTION_ZONE, 0 },
    { { "inactive", 8 }, OPTION_TIME, AT(inactive_ms) },
    { { "max_size", 8 }, OPTION_SIZE, AT(max_size) },
    { { "min_free", 8 }, OPTION_SIZE, AT(min_free) },
    { { "manager_files", 13 }, OPTION_COUNT, AT(manager.files) },
    { { "manager_sleep", 13 }, OPTION_TIME, AT(manager.sleep_ms) },
    { { "manager_threshold", 17 }, OPTION_TIME, AT(manager.threshold_ms) },
    { { "loader_files", 12 }, OPTION_COUNT, AT(loader.files) },
    { { "loader_sleep", 12 }, OPTION_TIME, AT(loader.sleep_ms) },
    { { "loader_threshold", 16 }, OPTION_TIME, AT(loader.threshold_ms) },
    { { "purger", 6 }, OPTION_FLAG, 0 },
    { { "purger_files", 12 }, OPTION_COUNT, AT(purger.files) },
    { { "purger_sleep", 12 }, OPTION_TIME, AT(purger.sleep_ms) },
    { { "purger_threshold", 16 }, OPTION_TIME, AT(purger.threshold_ms) },
};

/* "1:2:2" */
static bool read_levels(struct slice text, uint8_t levels[3])
{
    for (unsigned i = 0; i < 3 && text.size > 0; i++) {
        struct slice level = slice_cut(&text, ':');

        if (level.size != 1 || level.at[0] < '1' || level.at[0] > '2')
            return false;
        levels[i] = (uint8_t)(level.at[0] - '0');
    }
    return levels[0] > 0 && text.size == 0;
}

static bool read_count(struct slice text, int64_t *ret)
{
    uint64_t n;

    if (!slice_to_u64(text, INT32_MAX, &n) || n == 0)
        return false;
    *ret = (int64_t)n;
    return true;
}

static bool read_option(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct cache_place *p, const struct directive *row)
{
    struct slice value = conf_arg(node, arg), name = slice_cut(&value, '=');
    const struct option *o = NULL;
    int64_t *number;

    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (slice_eq(name, options[i].name))
            o = &options[i];
    if (o == NULL)
        return refuse(load, node, arg, "means nothing here", row->syntax);
    number = (int64_t *)(void *)((char *)p + o->at);
    switch (o->kind) {
    case OPTION_TIME:
        return conf_parse_msec(value, number) || refuse(load, node, arg, "is no time", "10m");
    case OPTION_SIZE:
        return conf_parse_size(value, number) || refuse(load, node, arg, "is no size", "10g");
    case OPTION_COUNT:
        return read_count(value, number) || refuse(load, node, arg, "is no number", "100");
    case OPTION_FLAG:
        return slice_eq(value, SLICE("on")) || slice_eq(value, SLICE("off")) ||
               refuse(load, node, arg, "is neither on nor off", "on or off");
    case OPTION_LEVELS:
        return read_levels(value, p->levels) ||
               refuse(load, node, arg, "are no levels of directories",
                      "one, two or three digits, each 1 or 2: levels=1:2");
    case OPTION_ZONE:
        p->zone = zone_declare(load, node, arg, value, row->name);
        return p->zone != NULL;
    }
    return false;
}

static const char *read_path(struct conf_load *load, struct slice said)
{
    const char *prefix = said.at[0] == '/' ? "" : conf_prefix(load);

    while (said.size > 1 && said.at[said.size - 1] == '/')
        said.size--;
    return arena_printf(conf_arena(load), "%s%.*s", prefix, SLICE_FMT(said)).at;
}

static bool join(struct conf_load *load, const struct conf_node *node, struct cache_conf *c,
                 struct cache_place *p)
{
    struct cache_place **at = &c->places;

    for (; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->path, p->path) == 0)
            return refuse(load, node, 0, "is another cache's directory already",
                          "a directory for each cache");
    *at = p;
    p->zone->own = p;
    p->zone->value_size = sizeof(struct cache_node);
    p->zone->about = arena_printf(conf_arena(load), "%s levels=%u:%u:%u", p->path, p->levels[0],
                                  p->levels[1], p->levels[2]);
    p->zone->about_what = "path";
    return true;
}

bool cache_set_path(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    static const struct cache_pace pace = { 100, 50, 200 }, purger = { 10, 50, 50 };
    struct cache_place *p = arena_must(conf_arena(load), sizeof *p);

    *p = (struct cache_place){
        .inactive_ms = INT64_C(600000), .manager = pace, .loader = pace, .purger = purger
    };
    if (conf_arg(node, 0).size == 0)
        return refuse(load, node, 0, "is no path", "a directory");
    p->path = read_path(load, conf_arg(node, 0));
    for (unsigned i = 1; i < node->arg_count; i++)
        if (!read_option(load, node, i, p, row))
            return false;
    if (p->zone == NULL)
        return refuse(load, node, 0, "has no keys_zone", "keys_zone=name:size");
    if (p->path == NULL || strlen(p->path) + CACHE_NAME_ROOM > PATH_MAX)
        return refuse(load, node, 0, "is too long", "a path of fewer bytes");
    return join(load, node, conf_of(own), p);
}

/* ---- …_cache ------------------------------------------------------------------------------- */

bool cache_set_cache(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct cache_conf *c = conf_of(own);
    struct expr *name = expr_compile(load, node, 0);
    const char *kind = arena_printf(conf_arena(load), "%s_path", row->name).at;
    struct slice constant;

    c->zone = NULL;
    c->zone_name = NULL;
    if (name == NULL || kind == NULL)
        return false;
    if (!expr_constant(name, &constant))
        c->zone_name = name;
    else if (!slice_eq(constant, SLICE("off")))
        c->zone = zone_refer(load, node, 0, constant, kind);
    return true;
}

bool cache_set_key(struct conf_load *load, const struct conf_node *node, void *own,
                   const struct directive *row)
{
    struct cache_conf *c = conf_of(own);

    (void)row;
    c->key = expr_compile(load, node, 0);
    return c->key != NULL;
}

static bool add_tests(struct conf_load *load, const struct conf_node *node,
                      struct cache_tests **end)
{
    while (*end != NULL)
        end = &(*end)->next;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct cache_tests *t = arena_must(conf_arena(load), sizeof *t);

        *t = (struct cache_tests){ expr_compile(load, node, i), NULL };
        if (t->text == NULL)
            return false;
        *end = t;
        end = &t->next;
    }
    return true;
}

bool cache_set_bypass(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    (void)row;
    return add_tests(load, node, &conf_of(own)->bypass);
}

bool cache_set_no_cache(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    (void)row;
    return add_tests(load, node, &conf_of(own)->no_cache);
}

bool cache_set_purge(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    (void)row;
    return add_tests(load, node, &conf_of(own)->purge);
}

static void add_valid(struct conf_load *load, struct cache_conf *c, unsigned status, int64_t sec)
{
    struct cache_valid **end = &c->valid, *v = arena_must(conf_arena(load), sizeof *v);

    while (*end != NULL)
        end = &(*end)->next;
    *v = (struct cache_valid){ status, sec, NULL };
    *end = v;
}

bool cache_set_valid(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    static const unsigned usual[] = { 200, 301, 302 };
    struct cache_conf *c = conf_of(own);
    unsigned last = node->arg_count - 1u;
    int64_t sec;
    uint64_t status;

    (void)row;
    if (!conf_parse_sec(conf_arg(node, last), &sec))
        return refuse(load, node, last, "is no time", "how long answers are kept: 10m");
    for (size_t i = 0; last == 0 && i < COUNT_OF(usual); i++)
        add_valid(load, c, usual[i], sec);
    for (unsigned i = 0; i < last; i++) {
        if (slice_eq(conf_arg(node, i), SLICE("any")))
            status = 0;
        else if (!slice_to_u64(conf_arg(node, i), 599, &status) || status < 100)
            return refuse(load, node, i, "is no status", "any, or a number from 100 to 599");
        add_valid(load, c, (unsigned)status, sec);
    }
    return true;
}

bool cache_set_stale(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    static const struct {
        struct slice word;
        unsigned bit;
    } words[] = {
        { { "error", 5 }, FAULT_ERROR },       { { "timeout", 7 }, FAULT_TIMEOUT },
        { { "http_500", 8 }, FAULT_500 },      { { "invalid_header", 14 }, FAULT_INVALID },
        { { "http_502", 8 }, FAULT_502 },      { { "http_503", 8 }, FAULT_503 },
        { { "http_504", 8 }, FAULT_504 },      { { "http_403", 8 }, FAULT_403 },
        { { "http_404", 8 }, FAULT_404 },      { { "http_429", 8 }, FAULT_429 },
        { { "updating", 8 }, STALE_UPDATING }, { { "off", 3 }, STALE_OFF },
    };
    struct cache_conf *c = conf_of(own);

    c->use_stale = 0;
    for (unsigned i = 0; i < node->arg_count; i++) {
        unsigned bit = 0;

        for (size_t k = 0; k < COUNT_OF(words); k++)
            if (slice_eq(conf_arg(node, i), words[k].word))
                bit = words[k].bit;
        if (bit == 0)
            return refuse(load, node, i, "is no reason to give what is stale", row->syntax);
        c->use_stale |= bit;
    }
    if ((c->use_stale & STALE_OFF) != 0)
        c->use_stale = 0;
    return true;
}

bool cache_set_methods(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct cache_conf *c = conf_of(own);

    c->methods = 1u << METHOD_GET | 1u << METHOD_HEAD;
    for (unsigned i = 0; i < node->arg_count; i++) {
        enum http_method m = method_from(conf_arg(node, i));

        if (m != METHOD_GET && m != METHOD_HEAD && m != METHOD_POST)
            return refuse(load, node, i, "is no method whose answers can be kept", row->syntax);
        c->methods |= 1u << m;
    }
    return true;
}

/* ---- …_store ------------------------------------------------------------------------------- */

bool cache_set_store(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct cache_conf *c = conf_of(own);

    (void)row;
    c->store = NULL;
    c->store_here = slice_eq(conf_arg(node, 0), SLICE("on"));
    if (c->store_here || slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    c->store = expr_compile(load, node, 0);
    return c->store != NULL;
}

/* "group:rw" */
static bool read_access(struct slice text, unsigned *mode, unsigned *directory_mode)
{
    static const struct {
        struct slice who;
        unsigned shift;
    } all[] = { { { "user", 4 }, 6 }, { { "group", 5 }, 3 }, { { "all", 3 }, 0 } };
    struct slice who = slice_cut(&text, ':');
    unsigned bits = slice_eq(text, SLICE("rw")) ? 6 : slice_eq(text, SLICE("r")) ? 4 : 0;

    for (size_t i = 0; i < COUNT_OF(all) && bits != 0; i++) {
        if (!slice_eq(who, all[i].who))
            continue;
        for (size_t k = i == 2 ? 0 : i; k <= i; k++) { /* all: everybody */
            *mode |= bits << all[k].shift;
            *directory_mode |= (bits | 1) << all[k].shift;
        }
        return true;
    }
    return false;
}

bool cache_set_store_access(struct conf_load *load, const struct conf_node *node, void *own,
                            const struct directive *row)
{
    struct cache_conf *c = conf_of(own);

    (void)row;
    c->store_mode = 0600;
    c->store_directory_mode = 0700;
    for (unsigned i = 0; i < node->arg_count; i++)
        if (!read_access(conf_arg(node, i), &c->store_mode, &c->store_directory_mode))
            return refuse(load, node, i, "says nothing about access",
                          "user:rw, group:r, all:r and the like");
    return true;
}

/* ---- all of them --------------------------------------------------------------------------- */

bool cache_merge(struct conf_load *load, const struct scope *scope, const char *prefix,
                 const struct cache_conf *c)
{
    bool cached = c->zone != NULL || c->zone_name != NULL;

    if (!cached || (scope->context & (CTX_LOCATION | CTX_IF_LOCATION)) == 0)
        return true;
    if (c->store_here || c->store != NULL) {
        conf_complain(load, CONF_EMERG, scope->node, CONF_AT_NAME,
                      "%scache and %sstore do not go together", prefix, prefix);
        return false;
    }
    if (c->key == NULL) {
        conf_complain(load, CONF_EMERG, scope->node, CONF_AT_NAME,
                      "%scache is on here, and no %scache_key says what tells answers apart",
                      prefix, prefix);
        conf_hint(load, "expected: %scache_key $scheme$request_method$host$request_uri;", prefix);
        return false;
    }
    return true;
}

/* ---- at run time --------------------------------------------------------------------------- */

const struct cache_place *cache_place_of(struct request *r, const struct cache_conf *c)
{
    struct slice name;

    if (c->zone != NULL)
        return c->zone->own;
    if (c->zone_name == NULL)
        return NULL;
    if (!expr_eval(c->zone_name, r, &r->arena, EXPR_MAX, &name) || name.size == 0 ||
        slice_eq(name, SLICE("off")))
        return NULL;
    for (const struct cache_place *p = c->places; p != NULL; p = p->next)
        if (slice_eq(p->zone->name, name))
            return p;
    request_log(r, LOG_ERROR, 0, "there is no cache \"%.*s\"", SLICE_FMT(slice_head(name, 256)));
    return NULL;
}

bool cache_any(struct request *r, const struct cache_tests *t)
{
    struct slice value;

    for (; t != NULL; t = t->next)
        if (expr_eval(t->text, r, &r->arena, EXPR_MAX, &value) && value.size > 0 &&
            !slice_eq(value, SLICE("0")))
            return true;
    return false;
}

int64_t cache_valid_of(const struct cache_conf *c, unsigned status, bool *ret_exact)
{
    *ret_exact = false;
    for (const struct cache_valid *v = c->valid; v != NULL; v = v->next) {
        if (v->status != 0 && v->status != status)
            continue;
        *ret_exact = v->status != 0;
        return v->sec;
    }
    return -1;
}
