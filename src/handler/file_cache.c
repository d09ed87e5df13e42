/* file_cache.c - the table of open files of a loop. */
#include "handler/file_cache.h"

#include "base/block.h"
#include "base/clock.h"
#include "http/site.h"
#include "wire/date.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    USES_BEFORE_COPY = 2,
    COPY_AGAIN_MS = 1000, /* after a copy that would have waited for the disk          */
    OPENINGS_MAX = 100,   /* by helper threads, for one request                         */
};

/* ---- entries ------------------------------------------------------------------------- */

static void file_free(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    block_free(f->content);
    block_free(f);
}

void file_close(void *file)
{
    struct file *f = file;

    CHECK(f->refs > 0);
    if (--f->refs == 0)
        file_free(f);
}

static struct file **bucket_of(struct file_cache *c, uint64_t hash)
{
    return &c->buckets[hash % FILE_BUCKETS];
}

/* Into the list of its kind, as the one used last. */
static void list_entry(struct file *f)
{
    struct file_cache *c = f->cache;

    list_append(f->fd >= 0 ? &c->opened : &c->light, &f->recent);
    c->descriptors += f->fd >= 0;
}

static void unlist_entry(struct file *f)
{
    list_remove(&f->recent);
    f->cache->descriptors -= f->fd >= 0;
}

/* Out of the table; requests that use it keep it. */
static void forget(struct file *f)
{
    struct file **at = bucket_of(f->cache, f->hash);

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    unlist_entry(f);
    f->cache->count--;
    f->cache->bytes -= f->content != NULL ? f->size : 0;
    file_close(f);
}

static void forget_first(struct list *l)
{
    forget(container_of(list_first(l), struct file, recent));
}

static void note(struct file *f, const struct stat *s)
{
    f->directory = S_ISDIR(s->st_mode);
    f->size = (uint64_t)s->st_size;
    f->dev = s->st_dev;
    f->ino = s->st_ino;
    f->mtime_sec = s->st_mtim.tv_sec;
    f->mtime_ns = s->st_mtim.tv_nsec;
    f->ctime_sec = s->st_ctim.tv_sec;
    f->ctime_ns = s->st_ctim.tv_nsec;
}

static bool same(const struct file *f, const struct stat *s)
{
    return f->ino == s->st_ino && f->dev == s->st_dev && f->size == (uint64_t)s->st_size &&
           f->mtime_sec == s->st_mtim.tv_sec && f->mtime_ns == s->st_mtim.tv_nsec &&
           f->ctime_sec == s->st_ctim.tv_sec && f->ctime_ns == s->st_ctim.tv_nsec;
}

/* nginx's form: "mtime-size" in hexadecimal. */
static void render(struct file *f)
{
    struct gather g;

    gather_init(&g, f->etag_text, sizeof f->etag_text, NULL, 0);
    gather_byte(&g, '"');
    gather_hex(&g, (uint64_t)f->mtime_sec);
    gather_byte(&g, '-');
    gather_hex(&g, f->size);
    gather_byte(&g, '"');
    f->etag = gather_get(&g);
    date_http(f->mtime_sec, f->modified_text);
    f->modified = slice_of(f->modified_text, DATE_HTTP_SIZE);
}

/* ---- bounds -------------------------------------------------------------------------- */

static void on_sweep(struct io *io, struct io_timer *timer)
{
    struct file_cache *c = container_of(timer, struct file_cache, sweep);
    struct list *const lists[] = { &c->opened, &c->light };
    uint64_t now = io_now_ns(io);

    for (size_t i = 0; i < COUNT_OF(lists); i++)
        for (struct link *l = list_first(lists[i]); l != NULL; l = list_first(lists[i])) {
            struct file *f = container_of(l, struct file, recent);

            if (now < f->used_ns + f->idle_ns)
                break;
            forget(f);
        }
    if (c->count > 0)
        io_timer_set(io, timer, (uint64_t)FILE_SWEEP_MS * NS_PER_MS, on_sweep);
    else
        c->loop = NULL;
}

/* A file that was deleted frees its room on the disk only when nobody has it open. */
static void sweep_later(struct file_cache *c, struct loop *loop)
{
    if (c->loop != NULL)
        return;
    c->loop = loop;
    io_timer_set(loop->io, &c->sweep, (uint64_t)FILE_SWEEP_MS * NS_PER_MS, on_sweep);
}

