/* sockets.c - the book of listening sockets that the master keeps. */
#include "server/sockets.h"

#include "net/holder.h"
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 5, TRY_AGAIN_MS = 100, HOLDER_SIZE = 128 };

static void *must(void *p)
{
    CHECK(p != NULL);
    return p;
}

static struct held_socket *find(const struct sockets *book, const char *key)
{
    struct held_socket *s = book->first;

    while (s != NULL && strcmp(s->key, key) != 0)
        s = s->next;
    return s;
}

static struct held_socket *enter(struct sockets *book, const char *key)
{
    struct held_socket *s = must(calloc(1, sizeof *s)), **end = &book->first;

    while (*end != NULL)
        end = &(*end)->next;
    snprintf(s->key, sizeof s->key, "%s", key);
    s->id = book->next_id++;
    *end = s;
    return s;
}

static void add_fd(struct held_socket *s, int fd)
{
    s->fds = must(realloc(s->fds, (s->count + 1) * sizeof *s->fds));
    s->fds[s->count++] = fd;
}

static void drop(struct held_socket **at, bool alone)
{
    struct held_socket *s = *at;

    *at = s->next;
    for (uint32_t i = 0; i < s->count; i++)
        close(s->fds[i]);
    if (s->unix_path != NULL && alone)
        (void)unlink(s->unix_path);
    free(s->unix_path);
    free(s->fds);
    free(s);
}

/* ---- from the binary before us ---------------------------------------------------------- */

static void inherit_one(struct sockets *book, int fd)
{
    char path[LISTEN_PATH_SIZE], key[LISTENER_KEY_SIZE];
    struct listen_addr a = { 0 };

    if (!listen_describe(fd, &a.addr, path))
        return;
    a.unix_path = slice_str(path);
    listener_key(&a, key);
    struct held_socket *s = find(book, key);

    if (s == NULL)
        s = enter(book, key);
    if (a.addr.family == AF_UNIX && s->unix_path == NULL)
        s->unix_path = must(strdup(path));
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    add_fd(s, fd);
}

void sockets_inherit(struct sockets *book, const char *list)
{
    struct slice left = slice_str(list);

    while (left.size > 0) {
        uint64_t fd;

        if (slice_to_u64(slice_cut(&left, ','), INT32_MAX, &fd))
            inherit_one(book, (int)fd);
    }
}

bool sockets_hand_down(const struct sockets *book, char *list, size_t size)
{
    struct gather g;

    gather_init(&g, list, size - 1, NULL, 0);
    for (const struct held_socket *s = book->first; s != NULL; s = s->next) {
        for (uint32_t i = 0; i < s->count; i++) {
            if (g.used > 0)
                gather_byte(&g, ',');
            gather_i64(&g, s->fds[i]);
            if (fcntl(s->fds[i], F_SETFD, 0) != 0)
                return false;
        }
    }
    list[g.used] = '\0';
    return !g.full;
}

/* ---- opening ---------------------------------------------------------------------------- */

static struct listen_wish wish_of(const struct listen_addr *a, char path[LISTEN_PATH_SIZE])
{
    snprintf(path, LISTEN_PATH_SIZE, "%.*s", SLICE_FMT(a->unix_path));
    return (struct listen_wish){
        .addr = a->addr,
        .unix_path = path,
        .unix_mode = a->unix_mode,
        .ipv6only = a->ipv6only,
        .reuseport = a->reuseport,
        .deferred = a->deferred,
        .keepalive_set = a->so_keepalive_set,
        .keepalive = a->so_keepalive,
        .backlog = a->backlog,
        .rcvbuf = a->rcvbuf,
        .sndbuf = a->sndbuf,
        .fastopen = a->fastopen,
        .keep_idle = a->keep_idle,
        .keep_interval = a->keep_interval,
        .keep_count = a->keep_count,
    };
}

/* The first of a group is bound without SO_REUSEPORT, so that another server on the same port
 * is noticed; the option is set afterwards, for the rest of the group to join. */
