/* file_cache.c - the table of open files of a loop. */
#include "handler/file_cache.h"

#include "base/block.h"
#include "conf/load.h"
#include "handler/file_open.h"
#include "http/map_path.h"
#include "http/site.h"
#include "io/io.h"
#include "wire/date.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { USES_BEFORE_CONTENT = 2, SLOT_OPENING = 0 };
enum { SYMLINKS_DEFAULT, SYMLINKS_OFF, SYMLINKS_ON, SYMLINKS_IF_NOT_OWNER };

struct file_conf {
    int symlinks;
    bool cache_on;
    int64_t valid;              /* seconds */
    int64_t min_uses;
    bool errors;
};

/* A path being opened by a helper thread. Lives in the request's arena. */
struct opening {
    struct io_op op;
    struct request *request;
    const char *root, *below;
    struct slice path;
    enum links links;
    int fd;                     /* or -errno, once it is done */
    bool done;
    struct stat stat;
};

static uint32_t file_cache_index;

void file_cache_init(struct file_cache *c)
{
    *c = (struct file_cache){ 0 };
    map_init(&c->by_path, MAP_CASE);
    list_init(&c->recent);
}

/* ---- entries ------------------------------------------------------------------------- */

static void file_free(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->content != NULL)
        f->cache->bytes -= f->size;
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

/* Out of the table; requests that use it keep it. */
static void forget(struct file *f)
{
    struct file_cache *c = f->cache;

    map_remove(&c->by_path, f->path);
    list_remove(&f->recent);
    f->cached = false;
    c->count--;
    file_close(f);
}

