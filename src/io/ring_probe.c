/* ring_probe.c - can this machine run io_uring at the size that is asked for, and if not, why. */
#include "io/ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { DISABLED_PATH_READ = 8 };

static const unsigned char needed[] = {
    IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV,     IORING_OP_RECVMSG,
    IORING_OP_SEND,   IORING_OP_SENDMSG, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
};

/* ---- why not ----------------------------------------------------------------------------- */

static int sysctl_disabled(void)
{
    char text[DISABLED_PATH_READ] = "";
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");

    if (f == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    return n > 0 && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : 0;
}

static void say_refused(char *why, size_t size)
{
    int disabled = sysctl_disabled();

    if (disabled != 0)
        snprintf(why, size, "the sysctl kernel.io_uring_disabled is %d", disabled);
    else
        snprintf(why, size, "a security policy refuses io_uring (seccomp: containers have one)");
}

static void say_no_memory(char *why, size_t size, const char *step)
{
    struct rlimit limit = { 0 };

    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    snprintf(why, size, "%s: not enough memory; the limit for locked memory is %llu KiB", step,
             (unsigned long long)limit.rlim_cur / 1024);
}

static int say(int error, const char *step, char *why, size_t size)
{
    struct utsname kernel = { 0 };

    (void)uname(&kernel);
    switch (error) {
    case -ENOSYS:
        snprintf(why, size, "this kernel has no io_uring");
        break;
    case -EPERM:
    case -EACCES:
        say_refused(why, size);
        break;
    case -EINVAL:
    case -EOPNOTSUPP:
        snprintf(why, size, "%s: Linux %s is too old, 6.1 is needed", step, kernel.release);
        break;
    case -ENOMEM:
        say_no_memory(why, size, step);
        break;
    default:
        snprintf(why, size, "%s: %s", step, strerror(-error));
        break;
    }
    return error;
}

/* ---- trying ------------------------------------------------------------------------------ */

static int verbs_missing(struct ring *r)
{
    struct io_uring_probe *p = io_uring_get_probe_ring(&r->uring);
    int error = p != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; error == 0 && i < sizeof needed; i++)
        if (!io_uring_opcode_supported(p, needed[i]))
            error = -EOPNOTSUPP;
    if (p != NULL)
        io_uring_free_probe(p);
    return error;
}

struct trial {
    struct io_op rx, end;
    int32_t got;
    bool over, closed;
};

static void on_trial(struct io *io, struct io_op *op, struct io_result r)
{
    struct trial *t = container_of(op, struct trial, rx);

    if (r.buf != NULL) {
        t->got = r.res;
        io_buf_release(io, r.buf);
    }
    t->over |= (r.flags & IO_MORE) == 0;
}

static void on_trial_closed(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)r;
    container_of(op, struct trial, end)->closed = true;
}

/* No feature bit tells whether recv into provided buffers works: one byte does. */
static int try_recv(struct io *io)
{
    enum { TURNS = 20, TURN_NS = 50 * 1000 * 1000 };
    struct trial t = { 0 };
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    io_recv(io, &t.rx, ends[0], IO_MULTI, on_trial);
    int error = write(ends[1], "x", 1) == 1 ? 0 : -errno;

    for (int i = 0; i < TURNS && t.got == 0 && !t.over; i++)
        io_turn(io, TURN_NS);
    io_close(io, &t.end, ends[0], on_trial_closed);
    while (!t.closed)
        io_turn(io, TURN_NS);
    close(ends[1]);
    return error == 0 && t.got != 1 ? -EOPNOTSUPP : error;
}

static int try_one(const struct io_limits *limits, struct io **ret, const char **ret_step)
{
    struct ring *r = malloc(sizeof *r);
    int error = r != NULL ? ring_open(r, limits, ret_step) : -ENOMEM;

    if (error == 0) {
        *ret_step = "its operations";
        error = verbs_missing(r);
        ring_close(r);
    }
    free(r);
    if (error != 0)
        return error;
    *ret_step = "opening one ring per loop";
    *ret = io_create(&io_engine_uring, limits, &error);
    if (*ret == NULL)
        return error;
    *ret_step = "receiving one byte";
    return try_recv(*ret);
}

int io_uring_probe(unsigned loops, const struct io_limits *limits, char *why, size_t why_size)
{
    struct io **all = calloc(loops, sizeof(struct io *));
    const char *step = "memory";
    int error = all != NULL ? 0 : -ENOMEM;

    /* All at once: limits that one ring respects may refuse the last one. */
    for (unsigned i = 0; error == 0 && i < loops; i++)
        error = try_one(limits, &all[i], &step);
    for (unsigned i = 0; all != NULL && i < loops; i++)
        if (all[i] != NULL)
            io_destroy(all[i]);
    free(all);
    if (error == 0 && why_size > 0)
        why[0] = '\0';
    return error == 0 ? 0 : say(error, step, why, why_size);
}
