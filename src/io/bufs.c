/* bufs.c - receive buffers: who has them, and that each comes home exactly once.
 *
 * A buffer at home has size 0; that is how a second release, or a stray one, is noticed.
 * They are one mapping whose pages come into being as they are used, last returned first, so a
 * loop with few busy connections touches few pages. A branch allocates each alone and keeps one.
 */
#include "io/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BRANCH_BUFS = 16, /* most that a branch's callers may hold */
    LINE = 64,
};
#define KEPT UINT32_MAX /* the id of a copy                      */

/* An odd number of cache lines: heads that came in one turn begin in different sets. */
static size_t stride(const struct io *io)
{
    return ((size_t)io->limits.buf_size + LINE - 1) / LINE * LINE | LINE;
}

static int bufs_map(struct io *io)
{
    size_t size = io->limits.bufs * stride(io);
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    io->bufs.bytes = at;
    (void)madvise(at, size, MADV_NOHUGEPAGE); /* sparse use must cost sparse memory */
    return 0;
}

int io_bufs_open(struct io *io)
{
    struct io_bufs *b = &io->bufs;

    b->single = io->home != io;
    b->total = io->limits.bufs;
    if (b->single) {
        if (b->total > BRANCH_BUFS)
            b->total = BRANCH_BUFS;
        return 0;
    }
    b->all = calloc(b->total, sizeof *b->all);
    if (b->all == NULL)
        return -ENOMEM;
    for (uint32_t i = b->total; i-- > 0;) {
        b->all[i].id = i;
        b->all[i].next = b->free;
        b->free = &b->all[i];
    }
    int error = bufs_map(io);
    for (uint32_t i = 0; error == 0 && i < b->total; i++)
        b->all[i].bytes = b->bytes + i * stride(io);
    return error;
}

static void single_free(struct io_buf *b)
{
    free(b->bytes);
    free(b);
}

void io_bufs_close(struct io *io)
{
    struct io_bufs *b = &io->bufs;

    CHECK(b->lent == 0); /* L5 */
    if (b->single && b->free != NULL)
        single_free(b->free);
    if (b->bytes != NULL)
        munmap(b->bytes, b->total * stride(io));
    free(b->all);
}

static struct io_buf *single_make(struct io *io)
{
    struct io_buf *b = NULL;

    if (io->bufs.lent < io->bufs.total)
        b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->bytes = malloc(io->limits.buf_size);
    if (b->bytes == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

struct io_buf *io_buf_take(struct io *io)
{
    struct io_buf *b = io->bufs.free;

    if (b != NULL)
        io->bufs.free = b->next;
    else if (io->bufs.single)
        b = single_make(io);
    if (b == NULL)
        return NULL;
    io->bufs.lent++;
    b->size = io->limits.buf_size;
    b->next = NULL;
    return b;
}

struct io_buf *io_buf_lend(struct io *io, uint32_t id)
{
    CHECK(id < io->bufs.total);
    struct io_buf *b = &io->bufs.all[id];

    CHECK(b->size == 0);
    io->bufs.lent++;
    b->size = io->limits.buf_size;
    b->next = NULL;
    return b;
}

/* ---- kept ones: at home nowhere, with exactly the room they need ------------------------- */

static bool is_kept(const struct io_buf *b)
{
    return b->id == KEPT;
}

bool io_bufs_plenty(const struct io *io)
{
    return 2 * io->bufs.lent < io->bufs.total;
}

struct io_buf *io_buf_make(uint32_t size)
{
    struct io_buf *b = malloc(sizeof *b + size);

    if (b != NULL)
        *b = (struct io_buf){ .bytes = (uint8_t *)(b + 1), .size = size, .id = KEPT };
    return b;
}

struct io_buf *io_buf_keep(struct io *io, struct io_buf *lent)
{
    uint32_t before = lent->used > 0;
    uint32_t size = lent->filled - lent->used + before;

    if (is_kept(lent))
        return lent;
    struct io_buf *b = io_buf_make(size);

    if (b == NULL)
        return NULL;
    b->used = before;
    b->filled = size;
    b->next = lent->next;
    memcpy(b->bytes, lent->bytes + lent->used - before, size);
    io_buf_release(io, lent);
    return b;
}

void io_buf_release(struct io *io, struct io_buf *b)
{
    if (is_kept(b)) {
        free(b);
        return;
    }
    CHECK(b->size == io->limits.buf_size && io->bufs.lent > 0);
    io->bufs.lent--;
    b->size = 0;
    if (io->engine->buf_home != NULL) {
        io->engine->buf_home(io, b);
    } else if (io->bufs.single && io->bufs.free != NULL) {
        single_free(b);
    } else {
        b->next = io->bufs.free;
        io->bufs.free = b;
    }
    if (io->starved.first != NULL)
        io_touch(io);
}

/* ---- datagrams --------------------------------------------------------------------------- */

struct io_dgram *io_buf_dgram_at(const struct io_buf *b)
{
    return (struct io_dgram *)(void *)(b->bytes + io_dgram_room(b->size));
}

const struct io_dgram *io_buf_dgram(const struct io_buf *b)
{
    return io_buf_dgram_at(b);
}
