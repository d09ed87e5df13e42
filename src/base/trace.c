/* trace.c - writes the ring of the last events as text, also from a signal handler. */
#include "base/trace.h"

#include "base/gather.h"

#include <unistd.h>

_Thread_local struct trace trace_here;

static void gather_maybe(struct gather *g, const char *text)
{
    gather_str(g, text != NULL ? text : "-");
}

void trace_dump(int fd)
{
    const struct trace *t = &trace_here;
    for (uint32_t i = 0; i < TRACE_RECORDS; i++) {
        const struct trace_record *r = &t->ring[(t->next + i) % TRACE_RECORDS];
        if (r->what == NULL)
            continue;
        char space[256];
        struct gather g;
        gather_init(&g, space, sizeof space, NULL, 0);
        gather_lit(&g, "trace: ");
        gather_str(&g, r->what);
        gather_lit(&g, " ");
        gather_u64(&g, r->who);
        gather_lit(&g, " ");
        gather_maybe(&g, r->from);
        gather_lit(&g, " -> ");
        gather_maybe(&g, r->to);
        gather_lit(&g, "\n");
        if (write(fd, g.at, g.used) < 0)
            return;
    }
}
