/* master_command.c - the socket on which `weir -s reload` asks, and is told how it went.
 *
 * An abstract unix socket named after the process: no file is left behind by a crash. Only root
 * and the master's own user are listened to. A client sends one word, "reload"; the answer is a
 * '0' (done) or '1' (refused) and the text to show, then the end of the stream.
 */
#include "server/master.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static io_done_fn on_client, on_word, on_closed;

static void forget(struct master *m, struct master_client *k)
{
    if (k->closing)
        return;
    k->closing = true;
    io_close(m->io, &k->end, k->fd, on_closed);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)r;
    *container_of(op, struct master_client, end) = (struct master_client){ .fd = -1 };
}

static void on_word(struct io *io, struct io_op *op, struct io_result r)
{
    struct master_client *k = container_of(op, struct master_client, rx);
    struct master *m = k->master;
    bool good = false;

    if (r.buf != NULL) {
        good = slice_eq(slice_of((const char *)r.buf->bytes, (size_t)r.res), SLICE("reload"));
        io_buf_release(io, r.buf);
    }
    if (!good || k->asked) {
        forget(m, k);
        return;
    }
    /* One that is on its way may have read files before the client changed them. */
    k->asked = true;
    k->waits_for = m->attempts + 1;
    if (m->resting || m->stopping || m->quitting) {
        forget(m, k);
        return;
    }
    reload_begin(m);
    if (!k->closing && k->used)
        io_recv(io, op, k->fd, 0, on_word); /* notices a client that gives up */
}

void command_answer(struct master *m, uint32_t attempt, bool good)
{
    for (size_t i = 0; i < MASTER_CLIENTS_MAX; i++) {
        struct master_client *k = &m->clients[i];

        if (!k->used || !k->asked || k->closing || k->waits_for > attempt)
            continue;
        (void)!send(k->fd, good ? "0" : "1", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)!send(k->fd, m->text, strlen(m->text), MSG_NOSIGNAL | MSG_DONTWAIT);
        forget(m, k);
    }
}

static bool trusted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_client(struct io *io, struct io_op *op, struct io_result r)
{
    struct master *m = container_of(op, struct master, command_accept);
    struct master_client *k = NULL;

    for (size_t i = 0; i < MASTER_CLIENTS_MAX && k == NULL; i++)
        if (!m->clients[i].used)
            k = &m->clients[i];
    if (r.res >= 0 && (k == NULL || !trusted(r.res))) {
        close(r.res);
    } else if (r.res >= 0) {
        *k = (struct master_client){ .master = m, .fd = r.res, .used = true };
        io_recv(io, &k->rx, k->fd, 0, on_word);
    }
    if (!(r.flags & IO_MORE) && r.res >= 0)
        io_accept(io, op, m->command_fd, IO_MULTI, on_client);
}

bool command_open(struct master *m)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char name[PID_NAME_SIZE];

    if (!pid_command_name(getpid(), name))
        return false;
    memcpy(to.sun_path + 1, name, strlen(name));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));

    m->command_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (m->command_fd < 0)
        return false;
    if (bind(m->command_fd, (struct sockaddr *)&to, size) != 0 ||
        listen(m->command_fd, BACKLOG) != 0 || io_adopt(m->io, m->command_fd) != 0) {
        close(m->command_fd);
        m->command_fd = -1;
        return false;
    }
    io_accept(m->io, &m->command_accept, m->command_fd, IO_MULTI, on_client);
    return true;
}

static void on_shut(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)r;
    container_of(op, struct master, command_end)->command_fd = -1;
}

bool command_close(struct master *m)
{
    bool any = false;

    if (m->command_fd >= 0 && !io_busy(&m->command_end))
        io_close(m->io, &m->command_end, m->command_fd, on_shut);
    for (size_t i = 0; i < MASTER_CLIENTS_MAX; i++) {
        if (!m->clients[i].used)
            continue;
        forget(m, &m->clients[i]);
        any = true;
    }
    return any || m->command_fd >= 0;
}