void file_cache_done(struct file_cache *c)
{
    for (struct link *l = list_first(&c->recent); l != NULL; l = list_first(&c->recent))
        forget(container_of(l, struct file, recent));
    map_done(&c->by_path);
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

static void make_room(struct file_cache *c)
{
    while ((c->count >= FILE_ENTRIES_MAX || c->bytes > FILE_BYTES_MAX) && !list_empty(&c->recent))
        forget(container_of(list_first(&c->recent), struct file, recent));
}

/* Takes fd. A file that the table has no memory for is used once. NULL: no memory at all. */
static struct file *enter(struct request *r, struct slice path, int fd, const struct stat *s)
{
    struct file_cache *c = r->loop->files;
    struct file *f = block_alloc(sizeof *f + path.size + 1);

    if (f == NULL) {
        close(fd);
        return NULL;
    }
    memset(f, 0, sizeof *f);
    f->path = slice_of((char *)(f + 1), path.size);
    memcpy(f + 1, path.at, path.size + 1);
    f->cache = c;
    f->refs = 1;
    f->fd = fd;
    note(f, s);
    if (f->directory) {
        close(fd);
        f->fd = -1;
    }
    render(f);
    f->checked_ns = loop_now_ns(r->loop, r->io);
    make_room(c);
    if (map_put(&c->by_path, f->path, f)) {
        f->cached = true;
        f->refs++;
        list_append(&c->recent, &f->recent);
        c->count++;
    }
    return f;
}

/* A hot small file's bytes, if they can be had without waiting for a disk. */
static void load_content(struct file *f)
{
    struct iovec into;
    char *bytes;

    if (f->size > FILE_CONTENT_MAX || f->size == 0 || f->directory ||
        (bytes = block_alloc((size_t)f->size)) == NULL)
        return;
    into = (struct iovec){ bytes, (size_t)f->size };
    if (preadv2(f->fd, &into, 1, 0, RWF_NOWAIT) != (ssize_t)f->size) {
        block_free(bytes);
        return;
    }
    f->content = bytes;
    f->cache->bytes += f->size;
}

/* ---- looking up ------------------------------------------------------------------------- */

static bool still_true(struct file *f, const struct request *r, const struct file_conf *conf)
{
    uint64_t now = loop_now_ns(r->loop, r->io);
    uint64_t valid_ns = conf->cache_on ? (uint64_t)conf->valid * 1000000000u : 0;
    struct stat s;

    if (now - f->checked_ns <= valid_ns)
        return true;
    if (fstatat(AT_FDCWD, f->path.at, &s, 0) != 0 || !same(f, &s))
        return false;
    f->checked_ns = now;
    return true;
}

static struct file *look_up(struct request *r, struct slice path, const struct file_conf *conf)
{
    struct file *f = map_get(&r->loop->files->by_path, path);

    if (f == NULL)
        return NULL;
    if (!still_true(f, r, conf)) {
        forget(f);
        return NULL;
    }
    if (++f->uses == USES_BEFORE_CONTENT)
        load_content(f);
    if (f->recent.next != &r->loop->files->recent.head) {
        list_remove(&f->recent);
        list_append(&r->loop->files->recent, &f->recent);
    }
    f->refs++;
    return f;
}

/* ---- opening ------------------------------------------------------------------------------ */

static int32_t open_slowly(struct io_op *op)
{
    struct opening *o = container_of(op, struct opening, op);

    o->fd = file_open_beneath(o->root, o->below, o->links, false, &o->stat);
    return 0;
}

static void opened_slowly(struct io *io, struct io_op *op, struct io_result result)
{
    struct opening *o = container_of(op, struct opening, op);
    struct request *r = o->request;

    (void)io;
    if (result.res < 0)
        o->fd = result.res;
    o->done = true;
    if (r->ended && o->fd >= 0)
        close(o->fd);
    if (!request_unpin(r))
        request_resume(r);
}

static enum file_result open_elsewhere(struct request *r, struct slice path, const char *root,
                                       const char *below, enum links links)
{
    struct opening *o = arena_zalloc(&r->arena, sizeof *o);

    if (o == NULL)
        return FILE_FAILED;
    o->request = r;
    o->path = path;
    o->root = root;
    o->below = below;
    o->links = links;
    r->slots[SLOT_OPENING] = o;
    request_pin(r);
    io_work(r->io, &o->op, open_slowly, opened_slowly);
    return FILE_WAIT;
}

/* What a helper thread found for this very path, if it did; else -EAGAIN. */
static int take_opened(struct request *r, struct slice path, struct stat *ret)
{
    struct opening *o = r->slots[SLOT_OPENING];

    if (o == NULL || !o->done)
        return -EAGAIN;
    r->slots[SLOT_OPENING] = NULL;
    if (!slice_eq(o->path, path)) {
        if (o->fd >= 0)
            close(o->fd);
        return -EAGAIN;
    }
    *ret = o->stat;
    return o->fd;
}

static enum links links_of(const struct file_conf *conf, struct slice root)
{
    if (conf->symlinks == SYMLINKS_ON || conf->symlinks == SYMLINKS_IF_NOT_OWNER)
        return LINKS_NONE;
    return conf->symlinks == SYMLINKS_OFF || root.size <= 1 ? LINKS_FREE : LINKS_BENEATH;
}

enum file_result file_open(struct request *r, struct slice path, struct slice below,
                           struct file **ret, int *ret_error)
{
    const struct file_conf *conf = request_conf(r, &feature_file_cache);
    struct slice root = arena_copy(&r->arena, map_root_part(path, below));
    struct stat s;
    int fd;

    *ret_error = ENOMEM;
    *ret = look_up(r, path, conf);
    if (*ret != NULL)
        return FILE_OPEN;
    if (root.at == NULL)
        return FILE_FAILED;
    fd = take_opened(r, path, &s);
    if (fd == -EAGAIN)
        fd = file_open_beneath(root.at, below.at, links_of(conf, root), true, &s);
    if (fd == -EAGAIN)
        return open_elsewhere(r, path, root.at, below.at, links_of(conf, root));
    if (fd < 0) {
        *ret_error = -fd;
        return FILE_FAILED;
    }
    *ret = enter(r, path, fd, &s);
    return *ret != NULL ? FILE_OPEN : FILE_FAILED;
}

/* ---- what went wrong -------------------------------------------------------------------------- */

static const struct {
    int error;
    unsigned status;
} statuses[] = {
    { ENOENT, 404 }, { ENOTDIR, 404 }, { ENAMETOOLONG, 404 }, { ELOOP, 404 }, { ESTALE, 404 },
    { EACCES, 403 }, { EPERM, 403 }, { EXDEV, 403 }, { EMFILE, 503 }, { ENFILE, 503 },
    { ENOMEM, 503 },
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
    if (error == EXDEV)
        request_log(r, LOG_ERROR, 0,
                    "\"%.*s\" leads out of its root through a symbolic link; "
                    "\"disable_symlinks off;\" would allow it",
                    SLICE_FMT(path));
    else
        request_log(r, file_status(error) >= 500 ? LOG_CRIT : LOG_ERROR, error,
                    "open() \"%.*s\" failed", SLICE_FMT(path));
}

/* ---- directives ---------------------------------------------------------------------------------- */

static bool set_cache(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    struct file_conf *c = conf;
    uint64_t max;
    int64_t inactive;

    (void)row;
    if (slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);
        bool good = slice_starts(text, SLICE("max="))
                        ? slice_to_u64(slice_skip(text, 4), 1000000000, &max) && max > 0
                        : slice_starts(text, SLICE("inactive=")) &&
                              conf_parse_sec(slice_skip(text, 9), &inactive);

        if (!good) {
            conf_complain(load, CONF_EMERG, node, (int)i,
                          "\"%.*s\" is not a parameter of open_file_cache", SLICE_FMT(text));
            conf_hint(load, "expected: off, max=number or inactive=time");
            return false;
        }
    }
    c->cache_on = true;
    return true;
}

