/* tls_library.c - certificates with variables: looked for, read, kept while they stay the same. */
#include "net/tls_library.h"

#include "base/block.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATE_FILE_MAX = 1024 * 1024 };

/* By which a file is known to be the same. */
struct stamp {
    dev_t device;
    ino_t inode;
    struct timespec changed;
    off_t size;
};

struct tls_pair {
    char *paths[2]; /* of the certificate; of the key          */
    struct stamp stamps[2];
    struct slice texts[2]; /* block_alloc()'s; the domain borrows them */
    struct tls_certificate certificate;
    struct tls_domain *domain;
    unsigned users; /* handshakes                              */
    bool stale;     /* not in the library any more             */
    struct tls_pair *next;
};

struct tls_library {
    pthread_mutex_t lock;
    struct tls_wish wish;
    unsigned count, most;
    struct tls_pair *pairs; /* the latest used first */
};

/* ---- the library ----------------------------------------------------------------------------- */

struct tls_library *tls_library_create(const struct tls_wish *wish, unsigned most)
{
    struct tls_library *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    CHECK(pthread_mutex_init(&l->lock, NULL) == 0);
    l->wish = *wish;
    l->most = most;
    return l;
}

static void pair_free(struct tls_pair *p)
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

void tls_library_destroy(void *library)
{
    struct tls_library *l = library;

    while (l->pairs != NULL) {
        struct tls_pair *p = l->pairs;

        l->pairs = p->next;
        CHECK(p->users == 0); /* who uses one holds the site */
        pair_free(p);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* With the lock held. */
static void put_away(struct tls_library *l, struct tls_pair **at)
{
    struct tls_pair *p = *at;

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
static struct tls_pair *find(struct tls_library *l, char paths[2][TLS_PATH_ROOM],
                             const struct stamp stamps[2])
{
    struct tls_pair *found = NULL;

    pthread_mutex_lock(&l->lock);
    for (struct tls_pair **at = &l->pairs; *at != NULL; at = &(*at)->next) {
        struct tls_pair *p = *at;

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

static void enter(struct tls_library *l, struct tls_pair *p)
{
    pthread_mutex_lock(&l->lock);
    p->users = 1;
    p->next = l->pairs;
    l->pairs = p;
    l->count++;
    if (l->count > l->most) {
        struct tls_pair **at = &l->pairs;

        while ((*at)->next != NULL)
            at = &(*at)->next;
        if (*at != p)
            put_away(l, at);
    }
    pthread_mutex_unlock(&l->lock);
}

static void leave(struct tls_library *l, struct tls_pair *p)
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

static struct tls_pair *read_pair(struct tls_fetch *f)
{
    struct tls_wish wish = f->library->wish;
    struct tls_pair *p = calloc(1, sizeof *p);
    struct tls_fault fault = { .text = "no memory" };

    for (int i = 0; i < 2 && p != NULL; i++) {
        int error = read_file(f->paths[i], &p->texts[i], &p->stamps[i]);

        p->paths[i] = strdup(f->paths[i]);
        if (error == 0 && p->paths[i] != NULL)
            continue;
        snprintf(f->why, sizeof f->why, "\"%s\" cannot be read: %s", f->paths[i],
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
    snprintf(f->why, sizeof f->why, "certificate \"%s\" cannot be used: %s", f->paths[0],
             fault.text);
    return NULL;
}

static int32_t work(struct io_op *op)
{
    struct tls_fetch *f = container_of(op, struct tls_fetch, op);
    struct stamp stamps[2];
    struct stat st;

    for (int i = 0; i < 2; i++) {
        if (stat(f->paths[i], &st) != 0)
            memset(&st, 0, sizeof st); /* reading says why */
        stamps[i] = (struct stamp){ st.st_dev, st.st_ino, st.st_mtim, st.st_size };
    }
    f->pair = find(f->library, f->paths, stamps);
    if (f->pair != NULL)
        return 0;
    f->pair = read_pair(f);
    if (f->pair != NULL)
        enter(f->library, f->pair);
    return 0;
}

static void on_worked(struct io *io, struct io_op *op, struct io_result r)
{
    struct tls_fetch *f = container_of(op, struct tls_fetch, op);

    (void)io;
    if (r.res < 0 && f->pair == NULL)
        snprintf(f->why, sizeof f->why, "the certificate was not read");
    f->done(f);
}

void tls_fetch_begin(struct io *io, struct tls_fetch *f)
{
    io_work(io, &f->op, work, on_worked);
}

struct tls_domain *tls_fetch_domain(const struct tls_fetch *f)
{
    return f->pair != NULL ? f->pair->domain : NULL;
}

void tls_fetch_end(struct tls_fetch *f)
{
    if (f->pair != NULL)
        leave(f->library, f->pair);
    f->pair = NULL;
}
