/* ssl_load.c - certificates whose paths have variables: looked for, read, kept while in use. */
#include "proto/ssl_load.h"

#include "base/block.h"
#include "http/log_target.h"
#include "proto/conn.h"
#include "proto/http1_private.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 1024, CERTIFICATE_FILE_MAX = 1024 * 1024, WHY_MAX = PATH_ROOM + 400 };

/* By which a file is known to be the same. */
struct stamp {
    dev_t device;
    ino_t inode;
    struct timespec changed;
    off_t size;
};

struct pair {
    char *paths[2]; /* of the certificate; of the key          */
    struct stamp stamps[2];
    struct slice texts[2]; /* block_alloc()'s; the domain borrows them */
    struct tls_certificate certificate;
    struct tls_domain *domain;
    unsigned users; /* handshakes                              */
    bool stale;     /* not in the library any more             */
    struct pair *next;
};

struct ssl_library {
    pthread_mutex_t lock;
    struct tls_wish wish;
    unsigned count, most;
    struct pair *pairs; /* the latest used first */
};

/* A handshake's look-up: the connection's, or its own when that has gone. */
struct ssl_load {
    struct io_op op;
    struct conn *conn; /* NULL: it closed meanwhile */
    struct loop *loop;
    struct site *site; /* held: the library is its */
    struct ssl_library *library;
    struct pair *pair; /* NULL: none; then */
    char why[WHY_MAX];
    char paths[2][PATH_ROOM];
};

/* ---- the library ----------------------------------------------------------------------------- */

struct ssl_library *ssl_library_create(const struct tls_wish *wish, unsigned most)
{
    struct ssl_library *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    l->wish = *wish;
    l->most = most;
    return l;
}

static void pair_free(struct pair *p)
{
    if (p->domain != NULL)
        tls_domain_destroy(p->domain);
    for (int i = 0; i < 2; i++) {
        free(p->paths[i]);
        if (p->texts[i].at != NULL)
            OPENSSL_cleanse((void *)(uintptr_t)p->texts[i].at, p->texts[i].size);
        block_free((void *)(uintptr_t)p->texts[i].at);
    }
    free(p);
}

