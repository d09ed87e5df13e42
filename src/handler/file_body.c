/* file_body.c - large files: as ranges for sendfile(2), or read piece by piece. */
#include "handler/file_body.h"

#include <errno.h>

enum {
    READ_SIZE = 64 * 1024,
    WARM_AHEAD = 256 * 1024, /* looked for in the page cache at a time, at least */
};

/* Parts of one body are sent one after the other: they share what they read into. */
struct read_room {
    char *bytes;
};

struct file_body {
    struct body body;
    struct io_op op;
    struct file *file;
    uint64_t offset, left; /* not given out yet                                        */
    size_t chunk_max;
    uint64_t warm_end; /* sendfile: what is before was seen in the page cache      */
    uint64_t warming;  /* … how much the helper was asked for                      */
    struct read_room *room;
    size_t ready; /* bytes in the room                                        */
    size_t given; /* … of which so many were given out                        */
    bool flying, failed;
};

/* ---- what a helper thread does ------------------------------------------------------- */

static enum body_status wait_for(struct file_body *f)
{
    f->flying = true;
    file_hold(f->file); /* the request's own hold may end before the op does */
    request_pin(f->body.request);
    return BODY_LATER;
}

static void done_waiting(struct file_body *f)
{
    struct request *r = f->body.request;

    f->flying = false;
    file_close(f->file);
    if (!request_unpin(r))
        request_body_ready(r);
}

static void fail(struct file_body *f, int error)
{
    struct request *r = f->body.request;

    f->failed = true;
    if (r->ended)
        return;
    if (error == 0)
        request_log(r, LOG_ALERT, 0, "\"%.*s\" became shorter while it was sent",
                    SLICE_FMT(f->file->place.path));
    else
        request_log(r, LOG_CRIT, error, "read() \"%.*s\" failed", SLICE_FMT(f->file->place.path));
}

/* ---- sendfile ------------------------------------------------------------------------ */

static int32_t warm_up(struct io_op *op)
{
    struct file_body *f = container_of(op, struct file_body, op);

    return file_warm(f->file->fd, f->offset, f->warming);
}

static void warmed_up(struct io *io, struct io_op *op, struct io_result result)
{
    struct file_body *f = container_of(op, struct file_body, op);

    (void)io;
    if (result.res < 0)
        fail(f, -result.res);
    f->warm_end = f->offset + f->warming;
    done_waiting(f);
}

static bool is_warm(struct file_body *f, size_t size)
{
    uint64_t ahead = size > WARM_AHEAD ? size : f->left < WARM_AHEAD ? f->left : WARM_AHEAD;

    if (f->offset + size <= f->warm_end)
        return true;
    f->warming = ahead;
    if (!file_is_warm(f->file->fd, f->offset, ahead))
        return false;
    f->warm_end = f->offset + ahead;
    return true;
}

static enum body_status pull_range(struct body *b, size_t max, struct chunk *ret)
{
    struct file_body *f = container_of(b, struct file_body, body);
    size_t size = max < f->chunk_max ? max : f->chunk_max;

    if (f->left < size)
        size = (size_t)f->left;
    if (size == 0)
        return BODY_END;
    if (f->failed)
        return BODY_FAILED;
    if (f->flying)
        return BODY_LATER;
    if (!is_warm(f, size)) {
        io_work(b->request->io, &f->op, warm_up, warmed_up);
        return wait_for(f);
    }
    *ret = (struct chunk){ .size = size, .file = f->file->fd, .offset = f->offset };
    f->offset += size;
    f->left -= size;
    return BODY_CHUNK;
}

/* ---- reading ------------------------------------------------------------------------- */

static void piece_read(struct io *io, struct io_op *op, struct io_result result)
{
    struct file_body *f = container_of(op, struct file_body, op);

    (void)io;
    if (result.res <= 0) {
        fail(f, -result.res);
    } else {
        f->ready = (size_t)result.res;
        f->given = 0;
        f->offset += f->ready;
    }
    done_waiting(f);
}

static enum body_status read_piece(struct file_body *f)
{
    struct request *r = f->body.request;
    uint32_t size = f->left < READ_SIZE ? (uint32_t)f->left : READ_SIZE;

    if (f->room->bytes == NULL)
        f->room->bytes = arena_alloc(&r->arena, READ_SIZE);
    if (f->room->bytes == NULL)
        return BODY_FAILED;
    io_read(r->io, &f->op, f->file->fd, f->room->bytes, size, f->offset, piece_read);
    return wait_for(f);
}

static enum body_status pull_bytes(struct body *b, size_t max, struct chunk *ret)
{
    struct file_body *f = container_of(b, struct file_body, body);
    size_t size = f->ready - f->given < max ? f->ready - f->given : max;

    if (f->left == 0)
        return BODY_END;
    if (f->failed)
        return BODY_FAILED;
    if (f->flying)
        return BODY_LATER;
    if (size == 0)
        return read_piece(f);
    *ret = (struct chunk){ .at = f->room->bytes + f->given, .size = size, .file = -1 };
    f->given += size;
    f->left -= size;
    return BODY_CHUNK;
}

/* ---- both ---------------------------------------------------------------------------- */

static struct body *part_of(struct body *b, uint64_t first, uint64_t size)
{
    struct file_body *whole = container_of(b, struct file_body, body);
    struct file_body *part = arena_zalloc(&b->request->arena, sizeof *part);

    if (part == NULL)
        return NULL;
    part->body = (struct body){ .ops = b->ops, .request = b->request };
    part->file = whole->file;
    part->offset = whole->offset + first;
    part->left = size;
    part->chunk_max = whole->chunk_max;
    part->room = whole->room;
    return &part->body;
}

static const struct body_ops range_ops = {
    .name = "file", .files = true, .pull = pull_range, .slice = part_of
};

static const struct body_ops bytes_ops = { .name = "read file",
                                           .pull = pull_bytes,
                                           .slice = part_of };

struct body *file_body(struct request *r, struct file *file, bool sendfile, size_t chunk_max)
{
    struct file_body *f = arena_zalloc(&r->arena, sizeof *f);
    struct read_room *room = sendfile ? NULL : arena_zalloc(&r->arena, sizeof *room);

    if (f == NULL || (!sendfile && room == NULL))
        return NULL;
    f->body = (struct body){ .ops = sendfile ? &range_ops : &bytes_ops, .request = r };
    f->file = file;
    f->left = file->size;
    f->chunk_max = chunk_max > 0 ? chunk_max : SIZE_MAX;
    f->room = room;
    return &f->body;
}
