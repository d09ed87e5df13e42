/* geo_table.h - addresses to values: nets or ranges, made into disjoint ranges that a binary search
 * looks through.
 *
 *   geo_table_add(&t, arena, &range);           in any order, nested or overlapping
 *   geo_table_build(&t, arena);                 once; no memory: false
 *   value = geo_table_find(&t, &addr);          NULL: nothing was said about it
 *
 * Where several hold an address, the one with the highest rank counts, then the later one.
 */
#ifndef HTTP_GEO_TABLE_H
#define HTTP_GEO_TABLE_H

#include "base/arena.h"
#include "net/addr.h"

typedef unsigned __int128 geo_key; /* an address as a number */

struct geo_range {
    geo_key first, last;
    unsigned rank; /* of nets: their length */
    const void *value;
    struct geo_range *next;
};

struct geo_piece;

/* Of one family. */
struct geo_side {
    struct geo_range *ranges, **end;
    unsigned count;
    struct geo_piece *pieces; /* sorted, disjoint */
    unsigned piece_count;
};

struct geo_table {
    struct geo_side v4, v6;
};

/* A net ("192.0.2.0/24", "2001:db8::/32") or an address. *ret_low_bits as addr_net_parse(). */
bool geo_read_net(struct slice, struct geo_range *, bool *ret_is_v6, bool *ret_low_bits) MUST_USE;
/* "192.0.2.1-192.0.2.9". */
bool geo_read_span(struct slice, struct geo_range *, bool *ret_is_v6) MUST_USE;

/* Arenas of the configuration: adding never fails. */
void geo_table_add(struct geo_table *, struct arena *, const struct geo_range *, bool is_v6);
/* The latest range of exactly this extent; NULL: there is none. */
struct geo_range *geo_table_same(struct geo_table *, const struct geo_range *, bool is_v6);
/* Takes that range out again. */
void geo_table_remove(struct geo_table *, struct geo_range *, bool is_v6);
void geo_table_build(struct geo_table *, struct arena *);

/* IPv4-mapped IPv6 addresses are looked up as IPv4. */
const void *geo_table_find(const struct geo_table *, const struct addr *);

#endif
