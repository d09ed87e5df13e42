/* error_log_status.c - answers with the lines of `error_log memory:`, the newest last. They are
 * read while they are sent; what is written meanwhile is not part of the answer. */
#include "base/log_ring.h"
#include "handler/small.h"
#include "http/log_target.h"

enum { ROOM = 4 * LOG_RING_LINE_MAX };

struct lines {
    struct body body;
    const struct log_ring *ring; /* of the request's generation */
    struct log_ring_cursor cursor;
    size_t first, used; /* the bytes of room that were not sent yet */
    char room[ROOM];
};

/* ---- the body --------------------------------------------------------------------------- */

static void fill(struct lines *l)
{
    struct slice line;

    l->first = l->used = 0;
    do {
        line = log_ring_next(l->ring, &l->cursor, l->room + l->used);
        l->used += line.size;
    } while (line.size > 0 && ROOM - l->used >= LOG_RING_LINE_MAX);
}

static enum body_status lines_pull(struct body *body, size_t max, struct chunk *ret)
{
    struct lines *l = container_of(body, struct lines, body);

    if (l->first == l->used)
        fill(l);
    size_t size = l->used - l->first;

    *ret = (struct chunk){ .at = l->room + l->first, .size = size < max ? size : max, .file = -1 };
    return size > 0 ? BODY_CHUNK : BODY_END;
}

static void lines_sent(struct body *body, size_t size)
{
    container_of(body, struct lines, body)->first += size;
}

static const struct body_ops lines_ops = { .name = "log lines",
                                           .pull = lines_pull,
                                           .sent = lines_sent };

static enum verdict answer(struct request *r)
{
    const struct log_ring *ring = log_ring_of(r->log);
    struct lines *l;

    if (!method_is_get(r))
        return DONE;
    l = ring != NULL ? arena_zalloc(&r->arena, sizeof *l) : NULL;
    if (l == NULL)
        return request_fail(r, 500);
    l->body = (struct body){ .ops = &lines_ops, .request = r };
    l->ring = ring;
    log_ring_begin(ring, SIZE_MAX, &l->cursor);
    r->response.status = 200;
    r->response.content_type = SLICE("text/plain");
    r->response.length = -1;
    r->response.body = &l->body;
    return DONE;
}

/* ---- the directive ---------------------------------------------------------------------- */

struct status_conf {
    const struct conf_node *node;
};

static bool set_status(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct status_conf *conf = own;

    (void)row;
    conf->node = node;
    return content_set(load, node, answer);
}

static bool status_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct status_conf *conf = own;

    (void)parent;
    if (conf->node == NULL || log_scope_in_memory(scope))
        return true;
    conf_complain(load, CONF_EMERG, conf->node, CONF_AT_NAME,
                  "no error log is kept in memory here");
    conf_hint(load, "expected: error_log memory:size level; here or around it");
    return false;
}

static const struct directive rows[] = {
    { "error_log_status", CTX_SERVER | CTX_LOCATION, 0, 0, CONF_CUSTOM, .set = set_status,
      .inherit = INHERIT_NOT, .syntax = "",
      .help = "Answers with the lines of `error_log memory:size`, the newest last, as plain text. "
              "They tell of clients: say who may read them.",
      .example = "location = /errors { error_log_status; allow 127.0.0.1; deny all; }" },
};

static uint32_t status_index;

const struct feature feature_error_log_status = {
    .name = "error_log_status",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct status_conf),
    .merge = status_merge,
    .about = "The error log that is kept in memory, shown.",
    .index = &status_index,
};
