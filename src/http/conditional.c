/* conditional.c - answers only what the client does not have yet (RFC 9110 §13). */
#include "http/error_page.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/date.h"
#include "wire/range.h"

enum condition { CONDITION_NONE, CONDITION_TRUE, CONDITION_FALSE };

/* An answer without a tag has only "*" in common with a list.
 * If-Match is compared strongly, If-None-Match weakly (§13.1.1, §13.1.2). A list may come in
 * several fields of the name. */
static enum condition tag_condition(const struct request *r, enum field_id id, bool weak)
{
    const struct h1_head *h = &r->head;

    if (h->known[id] == NULL)
        return CONDITION_NONE;
    for (uint32_t i = (uint32_t)(h->known[id] - h->fields); i < h->field_count; i++)
        if (h->fields[i].id == id && etag_in_list(h->fields[i].value, r->response.etag, weak))
            return CONDITION_TRUE;
    return CONDITION_FALSE;
}

/* The date in a field, or -1: a date that cannot be read is ignored. */
static int64_t date_of(struct request *r, enum field_id id)
{
    struct slice text = request_field(r, id);
    int64_t sec;

    if (text.at == NULL || !date_parse(text, loop_wall_ns(r->loop) / 1000000000, &sec))
        return -1;
    return sec;
}

static bool changed_since(struct request *r, int64_t since)
{
    int how = core_conf(r)->if_modified_since;

    if (how == IMS_OFF || r->response.last_modified < 0)
        return true;
    return how == IMS_EXACT ? r->response.last_modified != since
                            : r->response.last_modified > since;
}

/* The order of §13.2.2. */
static bool precondition_failed(struct request *r)
{
    enum condition match = tag_condition(r, FIELD_IF_MATCH, false);
    int64_t since;

    if (match != CONDITION_NONE)
        return match == CONDITION_FALSE;
    since = date_of(r, FIELD_IF_UNMODIFIED_SINCE);
    return since >= 0 && r->response.last_modified > since; /* without a date: not looked at */
}

static bool not_modified(struct request *r)
{
    enum condition match = tag_condition(r, FIELD_IF_NONE_MATCH, true);
    int64_t since;

    if (match != CONDITION_NONE)
        return match == CONDITION_TRUE;
    since = date_of(r, FIELD_IF_MODIFIED_SINCE);
    return since >= 0 && !changed_since(r, since);
}

void filter_conditional(struct request *r)
{
    if (r->response.status != 200 || r->response.judged ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD))
        return;
    if (precondition_failed(r)) {
        request_fail(r, 412);
        error_text_fill(r);
        return;
    }
    if (!not_modified(r))
        return;
    body_drop(r->response.body);
    r->response.body = NULL;
    r->response.status = 304;
    r->response.length = -1;
    r->response.content_type = (struct slice){ 0 };
    r->response.accept_ranges = false;
}
