/* empty_gif.c - one transparent pixel, from memory. */
#include "handler/small.h"

static uint32_t gif_index;

/* GIF89a, 1×1, two colours of which the first is transparent. */
static const char pixel[] = "GIF89a"
                            "\x01\x00\x01\x00\x80\x00\x00"         /* screen, a table follows */
                            "\xff\xff\xff\x00\x00\x00"             /* white, black            */
                            "\x21\xf9\x04\x01\x00\x00\x00\x00"     /* colour 0 is transparent */
                            "\x2c\x00\x00\x00\x00\x01\x00\x01\x00" /* image                   */
                            "\x00\x02\x02\x44\x01\x00"             /* clear, colour 0, end    */
                            "\x3b";

bool method_is_get(struct request *r)
{
    if (r->head.method == METHOD_GET || r->head.method == METHOD_HEAD)
        return true;
    request_fail(r, 405);
    if (!response_add(r, SLICE("Allow"), SLICE("GET, HEAD")))
        request_fail(r, 500);
    return false;
}

bool content_set(struct conf_load *load, const struct conf_node *node, content_fn *answer)
{
    struct scope *scope = conf_scope(load);

    if (scope->context == CTX_LIMIT_EXCEPT)
        scope = scope->parent;
    struct location *l = (scope->context & (CTX_LOCATION | CTX_IF_LOCATION)) != 0
                             ? (struct location *)scope->object
                             : ((struct server *)scope->object)->root;

    if (l->content != NULL && l->content != answer) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "another directive answers the requests of this place already");
        return false;
    }
    l->content = answer;
    return true;
}

static enum verdict answer(struct request *r)
{
    if (!method_is_get(r))
        return DONE;
    request_reply(r, 200, SLICE("image/gif"), slice_of(pixel, sizeof pixel - 1));
    if (r->response.status == 200)
        r->response.last_modified = 0; /* it never changes */
    return DONE;
}

static bool set_gif(struct conf_load *load, const struct conf_node *node, void *conf,
                    const struct directive *row)
{
    (void)conf;
    (void)row;
    return content_set(load, node, answer);
}

static const struct directive rows[] = {
    { "empty_gif", CTX_LOCATION, 0, 0, CONF_CUSTOM, .set = set_gif, .inherit = INHERIT_NOT,
      .syntax = "", .help = "Answers with one transparent pixel.",
      .example = "location = /_.gif { empty_gif; }" },
};

const struct feature feature_empty_gif = {
    .name = "empty_gif",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .about = "One transparent pixel.",
    .index = &gif_index,
};