static bool set_symlinks(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    static const char *const words[] = { "off", "on", "if_not_owner" };

    (void)row;
    for (int i = 0; i < (int)COUNT_OF(words); i++)
        if (slice_eq(conf_arg(node, 0), slice_str(words[i]))) {
            ((struct file_conf *)conf)->symlinks = SYMLINKS_OFF + i;
            return true;
        }
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" is not a value of disable_symlinks",
                  SLICE_FMT(conf_arg(node, 0)));
    conf_hint(load, "expected: off, on or if_not_owner");
    return false;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "open_file_cache", HSL, 1, 2, CONF_CUSTOM, offsetof(struct file_conf, cache_on), NULL,
      .set = set_cache, .size = sizeof(bool), .syntax = "off | max=number [inactive=time]",
      .help = "Trusts open files for open_file_cache_valid instead of looking again. weir keeps "
              "files open anyway, within bounds of its own." },
    { "open_file_cache_valid", HSL, 1, 1, CONF_SEC, offsetof(struct file_conf, valid), "60s",
      .syntax = "time", .help = "How long an open file is trusted with open_file_cache." },
    { "open_file_cache_min_uses", HSL, 1, 1, CONF_NUMBER, offsetof(struct file_conf, min_uses),
      "1", .min = 1, .max = INT32_MAX, .syntax = "number",
      .help = "Accepted; weir keeps every file open that it opened, within its bounds." },
    { "open_file_cache_errors", HSL, 1, 1, CONF_FLAG, offsetof(struct file_conf, errors), "off",
      .syntax = "on | off", .help = "Accepted; weir never remembers that a file was missing." },
    { "disable_symlinks", HSL, 1, 2, CONF_CUSTOM, offsetof(struct file_conf, symlinks), NULL,
      .set = set_symlinks, .size = sizeof(int), .syntax = "off | on | if_not_owner [from=part]",
      .help = "Which symbolic links are followed. Without this directive: those that stay below "
              "the root. off: all. on and if_not_owner: none below the root." },
};

const struct feature feature_file_cache = {
    .name = "file_cache",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct file_conf),
    .about = "How files are opened, kept open, and found to have changed.",
    .index = &file_cache_index,
};