static void make_room(struct file_cache *c)
{
    while (c->descriptors >= c->descriptors_max && !list_empty(&c->opened))
        forget_first(&c->opened);
    while (c->count >= c->count_max && c->count > 0)
        forget_first(list_empty(&c->light) ? &c->opened : &c->light);
}

/* False: there were none to close. */
static bool drop_descriptors(struct file_cache *c)
{
    if (list_empty(&c->opened))
        return false;
    while (!list_empty(&c->opened))
        forget_first(&c->opened);
    return true;
}

void file_cache_init(struct file_cache *c)
{
    struct rlimit files;

    *c = (struct file_cache){ .count_max = FILE_ENTRIES_MAX,
                              .descriptors_max = FILE_DESCRIPTORS_MIN };
    list_init(&c->opened);
    list_init(&c->light);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t share = files.rlim_cur / FILE_DESCRIPTORS_SHARE;

    if (share > FILE_DESCRIPTORS_MIN)
        c->descriptors_max = share < FILE_ENTRIES_MAX ? (uint32_t)share : FILE_ENTRIES_MAX;
}

void file_cache_done(struct file_cache *c)
{
    while (!list_empty(&c->opened))
        forget_first(&c->opened);
    while (!list_empty(&c->light))
        forget_first(&c->light);
    if (c->loop != NULL)
        io_timer_stop(c->loop->io, &c->sweep);
}

/* ---- entering ------------------------------------------------------------------------ */

/* When its bytes may be copied: not while another change would have the same time stamp. */
static uint64_t settled_ns(struct request *r, const struct file *f, uint64_t now)
{
    int64_t changed_ms = f->ctime_sec * 1000 + f->ctime_ns / NS_PER_MS;
    int64_t left_ms = changed_ms + FILE_SETTLED_MS - loop_wall_ns(r->loop) / NS_PER_MS;

    return left_ms > 0 ? now + (uint64_t)left_ms * NS_PER_MS : 0;
}

static struct file *make_entry(struct request *r, const struct file_place *place, uint64_t hash)
{
    size_t size = place->path.size + 1;
    struct file *f = block_alloc(sizeof *f + size);

    if (f == NULL)
        return NULL;
    memset(f, 0, sizeof *f);
    f->hash = hash;
    f->place = *place;
    f->place.path.at = memcpy(f + 1, place->path.at, size);
    f->cache = r->loop->files;
    f->refs = 1;
    f->uses = 1;
    f->fd = -1;
    f->checked_ns = f->used_ns = loop_now_ns(r->loop, r->io);
    f->checked_turn = io_turn_number(r->io);
    return f;
}

static void enter(struct request *r, const struct file_policy *policy, struct file *f)
{
    struct file_cache *c = f->cache;
    struct file **bucket = bucket_of(c, f->hash);

    f->idle_ns =
        (uint64_t)(policy->trust.on ? policy->trust.inactive_ms : FILE_IDLE_MS) * NS_PER_MS;
    if (policy->trust.on && policy->trust.max > c->count_max)
        c->count_max =
            policy->trust.max < FILE_ENTRIES_TOP ? (uint32_t)policy->trust.max : FILE_ENTRIES_TOP;
    make_room(c);
    f->next = *bucket;
    *bucket = f;
    c->count++;
    file_hold(f);
    list_entry(f);
    sweep_later(c, r->loop);
}

/* Takes fd. NULL: no memory. */
static struct file *enter_file(struct request *r, const struct file_policy *policy,
                               const struct file_place *place, uint64_t hash, int fd,
                               const struct stat *s)
{
    struct file *f = make_entry(r, place, hash);

    if (f == NULL) {
        close(fd);
        return NULL;
    }
    f->fd = fd;
    note(f, s);
    if (f->directory || f->size == 0) {
        close(fd);
        f->fd = -1;
    }
    render(f);
    f->copy_ns = settled_ns(r, f, f->checked_ns);
    enter(r, policy, f);
    return f;
}

static void enter_error(struct request *r, const struct file_policy *policy,
                        const struct file_place *place, uint64_t hash, int error)
{
    struct file *f;

    if (!policy->trust.on || !policy->errors || file_status(error) >= 500)
        return;
    f = make_entry(r, place, hash);
    if (f == NULL)
        return;
    f->error = error;
    enter(r, policy, f);
    file_close(f);
}

/* ---- contents ------------------------------------------------------------------------ */

/* The whole file as it is now, if that needs no disk, and it is still the file that we know. */
static bool read_content(const struct file *f, char *into)
{
    struct iovec v = { into, (size_t)f->size };
    struct stat s;

    return preadv2(f->fd, &v, 1, 0, RWF_NOWAIT) == (ssize_t)f->size && fstat(f->fd, &s) == 0 &&
           same(f, &s);
}

