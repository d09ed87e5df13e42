/* machine.c - what a system call and a wake-up on the other CPU cost here, as JSON. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 1000000, TURNS = 20000 };

static int there[2], back[2];

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void *other(void *unused)
{
    char c;

    pin(1);
    while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
        ;
    return unused;
}

int main(void)
{
    pthread_t thread;
    double start = now_ns(), call;
    char c = 0;

    pin(0);
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
    call = (now_ns() - start) / CALLS;
    if (pipe(there) != 0 || pipe(back) != 0 || pthread_create(&thread, NULL, other, NULL) != 0)
        return 1;
    start = now_ns();
    for (int i = 0; i < TURNS; i++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
            return 1;
    printf("{\"syscall_ns\": %.1f, \"wakeup_us\": %.2f}\n", call,
           (now_ns() - start) / TURNS / 2000);
    close(there[1]);
    pthread_join(thread, NULL);
    return 0;
}
