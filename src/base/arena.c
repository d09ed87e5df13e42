/* arena.c - blocks of memory that are given out front to back and freed together. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *older;
    size_t size; /* with this head */
};

_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "what follows is aligned");

enum { BLOCK_SIZE_MIN = 256 };

void arena_init(struct arena *a, void *first, size_t first_size, size_t block_size, size_t ceiling)
{
    *a = (struct arena){ .block_size = block_size, .ceiling = ceiling };
    if (a->block_size < BLOCK_SIZE_MIN)
        a->block_size = BLOCK_SIZE_MIN;
    uintptr_t begin = ((uintptr_t)first + ARENA_ALIGN - 1) & ~(uintptr_t)(ARENA_ALIGN - 1);
    uintptr_t end = ((uintptr_t)first + first_size) & ~(uintptr_t)(ARENA_ALIGN - 1);
    if (first != NULL && begin < end) {
        a->first = (char *)first + (begin - (uintptr_t)first);
        a->first_end = (char *)first + (end - (uintptr_t)first);
    }
    a->at = a->first;
    a->end = a->first_end;
}

void arena_reset(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;
        a->blocks = block->older;
        UNPOISON(block, block->size);
        free(block);
    }
    a->used_blocks = 0;
    a->at = a->first;
    a->end = a->first_end;
}

void arena_done(struct arena *a)
{
    arena_reset(a);
    *a = (struct arena){ 0 };
}

static size_t round_up(size_t n)
{
    return (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static struct arena_block *block_add(struct arena *a, size_t size)
{
    if (size > a->ceiling || a->used_blocks > a->ceiling - size)
        return NULL;
    struct arena_block *block = malloc(size);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){ a->blocks, size };
    a->blocks = block;
    a->used_blocks += size;
    POISON(block + 1, size - sizeof *block);
    return block;
}

/* A piece that is large beside the blocks gets one of its own, and the current block goes on
 * being used: else one large piece would waste what is left of it. */
void *arena_alloc_slow(struct arena *a, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t need = round_up(sizeof(struct arena_block) + size + POISON_GAP);
    bool alone = need > a->block_size / 2 && a->at != NULL;
    struct arena_block *block = NULL;
    if (!alone && need <= a->block_size)
        block = block_add(a, round_up(a->block_size));
    if (block == NULL)
        block = block_add(a, need);
    if (block == NULL)
        return NULL;
    char *piece = (char *)(block + 1);
    if (!alone) {
        a->at = piece + size + POISON_GAP;
        a->end = (char *)block + block->size;
    }
    UNPOISON(piece, size);
    return piece;
}

bool arena_extend(struct arena *a, void *at, size_t size, size_t larger)
{
    char *piece = at;
    if (piece == NULL || piece + size + POISON_GAP != a->at || larger < size ||
        larger - size > (size_t)(a->end - a->at))
        return false;
    a->at = piece + larger + POISON_GAP;
    UNPOISON(piece, larger);
    return true;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *piece = arena_alloc(a, size);
    return piece != NULL ? memset(piece, 0, size) : NULL;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    char *copy = s.size < SIZE_MAX ? arena_bytes(a, s.size + 1) : NULL;
    if (copy == NULL)
        return (struct slice){ 0 };
    if (s.size > 0)
        memcpy(copy, s.at, s.size);
    copy[s.size] = '\0';
    return slice_of(copy, s.size);
}

struct slice arena_printf(struct arena *a, const char *format, ...)
{
    char guess[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(guess, sizeof guess, format, args);
    char *text = size >= 0 ? arena_bytes(a, (size_t)size + 1) : NULL;
    if (text != NULL && (size_t)size < sizeof guess)
        memcpy(text, guess, (size_t)size + 1);
    else if (text != NULL)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(args);
    return text != NULL ? slice_of(text, (size_t)size) : (struct slice){ 0 };
}

void *arena_must(struct arena *a, size_t size)
{
    void *piece = arena_zalloc(a, size);
    if (piece == NULL) {
        fprintf(stderr, "weir: [emerg] out of memory: %zu more bytes needed\n", size);
        exit(EXIT_FAILURE);
    }
    return piece;
}