static void copy_content(struct file *f, uint64_t now)
{
    char *bytes = block_alloc((size_t)f->size);

    if (bytes == NULL || !read_content(f, bytes)) {
        block_free(bytes);
        f->copy_ns = now + (uint64_t)COPY_AGAIN_MS * NS_PER_MS;
        return;
    }
    f->content = bytes;
    f->cache->bytes += f->size;
}

/* Gives hot small files their contents, and takes the descriptor that they then do not need, as
 * soon as no request sends from it. */
static void refine(struct file *f, uint64_t now)
{
    struct file_cache *c = f->cache;

    if (f->content == NULL && f->uses >= USES_BEFORE_COPY && f->size <= FILE_CONTENT_MAX &&
        now >= f->copy_ns)
        copy_content(f, now);
    if (f->content != NULL && f->refs == 1) {
        unlist_entry(f);
        close(f->fd);
        f->fd = -1;
        list_entry(f);
    }
    while (c->bytes > FILE_BYTES_MAX && list_first(&c->light) != NULL &&
           list_first(&c->light) != &f->recent)
        forget_first(&c->light);
}

/* ---- looking up ---------------------------------------------------------------------- */

static bool trusted(const struct file *f, const struct file_policy *policy, uint64_t now)
{
    if (!policy->trust.on || (f->error == 0 && f->uses < (uint64_t)policy->min_uses))
        return false;
    return now >= f->checked_ns && now - f->checked_ns < (uint64_t)policy->valid_ms * NS_PER_MS;
}

/* Branches of the threads engine have turns of their own: the instant tells them apart. */
static bool still_true(struct file *f, const struct request *r, const struct file_policy *policy,
                       uint64_t now)
{
    uint64_t turn = io_turn_number(r->io);
    struct stat s;

    if ((f->checked_ns == now && f->checked_turn == turn) || trusted(f, policy, now))
        return true;
    if (f->error != 0 || fstatat(AT_FDCWD, f->place.path.at, &s, 0) != 0 || !same(f, &s))
        return false;
    f->checked_ns = now;
    f->checked_turn = turn;
    return true;
}

static struct file *look_up(struct request *r, const struct file_policy *policy,
                            const struct file_place *place, uint64_t hash)
{
    struct file *f = *bucket_of(r->loop->files, hash);
    uint64_t now = loop_now_ns(r->loop, r->io);

    while (f != NULL && (f->hash != hash || !file_place_eq(&f->place, place)))
        f = f->next;
    if (f == NULL)
        return NULL;
    if (!still_true(f, r, policy, now)) {
        forget(f);
        return NULL;
    }
    f->uses += f->uses < UINT32_MAX;
    f->used_ns = now;
    struct list *list = f->fd >= 0 ? &f->cache->opened : &f->cache->light;

    if (f->recent.next != &list->head) {
        list_remove(&f->recent);
        list_append(list, &f->recent);
    }
    if (f->fd >= 0)
        refine(f, now);
    return file_hold(f);
}

/* ---- opening by a helper thread ------------------------------------------------------ */

/* One a request, in its arena: a request waits for one path at a time. */
struct opening {
    struct io_op op;
    struct request *request;
    struct file_place place;
    struct stat stat;
    int fd; /* once done: or -errno                                     */
    bool flying, done;
    unsigned times;
};

static int32_t open_slowly(struct io_op *op)
{
    struct opening *o = container_of(op, struct opening, op);

    o->fd = file_open_at(&o->place, false, &o->stat);
    if (o->fd >= 0 && S_ISREG(o->stat.st_mode))
        (void)file_warm(o->fd, 0, FILE_CONTENT_MAX); /* what fails here fails again later */
    return 0;
}

static void drop_opened(void *opening)
{
    struct opening *o = opening;

    if (!o->flying && o->done && o->fd >= 0)
        close(o->fd);
    o->done = false;
}

static void opened_slowly(struct io *io, struct io_op *op, struct io_result result)
{
    struct opening *o = container_of(op, struct opening, op);
    struct request *r = o->request;

    (void)io;
    if (result.res < 0)
        o->fd = result.res;
    o->flying = false;
    o->done = true;
    if (r->ended)
        drop_opened(o);
    if (!request_unpin(r))
        request_resume(r);
}

static struct opening *opening_of(struct request *r)
{
    struct opening *o = r->slots[SLOT_OPENING];

