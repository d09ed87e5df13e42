/* return.c - the directive return: an answer made of a status, a text or an address. */
#include "conf/expr.h"
#include "http/rewrite.h"
#include "http/site.h"
#include "http/types.h"

enum { STATUS_MIN = 200, STATUS_MAX = 999, TEXT_MAX = EXPR_MAX };

struct return_op {
    struct rewrite_op op;
    unsigned status;
    struct expr *text; /* of the answer, or the address redirected to; or NULL */
};

/* ---- running ------------------------------------------------------------------------- */

static bool redirects(unsigned status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static enum verdict run_return(struct request *r, const struct rewrite_op *op)
{
    const struct return_op *self = (const struct return_op *)op;
    struct slice text = { 0 };

    rewrite_tell(r, op, SLICE("answers"));
    if (self->text == NULL && (self->status >= 400 || redirects(self->status)))
        return request_fail(r, self->status);
    r->response.status = (uint16_t)self->status; /* the text may hold it */
    if (self->text != NULL && !expr_eval(self->text, r, &r->arena, TEXT_MAX, &text)) {
        request_log(r, LOG_ERROR, 0, "the text of \"return\" in %s:%u is too long",
                    op->node->file->path, op->node->line);
        return request_fail(r, 500);
    }
    if (redirects(self->status))
        return request_redirect_out(r, self->status, text);
    if (text.size == 0 && self->status >= 400)
        return request_fail(r, self->status);
    return request_reply(r, self->status, types_of(r), text);
}

/* ---- reading ------------------------------------------------------------------------- */

/* The only argument may be an address alone, which means 302. */
static bool is_address(struct slice text)
{
    return slice_starts(text, SLICE("http://")) || slice_starts(text, SLICE("https://")) ||
           slice_starts(text, SLICE("$scheme"));
}

/* The argument that has the text; -1: none; -2 after a complaint. */
enum { NO_TEXT = -1, BAD_STATUS = -2 };

static int read_status(struct conf_load *load, const struct conf_node *node, unsigned *ret)
{
    struct slice first = conf_arg(node, 0);
    uint64_t status;

    if (slice_to_u64(first, STATUS_MAX, &status) && status >= STATUS_MIN) {
        *ret = (unsigned)status;
        return node->arg_count > 1 ? 1 : NO_TEXT;
    }
    if (node->arg_count == 1 && is_address(first)) {
        *ret = 302;
        return 0;
    }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a status that can be returned",
                  SLICE_FMT(first));
    if (first.size > 0 && first.at[0] == '/')
        conf_hint(load, "to redirect to a path: return 302 %.*s;", SLICE_FMT(first));
    else
        conf_hint(load, "expected: a status from %d to %d, or an http:// or https:// address",
                  STATUS_MIN, STATUS_MAX);
    return BAD_STATUS;
}

bool rewrite_set_return(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct rewrite_conf *conf = own;
    struct return_op *self = arena_must(conf_arena(load), sizeof *self);
    int text = read_status(load, node, &self->status);

    (void)row;
    if (text == BAD_STATUS)
        return false;
    if (text != NO_TEXT && (self->text = expr_compile(load, node, (unsigned)text)) == NULL)
        return false;
    self->op = (struct rewrite_op){ .run = run_return, .node = node, .last = true };
    rewrite_add(load, &conf->script, &self->op);
    return true;
}
