/* rewrite_set.c - the directive set: variables that the configuration gives values to. */
#include "http/assign.h"
#include "http/rewrite.h"
#include "http/site.h"

struct set_op {
    struct rewrite_op op;
    struct assignment what;
};

static enum verdict run_set(struct request *r, const struct rewrite_op *op)
{
    const struct assignment *a = &((const struct set_op *)op)->what;
    const char *why = assign_run(r, r, a);

    if (why != NULL)
        return rewrite_failed(r, op, why);
    rewrite_tell(r, op, a->row->set == NULL ? r->values[a->place] : SLICE(""));
    return NEXT;
}

bool rewrite_set_set(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct rewrite_conf *conf = own;
    struct set_op *self = arena_must(conf_arena(load), sizeof *self);

    (void)row;
    if (!assign_read(load, node, &self->what))
        return false;
    self->op = (struct rewrite_op){ .run = run_set, .node = node };
    rewrite_add(load, &conf->script, &self->op);
    return true;
}
