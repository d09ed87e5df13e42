/* spool.c - one buffer is filled while another is written; a third is read into. */
#include "upstream/spool.h"

#include "base/block.h"
#include "io/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, FIRST_ROOM = 2048, NAME_SUFFIX = 16 };

struct stretch {
    char *at;
    size_t used, room;
};

struct spool {
    struct request *request; /* pinned for each operation in flight                     */
    const struct spool_ops *ops;
    void *owner; /* NULL: closed or kept                                     */
    struct io_op write_op, read_op;
    bool writing, reading, unreadable;
    bool ending;  /* its owner has left it                                    */
    bool telling; /* … or may be leaving it just now                          */
    bool told;    /* … that it failed                                         */
    int error;    /* an errno: nothing is written any more                    */

    int fd; /* -1: not made yet                                         */
    struct spool_plan plan;
    char *path, *name;      /* of the file as it is, and as it will be                  */
    struct stretch filling; /* content from written + flying.used on                    */
    struct stretch flying;  /* content from written on                                  */
    uint64_t written;

    char *room; /* READ_SIZE bytes                                          */
    uint64_t read_at;
    size_t read_size; /* … that are in the room                                   */

    struct spool_keep keep;
};

/* ---- life ---------------------------------------------------------------------------------- */

struct spool *spool_create(struct request *r, const struct spool_plan *plan,
                           const struct spool_ops *ops, void *owner)
{
    struct spool *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->request = r;
    s->ops = ops;
    s->owner = owner;
    s->plan = *plan;
    s->fd = -1;
    if (plan->path == NULL)
        return s;
    s->path = strdup(plan->path);
    s->name = s->path != NULL ? calloc(1, strlen(s->path) + NAME_SUFFIX) : NULL;
    if (s->name != NULL)
        return s;
    free(s->path);
    free(s);
    return NULL;
}

static void spool_free(struct spool *s)
{
    free(s->filling.at);
    free(s->flying.at);
    block_free(s->room);
    free(s->keep.head);
    free(s->path);
    free(s->name);
    free(s);
}

static int32_t remove_file(struct io_op *op)
{
    struct spool *s = container_of(op, struct spool, write_op);

    if (s->name != NULL && s->name[0] != '\0')
        (void)unlink(s->name);
    close(s->fd); /* a large file without a name takes its time */
    return 0;
}

static void removed(struct io *io, struct io_op *op, struct io_result result)
{
    struct spool *s = container_of(op, struct spool, write_op);
    struct request *r = s->request;

    (void)io;
    (void)result;
    spool_free(s);
    (void)request_unpin(r);
}

static void told_kept(struct spool *s)
{
    if (s->keep.done != NULL)
        s->keep.done(s->keep.arg, s->error);
    s->keep.done = NULL;
}

/* Nobody wants it any more, and nothing is in flight. */
static void leave(struct spool *s)
{
    told_kept(s);
    if (s->fd < 0) {
        spool_free(s);
        return;
    }
    request_pin(s->request);
    io_work(s->request->io, &s->write_op, remove_file, removed);
}

