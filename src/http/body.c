/* body.c - the bodies everybody needs: bytes in memory, a piece of a file, several in a row. */
#include "http/request.h"

/* ---- memory -------------------------------------------------------------------------- */

struct memory_body {
    struct body body;
    struct slice left;
};

static enum body_status memory_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct memory_body *m = container_of(b, struct memory_body, body);
    struct slice piece = slice_head(m->left, max);

    if (piece.size == 0)
        return BODY_END;
    *ret = (struct chunk){ .at = piece.at, .size = piece.size, .file = -1 };
    m->left = slice_skip(m->left, piece.size);
    return BODY_CHUNK;
}

static struct body *memory_slice(struct body *b, uint64_t first, uint64_t size)
{
    struct memory_body *m = container_of(b, struct memory_body, body);

    return body_memory(b->request, slice_head(slice_skip(m->left, (size_t)first), (size_t)size));
}

static const struct body_ops memory_ops = { .name = "memory",
                                            .pull = memory_pull,
                                            .slice = memory_slice };

struct body *body_memory(struct request *r, struct slice bytes)
{
    struct memory_body *m = arena_alloc(&r->arena, sizeof *m);

    if (m == NULL)
        return NULL;
    m->body = (struct body){ .ops = &memory_ops, .request = r };
    m->left = bytes;
    return &m->body;
}

/* ---- files --------------------------------------------------------------------------- */

struct file_body {
    struct body body;
    int file;
    uint64_t offset, left;
};

static enum body_status file_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct file_body *f = container_of(b, struct file_body, body);
    size_t size = f->left < max ? (size_t)f->left : max;

    if (size == 0)
        return BODY_END;
    *ret = (struct chunk){ .size = size, .file = f->file, .offset = f->offset };
    f->offset += size;
    f->left -= size;
    return BODY_CHUNK;
}

static struct body *file_slice(struct body *b, uint64_t first, uint64_t size)
{
    struct file_body *f = container_of(b, struct file_body, body);

    return body_file(b->request, f->file, f->offset + first, size);
}

static const struct body_ops file_ops = {
    .name = "file", .files = true, .pull = file_pull, .slice = file_slice
};

struct body *body_file(struct request *r, int file, uint64_t offset, uint64_t size)
{
    struct file_body *f = arena_alloc(&r->arena, sizeof *f);

    if (f == NULL)
        return NULL;
    f->body = (struct body){ .ops = &file_ops, .request = r };
    f->file = file;
    f->offset = offset;
    f->left = size;
    return &f->body;
}

/* ---- several in a row ---------------------------------------------------------------- */

struct chain_body {
    struct body body;
    struct body **parts;
    unsigned count, now;
};

static enum body_status chain_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct chain_body *c = container_of(b, struct chain_body, body);

    for (; c->now < c->count; c->now++) {
        enum body_status s = c->parts[c->now]->ops->pull(c->parts[c->now], max, ret);

        if (s != BODY_END)
            return s;
    }
    return BODY_END;
}

static void chain_sent(struct body *b, size_t size)
{
    const struct chain_body *c = container_of(b, struct chain_body, body);
    struct body *part = c->parts[c->now];

    if (part->ops->sent != NULL)
        part->ops->sent(part, size);
}

static void chain_drop(struct body *b)
{
    struct chain_body *c = container_of(b, struct chain_body, body);

    for (unsigned i = 0; i < c->count; i++)
        body_drop(c->parts[i]);
}

static const struct body_ops chain_ops = {
    .name = "chain", .pull = chain_pull, .sent = chain_sent, .drop = chain_drop
};

struct body *body_chain(struct request *r, struct body **parts, unsigned count)
{
    struct chain_body *c = arena_alloc(&r->arena, sizeof *c);

    if (c == NULL)
        return NULL;
    c->body = (struct body){ .ops = &chain_ops, .request = r };
    c->parts = parts;
    c->count = count;
    c->now = 0;
    return &c->body;
}

/* ---- a part of one that can only be read on -------------------------------------------- */

struct window_body {
    struct body body;
    uint64_t skip, left;
};

static void window_sent(struct body *b, size_t size)
{
    if (b->from->ops->sent != NULL)
        b->from->ops->sent(b->from, size);
}

static enum body_status window_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct window_body *w = container_of(b, struct window_body, body);
    enum body_status s;

    while (w->skip > 0) {
        s = b->from->ops->pull(b->from, w->skip < max ? (size_t)w->skip : max, ret);
        if (s != BODY_CHUNK)
            return s;
        w->skip -= ret->size;
        window_sent(b, ret->size);
    }
    if (w->left == 0)
        return BODY_END;
    s = b->from->ops->pull(b->from, w->left < max ? (size_t)w->left : max, ret);
    if (s == BODY_CHUNK)
        w->left -= ret->size;
    return s;
}

static void window_drop(struct body *b)
{
    body_drop(b->from);
}

static const struct body_ops window_ops = {
    .name = "window", .pull = window_pull, .sent = window_sent, .drop = window_drop
};

struct body *body_window(struct request *r, struct body *from, uint64_t first, uint64_t size)
{
    struct window_body *w = arena_alloc(&r->arena, sizeof *w);

    if (w == NULL)
        return NULL;
    w->body = (struct body){ &window_ops, from, r };
    w->skip = first;
    w->left = size;
    return &w->body;
}
