/* arena.h - memory that is freed in one step.
 *
 *   struct arena a;
 *   arena_init(&a, NULL, 0, 4096, 64 * 1024);
 *   char *p = arena_alloc(&a, n);          NULL: the ceiling was reached, or no memory
 *   arena_reset(&a);                       everything given out is gone
 *   arena_done(&a);
 *
 * The first block may be lent by the owner (a slab slot, a member): then small uses cost no
 * allocation at all. Memory given out is not zeroed unless the function says so.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/poison.h"
#include "base/slice.h"

enum { ARENA_ALIGN = 16 };

struct arena_block;

struct arena {
    char *at, *end;             /* room in the current block                            */
    char *first, *first_end;    /* the lent block, or NULL                              */
    struct arena_block *blocks; /* allocated blocks, newest first                       */
    size_t block_size;          /* smallest block to allocate                           */
    size_t used_blocks;         /* bytes in allocated blocks                            */
    size_t ceiling;             /* most bytes in allocated blocks; SIZE_MAX: no ceiling */
};

/* Borrows first[0..first_size) until arena_done(); pass NULL, 0 for none. */
void arena_init(struct arena *, void *first, size_t first_size, size_t block_size, size_t ceiling);
void arena_reset(struct arena *);
void arena_done(struct arena *);

/* Slow path of both: makes room in a new block. */
void *arena_alloc_slow(struct arena *, size_t size) MUST_USE;

/* Aligned to 16 bytes. NULL when the ceiling or the machine's memory is reached. */
MUST_USE static inline void *arena_alloc(struct arena *a, size_t size)
{
    uintptr_t at = ((uintptr_t)a->at + (ARENA_ALIGN - 1)) & ~(uintptr_t)(ARENA_ALIGN - 1);
    size_t room = (uintptr_t)a->end - at; /* ends are aligned too: never below 0 */
    if (__builtin_expect(size - 1 >= room || room < size + POISON_GAP, 0))
        return arena_alloc_slow(a, size); /* also when size is 0 */
    char *piece = a->at + (at - (uintptr_t)a->at);
    a->at = piece + size + POISON_GAP;
    UNPOISON(piece, size);
    return piece;
}

void *arena_zalloc(struct arena *, size_t size) MUST_USE; /* zeroed */

/* Not aligned: for text. */
MUST_USE static inline char *arena_bytes(struct arena *a, size_t size)
{
    if (POISON_GAP > 0 || __builtin_expect(size - 1 >= (size_t)(a->end - a->at), 0))
        return arena_alloc(a, size);
    char *piece = a->at;
    a->at = piece + size;
    return piece;
}

/* Makes the piece at..at+size longer in place, to `larger` bytes, if it is the last one given
 * out and there is room: true. False: nothing changed. */
bool arena_extend(struct arena *, void *at, size_t size, size_t larger);

/* A copy with a NUL behind it (not counted). at == NULL when memory ran out. */
struct slice arena_copy(struct arena *, struct slice) MUST_USE;

/* Formats into the arena; at == NULL when memory ran out. */
struct slice arena_printf(struct arena *, const char *format, ...) PRINTF_LIKE(2, 3) MUST_USE;

/* For boot and configuration, where running out of memory ends the program with a message. */
void *arena_must(struct arena *, size_t size); /* zeroed */

#endif