void spool_close(struct spool *s)
{
    s->owner = NULL;
    s->ending = true;
    if (!s->writing && !s->reading && !s->telling)
        leave(s);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int32_t make_file(struct spool *s)
{
    int fd = s->path != NULL ? temp_file_beside(s->path, s->plan.mode, s->plan.directory_mode,
                                                s->name, strlen(s->path) + NAME_SUFFIX)
                             : temp_file_open(&s->plan.place, NULL, 0);

    if (fd < 0)
        return fd;
    s->fd = fd;
    return 0;
}

static int32_t write_out(struct io_op *op)
{
    struct spool *s = container_of(op, struct spool, write_op);
    int32_t error = s->fd < 0 ? make_file(s) : 0;

    return error < 0
               ? error
               : temp_file_write(s->fd, s->flying.at, s->flying.used, s->plan.skip + s->written);
}

static void settle(struct spool *s);

static void written(struct io *io, struct io_op *op, struct io_result result)
{
    struct spool *s = container_of(op, struct spool, write_op);
    struct request *r = s->request;

    (void)io;
    s->writing = false;
    if (result.res < 0) {
        s->error = -result.res;
    } else {
        s->written += s->flying.used;
        s->flying.used = 0;
    }
    settle(s);
    (void)request_unpin(r);
}

/* If there is enough of it; all of it when the end has come. */
static void write_more(struct spool *s)
{
    struct stretch full = s->filling;

    if (s->writing || s->error != 0 || full.used == 0 ||
        (full.used < s->plan.piece && s->keep.done == NULL))
        return;
    s->filling = s->flying;
    s->flying = full;
    s->writing = true;
    request_pin(s->request);
    io_work(s->request->io, &s->write_op, write_out, written);
}

static bool grow(struct stretch *t, size_t more)
{
    size_t room = t->room > 0 ? t->room : FIRST_ROOM;
    char *at;

    if (t->room - t->used >= more)
        return true;
    while (room - t->used < more)
        room *= 2;
    at = realloc(t->at, room);
    if (at == NULL)
        return false;
    t->at = at;
    t->room = room;
    return true;
}

bool spool_room(const struct spool *s)
{
    return s->error == 0 && s->filling.used < s->plan.piece;
}

uint64_t spool_size(const struct spool *s)
{
    return s->written + s->flying.used + s->filling.used;
}

bool spool_put(struct spool *s, struct slice piece)
{
    if (!grow(&s->filling, piece.size))
        return false;
    memcpy(s->filling.at + s->filling.used, piece.at, piece.size);
    s->filling.used += piece.size;
    write_more(s);
    return true;
}

bool spool_rewind(struct spool *s)
{
    if (s->writing || s->reading || s->error != 0)
        return false;
    s->written = s->flying.used = s->filling.used = 0;
    s->read_size = 0;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void was_read(struct io *io, struct io_op *op, struct io_result result)
{
    struct spool *s = container_of(op, struct spool, read_op);
    struct request *r = s->request;

    (void)io;
    s->reading = false;
    s->read_size = result.res > 0 ? (size_t)result.res : 0;
    s->unreadable = result.res <= 0;
    settle(s);
    (void)request_unpin(r);
}

static enum spool_status fetch(struct spool *s, uint64_t at)
{
    uint64_t left = s->written - at;

    if (s->reading)
        return SPOOL_LATER;
    s->reading = true;
    s->read_at = at;
    s->read_size = 0;
    request_pin(s->request);
    io_read(s->request->io, &s->read_op, s->fd, s->room,
            left < READ_SIZE ? (uint32_t)left : READ_SIZE, s->plan.skip + at, was_read);
    return SPOOL_LATER;
}

/* What has not been written is copied: it may move. */
static void copy(struct spool *s, uint64_t at)
{
    const struct stretch *from = &s->flying;
    uint64_t begin = s->written;
    size_t size;

    if (at >= begin + from->used) {
        begin += from->used;
        from = &s->filling;
    }
    size = from->used - (size_t)(at - begin);
    s->read_at = at;
    s->read_size = size < READ_SIZE ? size : READ_SIZE;
    memcpy(s->room, from->at + (at - begin), s->read_size);
}

enum spool_status spool_read(struct spool *s, uint64_t at, size_t max, struct slice *ret)
{
    if (s->room == NULL)
        s->room = block_alloc(READ_SIZE);
    if (s->room == NULL)
        return SPOOL_FAILED;
    if (at < s->read_at || at >= s->read_at + s->read_size) {
        if (at < s->written)
            return s->unreadable ? SPOOL_FAILED : fetch(s, at);
        if (s->writing && at < s->written + s->flying.used)
            return SPOOL_LATER;
        copy(s, at);
    }
    *ret = slice_head(slice_skip(slice_of(s->room, s->read_size), (size_t)(at - s->read_at)), max);
    return SPOOL_PIECE;
}

/* ---- after each operation ------------------------------------------------------------------ */

static int32_t finish(struct io_op *op)
{
    struct spool *s = container_of(op, struct spool, write_op);
    const struct spool_keep *k = &s->keep;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = k->modified } };
    int32_t error = s->fd < 0 ? make_file(s) : 0;

    if (error == 0 && k->head != NULL)
        error = temp_file_write(s->fd, k->head, k->head_size, 0);
    if (error == 0 && k->modified >= 0 && futimens(s->fd, times) != 0)
        error = -errno;
    if (error == 0 && rename(s->name, s->path) != 0)
        error = -errno;
    if (error == 0)
        s->name[0] = '\0'; /* it is not to be removed */
    return error;
}

static void finished(struct io *io, struct io_op *op, struct io_result result)
{
    struct spool *s = container_of(op, struct spool, write_op);
    struct request *r = s->request;

    (void)io;
    s->error = -result.res;
    s->writing = false;
    told_kept(s);
    leave(s);
    (void)request_unpin(r);
}

static void tell(struct spool *s)
{
    s->telling = true;
    if (s->owner != NULL && s->error != 0 && !s->told) {
        s->told = true;
        s->ops->failed(s->owner, s->error);
    }
    if (s->owner != NULL)
        s->ops->ready(s->owner);
    s->telling = false;
}

static void settle(struct spool *s)
{
    if (s->telling)
        return;
    tell(s);
    write_more(s);
    if (!s->ending || s->writing || s->reading)
        return;
    if (s->keep.done == NULL || s->error != 0) {
        leave(s);
        return;
    }
    s->writing = true;
    request_pin(s->request);
    io_work(s->request->io, &s->write_op, finish, finished);
}

void spool_keep(struct spool *s, const struct spool_keep *keep)
{
    s->keep = *keep;
    s->owner = NULL;
    s->ending = true;
    settle(s);
}
