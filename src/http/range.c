/* range.c - parts of an answer (RFC 9110 §14): one range, or several as multipart/byteranges. */
#include "wire/range.h"

#include "http/error_page.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/date.h"

/* If-Range: a tag compared strongly, or a date that must be exactly the same (§13.1.5). */
static bool if_range_holds(struct request *r)
{
    struct slice text = request_field(r, FIELD_IF_RANGE);
    int64_t sec;

    if (text.at == NULL)
        return true;
    if (text.size > 0 && text.at[text.size - 1] == '"')
        return text.at[0] == '"' && slice_eq(text, r->response.etag);
    return r->response.last_modified >= 0 &&
           date_parse(text, loop_wall_ns(r->loop) / 1000000000, &sec) &&
           sec == r->response.last_modified;
}

static void unsatisfiable(struct request *r, uint64_t size)
{
    struct slice text = arena_printf(&r->arena, "bytes */%llu", (unsigned long long)size);

    request_fail(r, 416);
    error_text_fill(r);
    filter_headers(r); /* those for the answer that was dropped went with it */
    if (text.at == NULL || !response_add(r, SLICE("Content-Range"), text))
        request_fail(r, 500);
}

static bool one(struct request *r, const struct range *range, uint64_t size)
{
    struct slice text =
        arena_printf(&r->arena, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                     (unsigned long long)range->last, (unsigned long long)size);
    uint64_t length = range->last - range->first + 1;
    struct body *whole = r->response.body;
    struct body *part = whole->ops->slice != NULL ? whole->ops->slice(whole, range->first, length)
                                                  : body_window(r, whole, range->first, length);

    if (part == NULL || text.at == NULL || !response_add(r, SLICE("Content-Range"), text))
        return false;
    r->response.body = part;
    r->response.length = (int64_t)length;
    return true;
}

static struct slice part_head(struct request *r, const struct range *range, uint64_t size,
                              struct slice boundary)
{
    struct slice type = r->response.content_type;

    return arena_printf(&r->arena,
                        "\r\n--%.*s\r\n%s%.*s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                        SLICE_FMT(boundary), type.size > 0 ? "Content-Type: " : "", SLICE_FMT(type),
                        type.size > 0 ? "\r\n" : "", (unsigned long long)range->first,
                        (unsigned long long)range->last, (unsigned long long)size);
}

/* 20 digits that nobody can guess and put into a file. */
static struct slice make_boundary(struct request *r)
{
    uint64_t seen[] = { (uint64_t)loop_wall_ns(r->loop), r->number, r->nth, (uintptr_t)r };

    return arena_printf(&r->arena, "%020llu",
                        (unsigned long long)slice_hash(slice_of((char *)seen, sizeof seen)));
}

/* head, bytes, head, bytes, …, end */
static bool several(struct request *r, const struct range *ranges, unsigned count, uint64_t size)
{
    struct body **parts = arena_alloc(&r->arena, (2 * count + 1) * sizeof *parts);
    struct slice boundary = make_boundary(r), end, type;
    struct body *whole = r->response.body;
    uint64_t total = 0;
    unsigned n = 0;

    if (parts == NULL || boundary.at == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct slice head = part_head(r, &ranges[i], size, boundary);
        uint64_t length = ranges[i].last - ranges[i].first + 1;

        if (head.at == NULL || (parts[n++] = body_memory(r, head)) == NULL ||
            (parts[n++] = whole->ops->slice(whole, ranges[i].first, length)) == NULL)
            return false;
        total += head.size + length;
    }
    end = arena_printf(&r->arena, "\r\n--%.*s--\r\n", SLICE_FMT(boundary));
    type = arena_printf(&r->arena, "multipart/byteranges; boundary=%.*s", SLICE_FMT(boundary));
    if (end.at == NULL || type.at == NULL || (parts[n++] = body_memory(r, end)) == NULL)
        return false;
    r->response.body = body_chain(r, parts, n);
    r->response.length = (int64_t)(total + end.size);
    r->response.content_type = type;
    return r->response.body != NULL;
}

void filter_range(struct request *r)
{
    struct slice text = request_field(r, FIELD_RANGE);
    struct range ranges[RANGES_MAX];
    unsigned count = 0, most = (unsigned)core_conf(r)->max_ranges;
    uint64_t size;

    if (!r->response.accept_ranges)
        return;
    if (most == 0 || r->response.status != 200) {
        r->response.accept_ranges = false;
        return;
    }
    if (text.at == NULL || r->response.length < 0 ||
        (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD) || !if_range_holds(r))
        return;
    size = (uint64_t)r->response.length;
    switch (range_parse(text, size, ranges, &count)) {
    case RANGE_NONE:
        return;
    case RANGE_UNSATISFIABLE:
        unsatisfiable(r, size);
        return;
    case RANGE_OK:
        break;
    }
    if (count > most || r->response.body == NULL ||
        (count > 1 && r->response.body->ops->slice == NULL))
        return;
    r->response.status = 206;
    r->response.accept_ranges = false;
    if (!(count == 1 ? one(r, ranges, size) : several(r, ranges, count, size))) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}
