/* names.c - what engines, operations and their states are called, and the dump of a loop. */
#include "io/engine.h"

#include <string.h>

/* ---- names ------------------------------------------------------------------------------- */

static const char *const kind_names[] = {
#define X(up, low) [IO_##up] = #low,
    IO_KINDS(X)
#undef X
};

static const char *const state_names[] = { "rest", "flying", "ready", "starved" };

/* sim is not here: it belongs to the tests. */
static const struct io_engine *const engines[] = {
    &io_engine_uring, &io_engine_epoll, &io_engine_poll, &io_engine_select, &io_engine_threads,
};

const char *io_kind_name(enum io_kind kind)
{
    CHECK((size_t)kind < COUNT_OF(kind_names));
    return kind_names[kind];
}

const struct io_engine *io_engine_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(engines); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const char *io_engine_name(const struct io_engine *engine)
{
    return engine->name;
}

uint32_t io_engine_fds_max(const struct io_engine *engine)
{
    return engine->fds_max;
}

/* ---- seeing inside ----------------------------------------------------------------------- */

const struct io_stats *io_stats(const struct io *io)
{
    return io->stats;
}

static void dump_op(const struct io_op *op, FILE *to)
{
    if (op != NULL)
        fprintf(to, "  fd %d: %s, %s%s%s\n", op->fd, kind_names[op->kind], state_names[op->state],
                op->flags & IO_MULTI ? ", multi" : "", op->doomed ? ", doomed" : "");
}

void io_dump(const struct io *io, FILE *to)
{
    const struct io *home = io->home;

    fprintf(to, "io: %s, %u ops in flight, %u buffers lent, %u timers\n", io->engine->name,
            io->flying, io->bufs.lent, io->timers.count);
    for (int fd = home->fd_base; fd < home->fd_top; fd++) {
        const struct io_way *w = io_way_at(home, fd);

        dump_op(w->in, to);
        dump_op(w->out, to);
        dump_op(w->closing, to);
        if (w->reads > 0)
            fprintf(to, "  fd %d: %u reads\n", fd, w->reads);
    }
}
