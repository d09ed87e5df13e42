/* relay_conf.c - reads what the directives of relays have in common. */
#include "upstream/relay_conf.h"

#include "conf/expr.h"
#include "handler/temp_path.h"
#include "wire/field.h"

struct word_bit {
    const char *word;
    unsigned bit;
};

static bool find_bit(const struct word_bit *words, size_t count, struct slice word, unsigned *bits)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq_nocase(word, slice_str(words[i].word)))
            continue;
        *bits |= words[i].bit;
        return true;
    }
    return false;
}

static bool read_bits(struct conf_load *load, const struct conf_node *node,
                      const struct word_bit *words, size_t count, const char *what, unsigned *bits)
{
    *bits = 0;
    for (unsigned i = 0; i < node->arg_count; i++) {
        if (find_bit(words, count, conf_arg(node, i), bits))
            continue;
        conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is no %s",
                      SLICE_FMT(conf_arg(node, i)), what);
        conf_hint(load, "expected: those that `weir help %.*s` names", SLICE_FMT(node->name));
        return false;
    }
    return true;
}

bool relay_set_next(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    static const struct word_bit words[] = {
        { "error", FAULT_ERROR },
        { "timeout", FAULT_TIMEOUT },
        { "invalid_header", FAULT_INVALID },
        { "http_500", FAULT_500 },
        { "http_502", FAULT_502 },
        { "http_503", FAULT_503 },
        { "http_504", FAULT_504 },
        { "http_403", FAULT_403 },
        { "http_404", FAULT_404 },
        { "http_429", FAULT_429 },
        { "non_idempotent", FAULT_NON_IDEMPOTENT },
        { "invalid_response", FAULT_INVALID }, /* memcached's words */
        { "not_found", FAULT_404 },
        { "off", FAULT_OFF },
        { "updating", 0 },
        { "denied", FAULT_DENIED },
    };
    struct relay_conf *c = own;

    (void)row;
    return read_bits(load, node, words, COUNT_OF(words), "reason to ask the next server", &c->next);
}

bool relay_set_ignore(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    static const struct word_bit words[] = {
        { "X-Accel-Redirect", ACCEL_REDIRECT },
        { "X-Accel-Expires", ACCEL_EXPIRES },
        { "X-Accel-Limit-Rate", ACCEL_LIMIT_RATE },
        { "X-Accel-Buffering", ACCEL_BUFFERING },
        { "X-Accel-Charset", ACCEL_CHARSET },
        { "Expires", IGNORE_EXPIRES },
        { "Cache-Control", IGNORE_CACHE_CONTROL },
        { "Set-Cookie", IGNORE_SET_COOKIE },
        { "Vary", IGNORE_VARY },
    };
    struct relay_conf *c = own;

    (void)row;
    return read_bits(load, node, words, COUNT_OF(words), "field that could be ignored", &c->ignore);
}

bool relay_set_buffers(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct relay_conf *c = own;
    uint64_t count;

    (void)row;
    if (!slice_to_u64(conf_arg(node, 0), 65536, &count) || count < 1) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no number of buffers",
                      SLICE_FMT(conf_arg(node, 0)));
    } else if (!conf_parse_size(conf_arg(node, 1), &c->buffers.size) || c->buffers.size < 1 ||
               c->buffers.size > 1 << 30) {
        conf_complain(load, CONF_EMERG, node, 1, "\"%.*s\" is no size of a buffer",
                      SLICE_FMT(conf_arg(node, 1)));
    } else {
        c->buffers.count = (int64_t)count;
        return true;
    }
    conf_hint(load, "expected: a number and a size, such as 8 16k");
    return false;
}

static bool add_name(struct conf_load *load, const struct conf_node *node, struct name_list **list)
{
    struct name_list *n = arena_must(conf_arena(load), sizeof *n);

    n->name = conf_arg(node, 0);
    if (!field_name_ok(n->name)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be a field's name",
                      SLICE_FMT(n->name));
        return false;
    }
    n->next = *list;
    *list = n;
    return true;
}

bool relay_set_hide(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    (void)row;
    return add_name(load, node, &((struct relay_conf *)own)->hide);
}

bool relay_set_pass(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    (void)row;
    return add_name(load, node, &((struct relay_conf *)own)->pass);
}

bool relay_set_limit_rate(struct conf_load *load, const struct conf_node *node, void *own,
                          const struct directive *row)
{
    struct relay_conf *c = own;

    (void)row;
    if (conf_parse_size(conf_arg(node, 0), &c->limit_rate) && c->limit_rate >= 0)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no rate", SLICE_FMT(conf_arg(node, 0)));
    conf_hint(load, "expected: bytes a second, such as 100k");
    return false;
}

static bool refuse_bind(struct conf_load *load, const struct conf_node *node)
{
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is no address of this machine",
                  SLICE_FMT(conf_arg(node, 0)));
    conf_hint(load, "expected: an IP address, which `transparent` may follow, or off");
    return false;
}

bool relay_set_bind(struct conf_load *load, const struct conf_node *node, void *own,
                    const struct directive *row)
{
    struct relay_conf *c = own;
    struct slice host, text;
    uint16_t port = 0;
    struct endpoint *at;

    (void)row;
    c->bind =
        (struct relay_bind){ .transparent = slice_eq(conf_arg(node, 1), SLICE("transparent")) };
    if (slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    if (node->arg_count > 1 && !c->bind.transparent)
        return refuse_bind(load, node);
    c->bind.text = expr_compile(load, node, 0);
    if (c->bind.text == NULL)
        return false;
    if (!expr_constant(c->bind.text, &text))
        return true;
    at = arena_must(conf_arena(load), sizeof *at);
    c->bind.text = NULL;
    c->bind.at = at;
    return (endpoint_split(text, &host, &port) &&
            endpoint_literal(conf_arena(load), host, port, at)) ||
           refuse_bind(load, node);
}

bool relay_set_allow(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct relay_conf *c = own;
    struct relay_allow *a = arena_must(conf_arena(load), sizeof *a);

    (void)row;
    c->allow = a;
    if (node->arg_count > RELAY_ALLOW_MAX) {
        conf_complain(load, CONF_EMERG, node, RELAY_ALLOW_MAX, "there are more than %d conditions",
                      RELAY_ALLOW_MAX);
        return false;
    }
    for (; a->count < node->arg_count; a->count++) {
        a->all[a->count] = expr_compile(load, node, a->count);
        if (a->all[a->count] == NULL)
            return false;
    }
    return true;
}

bool relay_set_temp_path(struct conf_load *load, const struct conf_node *node, void *own,
                         const struct directive *row)
{
    struct relay_temp *t = &((struct relay_conf *)own)->temp;

    (void)row;
    t->said = node->file->path[0] != '('; /* a default stands in no file */
    return temp_path_read(load, node, &t->path, t->levels);
}
