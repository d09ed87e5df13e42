/* limit.c - what limit_req and limit_conn have in common: zones, keys, outcomes. */
#include "handler/limit.h"

#include "http/site.h"

const struct conf_word limit_levels[] = { { "info", LOG_INFO },
                                          { "notice", LOG_NOTICE },
                                          { "warn", LOG_WARN },
                                          { "error", LOG_ERROR },
                                          { NULL, 0 } };

struct conf_zone *limit_declare(struct conf_load *load, const struct conf_node *node,
                                const struct directive *row, uint32_t value_size)
{
    unsigned arg = 0;
    struct slice text = conf_option(node, 1, "zone", &arg);
    struct limit_zone *own = arena_must(conf_arena(load), sizeof *own);
    struct conf_zone *z;

    if (text.at == NULL) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "the zone is missing");
        conf_hint(load, "expected: %s %s", row->name, row->syntax);
        return NULL;
    }
    z = zone_declare(load, node, arg, text, row->name);
    own->key = expr_compile(load, node, 0);
    if (z == NULL || own->key == NULL)
        return NULL;
    z->about = conf_arg(node, 0);
    z->value_size = value_size;
    z->own = own;
    return z;
}

bool limit_key(struct request *r, const struct conf_zone *z, struct slice *ret)
{
    const struct limit_zone *own = z->own;

    if (expr_eval(own->key, r, &r->arena, LIMIT_KEY_MAX, ret))
        return ret->size > 0;
    request_log(r, LOG_ERROR, 0,
                "the key \"%.*s\" of the zone \"%.*s\" is longer than %d bytes: not counted",
                SLICE_FMT(z->about), SLICE_FMT(z->name), LIMIT_KEY_MAX);
    return false;
}

enum verdict limit_refuse(struct request *r, const struct limit_manner *m, uint8_t *note)
{
    *note = m->dry_run ? LIMIT_REJECTED_DRY_RUN : LIMIT_REJECTED;
    return m->dry_run ? NEXT : request_fail(r, (unsigned)m->status);
}

void limit_say_full(struct request *r, const struct conf_zone *z)
{
    static struct log_limit limit;
    uint32_t held;

    if (log_limit_pass(&limit, &held))
        request_log(r, LOG_ALERT, 0, "the zone \"%.*s\" is full: its size is %lld bytes",
                    SLICE_FMT(z->name), (long long)z->size);
}

bool limit_print(enum limit_status status, struct gather *g)
{
    static const char *const words[] = {
        [LIMIT_PASSED] = "PASSED",
        [LIMIT_DELAYED] = "DELAYED",
        [LIMIT_REJECTED] = "REJECTED",
        [LIMIT_DELAYED_DRY_RUN] = "DELAYED_DRY_RUN",
        [LIMIT_REJECTED_DRY_RUN] = "REJECTED_DRY_RUN",
    };

    if (status == LIMIT_NONE)
        return false;
    gather_slice(g, slice_str(words[status]));
    return true;
}
