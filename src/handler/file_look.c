/* file_look.c - what is at a path, for the file tests of `if`: asked of the kernel's caches, and
 * where those do not know, by a helper thread. */
#include "handler/file_cache.h"
#include "handler/static.h"

#include <errno.h>
#include <limits.h>

/* One a request, in its arena: a request waits for one path at a time. */
struct look {
    struct io_op op;
    struct request *request;
    struct slice path;
    struct file_found found;
    bool done;
};

static int32_t look_slowly(struct io_op *op)
{
    struct look *l = container_of(op, struct look, op);

    l->found.error = -file_mode_at(l->path.at, false, &l->found.mode);
    return 0;
}

static void looked(struct io *io, struct io_op *op, struct io_result result)
{
    struct look *l = container_of(op, struct look, op);
    struct request *r = l->request;

    (void)io;
    if (result.res < 0)
        l->found.error = -result.res;
    l->done = true;
    if (!request_unpin(r))
        request_resume(r);
}

static enum verdict look_elsewhere(struct request *r, struct slice path, struct file_found *ret)
{
    struct look *l = r->slots[SLOT_LOOK];

    if (l == NULL)
        l = r->slots[SLOT_LOOK] = arena_zalloc(&r->arena, sizeof *l);
    if (l == NULL) {
        ret->error = ENOMEM;
        return NEXT;
    }
    l->request = r;
    l->path = path;
    l->found = (struct file_found){ 0 };
    l->done = false;
    request_pin(r);
    io_work(r->io, &l->op, look_slowly, looked);
    return WAIT;
}

enum verdict file_look(struct request *r, struct slice path, struct file_found *ret)
{
    struct look *l = r->slots[SLOT_LOOK];
    struct slice named;
    int error;

    *ret = (struct file_found){ 0 };
    if (l != NULL && l->done && slice_eq(l->path, path)) {
        l->done = false;
        *ret = l->found;
        return NEXT;
    }
    ret->error = ENAMETOOLONG;
    if (path.size >= PATH_MAX)
        return NEXT;
    ret->error = ENOENT;
    if (slice_find(path, '\0') < path.size)
        return NEXT;
    named = arena_copy(&r->arena, path); /* with a NUL behind it */
    ret->error = ENOMEM;
    if (named.at == NULL)
        return NEXT;
    error = file_mode_at(named.at, true, &ret->mode);
    if (error == -EAGAIN)
        return look_elsewhere(r, named, ret);
    ret->error = -error;
    return NEXT;
}
