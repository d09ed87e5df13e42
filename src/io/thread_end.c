/* thread_end.c - what a library wants done at the end of each thread. */
#include "io/engine.h"

static _Atomic(void (*)(void)) at_thread_end;

void io_at_thread_end(void (*run)(void))
{
    at_thread_end = run;
}

void io_end_thread(void)
{
    void (*run)(void) = at_thread_end;

    if (run != NULL)
        run();
}
