/* error_page.c - the directive error_page: which page, place or address stands for a status.
 *
 * A page is asked for by an internal redirect. What it answers goes out with the status of the
 * error (=code: with that code; =: with its own), which filter_error_status sees to. An error
 * on the way to the page ends in the default text, unless recursive_error_pages was on where
 * the page was chosen. */
#include "http/error_page.h"

#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"

enum { ERROR_STATUS_MIN = 300, ERROR_STATUS_MAX = 599, CLIENT_GONE = 499 };

static uint32_t error_page_index;

/* What one directive says; shared by the statuses it names. */
struct error_target {
    struct expr *uri;
    enum { STATUS_OF_ERROR, STATUS_OF_PAGE, STATUS_GIVEN } status_from;
    uint16_t status; /* STATUS_GIVEN                                     */
};

struct error_page {
    uint16_t status;
    const struct error_target *target;
    struct error_page *next;
};

struct error_page_conf {
    struct error_page *pages, **end;
};

/* ---- reading ---------------------------------------------------------------------------- */

/* "=" or "=code" in front of the uri. */
static bool read_answer(struct conf_load *load, const struct conf_node *node, unsigned arg,
                        struct error_target *target)
{
    struct slice digits = slice_skip(conf_arg(node, arg), 1);
    uint64_t status;

    target->status_from = STATUS_OF_PAGE;
    if (digits.size == 0)
        return true;
    if (!slice_to_u64(digits, 999, &status) || status < 200) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not an answer's status",
                      SLICE_FMT(digits));
        conf_hint(load, "expected: \"=\" or \"=code\" with a code from 200 to 999");
        return false;
    }
    target->status_from = STATUS_GIVEN;
    target->status = (uint16_t)status;
    return true;
}

static bool add_status(struct conf_load *load, const struct conf_node *node, unsigned arg,
                       struct error_page_conf *conf, const struct error_target *target)
{
    struct error_page *page = arena_must(conf_arena(load), sizeof *page);
    uint64_t status;

    if (!slice_to_u64(conf_arg(node, arg), ERROR_STATUS_MAX, &status) ||
        status < ERROR_STATUS_MIN || status == CLIENT_GONE) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" cannot have an error page",
                      SLICE_FMT(conf_arg(node, arg)));
        conf_hint(load, "expected: a status from %d to %d, not %d", ERROR_STATUS_MIN,
                  ERROR_STATUS_MAX, CLIENT_GONE);
        return false;
    }
    *page = (struct error_page){ (uint16_t)status, target, NULL };
    if (conf->end == NULL)
        conf->end = &conf->pages;
    *conf->end = page;
    conf->end = &page->next;
    return true;
}

/* "404.html" is an address to nginx, and nearly always a path whose slash was forgotten. */
static void warn_of_relative(struct conf_load *load, const struct conf_node *node, unsigned arg,
                             const struct expr *uri)
{
    struct slice text;

    if (!expr_constant(uri, &text) || text.size == 0 || text.at[0] == '/' || text.at[0] == '@' ||
        slice_search(text, SLICE("://")) < text.size)
        return;
    conf_complain(load, CONF_WARN, node, (int)arg,
                  "clients will be redirected to the address \"%.*s\"", SLICE_FMT(text));
    conf_hint(load, "a page of this server begins with \"/\"");
}

static bool set_error_page(struct conf_load *load, const struct conf_node *node, void *conf,
                           const struct directive *row)
{
    struct error_target *target = arena_must(conf_arena(load), sizeof *target);
    unsigned uri = node->arg_count - 1, codes = uri;
    struct slice answer = conf_arg(node, uri - 1);

    (void)row;
    if (answer.size > 0 && answer.at[0] == '=') {
        codes--;
        if (!read_answer(load, node, uri - 1, target))
            return false;
    }
    if (codes == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "no status is named");
        conf_hint(load, "expected: error_page status … [=[code]] uri");
        return false;
    }
    target->uri = expr_compile(load, node, uri);
    if (target->uri == NULL)
        return false;
    warn_of_relative(load, node, uri, target->uri);
    for (unsigned i = 0; i < codes; i++)
        if (!add_status(load, node, i, conf, target))
            return false;
    return true;
}

