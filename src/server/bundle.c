/* bundle.c - writes a bundle into a memory file and reads it back, checking every size. */
#include "server/bundle.h"

#include "http/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUNDLE_MAGIC = 0x62756e31 };

/* Text of no known end: absent, as opposed to empty. */
#define ABSENT UINT32_MAX

void listener_key(const struct listen_addr *a, char into[LISTENER_KEY_SIZE])
{
    struct gather g;

    gather_init(&g, into, LISTENER_KEY_SIZE - 1, NULL, 0);
    listen_print(a, &g);
    into[g.used] = '\0';
}

/* ---- writing ---------------------------------------------------------------------------- */

struct writer {
    int fd, error;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0 && w->error == 0) {
        ssize_t n = write(w->fd, at, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            w->error = n < 0 ? -errno : -EIO;
            return;
        }
        at += n;
        size -= (size_t)n;
    }
}

static void put_number(struct writer *w, uint32_t n)
{
    put(w, &n, sizeof n);
}

static void put_bytes(struct writer *w, struct slice s)
{
    put_number(w, (uint32_t)s.size);
    put(w, s.at, s.size);
}

static void put_text(struct writer *w, const char *text)
{
    if (text != NULL)
        put_bytes(w, slice_of(text, strlen(text) + 1));
    else
        put_number(w, ABSENT);
}

static void put_all(struct writer *w, const struct bundle *b, const struct config *c)
{
    put_number(w, BUNDLE_MAGIC);
    put_number(w, b->number);
    put_number(w, b->loops);
    put_number(w, b->respawned);
    put_number(w, b->log_count);
    put_text(w, c->place.prefix);
    put_text(w, c->place.conf_path);
    put_text(w, c->place.globals);
    put_number(w, b->listener_count);
    for (uint32_t i = 0; i < b->listener_count; i++) {
        put_text(w, b->listeners[i].key);
        put_number(w, b->listeners[i].id);
        put_number(w, b->listeners[i].sockets);
    }
    for (const struct source_item *i = c->source.items; i != NULL; i = i->next) {
        put_text(w, i->name);
        put_number(w, (uint32_t)i->kind);
        put_number(w, (uint32_t)-i->error);
        put_bytes(w, i->bytes);
    }
    put_number(w, ABSENT); /* no further item */
}

int bundle_write(const struct bundle *b, const struct config *c)
{
    struct writer w = { .fd = memfd_create("weir-bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING) };

    if (w.fd < 0)
        return -errno;
    put_all(&w, b, c);
    if (w.error == 0 &&
        fcntl(w.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        w.error = -errno;
    if (w.error == 0)
        return w.fd;
    close(w.fd);
    return w.error;
}

/* ---- reading ---------------------------------------------------------------------------- */

struct reader {
    struct slice left;
    bool bad;
};

static uint32_t get_number(struct reader *r)
{
    uint32_t n = 0;

    if (r->left.size < sizeof n) {
        r->bad = true;
        return 0;
    }
    memcpy(&n, r->left.at, sizeof n);
    r->left = slice_skip(r->left, sizeof n);
    return n;
}

static struct slice get_bytes(struct reader *r, uint32_t size)
{
    struct slice s = slice_head(r->left, size);

    if (s.size < size) {
        r->bad = true;
        return (struct slice){ 0 };
    }
    r->left = slice_skip(r->left, size);
    return s;
}

/* NUL-terminated in place, or NULL. */
static const char *get_text(struct reader *r)
{
    uint32_t size = get_number(r);

    if (size == ABSENT || r->bad)
        return NULL;
    struct slice s = get_bytes(r, size);

    if (s.size == 0 || s.at[s.size - 1] != '\0')
        r->bad = true;
    return r->bad ? NULL : s.at;
}

static void get_listeners(struct reader *r, struct bundle *b)
{
    b->listener_count = get_number(r);
    if (r->bad || b->listener_count > r->left.size) {
        r->bad = true;
        return;
    }
    b->listeners = calloc((size_t)b->listener_count + 1, sizeof *b->listeners);
    for (uint32_t i = 0; b->listeners != NULL && i < b->listener_count && !r->bad; i++) {
        struct bundle_listener *l = &b->listeners[i];
        const char *key = get_text(r);

        if (key == NULL || strlen(key) >= sizeof l->key) {
            r->bad = true;
            return;
        }
        memcpy(l->key, key, strlen(key) + 1);
        l->id = get_number(r);
        l->sockets = get_number(r);
    }
    r->bad |= b->listeners == NULL;
}

static void get_items(struct reader *r, struct source *s)
{
    while (!r->bad) {
        const char *name = get_text(r);

        if (name == NULL)
            return;
        enum source_kind kind = (enum source_kind)get_number(r);
        int error = -(int)get_number(r);
        struct slice bytes = get_bytes(r, get_number(r));

        if (!r->bad)
            source_add(s, kind, name, error, bytes, false);
    }
}

struct config *bundle_read(struct bundle *b, int fd, const struct registry *registry)
{
    struct reader r = { 0 };
    struct config *c = NULL;
    struct stat st;

    *b = (struct bundle){ 0 };
    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        return NULL;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

    if (map == MAP_FAILED)
        return NULL;
    r.left = slice_of(map, (size_t)st.st_size);
    r.bad = get_number(&r) != BUNDLE_MAGIC;
    b->number = get_number(&r);
    b->loops = get_number(&r);
    b->respawned = get_number(&r);
    b->log_count = get_number(&r);
    struct config_place place = { 0 };

    place.prefix = get_text(&r);
    place.conf_path = get_text(&r);
    place.globals = get_text(&r);
    r.bad |= place.prefix == NULL || place.conf_path == NULL;
    get_listeners(&r, b);
    if (!r.bad) {
        c = config_create(registry, &place, false);
        c->map = slice_of(map, (size_t)st.st_size);
        get_items(&r, &c->source);
    }
    if (!r.bad)
        return c;
    if (c != NULL)
        config_destroy(c);
    else
        munmap(map, (size_t)st.st_size);
    bundle_done(b);
    return NULL;
}

void bundle_done(struct bundle *b)
{
    free(b->listeners);
    *b = (struct bundle){ 0 };
}
