/* keeping.h - the body of an answer on its way into a file that will stay: of a cache, or of
 * …_store.
 *
 *   y->keeping = keeping_begin(y, &plan, ended, own)
 *   keeping_put(y, content)                  everything that comes
 *   keeping_end(y)                           the answer is over: the file gets its name, or goes
 *
 * The client's own pace has nothing to do with it, nor has its leaving: the relay goes on until
 * the answer has ended (relay_body.c).
 */
#ifndef UPSTREAM_KEEPING_H
#define UPSTREAM_KEEPING_H

#include "upstream/relay.h"
#include "upstream/spool.h"

struct keeping {
    struct relay *relay;
    struct spool *spool;
    int64_t length; /* that the body must have; -1: not known                          */
    bool no_body;   /* it is the answer to a HEAD                                       */
    /* The head that goes before the body, of malloc(): false: no memory. NULL: none. */
    bool (*head)(struct keeping *, uint64_t body_size, struct spool_keep *);
    /* It is over; error: an errno, or -1: the answer was not whole. */
    void (*over)(struct keeping *, int error);
    void *own;
    uint64_t body_size;
};

/* In the request's arena; `like` is copied. NULL: no memory. */
struct keeping *keeping_begin(struct relay *, const struct spool_plan *,
                              const struct keeping *like) MUST_USE;
bool keeping_room(const struct relay *);
void keeping_put(struct relay *, struct slice);
void keeping_end(struct relay *);

#endif
