/* rewrite.c - runs the instructions of a server, then those of the location: see rewrite.h. */
#include "http/rewrite.h"

#include "http/pipeline.h"
#include "http/site.h"

void rewrite_add(struct conf_load *load, struct rewrite_script *script, struct rewrite_op *op)
{
    for (const struct rewrite_op *before = script->first; before != NULL; before = before->next) {
        if (!before->last)
            continue;
        conf_complain(load, CONF_WARN, op->node, CONF_AT_NAME, "this is never reached");
        conf_hint(load, "line %u already ends the request", before->node->line);
        break;
    }
    if (script->end == NULL)
        script->end = &script->first;
    *script->end = op;
    script->end = &op->next;
}

static enum verdict run(struct request *r, const struct scope *scope)
{
    const struct rewrite_script *script = scope_conf(scope, &feature_rewrite);
    enum verdict v = NEXT;

    for (const struct rewrite_op *op = script->first; op != NULL && v == NEXT; op = op->next)
        v = op->run(r, op);
    return v;
}

enum verdict step_server_rewrite(struct request *r)
{
    return run(r, r->server->scope);
}

/* Without a location, the server's own instructions have run already. */
enum verdict step_rewrite(struct request *r)
{
    return r->location != NULL ? run(r, r->location->scope) : NEXT;
}
