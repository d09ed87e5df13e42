/* cache_vary.c - answers to the same key that depend on fields of the request (Vary). */
#include "upstream/cache.h"

enum { VARY_MAX = 1024, VALUES_MAX = 64 * 1024 };

static void gather_lower(struct gather *g, struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        gather_byte(g, (char)byte_lower((unsigned char)s.at[i]));
}

/* "name:value,value" */
static void gather_field(const struct request *r, struct slice name, struct gather *g)
{
    gather_lower(g, name);
    gather_byte(g, ':');
    for (uint32_t i = 0; i < r->head.field_count; i++) {
        if (!slice_eq_nocase(r->head.fields[i].name, name))
            continue;
        gather_slice(g, slice_trim(r->head.fields[i].value));
        gather_byte(g, ',');
    }
    gather_lit(g, "\r\n");
}

bool cache_variant(struct request *r, struct slice vary, unsigned char into[CACHE_VARIANT_SIZE])
{
    struct slice member;
    struct cache_name digest;
    struct gather g;

    if (vary.size > VARY_MAX)
        return false;
    gather_init(&g, NULL, 0, &r->arena, VALUES_MAX);
    while (field_list_next(&vary, &member)) {
        if (slice_eq(member, SLICE("*")))
            return false;
        gather_field(r, member, &g);
    }
    if (g.full || !cache_name_of(gather_get(&g), &digest))
        return false;
    memcpy(into, digest.bytes, CACHE_VARIANT_SIZE);
    return true;
}

bool cache_variant_name(struct request *r, struct slice key, uint64_t epoch,
                        const unsigned char variant[CACHE_VARIANT_SIZE], struct cache_name *ret)
{
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, key.size + 64);
    gather_slice(&g, key);
    gather_byte(&g, '\0');
    gather_bytes(&g, (const char *)&epoch, sizeof epoch);
    gather_bytes(&g, (const char *)variant, CACHE_VARIANT_SIZE);
    return !g.full && cache_name_of(gather_get(&g), ret);
}
