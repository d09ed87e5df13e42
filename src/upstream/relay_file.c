/* relay_file.c - content of an answer that its client is too slow for waits in a temporary file:
 * what comes behind the first of it goes there, too, until the client has taken all of it. */
#include "upstream/relay.h"
#include "upstream/spool.h"

enum { PIECE_MIN = 4096 };

uint64_t relay_filed(const struct relay *y)
{
    return y->came - y->gone - y->ready_size;
}

bool relay_may_file(const struct relay *y)
{
    uint64_t most = (uint64_t)y->conf->temp_file_max;

    if (!y->buffering || most == 0 || y->state != RELAY_ANSWER || y->file_failed)
        return false;
    return relay_filed(y) == 0 || (spool_room(y->spool) && spool_size(y->spool) < most);
}

static void on_ready(void *relay)
{
    relay_settle(relay);
}

static void on_failed(void *relay, int error)
{
    struct relay *y = relay;

    y->file_failed = true;
    request_log(y->request, LOG_CRIT, error, "an answer cannot be written below \"%.*s\"",
                SLICE_FMT(y->conf->temp.path));
}

static const struct spool_ops events = { on_ready, on_failed };

static bool begin(struct relay *y)
{
    const struct relay_conf *c = y->conf;
    struct spool_plan plan = { .place = { .directory = c->temp.path.at },
                               .piece = (size_t)c->temp_write_size };

    if (plan.piece < PIECE_MIN)
        plan.piece = PIECE_MIN;
    memcpy(plan.place.levels, c->temp.levels, sizeof c->temp.levels);
    if (y->spool != NULL && !spool_rewind(y->spool))
        relay_file_close(y); /* what is being written there is of no use any more */
    if (y->spool == NULL)
        y->spool = spool_create(y->request, &plan, &events, y);
    y->spool_at = y->came;
    return y->spool != NULL;
}

bool relay_file(struct relay *y, struct slice content)
{
    if (relay_filed(y) == 0 && !begin(y))
        return false;
    return spool_put(y->spool, content);
}

enum body_status relay_file_pull(struct relay *y, size_t max, struct chunk *ret)
{
    struct slice piece;

    switch (spool_read(y->spool, y->gone - y->spool_at, max, &piece)) {
    case SPOOL_PIECE:
        *ret = (struct chunk){ piece.at, piece.size, -1, 0 };
        return BODY_CHUNK;
    case SPOOL_LATER:
        return BODY_LATER;
    case SPOOL_FAILED:
        break;
    }
    request_log(y->request, LOG_CRIT, 0, "an answer cannot be read again from its temporary file");
    return BODY_FAILED;
}

void relay_file_close(struct relay *y)
{
    if (y->spool != NULL)
        spool_close(y->spool);
    y->spool = NULL;
}
