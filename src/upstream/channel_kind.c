/* channel_kind.c - which channels are like which: kinds are found by endpoint, and know their idle
 * ones, so that keeping one and taking one need not look at all. */
#include "upstream/channel_private.h"

#include <stdlib.h>

static struct list *place_of(struct channels *all, const struct endpoint *peer)
{
    struct slice bytes = slice_of((const char *)&peer->address, peer->size);

    return &all->kinds[slice_hash(bytes) % COUNT_OF(all->kinds)];
}

const struct endpoint *channels_kept_for(const struct channels *all, uint64_t identity)
{
    for (size_t i = 0; i < COUNT_OF(all->kinds) && all->idle_count > 0; i++) {
        const struct link *head = &all->kinds[i].head;

        for (struct link *l = head->next; l != head; l = l->next) {
            const struct kind *k = container_of(l, struct kind, place);

            if (k->idle_count > 0 && k->manner.identity == identity)
                return &k->peer;
        }
    }
    return NULL;
}

static bool same_socket(const struct channel_manner *a, const struct channel_manner *b)
{
    if ((a->bind == NULL) != (b->bind == NULL) ||
        (a->bind != NULL && !endpoint_eq(a->bind, b->bind)))
        return false;
    return a->transparent == b->transparent && a->keepalive == b->keepalive &&
           a->rcvbuf == b->rcvbuf && a->sndbuf == b->sndbuf && a->identity == b->identity &&
           (a->streams == NULL) == (b->streams == NULL);
}

struct kind *kind_find(struct channels *all, const struct endpoint *peer,
                       const struct channel_manner *m)
{
    struct list *place = place_of(all, peer);

    for (struct link *l = place->head.next; l != &place->head; l = l->next) {
        struct kind *k = container_of(l, struct kind, place);

        if (endpoint_eq(&k->peer, peer) && same_socket(&k->manner, m))
            return k;
    }
    return NULL;
}

struct kind *kind_take(struct channels *all, const struct endpoint *peer,
                       const struct channel_manner *m)
{
    struct kind *k = kind_find(all, peer, m);

    if (k == NULL) {
        k = calloc(1, sizeof *k);
        if (k == NULL)
            return NULL;
        list_init(&k->idle);
        list_init(&k->carriers);
        k->streams_most = CHANNEL_STREAMS_MAX;
        k->peer = *peer;
        k->peer.text = (struct slice){ 0 }; /* of a configuration that may be gone before */
        k->manner = *m;
        k->manner.tls = NULL; /* each channel has its own, and … */
        k->manner.greeting = (struct slice){ 0 };
        if (m->bind != NULL) {
            k->bind = *m->bind;
            k->bind.text = (struct slice){ 0 };
            k->manner.bind = &k->bind;
        }
        list_append(place_of(all, peer), &k->place);
    }
    if (m->streams != NULL) {
        k->keeping = *m->streams;
        k->manner.streams = &k->keeping;
    }
    k->channels++;
    return k;
}

void kind_give(struct kind *k)
{
    if (--k->channels > 0)
        return;
    list_remove(&k->place);
    free(k);
}

void channel_rest(struct channel *c)
{
    list_prepend(&c->kind->idle, &c->idle);
    c->kind->idle_count++;
    c->home->idle_count++;
}

void channel_rise(struct channel *c)
{
    if (!list_linked(&c->idle))
        return;
    list_remove(&c->idle);
    c->kind->idle_count--;
    c->home->idle_count--;
}
