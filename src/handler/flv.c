/* flv.c - Flash video from a byte on: `?start=` with the place of a key frame, which the player
 * knows. The file's 13-byte header goes before it. All other requests are for files like any. */
#include "handler/file_cache.h"
#include "handler/small.h"
#include "handler/static.h"
#include "http/map_path.h"

/* Signature, version 1, audio and video, nine bytes of header; then the size of no tag before. */
static const char header[] = "FLV\x01\x05\0\0\0\x09\0\0\0";

enum { HEADER_SIZE = sizeof header }; /* its last byte is the terminator's */

/* 0: from the beginning, also for what is no number. */
static uint64_t start_of(const struct request *r)
{
    struct slice left = r->args;
    uint64_t start;

    while (left.size > 0) {
        struct slice value = slice_cut(&left, '&'), name = slice_cut(&value, '=');

        if (slice_eq_nocase(name, SLICE("start")))
            return slice_to_u64(value, INT64_MAX, &start) ? start : 0;
    }
    return 0;
}

static enum verdict answer_from(struct request *r, struct file *f, uint64_t start)
{
    uint64_t left = f->size - start;
    struct response *a = &r->response;
    struct body **parts = arena_alloc(&r->arena, 2 * sizeof(struct body *));
    enum verdict v = static_answer(r, f);

    if (a->status != 200)
        return v;
    if (parts == NULL || (parts[0] = body_memory(r, slice_of(header, HEADER_SIZE))) == NULL ||
        (parts[1] = a->body->ops->slice(a->body, start, left)) == NULL ||
        (a->body = body_chain(r, parts, 2)) == NULL)
        return request_fail(r, 500);
    a->length = (int64_t)(HEADER_SIZE + left);
    a->accept_ranges = false;
    return v;
}

/* NEXT: the steps behind answer with the whole file, or say what is wrong with it. */
static enum verdict answer(struct request *r)
{
    uint64_t start = start_of(r);
    struct slice path, below;
    struct file *f;
    int error;

    if (start == 0 || r->uri.size == 0 || r->uri.at[r->uri.size - 1] == '/' ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD) ||
        !map_path(r, r->uri, &path, &below))
        return NEXT;
    switch (file_open(r, path, below, &f, &error)) {
    case FILE_WAIT:
        return WAIT;
    case FILE_FAILED:
        return NEXT;
    case FILE_OPEN:
        break;
    }
    if (!f->directory && start < f->size)
        return answer_from(r, f, start);
    file_close(f);
    return NEXT;
}

static bool set_flv(struct conf_load *load, const struct conf_node *node, void *conf,
                    const struct directive *row)
{
    (void)conf;
    (void)row;
    return content_set(load, node, answer);
}

static const struct directive rows[] = {
    { "flv", CTX_LOCATION, 0, 0, CONF_CUSTOM, .set = set_flv, .inherit = INHERIT_NOT, .syntax = "",
      .help = "Answers requests for Flash video with ?start=offset from that byte of the file on, "
              "behind a header of its own.",
      .example = "location ~ \\.flv$ { flv; }" },
};

static uint32_t flv_index;

const struct feature feature_flv = {
    .name = "flv",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .about = "Flash video that begins where the player wants it to.",
    .index = &flv_index,
};
