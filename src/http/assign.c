/* assign.c - variables that the configuration gives values to.
 *
 * A name that one directive somewhere gives a value to exists everywhere. Its value belongs to the
 * request: internal redirects keep it. */
#include "http/assign.h"

#include "conf/expr.h"
#include "http/rewrite.h"
#include "http/site.h"

/* ---- running ----------------------------------------------------------------------------- */

/* use->number: the place. Without a value, a variable that a map or its kin also makes is theirs;
 * any other is empty, which is said once a request. */
static bool get_value(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct rewrite_conf *conf = request_conf(r, &feature_rewrite);
    struct slice *values = request_values(r);

    if (values != NULL && values[use->number].at != NULL) {
        gather_slice(g, values[use->number]);
        return true;
    }
    if (use->row->get != get_value)
        return false;
    if (conf->warn_of_no_value)
        request_log(r, LOG_WARN, 0, "using uninitialized \"%s\" variable", use->row->name);
    if (values != NULL)
        values[use->number] = SLICE("");
    return true;
}

const char *assign_run(struct request *to, struct request *of, const struct assignment *a)
{
    struct slice value;

    if (!expr_eval(a->value, of, &to->arena, EXPR_MAX, &value))
        return "the value is too long";
    if (a->row->set == NULL) {
        struct slice *values = request_values(to);

        if (values == NULL)
            return "there is no memory left for this request";
        values[a->place] = value;
    } else if (!a->row->set(to, a->row, value))
        request_log(to, LOG_WARN, 0, "$%s cannot be \"%.*s\"", a->row->name,
                    SLICE_FMT(slice_head(value, 256)));
    to->root_path = (struct slice){ 0 }; /* it may be made of this variable */
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = byte_lower((unsigned char)s.at[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.size > 0 && !(s.at[0] >= '0' && s.at[0] <= '9');
}

static bool refuse_name(struct conf_load *load, const struct conf_node *node)
{
    struct slice said = conf_arg(node, 0);

    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a variable that can be set",
                  SLICE_FMT(said));
    if (said.size > 0 && said.at[0] != '$' && is_name(said))
        conf_hint(load, "did you mean `$%.*s`?", SLICE_FMT(said));
    conf_hint(load, "expected: $ and a name of letters, digits and _ that begins with no digit");
    return false;
}

/* The name belongs to something that set cannot change. */
static bool refuse_row(struct conf_load *load, const struct conf_node *node)
{
    struct slice name = slice_skip(conf_arg(node, 0), 1);

    conf_complain(load, CONF_EMERG, node, 0, "`$%.*s` cannot be set: it has a meaning of its own",
                  SLICE_FMT(name));
    if (slice_eq_nocase(name, SLICE("uri")) || slice_eq_nocase(name, SLICE("document_uri")))
        conf_hint(load, "to change the path: rewrite ^ /new/path;");
    else if (slice_eq_nocase(name, SLICE("query_string")))
        conf_hint(load, "did you mean `$args`?");
    conf_hint(load, "expected: a name of your own, or $args or $limit_rate");
    return false;
}

static const struct variable *row_of(struct conf_load *load, struct slice name, unsigned place)
{
    struct slice lower = arena_copy(conf_arena(load), name);
    const struct variable *known;

    for (size_t i = 0; i < lower.size; i++)
        ((char *)(uintptr_t)lower.at)[i] = (char)byte_lower((unsigned char)lower.at[i]);
    known = conf_find_variable(load, lower);
    if (known != NULL && known->set != NULL)
        return known;
    return conf_declare_given(load, lower, get_value, place);
}

bool assign_read(struct conf_load *load, const struct conf_node *node, struct assignment *a)
{
    struct slice said = conf_arg(node, 0);

    if (said.size < 2 || said.at[0] != '$' || !is_name(slice_skip(said, 1)))
        return refuse_name(load, node);
    a->place = conf_place(load, slice_skip(said, 1));
    a->row = row_of(load, slice_skip(said, 1), a->place);
    if (a->row == NULL)
        return refuse_row(load, node);
    a->value = expr_compile(load, node, 1);
    return a->value != NULL;
}
