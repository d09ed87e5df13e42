/* resolver_cache.c - what is known of names, and what is being asked for. */
#include "net/resolver_private.h"

#include "base/block.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { NS_PER_MS = 1000000, MS_PER_S = 1000, PER_BLOCK = 16 };

/* A question on its way: what it borrows from a configuration is copied, for that may go. */
struct asking {
    struct dns_ask ask;
    struct entry *entry;
    struct resolver_stats *stats;
    struct addr servers[DNS_SERVERS_MAX];
    struct dns_name name; /* as it is asked for: behind an alias, another than the entry's  */
    unsigned aliases;
    uint32_t ttl_s; /* the least one on the way here                                        */
    int64_t valid_ms;
};

/* ---- a resolver -------------------------------------------------------------------------- */

struct resolver *resolver_create(struct io *io)
{
    struct resolver *v = block_alloc(sizeof *v);

    if (v == NULL)
        return NULL;
    memset(v, 0, sizeof *v);
    v->io = io;
    slab_init(&v->entries, sizeof(struct entry), PER_BLOCK);
    slab_init(&v->askings, sizeof(struct asking), PER_BLOCK);
    list_init(&v->known);
    list_init(&v->asked);
    return v;
}

/* Out of the table: it is found no more. */
static void entry_hide(struct entry *e)
{
    struct entry **at = &e->resolver->buckets[e->hash % ENTRY_BUCKETS];

    if (e->doomed)
        return;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->doomed = true;
}

static void entry_free(struct entry *e)
{
    struct resolver *v = e->resolver;

    DCHECK(e->asking == NULL);
    entry_hide(e);
    if (e->users > 0)
        return; /* entry_leave() will */
    list_remove(&e->link);
    block_free(e->addresses);
    block_free(e->targets);
    v->entry_count--;
    slab_give(&v->entries, e);
}

void entry_leave(struct entry *e)
{
    e->users--;
    if (e->doomed && e->asking == NULL)
        entry_free(e);
}

void resolver_leave(struct resolver *v)
{
    for (struct link *l = v->asked.head.next; l != &v->asked.head; l = l->next) {
        struct entry *e = container_of(l, struct entry, link);

        dns_ask_cancel(&e->asking->ask);
    }
}

bool resolver_gone(const struct resolver *v)
{
    return list_empty(&v->asked);
}

void resolver_destroy(struct resolver *v)
{
    CHECK(list_empty(&v->asked));
    while (!list_empty(&v->known))
        entry_free(container_of(list_first(&v->known), struct entry, link));
    slab_done(&v->entries);
    slab_done(&v->askings);
    system_files_done(&v->files);
    block_free(v);
}

/* ---- what is known ----------------------------------------------------------------------- */

/* It is known, or is known not to be, for so long. */
static void entry_settle(struct entry *e, enum lookup_outcome outcome, uint64_t ms)
{
    struct resolver *v = e->resolver;

    e->outcome = outcome;
    e->known = true;
    e->until_ns = io_now_ns(v->io) + ms * NS_PER_MS;
    list_remove(&e->link);
    list_append(&v->known, &e->link);
}

static uint64_t ttl_ms(const struct asking *g, enum lookup_outcome outcome)
{
    uint32_t s = outcome == LOOKUP_FOUND ? g->ttl_s : RESOLVER_NONE_S;

    if (outcome == LOOKUP_FOUND && g->valid_ms >= 0)
        return (uint64_t)g->valid_ms;
    s = s < RESOLVER_TTL_MIN_S ? RESOLVER_TTL_MIN_S : s;
    s = s > RESOLVER_TTL_MAX_S ? RESOLVER_TTL_MAX_S : s;
    return (uint64_t)s * MS_PER_S;
}

static bool is_mine(const struct dns_record *r, const struct asking *g, enum dns_type type)
{
    return r->type == type && slice_eq(dns_name_text(&r->name), dns_name_text(&g->name));
}

/* Follows the aliases that the message has. Each begins at the front: they may stand in any order.
 * False: there are too many, or the message is broken. */
static bool follow_aliases(struct asking *g, const struct dns_message *from)
{
    struct dns_message m = *from;
    struct dns_record r;

    while (dns_next(&m, &r)) {
        if (!is_mine(&r, g, DNS_CNAME))
            continue;
        if (++g->aliases > RESOLVER_ALIASES_MAX)
            return false;
        g->name = r.target;
        g->ttl_s = r.ttl_s < g->ttl_s ? r.ttl_s : g->ttl_s;
        m = *from;
    }
    return !m.broken;
}

