/* gather.h - text that grows up to a bound, in one pass.
 *
 *   struct gather g;
 *   gather_init(&g, space, sizeof space, NULL, 0);      fixed room
 *   gather_init(&g, NULL, 0, &r->arena, 64 * 1024);     grows in an arena up to 64 KiB
 *   gather_str(&g, "Content-Length: ");
 *   gather_u64(&g, size);
 *   if (g.full) ...                                     something did not fit
 *
 * Appending beyond the bound sets `full` and appends nothing more; nothing is ever written
 * out of bounds, and the caller checks once at the end.
 */
#ifndef BASE_GATHER_H
#define BASE_GATHER_H

#include "base/arena.h"

struct gather {
    char *at;
    size_t used, size;   /* size: room now                                    */
    size_t max;          /* the bound; with no arena, the same as size        */
    struct arena *arena; /* where to grow, or NULL                            */
    bool full;
};

/* Borrows space and arena. With an arena, space may be NULL and max is the bound. */
void gather_init(struct gather *, char *space, size_t size, struct arena *, size_t max);

/* Slow path of the appenders: makes room for `more` bytes, or sets full. */
bool gather_grow(struct gather *, size_t more);

static inline bool gather_room(struct gather *g, size_t more)
{
    return (g->size - g->used >= more && !g->full) || gather_grow(g, more);
}

static inline void gather_bytes(struct gather *g, const void *at, size_t size)
{
    if (gather_room(g, size) && size > 0) {
        memcpy(g->at + g->used, at, size);
        g->used += size;
    }
}

static inline void gather_slice(struct gather *g, struct slice s)
{
    gather_bytes(g, s.at, s.size);
}

static inline void gather_byte(struct gather *g, char c)
{
    if (gather_room(g, 1))
        g->at[g->used++] = c;
}

#define gather_lit(g, literal) gather_bytes((g), "" literal, sizeof(literal) - 1)

void gather_str(struct gather *, const char *nul_terminated);
void gather_u64(struct gather *, uint64_t);
void gather_i64(struct gather *, int64_t);
void gather_hex(struct gather *, uint64_t); /* lower case, no padding */
/* Two digits a byte, lower case: appended; and into 2 * size bytes, no NUL. */
void gather_hex_bytes(struct gather *, const void *at, size_t size);
void hex_write(char *into, const void *at, size_t size);
void gather_printf(struct gather *, const char *format, ...) PRINTF_LIKE(2, 3);

static inline struct slice gather_get(const struct gather *g)
{
    return (struct slice){ g->at, g->used };
}

#endif
