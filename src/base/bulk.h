/* bulk.h - clearing and copying through the C library's vector code, whatever the compiler
 * knows about the size. Told a bound, gcc 12 emits string instructions instead, whose start
 * alone costs more than the whole work: measured on request heads, 40 ns of 160.
 */
#ifndef BASE_BULK_H
#define BASE_BULK_H

#include <stddef.h>
#include <string.h>

static inline void bulk_zero(void *at, size_t size)
{
    __asm__("" : "+r"(size)); /* hides what is known of it */
    memset(at, 0, size);
}

static inline void bulk_copy(void *into, const void *from, size_t size)
{
    __asm__("" : "+r"(size));
    memcpy(into, from, size);
}

#endif
