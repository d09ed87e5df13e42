/* cache_index.c - states of a zone by the MD5 of a key. */
#include "upstream/cache_index.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

/* Who waits for a file to get its name does so no longer: a second. */
#define NAMING_MAX_NS UINT64_C(1000000000)

/* ---- names --------------------------------------------------------------------------------- */

/* Found once: OpenSSL looks for it behind a lock. */
static const EVP_MD *md5(void)
{
    static _Atomic(EVP_MD *) found;
    EVP_MD *m = atomic_load_explicit(&found, memory_order_acquire), *none = NULL;

    if (m != NULL)
        return m;
    m = EVP_MD_fetch(NULL, "MD5", NULL);
    if (m == NULL || atomic_compare_exchange_strong(&found, &none, m))
        return m;
    EVP_MD_free(m); /* another loop was first */
    return none;
}

bool cache_name_of(struct slice key, struct cache_name *ret)
{
    const EVP_MD *m = md5();

    return m != NULL &&
           EVP_Digest(key.size > 0 ? key.at : "", key.size, ret->bytes, NULL, m, NULL) == 1;
}

void cache_path_of(const struct cache_place *p, const struct cache_name *name, char *into)
{
    char text[2 * CACHE_NAME_SIZE];
    size_t from = sizeof text;
    char *at = stpcpy(into, p->path);

    hex_write(text, name->bytes, CACHE_NAME_SIZE);
    for (unsigned i = 0; i < 3 && p->levels[i] > 0; i++) {
        from -= p->levels[i];
        *at++ = '/';
        at = mempcpy(at, text + from, p->levels[i]);
    }
    *at++ = '/';
    at = mempcpy(at, text, sizeof text);
    *at = '\0';
}

bool cache_name_read(struct slice digits, struct cache_name *ret)
{
    if (digits.size != 2 * CACHE_NAME_SIZE)
        return false;
    for (size_t i = 0; i < CACHE_NAME_SIZE; i++) {
        int high = hex_value(digits.at[2 * i]), low = hex_value(digits.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret->bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static struct slice key_of(const struct cache_name *name)
{
    return slice_of((const char *)name->bytes, sizeof name->bytes);
}

/* ---- states -------------------------------------------------------------------------------- */

struct cache_totals *cache_totals(struct zone *z)
{
    _Static_assert(sizeof(struct cache_totals) <= ZONE_COMMON_SIZE, "they fit");
    return zone_common(z);
}

static void account(struct zone *z, struct cache_node *n, uint64_t size)
{
    atomic_fetch_add(&cache_totals(z)->bytes, size - n->size);
    n->size = size;
}

/* The zone is full: what was not asked for the longest goes, with its file. */
static bool enter(struct zone *z, const struct cache_place *p, const struct cache_name *name,
                  struct zone_spot *spot)
{
    struct cache_name old;
    uint64_t size;
    char path[PATH_MAX];

    while (!zone_enter(z, key_of(name), ZONE_REFUSE, spot)) {
        if (!cache_index_oldest(z, UINT64_MAX, &old, &size))
            return false;
        cache_path_of(p, &old, path);
        if (size > 0)
            (void)unlink(path);
    }
    return true;
}

bool cache_index_ask(struct zone *z, const struct cache_place *p, const struct cache_name *name,
                     uint64_t now_ns, bool count, struct cache_node *ret)
{
    struct zone_spot spot;
    struct cache_node *n;

    if (!enter(z, p, name, &spot))
        return false;
    n = spot.value;
    n->used_ns = now_ns;
    n->uses += count && n->uses < UINT32_MAX;
    *ret = *n;
    zone_leave(&spot);
    return true;
}

uint32_t cache_index_lock(struct zone *z, const struct cache_name *name, uint64_t now_ns,
                          int64_t age_ms, const struct cache_node *seen)
{
    struct zone_spot spot;
    struct cache_node *n;
    uint32_t ticket = 0;

    if (!zone_find(z, key_of(name), &spot))
        return 0;
    n = spot.value;
    if (n->busy_ns <= now_ns && n->version == seen->version) {
        while (ticket == 0)
            ticket = atomic_fetch_add(&cache_totals(z)->tickets, 1) + 1;
        n->busy_ns = now_ns + (uint64_t)age_ms * 1000000u + 1;
        n->busy_ticket = ticket;
    }
    zone_leave(&spot);
    return ticket;
}

void cache_index_unlock(struct zone *z, const struct cache_name *name, uint32_t ticket)
{
    struct zone_spot spot;
    struct cache_node *n;

    if (!zone_find(z, key_of(name), &spot))
        return;
    n = spot.value;
    if (n->busy_ticket == ticket)
        n->busy_ns = n->busy_ticket = 0;
    zone_leave(&spot);
}

void cache_index_naming(struct zone *z, const struct cache_place *p, const struct cache_name *name,
                        uint64_t now_ns)
{
    struct zone_spot spot;

    if (!enter(z, p, name, &spot))
        return;
    ((struct cache_node *)spot.value)->naming_ns = now_ns + NAMING_MAX_NS;
    zone_leave(&spot);
}

void cache_index_named(struct zone *z, const struct cache_name *name)
{
    struct zone_spot spot;

    if (!zone_find(z, key_of(name), &spot))
        return;
    ((struct cache_node *)spot.value)->naming_ns = 0;
    zone_leave(&spot);
}

void cache_index_stored(struct zone *z, const struct cache_place *p, const struct cache_name *name,
                        uint64_t now_ns, uint64_t size)
{
    struct zone_spot spot;
    struct cache_node *n;

    if (!enter(z, p, name, &spot))
        return;
    n = spot.value;
    account(z, n, size);
    n->version++;
    n->naming_ns = 0;
    if (spot.fresh)
        n->used_ns = now_ns;
    n->uses += n->uses == 0;
    zone_leave(&spot);
}

bool cache_index_gone(struct zone *z, const struct cache_name *name)
{
    struct zone_spot spot;
    bool was;

    if (!zone_find(z, key_of(name), &spot))
        return false;
    was = ((struct cache_node *)spot.value)->size > 0;
    account(z, spot.value, 0);
    ((struct cache_node *)spot.value)->naming_ns = 0;
    zone_leave(&spot);
    return was;
}

/* The oldest of the parts' oldest; another one may come in between, and then that is as good. */
static bool find_oldest(struct zone *z, unsigned *part, uint64_t *used_ns)
{
    struct zone_spot spot;
    char key[CACHE_NAME_SIZE];

    *used_ns = UINT64_MAX;
    for (unsigned i = 0; i < zone_parts(z); i++) {
        if (!zone_oldest(z, i, key, sizeof key, &spot))
            continue;
        const struct cache_node *n = spot.value;

        if (n->used_ns < *used_ns) {
            *used_ns = n->used_ns;
            *part = i;
        }
        zone_leave(&spot);
    }
    return *used_ns < UINT64_MAX;
}

bool cache_index_oldest(struct zone *z, uint64_t until_ns, struct cache_name *ret,
                        uint64_t *ret_size)
{
    struct zone_spot spot;
    unsigned part = 0;
    uint64_t used_ns;

    if (!find_oldest(z, &part, &used_ns) || used_ns > until_ns ||
        !zone_oldest(z, part, (char *)ret->bytes, sizeof ret->bytes, &spot))
        return false;
    *ret_size = ((struct cache_node *)spot.value)->size;
    account(z, spot.value, 0);
    zone_remove(&spot);
    return true;
}