static void take_address(struct entry *e, const struct dns_record *r)
{
    struct resolved *found = &e->addresses[e->count++];

    *found = (struct resolved){ 0 };
    found->addr.family = e->type == DNS_A ? AF_INET : AF_INET6;
    memcpy(found->addr.ip, r->ip, sizeof found->addr.ip);
}

static void take_target(struct entry *e, const struct dns_record *r)
{
    if (r->target.size > 0) /* the root: there is no such service (RFC 2782) */
        e->targets[e->count++] =
            (struct resolved_target){ r->target, r->port, r->priority, r->weight };
}

static bool make_room(struct entry *e)
{
    if (e->type == DNS_SRV)
        e->targets = block_alloc(RESOLVER_TARGETS_MAX * sizeof e->targets[0]);
    else
        e->addresses = block_alloc(RESOLVER_FOUND_MAX * sizeof e->addresses[0]);
    return e->targets != NULL || e->addresses != NULL;
}

/* The records of the name that the aliases led to. False: broken, or no memory. */
static bool take_records(struct entry *e, const struct dns_message *from)
{
    unsigned most = e->type == DNS_SRV ? RESOLVER_TARGETS_MAX : RESOLVER_FOUND_MAX;
    struct asking *g = e->asking;
    struct dns_message m = *from;
    struct dns_record r;

    if (!make_room(e))
        return false;
    while (e->count < most && dns_next(&m, &r)) {
        if (!is_mine(&r, g, e->type))
            continue;
        g->ttl_s = r.ttl_s < g->ttl_s ? r.ttl_s : g->ttl_s;
        if (e->type == DNS_SRV)
            take_target(e, &r);
        else
            take_address(e, &r);
    }
    return !m.broken;
}

/* ---- what is asked for ------------------------------------------------------------------- */

static void count_answer(struct resolver_stats *s, const struct dns_ask *a)
{
    if (s == NULL || a->outcome == DNS_ASK_CANCELLED || a->outcome == DNS_ASK_NO_MEMORY)
        return;
    if (a->outcome == DNS_ASK_LATE)
        s->late++;
    else if (a->rcode < COUNT_OF(s->rcodes) && (a->outcome == DNS_ASK_ANSWERED || a->rcode != 0))
        s->rcodes[a->rcode]++;
    else
        s->other++;
}

static void on_answer(struct dns_ask *);

static void send_off(struct asking *g)
{
    struct entry *e = g->entry;

    g->ask = (struct dns_ask){ .io = e->resolver->io,
                               .servers = g->servers,
                               .server_count = g->ask.server_count,
                               .first = g->ask.first,
                               .name = dns_name_text(&g->name),
                               .type = e->type,
                               .timeout_ms = g->ask.timeout_ms,
                               .done = on_answer };
    if (g->stats != NULL)
        (void)(e->type == DNS_SRV ? g->stats->services++ : g->stats->names++);
    dns_ask_begin(&g->ask);
}

static void settle(struct asking *g, enum lookup_outcome outcome)
{
    struct entry *e = g->entry;
    bool lasts = outcome == LOOKUP_FOUND || outcome == LOOKUP_NO_NAME;

    e->asking = NULL;
    entry_settle(e, outcome, lasts ? ttl_ms(g, outcome) : 0);
    slab_give(&e->resolver->askings, g);
    if (!lasts)
        entry_hide(e);
    e->users++;
    lookups_go_on(e);
    entry_leave(e);
}

static const enum lookup_outcome outcomes[] = {
    [DNS_ASK_FAILED] = LOOKUP_FAILED,     [DNS_ASK_LATE] = LOOKUP_LATE,
    [DNS_ASK_BAD_NAME] = LOOKUP_BAD_NAME, [DNS_ASK_NO_MEMORY] = LOOKUP_BUSY,
    [DNS_ASK_CANCELLED] = LOOKUP_FAILED,
};

/* An alias whose own records did not come along is asked for by its name. */
static void on_answer(struct dns_ask *a)
{
    struct asking *g = container_of(a, struct asking, ask);
    struct entry *e = g->entry;
    unsigned aliases = g->aliases;

    count_answer(g->stats, a);
    if (a->outcome != DNS_ASK_ANSWERED)
        settle(g, outcomes[a->outcome]);
    else if (a->rcode == DNS_NO_SUCH_NAME)
        settle(g, LOOKUP_NO_NAME);
    else if (!follow_aliases(g, &a->message) || !take_records(e, &a->message))
        settle(g, LOOKUP_FAILED);
    else if (e->count > 0)
        settle(g, LOOKUP_FOUND);
    else if (g->aliases == aliases)
        settle(g, LOOKUP_NO_NAME);
    else {
        block_free(e->addresses);
        block_free(e->targets);
        e->addresses = NULL;
        e->targets = NULL;
        send_off(g);
    }
}

