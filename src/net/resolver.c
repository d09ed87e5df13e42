/* resolver.c - lookups: the addresses of a name, of both families, or of a service's servers. */
#include "net/resolver.h"

#include "base/block.h"
#include "net/resolver_private.h"

#include <sys/socket.h>

enum { NS_PER_MS = 1000000 };

const char *lookup_why(enum lookup_outcome outcome)
{
    static const char *const why[] = {
        [LOOKUP_FOUND] = "it was found",
        [LOOKUP_NO_NAME] = "there is no such name, or it has no address",
        [LOOKUP_FAILED] = "no name server could answer",
        [LOOKUP_LATE] = "no name server answered in time",
        [LOOKUP_BAD_NAME] = "it is no name of a host",
        [LOOKUP_BUSY] = "too many names are being asked for",
    };

    return why[outcome];
}

/* ---- names that are tried ---------------------------------------------------------------- */

static bool name_put(struct dns_name *n, struct slice text)
{
    if (n->size + text.size > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        n->text[n->size++] = (char)byte_lower((unsigned char)text.at[i]);
    return true;
}

static unsigned count_dots(struct slice name)
{
    unsigned n = 0;

    for (size_t i = 0; i < name.size; i++)
        n += name.at[i] == '.';
    return n;
}

/* As it is, and in each domain of the search list (resolv.conf(5)); the former first if it has
 * dots enough. A dot at the end, or name servers of the configuration: only as it is. */
static unsigned candidates(const struct lookup *l)
{
    bool whole = slice_ends(l->name, SLICE(".")) || l->how->server_count > 0 || l->service.size > 0;

    return 1 + (whole ? 0 : l->resolver->files.search_count);
}

static const struct dns_name *domain_of(const struct lookup *l)
{
    const struct system_files *f = &l->resolver->files;
    unsigned count = candidates(l) - 1;
    bool first = count_dots(l->name) >= f->dots;

    if (l->candidate == (first ? 0 : count))
        return NULL;
    return &f->search[first ? l->candidate - 1 : l->candidate];
}

static bool put_service(struct lookup *l)
{
    bool whole = l->service.size > 0 && l->service.at[0] == '_';

    if (l->service.size == 0)
        return true;
    return (whole || name_put(&l->full, SLICE("_"))) && name_put(&l->full, l->service) &&
           (whole || name_put(&l->full, SLICE("._tcp"))) && name_put(&l->full, SLICE("."));
}

static bool write_name(struct lookup *l)
{
    const struct dns_name *domain = domain_of(l);
    struct slice name = l->name;

    if (slice_ends(name, SLICE(".")))
        name.size--;
    l->full.size = 0;
    return name.size > 0 && put_service(l) && name_put(&l->full, name) &&
           (domain == NULL ||
            (name_put(&l->full, SLICE(".")) && name_put(&l->full, dns_name_text(domain))));
}

/* ---- the steps --------------------------------------------------------------------------- */

static bool over(struct lookup *l, enum lookup_outcome outcome)
{
    l->outcome = outcome;
    l->over = true;
    return true;
}

/* False: it is not to be had. */
static bool want(struct lookup *l, unsigned i, const struct dns_name *name, enum dns_type type)
{
    struct lookup_wait *w = &l->waits[i];

    w->lookup = l;
    w->entry = entry_want(l->resolver, l->how, name, type);
    if (w->entry != NULL && !w->entry->known)
        list_append(&w->entry->waits, &w->link);
    return w->entry != NULL;
}

static void drop_waits(struct lookup *l)
{
    for (size_t i = 0; i < COUNT_OF(l->waits); i++) {
        struct entry *e = l->waits[i].entry;

        list_remove(&l->waits[i].link);
        l->waits[i].entry = NULL;
        if (e != NULL)
            entry_leave(e);
    }
}

static bool want_addresses(struct lookup *l, const struct dns_name *name)
{
    return (l->how->no_ipv4 || want(l, 0, name, DNS_A)) &&
           (l->how->no_ipv6 || want(l, 1, name, DNS_AAAA));
}

static bool all_known(const struct lookup *l)
{
    for (size_t i = 0; i < COUNT_OF(l->waits); i++)
        if (l->waits[i].entry != NULL && !l->waits[i].entry->known)
            return false;
    return true;
}

static void note_validity(struct lookup *l, const struct entry *e)
{
    uint64_t now = io_now_ns(l->resolver->io);
    int64_t ms = e->until_ns > now ? (int64_t)((e->until_ns - now) / NS_PER_MS) : 0;

    if (l->valid_ms < 0 || ms < l->valid_ms)
        l->valid_ms = ms;
}

/* What the two families say; the worse of two failures counts if nothing was found. */
static enum lookup_outcome take_addresses(struct lookup *l, const struct resolved_target *target)
{
    enum lookup_outcome outcome = LOOKUP_NO_NAME;
    unsigned before = l->count;

    for (size_t i = 0; i < COUNT_OF(l->waits); i++) {
        const struct entry *e = l->waits[i].entry;

        if (e == NULL)
            continue;
        if (e->outcome != LOOKUP_FOUND) {
            outcome = e->outcome > outcome ? e->outcome : outcome;
            continue;
        }
        note_validity(l, e);
        for (unsigned n = 0; n < e->count && l->count < RESOLVER_FOUND_MAX; n++) {
            struct resolved *r = &l->found[l->count++];

            *r = e->addresses[n];
            r->addr.port = target != NULL ? target->port : l->port;
            r->priority = target != NULL ? target->priority : 0;
            r->weight = target != NULL ? target->weight : 0;
        }
    }
    return l->count > before ? LOOKUP_FOUND : outcome;
}

/* One candidate after another, until one has addresses. True: over. */
static bool step_name(struct lookup *l)
{
    enum lookup_outcome outcome;

    for (;;) {
        if (l->waits[0].entry == NULL && l->waits[1].entry == NULL) {
            if (!write_name(l))
                return over(l, LOOKUP_BAD_NAME);
            if (!want_addresses(l, &l->full))
                return over(l, LOOKUP_BUSY);
        }
        if (!all_known(l))
            return false;
        outcome = take_addresses(l, NULL);
        drop_waits(l);
        if (outcome != LOOKUP_NO_NAME || ++l->candidate >= candidates(l))
            return over(l, outcome);
    }
}

/* The list of servers, copied: the entry may go while their addresses are asked for. */
static bool take_targets(struct lookup *l)
{
    const struct entry *e = l->waits[0].entry;
    size_t size = e->count * sizeof e->targets[0];

    if (e->outcome != LOOKUP_FOUND)
        return over(l, e->outcome);
    note_validity(l, e);
    l->targets = block_alloc(size);
    if (l->targets == NULL)
        return over(l, LOOKUP_BUSY);
    memcpy(l->targets, e->targets, size);
    l->target_count = e->count;
    drop_waits(l);
    return false;
}

/* True: over. */
static bool step_service(struct lookup *l)
{
    if (l->targets == NULL) {
        if (l->waits[0].entry == NULL) {
            if (!write_name(l))
                return over(l, LOOKUP_BAD_NAME);
            if (!want(l, 0, &l->full, DNS_SRV))
                return over(l, LOOKUP_BUSY);
        }
        if (!all_known(l))
            return false;
        if (take_targets(l))
            return true;
    }
    for (; l->target < l->target_count; l->target++) {
        const struct resolved_target *t = &l->targets[l->target];

        if (l->waits[0].entry == NULL && l->waits[1].entry == NULL && !want_addresses(l, &t->name))
            return over(l, LOOKUP_BUSY);
        if (!all_known(l))
            return false;
        enum lookup_outcome outcome = take_addresses(l, t);

        drop_waits(l);
        if (outcome != LOOKUP_FOUND && outcome != LOOKUP_NO_NAME)
            l->outcome = outcome; /* one that is not known now may not be gone */
    }
    if (l->outcome != LOOKUP_FOUND)
        return over(l, l->outcome);
    return over(l, l->count > 0 ? LOOKUP_FOUND : LOOKUP_NO_NAME);
}

static bool step(struct lookup *l)
{
    bool is_over = l->service.size > 0 ? step_service(l) : step_name(l);

    if (is_over)
        drop_waits(l);
    return is_over;
}

void lookups_go_on(struct entry *e)
{
    while (!list_empty(&e->waits)) {
        struct lookup_wait *w = container_of(list_first(&e->waits), struct lookup_wait, link);

        list_remove(&w->link);
        if (step(w->lookup))
            w->lookup->done(w->lookup);
    }
}

bool lookup_begin(struct lookup *l)
{
    l->valid_ms = -1;
    l->outcome = LOOKUP_FOUND;
    if (l->how->server_count == 0)
        system_files_look(&l->resolver->files);
    l->found = block_alloc(RESOLVER_FOUND_MAX * sizeof l->found[0]);
    if (l->found == NULL)
        return over(l, LOOKUP_BUSY);
    return step(l);
}

void lookup_cancel(struct lookup *l)
{
    drop_waits(l);
    l->over = true;
}

void lookup_end(struct lookup *l)
{
    lookup_cancel(l);
    block_free(l->found);
    block_free(l->targets);
    l->found = NULL;
    l->targets = NULL;
    l->count = 0;
}