    if (o != NULL)
        return o;
    o = arena_zalloc(&r->arena, sizeof *o);
    if (o == NULL || !request_at_end(r, drop_opened, o))
        return NULL;
    o->request = r;
    r->slots[SLOT_OPENING] = o;
    return o;
}

static enum file_result open_elsewhere(struct request *r, const struct file_place *place,
                                       int *ret_error)
{
    struct opening *o = opening_of(r);

    if (o == NULL)
        return FILE_FAILED;
    if (o->times++ == OPENINGS_MAX) {
        *ret_error = EBUSY;
        return FILE_FAILED;
    }
    o->place = *place;
    o->flying = true;
    request_pin(r);
    io_work(r->io, &o->op, open_slowly, opened_slowly);
    return FILE_WAIT;
}

/* What a helper thread found for this very path; -EAGAIN if none was asked. */
static int take_opened(struct request *r, const struct file_place *place, struct stat *ret)
{
    struct opening *o = r->slots[SLOT_OPENING];

    if (o == NULL || !o->done)
        return -EAGAIN;
    if (!file_place_eq(&o->place, place)) {
        drop_opened(o);
        return -EAGAIN;
    }
    o->done = false;
    *ret = o->stat;
    return o->fd;
}

/* ---- opening ------------------------------------------------------------------------- */

static bool out_of_descriptors(int fd)
{
    return fd == -EMFILE || fd == -ENFILE;
}

enum file_result file_open(struct request *r, struct slice path, struct slice below,
                           struct file **ret, int *ret_error)
{
    return file_open_by(r, request_conf(r, &feature_file_cache), path, below, ret, ret_error);
}

enum file_result file_open_by(struct request *r, const struct file_policy *policy,
                              struct slice path, struct slice below, struct file **ret,
                              int *ret_error)
{
    uint64_t hash = slice_hash(path);
    struct file_place place;
    struct stat s;
    int fd;

    *ret_error = ENOMEM;
    if (!file_place_of(r, policy, path, below, &place))
        return FILE_FAILED;
    *ret = look_up(r, policy, &place, hash);
    if (*ret != NULL && (*ret)->error == 0)
        return FILE_OPEN;
    if (*ret != NULL) {
        *ret_error = (*ret)->error;
        file_close(*ret);
        return FILE_FAILED;
    }
    fd = take_opened(r, &place, &s);
    if (fd == -EAGAIN)
        fd = file_open_at(&place, true, &s);
    if (out_of_descriptors(fd) && drop_descriptors(r->loop->files))
        fd = file_open_at(&place, true, &s);
    if (fd == -EAGAIN)
        return open_elsewhere(r, &place, ret_error);
    if (fd < 0) {
        *ret_error = -fd;
        enter_error(r, policy, &place, hash, -fd);
        return FILE_FAILED;
    }
    *ret = enter_file(r, policy, &place, hash, fd, &s);
    return *ret != NULL ? FILE_OPEN : FILE_FAILED;
}

/* ---- what went wrong ----------------------------------------------------------------- */

static const struct {
    int error;
    unsigned status;
} statuses[] = {
    { ENOENT, 404 },         { ENOTDIR, 404 }, { ENAMETOOLONG, 404 }, { ELOOP, 403 },
    { ESTALE, 404 },         { EACCES, 403 },  { EPERM, 403 },        { FILE_LEADS_OUT, 403 },
    { FILE_IS_LINKED, 403 }, { EMFILE, 503 },  { ENFILE, 503 },       { ENOMEM, 503 },
};

unsigned file_status(int error)
{
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i].error == error)
            return statuses[i].status;
    return 500;
}

void file_log(struct request *r, struct slice path, int error)
{
    bool missing = error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;

    if (missing && !core_conf(r)->log_not_found)
        return;
    if (error == FILE_LEADS_OUT)
        request_log(r, LOG_ERROR, 0,
                    "\"%.*s\" leads out of its root, through a symbolic link or \"..\"; "
                    "\"disable_symlinks off;\" would allow the link",
                    SLICE_FMT(path));
    else if (error == FILE_IS_LINKED)
        request_log(r, LOG_ERROR, 0, "\"disable_symlinks\" forbids a symbolic link in \"%.*s\"",
                    SLICE_FMT(path));
    else
        request_log(r, file_status(error) >= 500 ? LOG_CRIT : LOG_ERROR, error,
                    "open() \"%.*s\" failed", SLICE_FMT(path));
}
