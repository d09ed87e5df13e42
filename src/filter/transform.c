/* transform.c - bytes in, other bytes out, a room at a time. */
#include "filter/transform.h"

#include "filter/chunk.h"

struct transform {
    struct body body;
    const struct transform_ops *ops;
    void *state;
    struct slice in; /* of the chunk taken from the body within, not taken yet        */
    size_t chunk;    /* size of that chunk; 0: none is held                           */
    char *read;      /* TRANSFORM_ROOM bytes for chunks that are ranges of files       */
    char *room;      /* as many, made at the first pull                               */
    size_t used;     /* of the room                                                   */
    size_t given;    /* … of which so many were given out                             */
    enum transform_op op;
    bool running; /* the op is not complete                                        */
    bool dirty;   /* something was fed since the last flush                        */
    bool ended, failed;
};

/* Runs the op until it is complete (true) or the room is full, or it failed. */
static bool run(struct transform *t)
{
    struct transform_room out = { t->room + t->used, TRANSFORM_ROOM - t->used };
    enum transform_status s = t->ops->run(t->state, t->op, &t->in, &out);

    t->used = TRANSFORM_ROOM - out.left;
    t->failed |= s == TRANSFORM_FAILED;
    t->running = s == TRANSFORM_FULL;
    return s == TRANSFORM_DONE;
}

static void begin(struct transform *t, enum transform_op op)
{
    t->op = op;
    t->running = true;
    t->dirty = op == TRANSFORM_FEED;
}

/* The chunk was taken whole: the body within may reuse its memory. */
static void let_go(struct transform *t)
{
    struct body *from = t->body.from;

    if (t->chunk > 0 && from->ops->sent != NULL)
        from->ops->sent(from, t->chunk);
    t->chunk = 0;
}

enum fetched { FETCHED, FETCH_LATER, FETCH_END, FETCH_FAILED };

static bool read_range(struct transform *t, const struct chunk *k)
{
    if (t->read == NULL)
        t->read = arena_alloc(&t->body.request->arena, TRANSFORM_ROOM);
    t->in = slice_of(t->read, k->size);
    return t->read != NULL && chunk_read(t->body.request, k, t->read);
}

static enum fetched fetch(struct transform *t, size_t most)
{
    struct chunk k;

    if (most > TRANSFORM_ROOM)
        most = TRANSFORM_ROOM;
    switch (t->body.from->ops->pull(t->body.from, most, &k)) {
    case BODY_CHUNK:
        t->in = slice_of(k.at, k.size);
        t->chunk = k.size;
        return k.file < 0 || read_range(t, &k) ? FETCHED : FETCH_FAILED;
    case BODY_LATER:
        return FETCH_LATER;
    case BODY_END:
        return FETCH_END;
    case BODY_FAILED:
        break;
    }
    return FETCH_FAILED;
}

/* Fills the room, with at most TRANSFORM_WORK bytes of input. */
static enum body_status fill(struct transform *t)
{
    size_t work = TRANSFORM_WORK;

    for (;;) {
        if (t->running && !run(t))
            return t->failed ? BODY_FAILED : BODY_CHUNK;
        let_go(t);
        if (t->op == TRANSFORM_END || (t->op == TRANSFORM_FLUSH && t->used > 0))
            break;
        if (work == 0) {
            if (t->used > 0)
                break;
            work = t->dirty ? 0 : TRANSFORM_WORK; /* flushed, and still nothing to send */
            if (t->dirty)
                begin(t, TRANSFORM_FLUSH);
            continue;
        }
        switch (fetch(t, work)) {
        case FETCHED:
            work -= t->chunk;
            begin(t, TRANSFORM_FEED);
            continue;
        case FETCH_LATER:
            if (t->used > 0 || !t->dirty)
                return t->used > 0 ? BODY_CHUNK : BODY_LATER;
            begin(t, TRANSFORM_FLUSH);
            continue;
        case FETCH_END:
            begin(t, TRANSFORM_END);
            continue;
        case FETCH_FAILED:
            t->failed = true;
            return BODY_FAILED;
        }
    }
    return t->used > 0 ? BODY_CHUNK : BODY_END;
}

static enum body_status transform_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct transform *t = container_of(b, struct transform, body);
    size_t size;

    if (t->room == NULL)
        t->room = arena_alloc(&b->request->arena, TRANSFORM_ROOM);
    if (t->room == NULL || t->failed)
        return BODY_FAILED;
    if (t->given == t->used) {
        enum body_status s;

        t->used = t->given = 0;
        s = fill(t);
        if (s != BODY_CHUNK)
            return s;
    }
    size = t->used - t->given < max ? t->used - t->given : max;
    *ret = (struct chunk){ .at = t->room + t->given, .size = size, .file = -1 };
    t->given += size;
    return BODY_CHUNK;
}

static void transform_drop(struct body *b)
{
    struct transform *t = container_of(b, struct transform, body);

    if (t->ops->done != NULL)
        t->ops->done(t->state);
    body_drop(b->from);
}

static const struct body_ops transform_body_ops = { .name = "transform",
                                                    .pull = transform_pull,
                                                    .drop = transform_drop };

bool transform_wrap(struct request *r, const struct transform_ops *ops, void *state)
{
    struct body *from = r->response.body;
    bool wanted = from != NULL && r->head.method != METHOD_HEAD;
    struct transform *t = wanted ? arena_zalloc(&r->arena, sizeof *t) : NULL;

    r->response.length = -1;
    r->response.accept_ranges = false;
    if (t == NULL) {
        if (ops->done != NULL)
            ops->done(state);
        return !wanted;
    }
    t->body = (struct body){ .ops = &transform_body_ops, .from = from, .request = r };
    t->ops = ops;
    t->state = state;
    r->response.body = &t->body;
    return true;
}