static int open_next(struct held_socket *s, struct listen_wish wish, const char **step)
{
    int one = 1;

    if (s->count == 0) {
        wish.reuseport = false;
        return listen_open(&wish, step);
    }
    *step = "setsockopt(SO_REUSEPORT)";
    for (uint32_t i = 0; i < s->count; i++)
        if (setsockopt(s->fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
            return -errno;
    return listen_open(&wish, step);
}

static int open_patiently(struct held_socket *s, const struct listen_wish *wish, bool patient,
                          const char **step)
{
    struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000L };
    int fd = open_next(s, *wish, step);

    for (int i = 1; fd == -EADDRINUSE && patient && i < TRIES; i++) {
        (void)nanosleep(&pause, NULL);
        fd = open_next(s, *wish, step);
    }
    return fd;
}

static void describe_failure(const struct listener_want *w, const char *key, const char *step,
                             int error, char *text, size_t size)
{
    char holder[HOLDER_SIZE] = "";
    bool known = error == -EADDRINUSE && w->addr->addr.family != AF_UNIX &&
                 holder_find(&w->addr->addr, holder, sizeof holder);
    const struct conf_node *node = w->addr->node;

    if (w->addr->unix_mode != 0) {
        snprintf(text, size,
                 "%s to %s failed (%d: %s): no admin socket; `admin unix:/path;` says where else, "
                 "`admin off;` does without",
                 step, key, -error, strerror(-error));
        return;
    }
    snprintf(text, size, "%s to %s failed (%d: %s)%s%s, for \"listen\" in %s:%u%s", step, key,
             -error, strerror(-error), known ? "; the port is " : "", holder,
             node != NULL ? node->file->path : "?", node != NULL ? node->line : 0,
             error == -EACCES && w->addr->addr.family != AF_UNIX ? "; ports below 1024 are for root"
                                                                 : "");
}

static bool prepare_one(struct sockets *book, const struct listener_want *w, unsigned sockets,
                        bool patient, char *text, size_t size)
{
    char key[LISTENER_KEY_SIZE], path[LISTEN_PATH_SIZE];
    struct listen_wish wish = wish_of(w->addr, path);
    const char *step = "";

    listener_key(w->addr, key);
    struct held_socket *s = find(book, key);

    if (s == NULL) {
        s = enter(book, key);
        s->fresh = true;
        if (w->addr->addr.family == AF_UNIX)
            s->unix_path = must(strdup(path));
    } else if (s->count > 0) {
        listen_adjust(s->fds[0], &wish);
    }
    s->wanted = true;
    /* A group grows only while no worker runs: nobody would accept on the new ones. */
    while (s->count < sockets && (s->fresh || patient)) {
        int fd = open_patiently(s, &wish, patient, &step);

        if (fd < 0) {
            describe_failure(w, key, step, fd, text, size);
            return false;
        }
        add_fd(s, fd);
    }
    return true;
}

bool sockets_prepare(struct sockets *book, const struct site *site, unsigned loops, bool patient,
                     char *text, size_t size)
{
    for (struct held_socket *s = book->first; s != NULL; s = s->next)
        s->wanted = false;
    for (const struct listener_want *w = site->listeners; w != NULL; w = w->next) {
        bool group = w->addr->reuseport && w->addr->addr.family != AF_UNIX;

        if (!prepare_one(book, w, group ? loops : 1, patient, text, size))
            return false;
    }
    return true;
}

void sockets_commit(struct sockets *book, bool alone)
{
    for (struct held_socket **at = &book->first; *at != NULL;) {
        if (!(*at)->wanted) {
            drop(at, alone);
            continue;
        }
        (*at)->fresh = false;
        at = &(*at)->next;
    }
}

/* A socket file that somebody else answers on is not ours to unlink: drop() leaves it when no
 * descriptor was opened. */
void sockets_abandon(struct sockets *book)
{
    for (struct held_socket **at = &book->first; *at != NULL;) {
        (*at)->wanted = true;
        if ((*at)->fresh)
            drop(at, (*at)->count > 0);
        else
            at = &(*at)->next;
    }
}

void sockets_list(const struct sockets *book, struct bundle_listener **ret, uint32_t *ret_count,
                  int **ret_fds, uint32_t *ret_fd_count)
{
    uint32_t count = 0, fds = 0;

    for (const struct held_socket *s = book->first; s != NULL; s = s->next) {
        count += s->wanted;
        fds += s->wanted ? s->count : 0;
    }
    *ret = must(calloc((size_t)count + 1, sizeof **ret));
    *ret_fds = must(calloc((size_t)fds + 1, sizeof **ret_fds));
    *ret_count = count;
    *ret_fd_count = fds;
    count = fds = 0;
    for (const struct held_socket *s = book->first; s != NULL; s = s->next) {
        if (!s->wanted)
            continue;
        struct bundle_listener *l = &(*ret)[count++];

        memcpy(l->key, s->key, sizeof l->key);
        l->id = s->id;
        l->sockets = s->count;
        memcpy(*ret_fds + fds, s->fds, s->count * sizeof **ret_fds);
        fds += s->count;
    }
}

void sockets_close(struct sockets *book, bool alone)
{
    while (book->first != NULL)
        drop(&book->first, alone);
}
