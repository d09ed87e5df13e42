/* tell.c - sends a running master its signals; tests and prints a configuration. */
#include "server/tell.h"

#include "server/pid_file.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_TIMEOUT_SEC = 90, ANSWER_SIZE = 4096 };

static struct config *load(const struct options *o, const struct registry *registry,
                           bool words_only)
{
    struct config_place place = { o->prefix, o->conf, o->globals };
    struct config *c = config_create(registry, &place, true);

    c->source.base.words_only = words_only;
    config_read(c);
    return c;
}

/* ---- -t and -T -------------------------------------------------------------------------- */

static void dump(const struct config *c)
{
    for (const struct conf_file *f = conf_load_files(c->load); f != NULL; f = f->next) {
        printf("# configuration file %s:\n", f->path);
        fwrite(f->text.at, 1, f->text.size, stdout);
        putchar('\n');
    }
}

int tell_test(const struct options *o, const struct registry *registry)
{
    struct config *c = load(o, registry, false);
    bool good = config_good(c);

    config_print(c, o->quiet);
    if (!good)
        fprintf(stderr, "weir: configuration file %s test failed\n", o->conf);
    if (good && !o->quiet)
        fprintf(stderr,
                "weir: the configuration file %s syntax is ok\n"
                "weir: configuration file %s test is successful\n",
                o->conf, o->conf);
    if (good && o->dump)
        dump(c);
    config_destroy(c);
    return good ? 0 : 1;
}

/* ---- -s --------------------------------------------------------------------------------- */

static int deliver(pid_t pid, int number)
{
    if (kill(pid, number) == 0)
        return 0;
    fprintf(stderr, "weir: [alert] kill(%d, %d) failed (%d: %s)\n", (int)pid, number, errno,
            strerror(errno));
    return 1;
}

/* A stream to the master, if it takes commands; -1: it does not. */
static int connect_to(pid_t pid)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_SEC };
    struct ucred peer;
    socklen_t peer_size = sizeof peer;
    char name[PID_NAME_SIZE];
    int fd;

    if (!pid_command_name(pid, name))
        return -1;
    memcpy(to.sun_path + 1, name, strlen(name));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 && peer.pid == pid)
        return fd;
    close(fd);
    return -1;
}

static int hear_outcome(int fd)
{
    char text[ANSWER_SIZE], verdict = 0;
    ssize_t n;

    do
        n = read(fd, &verdict, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1) {
        fprintf(stderr, "weir: the master did not say how the reload went\n");
        return 1;
    }
    while ((n = read(fd, text, sizeof text)) > 0)
        fwrite(text, 1, (size_t)n, stderr);
    if (verdict != '0')
        fprintf(stderr, "weir: the reload was refused; the old configuration stays in force\n");
    return verdict == '0' ? 0 : 1;
}

static int reload(pid_t pid)
{
    int fd = connect_to(pid), status;

    if (fd < 0 || send(fd, "reload", 6, MSG_NOSIGNAL) != 6) {
        if (fd >= 0)
            close(fd);
        return deliver(pid, SIGHUP);
    }
    status = hear_outcome(fd);
    close(fd);
    return status;
}

static const struct {
    const char *word;
    int number;
} signals[] = {
    { "stop", SIGTERM },
    { "quit", SIGQUIT },
    { "reopen", SIGUSR1 },
    { "reload", SIGHUP },
};

static int tell_master(const struct options *o, const struct config *c)
{
    char path[PID_PATH_SIZE];
    pid_t pid;
    int error;

    snprintf(path, sizeof path, "%.*s", SLICE_FMT(c->main->pid));
    error = pid_file_read(path, &pid);
    if (error == -EINVAL) {
        fprintf(stderr, "weir: [error] invalid PID number in \"%s\"\n", path);
        return 1;
    }
    if (error != 0) {
        fprintf(stderr, "weir: [error] open() \"%s\" failed (%d: %s)\n", path, -error,
                strerror(-error));
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        if (strcmp(o->signal, signals[i].word) == 0)
            return signals[i].number == SIGHUP ? reload(pid) : deliver(pid, signals[i].number);
    return 1;
}

int tell_signal(const struct options *o, const struct registry *registry)
{
    struct config *c = load(o, registry, true); /* the master looks at certificates itself */
    int status = 1;

    config_print(c, true);
    if (config_good(c))
        status = tell_master(o, c);
    config_destroy(c);
    return status;
}
