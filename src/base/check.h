/* check.h - what must be true, and what to say when it is not.
 *
 *   CHECK(x)    always compiled in, cheap: our bug. A false one stops this worker
 *               with a report; the master starts another.
 *   DCHECK(x)   debug and test builds only: for checks that cost.
 *   NEVER(why)  a place that cannot be reached; says why.
 *
 * What the environment or a peer does is never CHECKed: that is an error or a verdict.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define CHECK(x) ((x) ? (void)0 : check_failed(#x, __FILE__, __LINE__, __func__))
#define NEVER(why) check_failed("never: " why, __FILE__, __LINE__, __func__)
#ifdef WEIR_DEBUG
#define DCHECK(x) CHECK(x)
#else
#define DCHECK(x) ((void)sizeof(x))
#endif

/* Prints the panic report to stderr (and to the hook, if one is set), then aborts. */
_Noreturn void check_failed(const char *what, const char *file, int line, const char *func);

/* Called once by check_failed() with the file descriptor to write to, so that the layers
 * above can add what they know: engine, connection, request, trace records. */
typedef void check_hook_fn(int fd);
void check_on_panic(check_hook_fn *hook);

/* Every long-lived struct starts with `uint32_t magic`. OBJ_BORN sets it, OBJ_DEAD clears
 * it, OBJ checks it. A stale pointer dies here, not later. */
#define OBJ(p, MAGIC) CHECK((p) != NULL && (p)->magic == (MAGIC))
#define OBJ_BORN(p, MAGIC) ((p)->magic = (MAGIC))
#define OBJ_DEAD(p) ((p)->magic = 0xdeadu)

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#endif