static bool error_page_merge(struct conf_load *load, struct scope *scope, const void *parent,
                             void *own)
{
    const struct error_page_conf *outer = parent;
    struct error_page_conf *conf = own;

    (void)load;
    (void)scope;
    if (conf->pages == NULL && outer != NULL)
        conf->pages = outer->pages;
    return true;
}

/* ---- applying --------------------------------------------------------------------------- */

static const struct error_target *find_page(const struct request *r)
{
    const struct error_page_conf *conf = request_conf(r, &feature_error_page);

    for (const struct error_page *p = conf->pages; p != NULL; p = p->next)
        if (p->status == r->response.status)
            return p->target;
    return NULL;
}

bool error_page_has(const struct request *r, unsigned status)
{
    const struct error_page_conf *conf = request_conf(r, &feature_error_page);

    if (r->from_error_page || r->no_error_page)
        return false;
    for (const struct error_page *p = conf->pages; p != NULL; p = p->next)
        if (p->status == status)
            return true;
    return false;
}

/* A page is fetched, whatever was asked: the request's body belongs to the error. */
static void become_get(struct request *r)
{
    if (r->head.method == METHOD_HEAD)
        return;
    r->head.method = METHOD_GET;
    r->head.method_text = SLICE("GET");
}

static enum verdict go_to_address(struct request *r, const struct error_target *t,
                                  struct slice address)
{
    bool redirect = t->status_from == STATUS_GIVEN && t->status >= 301 && t->status <= 308 &&
                    t->status != 304 && t->status != 305 && t->status != 306;
    bool close = r->response.close;

    request_redirect_out(r, redirect ? t->status : 302, address);
    r->response.close = close;
    return NEXT;
}

enum verdict error_page_apply(struct request *r)
{
    const struct error_target *t;
    struct slice uri;
    bool close = r->response.close;
    uint16_t status = r->response.status;

    if (r->from_error_page)
        return NEXT;
    t = find_page(r);
    if (t == NULL)
        return NEXT;
    if (!expr_eval(t->uri, r, &r->arena, EXPR_MAX, &uri) || uri.size == 0) {
        request_log(r, LOG_ERROR, 0, "the uri of the error page for %u is empty or too long",
                    status);
        return NEXT;
    }
    r->from_error_page = !core_conf(r)->recursive_error_pages;
    if (uri.at[0] != '/' && uri.at[0] != '@')
        return go_to_address(r, t, uri);
    r->error_close |= close;
    r->error_status = t->status_from == STATUS_OF_ERROR ? status
                      : t->status_from == STATUS_GIVEN  ? t->status
                                                        : 0;
    r->page_asked = true;
    if (uri.at[0] == '@')
        return request_reroute_named(r, uri);
    become_get(r);
    return request_reroute(r, uri);
}

/* An error on the way to the page keeps its own status: nothing stands for the page then. */
void filter_error_status(struct request *r)
{
    bool page = r->response.final || r->response.status < ERROR_STATUS_MIN;

    r->response.close |= r->error_close;
    if (page && r->error_status != 0)
        r->response.status = r->error_status;
}

static const struct directive rows[] = {
    { "error_page", CTX_ANY_HTTP | CTX_IF_LOCATION, 2, ARGS_MANY, CONF_CUSTOM,
      .set = set_error_page, .repeats = true, .syntax = "status … [=[code]] uri",
      .help = "The page (a path, a named location or an address) for these statuses; =code "
              "changes the status, = takes the page's own.",
      .example = "error_page 500 502 503 504 /50x.html;" },
};

const struct feature feature_error_page = {
    .name = "error_page",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct error_page_conf),
    .merge = error_page_merge,
    .about = "Pages of your own for errors.",
    .index = &error_page_index,
};
