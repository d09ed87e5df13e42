/* trace.h - the last few hundred things that happened on this thread, for the panic report.
 *
 *   trace_put("conn", conn_number, "head", "run");      a state change: what, who, from, to
 *
 * Costs four stores; strings must be static.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdint.h>

enum { TRACE_RECORDS = 256 };

struct trace_record {
    const char *what, *from, *to;
    uint64_t who;
};

struct trace {
    struct trace_record ring[TRACE_RECORDS];
    uint32_t next;
};

extern _Thread_local struct trace trace_here;

static inline void trace_put(const char *what, uint64_t who, const char *from, const char *to)
{
    trace_here.ring[trace_here.next++ % TRACE_RECORDS] =
        (struct trace_record){ what, from, to, who };
}

/* Writes this thread's records, oldest first, as text. Async-signal-safe. */
void trace_dump(int fd);

#endif