void ssl_library_destroy(void *library)
{
    struct ssl_library *l = library;

    while (l->pairs != NULL) {
        struct pair *p = l->pairs;

        l->pairs = p->next;
        CHECK(p->users == 0); /* who uses one holds the site */
        pair_free(p);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* With the lock held. */
static void put_away(struct ssl_library *l, struct pair **at)
{
    struct pair *p = *at;

    *at = p->next;
    l->count--;
    p->stale = true;
    if (p->users == 0)
        pair_free(p);
}

static bool same_file(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The pair of these paths, if it is still what the files say; for one more user. */
static struct pair *find(struct ssl_library *l, char paths[2][PATH_ROOM],
                         const struct stamp stamps[2])
{
    struct pair *found = NULL;

    pthread_mutex_lock(&l->lock);
    for (struct pair **at = &l->pairs; *at != NULL; at = &(*at)->next) {
        struct pair *p = *at;

        if (strcmp(p->paths[0], paths[0]) != 0 || strcmp(p->paths[1], paths[1]) != 0)
            continue;
        if (!same_file(&p->stamps[0], &stamps[0]) || !same_file(&p->stamps[1], &stamps[1])) {
            put_away(l, at);
            break;
        }
        found = p;
        p->users++;
        *at = p->next;
        p->next = l->pairs;
        l->pairs = p;
        break;
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}

static void enter(struct ssl_library *l, struct pair *p)
{
    pthread_mutex_lock(&l->lock);
    p->users = 1;
    p->next = l->pairs;
    l->pairs = p;
    l->count++;
    if (l->count > l->most) {
        struct pair **at = &l->pairs;

        while ((*at)->next != NULL)
            at = &(*at)->next;
        if (*at != p)
            put_away(l, at);
    }
    pthread_mutex_unlock(&l->lock);
}

static void leave(struct ssl_library *l, struct pair *p)
{
    pthread_mutex_lock(&l->lock);
    p->users--;
    if (p->users == 0 && p->stale)
        pair_free(p);
    pthread_mutex_unlock(&l->lock);
}

/* ---- reading, on a helper's thread ----------------------------------------------------------- */

static int read_file(const char *path, struct slice *ret, struct stamp *stamp)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
    char *bytes = NULL;
    ssize_t n = -1;

    if (fd < 0)
        return errno;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > CERTIFICATE_FILE_MAX)
        error = EINVAL;
    else if ((bytes = block_alloc((size_t)st.st_size + 1)) == NULL)
        error = ENOMEM;
    else if ((n = read(fd, bytes, (size_t)st.st_size)) < 0)
        error = errno;
    close(fd);
    if (error != 0) {
        block_free(bytes);
        return error;
    }
    *stamp = (struct stamp){ st.st_dev, st.st_ino, st.st_mtim, st.st_size };
    *ret = slice_of(bytes, (size_t)n);
    return 0;
}

static struct pair *read_pair(struct ssl_load *load)
{
    struct tls_wish wish = load->library->wish;
    struct pair *p = calloc(1, sizeof *p);
    struct tls_fault fault = { .text = "no memory" };

    for (int i = 0; i < 2 && p != NULL; i++) {
        int error = read_file(load->paths[i], &p->texts[i], &p->stamps[i]);

        p->paths[i] = strdup(load->paths[i]);
        if (error == 0 && p->paths[i] != NULL)
            continue;
        snprintf(load->why, sizeof load->why, "\"%s\" cannot be read: %s", load->paths[i],
                 strerror(error != 0 ? error : ENOMEM));
        pair_free(p);
        return NULL;
    }
    if (p != NULL) {
        p->certificate = (struct tls_certificate){ p->texts[0], p->texts[1], NULL };
        wish.certificates = &p->certificate;
        p->domain = tls_domain_create(&wish, &fault);
        if (p->domain != NULL)
            return p;
        pair_free(p);
    }
    snprintf(load->why, sizeof load->why, "certificate \"%s\" cannot be used: %s", load->paths[0],
             fault.text);
    return NULL;
}

static int32_t work(struct io_op *op)
{
    struct ssl_load *load = container_of(op, struct ssl_load, op);
    struct stamp stamps[2];
    struct stat st;

    for (int i = 0; i < 2; i++) {
        if (stat(load->paths[i], &st) != 0)
            memset(&st, 0, sizeof st); /* reading says why */
        stamps[i] = (struct stamp){ st.st_dev, st.st_ino, st.st_mtim, st.st_size };
    }
    load->pair = find(load->library, load->paths, stamps);
    if (load->pair != NULL)
        return 0;
    load->pair = read_pair(load);
    if (load->pair != NULL)
        enter(load->library, load->pair);
    return 0;
}

/* ---- a handshake's --------------------------------------------------------------------------- */

static void load_free(struct ssl_load *load)
{
    if (load->pair != NULL)
        leave(load->library, load->pair);
    site_drop(load->loop, load->site);
    free(load);
}

static void on_worked(struct io *io, struct io_op *op, struct io_result r)
{
    struct ssl_load *load = container_of(op, struct ssl_load, op);
    struct conn *c = load->conn;

    (void)io;
    if (r.res < 0 && load->pair == NULL)
        snprintf(load->why, sizeof load->why, "the certificate was not read");
    if (c == NULL) {
        load_free(load);
        return;
    }
    conn_tls_take(c, NULL);
    conn_run(c, c->states[c->state].bytes);
}

/* The paths that the directives mean for this connection: they may use what is known of it, as
 * $ssl_server_name. */
static bool find_paths(struct conn *c, const struct server *server, struct ssl_load *load)
{
    const struct ssl_conf *conf = ssl_conf_of(server);
    const struct ssl_file *files[2] = { conf->certificates, conf->keys };
    struct request *r = request_create(c->loop, c->io, &h1_ops, c);
    bool ok = r != NULL;

    if (!ok)
        return false;
    conn_request_made(c);
    r->is_check = true; /* it is in no log */
    r->server = server;
    r->scope = server->scope;
    r->tls = true;
    for (int i = 0; i < 2 && ok; i++) {
        struct slice path;

        ok = expr_eval(files[i]->expr, r, &r->arena, PATH_ROOM - 1, &path) && path.size > 0 &&
             memchr(path.at, '\0', path.size) == NULL;
        if (ok)
            snprintf(load->paths[i], PATH_ROOM, "%s%.*s", path.at[0] == '/' ? "" : files[i]->dir,
                     SLICE_FMT(path));
    }
    request_end(r);
    return ok;
}

static struct tls_choice start(struct conn *c, const struct server *server)
{
    struct ssl_load *load = calloc(1, sizeof *load);

    if (load == NULL)
        return (struct tls_choice){ .domain = NULL };
    load->loop = c->loop;
    load->site = c->shaking_on;
    load->conn = c;
    load->library = ssl_conf_of(server)->library;
    site_hold(load->loop, load->site);
    c->load = load;
    if (!find_paths(c, server, load)) {
        log_write(log_of_scope(server->scope), LOG_ERROR, 0,
                  "*%llu the path of the certificate is empty or too long while SSL handshaking",
                  (unsigned long long)c->number);
        return (struct tls_choice){ .domain = NULL };
    }
    io_work(c->io, &load->op, work, on_worked);
    return (struct tls_choice){ .wait = true };
}

struct tls_choice ssl_load_choose(struct conn *c, const struct server *server)
{
    if (c->load == NULL)
        return start(c, server);
    if (io_busy(&c->load->op))
        return (struct tls_choice){ .wait = true };
    if (c->load->pair != NULL)
        return (struct tls_choice){ .domain = c->load->pair->domain };
    log_write(log_of_scope(server->scope), LOG_ERROR, 0, "*%llu %s while SSL handshaking",
              (unsigned long long)c->number, c->load->why);
    return (struct tls_choice){ .domain = NULL };
}

void ssl_load_end(struct conn *c)
{
    struct ssl_load *load = c->load;

    c->load = NULL;
    if (load == NULL)
        return;
    load->conn = NULL;
    if (!io_busy(&load->op))
        load_free(load);
}
