/* cache.h - a request that may be answered from a cache, and whose answer may go there.
 *
 *   v = cache_begin(r, &conf->relay);                in a content step, before a server is asked
 *   if (v != NEXT) return v;                         WAIT; DONE: it was a purge
 *   if (cache_serves(r)) …relay_serve(r, …)          else relay_begin(r, …)
 *
 * The relay meets it in these places: what is asked for (cache_asks_whole, cache_condition), no
 * answer is to be had (cache_rescue), the head of one is there (cache_confirms, cache_take), and
 * its body (keeping.h).
 *
 * cache_look.c finds what is kept, cache_answer.c gives it, cache_take.c decides what is kept.
 */
#ifndef UPSTREAM_CACHE_H
#define UPSTREAM_CACHE_H

#include "handler/file_cache.h"
#include "io/io.h"
#include "upstream/cache_file.h"
#include "upstream/cache_index.h"
#include "upstream/relay.h"

/* $upstream_cache_status */
enum cache_status {
    CACHE_UNUSED,
    CACHE_MISS,
    CACHE_BYPASS,
    CACHE_EXPIRED,
    CACHE_STALE,
    CACHE_UPDATING,
    CACHE_REVALIDATED,
    CACHE_HIT,
    CACHE_SCARCE,
};

enum cached_state {
    CACHED_LOOK,  /* the index, then the file are asked                      */
    CACHED_ASK,   /* a server is asked                                       */
    CACHED_SERVE, /* what is kept is the answer                              */
    CACHED_OVER,  /* the step has been left                                  */
};

struct cached {
    struct request *request;
    const struct relay_conf *conf;
    const struct cache_place *place;
    struct zone *zone;
    enum cached_state state;
    enum cache_status status;
    struct slice key;
    struct cache_name main, name; /* of the key; of the variant that is looked for           */
    bool secondary;               /* they differ                                             */
    uint64_t epoch;               /* of the main answer; 0: there is none                    */
    struct slice main_vary;
    bool may_keep;    /* the answer shall be kept, if it may be                  */
    bool revalidates; /* a 304 would do                                          */
    bool counted, opening, timed_out, purges, removed;

    struct file *file; /* what is kept; NULL: nothing, or it is not this           */
    struct file *reading;
    char *bytes; /* of its head, as they are being read                      */
    size_t bytes_size, head_size;
    bool bytes_read;
    struct cache_head head; /* if file is there                                         */

    uint32_t ticket;       /* to fetch it; 0: it is another's, or nobody's             */
    uint64_t wait_from_ns; /* for who has the ticket; 0: it has not waited                */
    struct io_timer timer;
    struct io_op op;
    char *path; /* of `name`                                                */
};

/* NEXT, also when there is nothing to do with a cache; WAIT; DONE. */
enum verdict cache_begin(struct request *, const struct relay_conf *);

/* Of the step that the request is in; NULL: none. */
struct cached *cache_of(const struct request *);
bool cache_serves(const struct request *);

/* Does the server get a GET of all of it, without conditions of the client's? */
bool cache_asks_whole(const struct cached *);
/* The conditions of its own; at == NULL: none. */
struct slice cache_if_none_match(const struct cached *);
struct slice cache_if_modified_since(const struct cached *);

/* What is stale shall be given instead of an answer, which failed with that fault. */
bool cache_rescue(struct cached *, unsigned fault);
/* The answer's status is 304: what is kept is fresh again. */
bool cache_confirms(struct cached *, unsigned status);

/* The step is left with another answer. */
void cache_leave(struct cached *);

/* Answers with what is kept, for a relay without a channel. */
enum verdict cache_answer(struct relay *);

/* The head of an answer is there: keeps it, or saves it as a file, if it may. */
void cache_take(struct relay *, unsigned status);
/* It was confirmed: how long it is fresh is said anew. */
void cache_renew(struct relay *);

/* cache_vary.c: a digest of the request's fields that `vary` names. False: of "*", or it is too
 * long. */
bool cache_variant(struct request *, struct slice vary,
                   unsigned char into[CACHE_VARIANT_SIZE]) MUST_USE;
/* The name of a variant of the key. */
bool cache_variant_name(struct request *, struct slice key, uint64_t epoch,
                        const unsigned char variant[CACHE_VARIANT_SIZE],
                        struct cache_name *ret) MUST_USE;

/* What a helper thread does with a file that is of no use, now or later. */
void cache_remove_file(struct request *, const char *path);

extern const struct feature feature_cache;

#endif
