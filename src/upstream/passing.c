/* passing.c - which of the client's fields go on to a server, and those that are set. */
#include "upstream/passing.h"

#include "conf/expr.h"
#include "conf/load.h"
#include "upstream/cache.h"

/* ---- …_set_header -------------------------------------------------------------------------- */

bool passing_set(struct conf_load *load, const struct conf_node *node, struct set_field **first,
                 struct set_field ***end)
{
    struct set_field *f = arena_must(conf_arena(load), sizeof *f);

    f->name = conf_arg(node, 0);
    f->id = field_from(f->name);
    f->value = expr_compile(load, node, 1);
    if (!field_name_ok(f->name)) {
        conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be a field's name",
                      SLICE_FMT(f->name));
        conf_hint(load, "expected: letters, digits and !#$%%&'*+-.^_`|~");
        return false;
    }
    if (*end == NULL)
        *end = first;
    **end = f;
    *end = &f->next;
    return f->value != NULL;
}

/* ---- the client's -------------------------------------------------------------------------- */

static bool is_set(const struct set_field *s, const struct field *f)
{
    for (; s != NULL; s = s->next)
        if (s->id == f->id && (f->id != FIELD_OTHER || slice_eq_nocase(s->name, f->name)))
            return true;
    return false;
}

/* Of one connection alone, or written by this side. */
static bool is_own(enum field_id id)
{
    switch (id) {
    case FIELD_HOST:
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_EXPECT:
    case FIELD_UPGRADE:
    case FIELD_KEEP_ALIVE:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_PROXY_CONNECTION:
        return true;
    default:
        return false;
    }
}

/* A client cannot have these taken out by naming them in Connection. */
static bool is_protected(const struct field *f)
{
    return f->id == FIELD_AUTHORIZATION || f->id == FIELD_COOKIE || f->id == FIELD_FORWARDED ||
           f->id == FIELD_VIA || f->id == FIELD_X_REAL_IP ||
           (f->name.size > 12 && slice_eq_nocase(slice_head(f->name, 12), SLICE("X-Forwarded-")));
}

static bool named_in(struct slice list, struct slice name)
{
    struct slice member;

    while (field_list_next(&list, &member))
        if (slice_eq_nocase(member, name))
            return true;
    return false;
}

/* RFC 9110 §7.6.1: what Connection names goes no further. */
static bool is_hop(const struct request *r, const struct field *f)
{
    for (uint32_t i = 0; i < r->head.field_count; i++) {
        const struct field *c = &r->head.fields[i];

        if (c->id == FIELD_CONNECTION && named_in(c->value, f->name))
            return !is_protected(f);
    }
    return false;
}

/* "close" and "keep-alive" name no field. */
static bool connection_names_fields(const struct request *r)
{
    const struct field *c = r->head.known[FIELD_CONNECTION];

    return c != NULL && !slice_eq_nocase(c->value, SLICE("keep-alive")) &&
           !slice_eq_nocase(c->value, SLICE("close"));
}

/* What is kept is kept whole: conditions are the cache's own. */
static bool is_conditional(enum field_id id)
{
    return id == FIELD_RANGE || id == FIELD_IF_RANGE || id == FIELD_IF_MATCH ||
           id == FIELD_IF_NONE_MATCH || id == FIELD_IF_MODIFIED_SINCE ||
           id == FIELD_IF_UNMODIFIED_SINCE;
}

void passing_begin(struct passing *p, const struct relay *y, const struct set_field *sets)
{
    *p = (struct passing){ .request = y->request,
                           .sets = sets,
                           .whole = cache_asks_whole(y->cached),
                           .hops = connection_names_fields(y->request) };
}

const struct field *passing_next(struct passing *p)
{
    const struct request *r = p->request;

    while (p->at < r->head.field_count) {
        const struct field *f = &r->head.fields[p->at++];

        if (!is_own(f->id) && !is_set(p->sets, f) && !(p->hops && is_hop(r, f)) &&
            !(p->whole && is_conditional(f->id)))
            return f;
    }
    return NULL;
}

bool passing_trailers(const struct request *r)
{
    for (uint32_t i = 0; i < r->head.field_count; i++)
        if (r->head.fields[i].id == FIELD_TE &&
            named_in(r->head.fields[i].value, SLICE("trailers")))
            return true;
    return false;
}
