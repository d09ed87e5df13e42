/* poison.h - tells AddressSanitizer what part of an arena or a slab may be touched.
 *
 * Nothing in ordinary builds. With the sanitizer, memory that an arena has not given out yet, or
 * that a slab took back, is as forbidden as freed memory.
 */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_WORKS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISON_WORKS 1
#endif

#ifdef POISON_WORKS
#ifndef __clang__
__attribute__((access(none, 1)))    /* else gcc thinks that the bytes are read */
#endif
void __asan_poison_memory_region(void const volatile *at, size_t size);
void __asan_unpoison_memory_region(void const volatile *at, size_t size);
#define POISON(at, size) __asan_poison_memory_region((at), (size))
#define UNPOISON(at, size) __asan_unpoison_memory_region((at), (size))
enum { POISON_GAP = 16 }; /* forbidden bytes between two pieces of an arena */
#else
#define POISON(at, size) ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
enum { POISON_GAP = 0 };
#endif

#endif
