/* keeping.c - what comes goes to a spool, and the spool becomes a file if all of it came. */
#include "upstream/keeping.h"

#include <errno.h>

static void give_up(struct keeping *k, int error)
{
    struct spool *s = k->spool;

    k->relay->keeping = NULL;
    k->spool = NULL;
    spool_close(s);
    k->over(k, error);
}

static void on_ready(void *keeping)
{
    struct keeping *k = keeping;

    if (k->spool != NULL)
        relay_settle(k->relay);
}

static void on_failed(void *keeping, int error)
{
    struct keeping *k = keeping;
    struct relay *y = k->relay;

    give_up(k, error);
    relay_kept(y);
}

static const struct spool_ops events = { on_ready, on_failed };

struct keeping *keeping_begin(struct relay *y, const struct spool_plan *plan,
                              const struct keeping *like)
{
    struct keeping *k = arena_alloc(&y->request->arena, sizeof *k);

    if (k == NULL)
        return NULL;
    *k = *like;
    k->relay = y;
    k->spool = spool_create(y->request, plan, &events, k);
    return k->spool != NULL ? k : NULL;
}

bool keeping_room(const struct relay *y)
{
    return y->keeping == NULL || spool_room(y->keeping->spool);
}

static void named(void *keeping, int error)
{
    struct keeping *k = keeping;

    k->over(k, error);
}

/* Everything that was promised, and seen to its end. */
static bool is_whole(const struct relay *y, const struct keeping *k)
{
    if (y->broken)
        return false;
    if (k->length >= 0 && !k->no_body)
        return k->body_size == (uint64_t)k->length;
    return y->protocol->ends_surely == NULL || y->protocol->ends_surely(y);
}

void keeping_end(struct relay *y)
{
    struct keeping *k = y->keeping;
    struct spool_keep keep = { .modified = -1, .done = named, .arg = k };
    struct spool *s;

    if (k == NULL)
        return;
    if (!is_whole(y, k)) {
        give_up(k, -1);
        return;
    }
    if (!k->head(k, k->body_size, &keep)) {
        give_up(k, ENOMEM);
        return;
    }
    s = k->spool;
    y->keeping = NULL;
    k->spool = NULL;
    spool_keep(s, &keep);
}

void keeping_put(struct relay *y, struct slice content)
{
    if (y->keeping == NULL || content.size == 0)
        return;
    y->keeping->body_size += content.size;
    if (!spool_put(y->keeping->spool, content))
        give_up(y->keeping, ENOMEM); /* the relay looks after itself: it is calling */
    else if (y->keeping->length == (int64_t)y->keeping->body_size)
        keeping_end(y); /* some protocols end only with their connection */
}
