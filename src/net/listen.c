/* listen.c - socket, options, bind, listen, in the one order that works. */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { TCP_FLAGS_AT = 13, TCP_FLAG_SYN = 0x02, UNIX_MODE = 0666 };

/* An option of setsockopt(2) that one member of the wish may set. */
struct option {
    const char *step;
    int level, name;
    size_t offset;
};

static const struct option numbers[] = {
    { "setsockopt(SO_RCVBUF)", SOL_SOCKET, SO_RCVBUF, offsetof(struct listen_wish, rcvbuf) },
    { "setsockopt(SO_SNDBUF)", SOL_SOCKET, SO_SNDBUF, offsetof(struct listen_wish, sndbuf) },
};

static const struct option tcp_numbers[] = {
    { "setsockopt(TCP_KEEPIDLE)", IPPROTO_TCP, TCP_KEEPIDLE,
      offsetof(struct listen_wish, keep_idle) },
    { "setsockopt(TCP_KEEPINTVL)", IPPROTO_TCP, TCP_KEEPINTVL,
      offsetof(struct listen_wish, keep_interval) },
    { "setsockopt(TCP_KEEPCNT)", IPPROTO_TCP, TCP_KEEPCNT,
      offsetof(struct listen_wish, keep_count) },
    { "setsockopt(TCP_FASTOPEN)", IPPROTO_TCP, TCP_FASTOPEN,
      offsetof(struct listen_wish, fastopen) },
};

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

static int set_numbers(int fd, const struct listen_wish *w, const struct option *options,
                       size_t count, const char **ret_step)
{
    for (size_t i = 0; i < count; i++) {
        int value;

        memcpy(&value, (const char *)w + options[i].offset, sizeof value);
        if (value <= 0)
            continue;
        int error = set(fd, options[i].level, options[i].name, value);

        if (error != 0) {
            *ret_step = options[i].step;
            return error;
        }
    }
    return 0;
}

static int set_options(int fd, const struct listen_wish *w, const char **ret_step)
{
    int error = 0;

    if (w->keepalive_set) {
        *ret_step = "setsockopt(SO_KEEPALIVE)";
        error = set(fd, SOL_SOCKET, SO_KEEPALIVE, w->keepalive);
    }
    if (error == 0)
        error = set_numbers(fd, w, numbers, COUNT_OF(numbers), ret_step);
    if (error != 0 || w->addr.family == AF_UNIX)
        return error;
    *ret_step = "setsockopt(TCP_NODELAY)";
    error = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (error == 0 && w->deferred) {
        *ret_step = "setsockopt(TCP_DEFER_ACCEPT)";
        error = set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
    }
    return error != 0 ? error : set_numbers(fd, w, tcp_numbers, COUNT_OF(tcp_numbers), ret_step);
}

/* A path that a dead server left behind refuses connections; a live one's does not. */
static bool stale(const char *path, const struct sockaddr_storage *to, socklen_t size)
{
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    bool dead = connect(fd, (const struct sockaddr *)to, size) != 0 && errno == ECONNREFUSED;

    close(fd);
    return dead;
}

static int bind_unix(int fd, const char *path, unsigned mode, const char **ret_step)
{
    struct sockaddr_storage to;
    socklen_t size;

    *ret_step = "bind()";
    int error = addr_unix(path, &to, &size);

    if (error != 0)
        return error;
    if (stale(path, &to, size) && unlink(path) != 0)
        return -errno;
    if (mode != 0 && fchmod(fd, mode) != 0) /* not even for a moment may others connect */
        return -errno;
    if (bind(fd, (const struct sockaddr *)&to, size) != 0)
        return -errno;
    *ret_step = "chmod()";
    return chmod(path, mode != 0 ? mode : UNIX_MODE) == 0 ? 0 : -errno;
}

static int bind_tcp(int fd, const struct listen_wish *w, const char **ret_step)
{
    struct sockaddr_storage to;
    socklen_t size = addr_to_sockaddr(&w->addr, &to);
    int error;

    *ret_step = "setsockopt(SO_REUSEADDR)";
    error = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && w->reuseport) {
        *ret_step = "setsockopt(SO_REUSEPORT)";
        error = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (error == 0 && w->addr.family == AF_INET6) {
        *ret_step = "setsockopt(IPV6_V6ONLY)";
        error = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, w->ipv6only);
    }
    if (error != 0)
        return error;
    *ret_step = "bind()";
    return bind(fd, (const struct sockaddr *)&to, size) == 0 ? 0 : -errno;
}

int listen_open(const struct listen_wish *w, const char **ret_step)
{
    *ret_step = "socket()";
    int fd = socket(w->addr.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int error = w->addr.family == AF_UNIX ? bind_unix(fd, w->unix_path, w->unix_mode, ret_step)
                                          : bind_tcp(fd, w, ret_step);

    if (error == 0)
        error = set_options(fd, w, ret_step);
    if (error == 0) {
        *ret_step = "listen()";
        error = listen(fd, w->backlog) == 0 ? 0 : -errno;
    }
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

void listen_adjust(int fd, const struct listen_wish *w)
{
    const char *step;

    (void)set_options(fd, w, &step);
    (void)listen(fd, w->backlog);
}

int listen_stop_syns(int fd)
{
    /* The packet begins with its TCP header. */
    struct sock_filter drop_syns[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_AT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TCP_FLAG_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = { .len = COUNT_OF(drop_syns), .filter = drop_syns };

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

int listen_waiting(int fd)
{
    struct tcp_info state;
    socklen_t size = sizeof state;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) != 0)
        return -1;
    return (int)state.tcpi_unacked; /* of a listening socket: its accept queue */
}

bool listen_describe(int fd, struct addr *ret, char path[LISTEN_PATH_SIZE])
{
    struct sockaddr_storage space;
    socklen_t size = sizeof space, int_size = sizeof(int);
    int listening = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) != 0 || !listening ||
        getsockname(fd, (struct sockaddr *)&space, &size) != 0)
        return false;
    addr_from_sockaddr(ret, (const struct sockaddr *)&space, size);
    path[0] = '\0';
    if (ret->family == AF_UNIX) {
        const struct sockaddr_un *un = (const void *)&space;
        size_t room = size - offsetof(struct sockaddr_un, sun_path);
        size_t length = strnlen(un->sun_path, room < LISTEN_PATH_SIZE ? room : 0);

        if (length == 0 || length >= LISTEN_PATH_SIZE)
            return false;
        memcpy(path, un->sun_path, length);
        path[length] = '\0';
    }
    return ret->family != AF_UNSPEC;
}