/* False: no memory. */
static bool entry_ask(struct entry *e, const struct resolver_how *how)
{
    struct resolver *v = e->resolver;
    struct asking *g = slab_take(&v->askings);

    if (g == NULL)
        return false;
    memset(g, 0, sizeof *g);
    g->entry = e;
    g->stats = how->stats;
    g->name = e->name;
    g->ttl_s = RESOLVER_TTL_MAX_S;
    g->valid_ms = how->valid_ms;
    g->ask.server_count = how->server_count > 0 ? how->server_count : v->files.server_count;
    memcpy(g->servers, how->server_count > 0 ? how->servers : v->files.servers,
           g->ask.server_count * sizeof g->servers[0]);
    g->ask.first = v->first_server++ % g->ask.server_count;
    g->ask.timeout_ms = how->timeout_ms;
    e->asking = g;
    list_append(&v->asked, &e->link);
    send_off(g);
    return true;
}

/* ---- the table --------------------------------------------------------------------------- */

/* Answers of other servers, or that are believed for another time, are other answers. */
static uint64_t hash_how(const struct resolver *v, const struct resolver_how *how)
{
    const struct addr *servers = how->server_count > 0 ? how->servers : v->files.servers;
    unsigned count = how->server_count > 0 ? how->server_count : v->files.server_count;
    uint64_t words[1 + DNS_SERVERS_MAX] = { (uint64_t)how->valid_ms };

    for (unsigned i = 0; i < count; i++)
        words[1 + i] = slice_hash(addr_bytes(&servers[i])) + servers[i].port;
    return slice_hash(slice_of((const char *)words, sizeof words));
}

/* What is too old to be used is not found any more. */
static struct entry *entry_find(struct resolver *v, uint64_t hash, uint64_t from,
                                const struct dns_name *name, enum dns_type type)
{
    for (struct entry *e = v->buckets[hash % ENTRY_BUCKETS]; e != NULL; e = e->next) {
        if (e->hash != hash || e->from != from || e->type != type ||
            !slice_eq(dns_name_text(&e->name), dns_name_text(name)))
            continue;
        if (!e->known || e->until_ns > io_now_ns(v->io))
            return e;
        entry_free(e);
        return NULL;
    }
    return NULL;
}

/* False: everything that there is room for is on the way. */
static bool entry_make_room(struct resolver *v)
{
    if (v->entry_count < RESOLVER_ENTRIES_MAX)
        return true;
    if (list_empty(&v->known))
        return false;
    entry_free(container_of(list_first(&v->known), struct entry, link));
    return true;
}

/* False: /etc/hosts does not know the name. */
static bool take_host(struct entry *e)
{
    struct addr found[RESOLVER_FOUND_MAX];
    int family = e->type == DNS_A ? AF_INET : AF_INET6;
    int count = e->type != DNS_SRV
                    ? system_files_host(&e->resolver->files, dns_name_text(&e->name), family, found)
                    : -1;

    if (count < 0 || !make_room(e))
        return false;
    for (int i = 0; i < count; i++)
        e->addresses[e->count++] = (struct resolved){ .addr = found[i] };
    entry_settle(e, count > 0 ? LOOKUP_FOUND : LOOKUP_NO_NAME, RESOLVER_HOSTS_S * MS_PER_S);
    return true;
}

struct entry *entry_want(struct resolver *v, const struct resolver_how *how,
                         const struct dns_name *name, enum dns_type type)
{
    uint64_t from = hash_how(v, how), hash = slice_hash(dns_name_text(name)) ^ (uint64_t)type;
    struct entry *e = entry_find(v, hash, from, name, type);

    if (e != NULL && e->known) { /* used last */
        list_remove(&e->link);
        list_append(&v->known, &e->link);
    }
    if (e != NULL) {
        e->users++;
        return e;
    }
    if (!entry_make_room(v))
        return NULL;
    e = slab_take(&v->entries);
    if (e == NULL)
        return NULL;
    *e = (struct entry){ .resolver = v, .hash = hash, .from = from, .name = *name, .type = type };
    list_init(&e->waits);
    e->next = v->buckets[hash % ENTRY_BUCKETS];
    v->buckets[hash % ENTRY_BUCKETS] = e;
    v->entry_count++;
    e->users++;
    if (take_host(e) || entry_ask(e, how))
        return e;
    e->users--;
    entry_free(e);
    return NULL;
}
