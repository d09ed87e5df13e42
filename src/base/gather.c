/* gather.c - the appenders that are not inline, and growing. */
#include "base/gather.h"

#include <stdarg.h>
#include <stdio.h>

enum { GATHER_SIZE_MIN = 256 };

void gather_init(struct gather *g, char *space, size_t size, struct arena *arena, size_t max)
{
    if (arena == NULL)
        max = size;
    *g = (struct gather){
        .at = space,
        .size = size < max ? size : max,
        .max = max,
        .arena = arena,
    };
}

/* Doubles, in place when nothing else was taken from the arena since. */
bool gather_grow(struct gather *g, size_t more)
{
    if (g->full)
        return false;
    if (g->arena == NULL || more > g->max - g->used) {
        g->full = true;
        return false;
    }
    size_t size = g->size < g->max / 2 ? 2 * g->size : g->max;
    if (size < GATHER_SIZE_MIN)
        size = GATHER_SIZE_MIN;
    if (size < g->used + more)
        size = g->used + more;
    if (size > g->max)
        size = g->max;
    if (!arena_extend(g->arena, g->at, g->size, size)) {
        char *larger = arena_bytes(g->arena, size);
        if (larger == NULL) {
            g->full = true;
            return false;
        }
        if (g->used > 0)
            memcpy(larger, g->at, g->used);
        g->at = larger;
    }
    g->size = size;
    return true;
}

void gather_str(struct gather *g, const char *nul_terminated)
{
    gather_bytes(g, nul_terminated, strlen(nul_terminated));
}

void gather_u64(struct gather *g, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    gather_bytes(g, digits + at, sizeof digits - at);
}

void gather_i64(struct gather *g, int64_t value)
{
    if (value < 0 && !gather_room(g, 2))
        return;
    if (value < 0)
        gather_byte(g, '-');
    gather_u64(g, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void gather_hex(struct gather *g, uint64_t value)
{
    char digits[16];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value > 0);
    gather_bytes(g, digits + at, sizeof digits - at);
}

/* A text that does not fit the guess is formatted in place and needs a byte more than its length,
 * for the NUL that vsnprintf writes. */
void hex_write(char *into, const void *at, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *byte = at;

    for (size_t i = 0; i < size; i++) {
        *into++ = digits[byte[i] >> 4];
        *into++ = digits[byte[i] & 15];
    }
}

void gather_hex_bytes(struct gather *g, const void *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char two[2];

        hex_write(two, (const uint8_t *)at + i, 1);
        gather_bytes(g, two, sizeof two);
    }
}

void gather_printf(struct gather *g, const char *format, ...)
{
    char guess[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(guess, sizeof guess, format, args);
    if (size < 0)
        g->full = true;
    else if ((size_t)size < sizeof guess)
        gather_bytes(g, guess, (size_t)size);
    else if (gather_room(g, (size_t)size + 1)) {
        vsnprintf(g->at + g->used, (size_t)size + 1, format, again);
        g->used += (size_t)size;
    }
    va_end(again);
    va_end(args);
}
