/* dav.c - the methods that change files: the request is judged on the loop, the files are
 * changed by a helper thread (dav_tree.c). */
#include "handler/dav.h"

#include "conf/load.h"
#include "handler/client_body.h"
#include "handler/dav_tree.h"
#include "handler/file_cache.h"
#include "handler/temp_file.h"
#include "http/map_path.h"
#include "http/site.h"
#include "wire/uri.h"

#include <errno.h>
#include <fcntl.h>

struct dav_conf {
    uint32_t methods; /* a bit for each enum http_method */
    bool methods_said, access_said, create_full_put_path;
    uint32_t access;
    int64_t min_delete_depth;
};

enum { ACCESS_DEFAULT = 0600 };

/* What a helper thread is to do. */
struct dav_job {
    struct io_op op;
    struct request *request;
    struct file_place from, to;
    uint32_t mode, directory_mode;
    bool make_way, deep, overwrite, slash;
    const struct client_body *body;
    unsigned status; /* the answer; 0: error says what it is */
    bool done;
};

static uint32_t dav_index;

/* ---- on a helper thread --------------------------------------------------------------- */

static int fill_body(int fd, void *arg)
{
    const struct client_body *b = arg;

    return b->file >= 0 ? dav_copy_bytes(b->file, fd, b->size)
                        : temp_file_write(fd, b->memory.at, b->memory.size, 0);
}

static int32_t put(struct io_op *op)
{
    struct dav_job *j = container_of(op, struct dav_job, op);
    struct dav_spot spot;
    struct stat s;
    int error = dav_spot_open(&j->from, j->make_way, j->directory_mode, &spot);

    if (error == 0) {
        bool there = dav_spot_stat(&spot, &s) == 0;

        j->status = there ? 204 : 201;
        error = there && S_ISDIR(s.st_mode)
                    ? -EISDIR
                    : dav_spot_fill(&spot, j->mode, fill_body, (void *)(uintptr_t)j->body);
    }
    dav_spot_close(&spot);
    return error == -ENOENT ? -ENOTDIR : error;
}

static int32_t delete (struct io_op *op)
{
    struct dav_job *j = container_of(op, struct dav_job, op);
    struct dav_spot spot;
    struct stat s;
    int error = dav_spot_open(&j->from, false, 0, &spot);

    j->status = 204;
    if (error == 0)
        error = dav_spot_stat(&spot, &s);
    if (error == 0 && S_ISDIR(s.st_mode) != j->slash)
        error = j->slash ? -ENOTDIR : -EISDIR;
    if (error == 0 && j->slash && !j->deep)
        j->status = 400; /* RFC 4918 §9.6.1: a collection is removed with all that is in it */
    else if (error == 0)
        error = dav_remove(&spot);
    dav_spot_close(&spot);
    return error;
}

static int32_t make_collection(struct io_op *op)
{
    struct dav_job *j = container_of(op, struct dav_job, op);
    struct dav_spot spot;
    int error = dav_spot_open(&j->from, false, 0, &spot);

    j->status = 201;
    if (error == 0 && mkdirat(spot.dir, spot.name, j->directory_mode) != 0)
        error = -errno;
    dav_spot_close(&spot);
    if (error == -EEXIST || error == -EBUSY) {
        j->status = 405;
        return 0;
    }
    return error == -ENOENT ? -ENOTDIR : error;
}

/* Is `inner` below (or the same as) `outer`? Final slashes do not count. */
static bool encloses(const struct file_place *outer, const struct file_place *inner)
{
    struct slice o = outer->path, i = inner->path;

    while (o.size > 1 && o.at[o.size - 1] == '/')
        o.size--;
    return slice_starts(i, o) && (i.size == o.size || i.at[o.size] == '/');
}

/* Both spots are open: clears the way. 0, or -errno, or a status in j->status and 1. */
static int clear_target(struct dav_job *j, const struct dav_spot *from, const struct dav_spot *to)
{
    struct stat source, target;
    int error = dav_spot_stat(from, &source);

    if (error != 0)
        return error;
    if (S_ISDIR(source.st_mode) != j->slash)
        return j->slash ? -ENOTDIR : -EISDIR;
    j->status = 201;
    if (dav_spot_stat(to, &target) != 0)
        return 0;
    j->status = 204;
    if (!j->overwrite || (source.st_dev == target.st_dev && source.st_ino == target.st_ino)) {
        j->status = j->overwrite ? 403 : 412;
        return 1;
    }
    if (S_ISDIR(target.st_mode) != S_ISDIR(source.st_mode))
        return S_ISDIR(target.st_mode) ? -EISDIR : -ENOTDIR;
    return S_ISDIR(target.st_mode) ? dav_remove(to) : 0;
}

static int32_t copy_or_move(struct dav_job *j, bool move)
{
    struct dav_spot from, to = { .dir = -1 };
    int error = dav_spot_open(&j->from, false, 0, &from);

    if (error == 0) {
        error = dav_spot_open(&j->to, false, 0, &to);
        if (error == -ENOENT)
            error = -ENOTDIR; /* the target's parent: 409 */
    }
    if (error == 0)
        error = clear_target(j, &from, &to);
    if (error == 0)
        error = move ? dav_move(&from, &to) : dav_copy(&from, &to, j->deep);
    dav_spot_close(&from);
    dav_spot_close(&to);
    return error < 0 ? error : 0;
}

static int32_t copy(struct io_op *op)
{
    return copy_or_move(container_of(op, struct dav_job, op), false);
}

static int32_t move(struct io_op *op)
{
    return copy_or_move(container_of(op, struct dav_job, op), true);
}

/* ---- the outcome ---------------------------------------------------------------------- */

static const struct {
    int error;
    unsigned status;
} outcomes[] = {
    { ENOENT, 404 },    { ENOTDIR, 409 },      { EISDIR, 409 }, { EEXIST, 409 },
    { ENOTEMPTY, 409 }, { EACCES, 403 },       { EPERM, 403 },  { EROFS, 403 },
    { EXDEV, 403 },     { ELOOP, 403 },        { EBUSY, 403 },  { ENOSPC, 507 },
    { EDQUOT, 507 },    { ENAMETOOLONG, 414 }, { EFBIG, 413 },  { ENODATA, 500 },
};

static unsigned status_of(int error)
{
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        if (outcomes[i].error == error)
            return outcomes[i].status;
    return 500;
}

static void finished(struct io *io, struct io_op *op, struct io_result result)
{
    struct dav_job *j = container_of(op, struct dav_job, op);
    struct request *r = j->request;

    (void)io;
    j->done = true;
    if (result.res < 0) {
        j->status = status_of(-result.res);
        if (!r->ended)
            request_log(r, LOG_ERROR, -result.res, "%.*s of \"%.*s\" failed",
                        SLICE_FMT(r->head.method_text), SLICE_FMT(j->from.path));
    }
    if (!request_unpin(r))
        request_resume(r);
}

static enum verdict answer(struct request *r, const struct dav_job *j)
{
    struct gather g;
    bool copied = r->head.method == METHOD_COPY || r->head.method == METHOD_MOVE;

    if (j->status >= 300)
        return request_fail(r, j->status);
    (void)request_reply(r, j->status, (struct slice){ 0 }, (struct slice){ 0 });
    if (j->status != 201 || copied)
        return DONE;
    gather_init(&g, NULL, 0, &r->arena, r->uri.size * 3 + 16);
    uri_encode_path(&g, r->uri);
    if (g.full)
        return request_fail(r, 500);
    r->response.location = gather_get(&g);
    return DONE;
}

/* ---- judging requests ------------------------------------------------------------------ */

static bool ends_in_slash(struct slice s)
{
    return s.size > 0 && s.at[s.size - 1] == '/';
}

static bool has_body(const struct request *r)
{
    return r->head.chunked || (r->head.has_length && r->head.length > 0);
}

/* Depth (RFC 4918 §10.2): 0, or infinity if it is not given. */
static bool take_depth(const struct request *r, bool *ret_deep)
{
    struct slice depth = request_field(r, FIELD_DEPTH);

    *ret_deep = depth.at == NULL || slice_eq_nocase(depth, SLICE("infinity"));
    return *ret_deep || slice_eq(depth, SLICE("0"));
}

/* 0, or the status that refuses it. */
static unsigned judge_put(struct request *r, struct dav_job *j)
{
    (void)j;
    if (ends_in_slash(r->uri))
        return 409;
    for (const struct field *f = r->head.fields; f < r->head.fields + r->head.field_count; f++)
        if (slice_eq_nocase(f->name, SLICE("content-range")))
            return 400; /* RFC 9110 §14.4: never taken for a whole */
    return 0;
}

static unsigned judge_delete(struct request *r, struct dav_job *j)
{
    const struct dav_conf *c = request_conf(r, &feature_dav);
    int64_t depth = 0;

    if (has_body(r))
        return 415;
    if (!take_depth(r, &j->deep))
        return 400;
    for (size_t i = 0; i + 1 < r->uri.size; i++)
        depth += r->uri.at[i] == '/';
    if (depth >= c->min_delete_depth)
        return 0;
    request_log(r, LOG_ERROR, 0, "DELETE is allowed from a depth of %lld on, this is %lld",
                (long long)c->min_delete_depth, (long long)depth);
    return 409;
}

static unsigned judge_collection(struct request *r, struct dav_job *j)
{
    (void)j;
    return has_body(r) ? 415 : ends_in_slash(r->uri) ? 0 : 409;
}

/* The Destination's path as it was sent, if it is on this very host; 0 or a status. */
static unsigned destination_path(struct request *r, struct slice *ret)
{
    struct slice whole = request_field(r, FIELD_DESTINATION), host;
    char *fold;
    uint16_t port;

    *ret = whole;
    if (whole.size == 0)
        return 400;
    if (whole.at[0] != '/') {
        size_t mark = slice_search(whole, SLICE("://"));

        if (mark == whole.size)
            return 400;
        bool https = slice_eq_nocase(slice_head(whole, mark), SLICE("https"));

        if (!https && !slice_eq_nocase(slice_head(whole, mark), SLICE("http")))
            return 502;
        struct slice rest = slice_skip(whole, mark + 3);

        mark = slice_find(rest, '/');
        fold = arena_bytes(&r->arena, mark + 1);
        if (fold == NULL)
            return 500;
        if (uri_authority(slice_head(rest, mark), fold, &host, &port) == URI_BAD)
            return 400;
        uint16_t usual = r->tls ? 443 : 80, asked = r->host_port != 0 ? r->host_port : usual;

        if (!slice_eq(host, r->host) || (port != 0 ? port : https ? 443 : 80) != asked)
            return 502; /* RFC 4918 §9.8.5: another server */
        *ret = mark < rest.size ? slice_skip(rest, mark) : SLICE("/");
    }
    return slice_find(*ret, '#') < ret->size ? 400 : 0;
}

/* A destination is written where requests for it would be answered, under the same rules. */
static bool same_location(struct request *r, struct slice uri)
{
    struct slice captures[CAPTURES_MAX];
    const struct regex *of = NULL;
    const struct location *l = NULL;

    return location_find(r->server->root, uri, captures, &of, &l) == LOCATION_FOUND &&
           l == r->location && (l == NULL || l->kind != LOCATION_REGEX);
}

static unsigned take_destination(struct request *r, struct dav_job *j)
{
    struct slice raw, uri, path, below;
    unsigned refused = destination_path(r, &raw);
    char *into;

    if (refused != 0)
        return refused;
    raw = slice_head(raw, slice_find(raw, '?'));
    into = arena_bytes(&r->arena, raw.size + 1);
    if (into == NULL)
        return 500;
    if (uri_normalise(raw, core_conf(r)->merge_slashes, into, &uri) == URI_BAD)
        return 400;
    if (ends_in_slash(uri) != ends_in_slash(r->uri))
        return 409;
    if (!same_location(r, uri) || !map_path(r, uri, &path, &below)) {
        request_log(r, LOG_ERROR, 0, "the destination \"%.*s\" is in another location",
                    SLICE_FMT(uri));
        return 403;
    }
    if (!file_place_of(r, request_conf(r, &feature_file_cache), path, below, &j->to))
        return 500;
    return encloses(&j->from, &j->to) || encloses(&j->to, &j->from) ? 403 : 0;
}

static unsigned judge_copy(struct request *r, struct dav_job *j)
{
    struct slice overwrite = request_field(r, FIELD_OVERWRITE);

    if (has_body(r))
        return 415;
    j->overwrite = overwrite.at == NULL || slice_eq_nocase(overwrite, SLICE("t"));
    if (!j->overwrite && !slice_eq_nocase(overwrite, SLICE("f")))
        return 400;
    if (!take_depth(r, &j->deep) || (r->head.method == METHOD_MOVE && !j->deep))
        return 400;
    return take_destination(r, j);
}

static const struct {
    enum http_method method;
    const char *name;
    unsigned (*judge)(struct request *, struct dav_job *);
    io_work_fn *work;
} methods[] = {
    { METHOD_PUT, "PUT", judge_put, put },
    { METHOD_DELETE, "DELETE", judge_delete, delete },
    { METHOD_MKCOL, "MKCOL", judge_collection, make_collection },
    { METHOD_COPY, "COPY", judge_copy, copy },
    { METHOD_MOVE, "MOVE", judge_copy, move },
};

/* ---- the step ------------------------------------------------------------------------- */

static uint32_t directory_mode(uint32_t mode)
{
    return mode | ((mode & 0444) >> 2); /* who may read may enter */
}

/* NULL: *ret says what became of the request. */
static struct dav_job *job_of(struct request *r, size_t method, enum verdict *ret)
{
    const struct dav_conf *c = request_conf(r, &feature_dav);
    struct dav_job *j = arena_zalloc(&r->arena, sizeof *j);
    struct slice path, below;
    unsigned refused = 500;

    if (j != NULL && !map_path(r, r->uri, &path, &below))
        refused = 404;
    else if (j != NULL &&
             file_place_of(r, request_conf(r, &feature_file_cache), path, below, &j->from)) {
        j->request = r;
        j->mode = c->access;
        j->directory_mode = directory_mode(c->access);
        j->make_way = c->create_full_put_path;
        j->slash = ends_in_slash(r->uri);
        refused = methods[method].judge(r, j);
    }
    if (refused == 0)
        return j;
    *ret = request_fail(r, refused);
    return NULL;
}

static enum verdict change(struct request *r, size_t method)
{
    struct dav_job *j = r->slots[SLOT_DAV];
    enum verdict v;

    if (j == NULL) {
        j = job_of(r, method, &v);
        if (j == NULL)
            return v;
        r->slots[SLOT_DAV] = j;
    }
    if (j->done) {
        r->slots[SLOT_DAV] = NULL;
        return answer(r, j);
    }
    if (methods[method].method == METHOD_PUT) {
        v = client_body_read(r);
        if (v != NEXT) {
            if (v == DONE)
                r->slots[SLOT_DAV] = NULL;
            return v;
        }
        j->body = r->client_body;
    }
    request_pin(r);
    io_work(r->io, &j->op, methods[method].work, finished);
    return WAIT;
}

bool dav_idle(const struct scope *scope)
{
    const struct dav_conf *c = scope_conf(scope, &feature_dav);

    return c->methods == 0;
}

enum verdict step_dav(struct request *r)
{
    const struct dav_conf *c = request_conf(r, &feature_dav);

    if ((c->methods & 1u << r->head.method) == 0)
        return NEXT;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (methods[i].method == r->head.method)
            return change(r, i);
    return NEXT;
}

/* ---- directives ------------------------------------------------------------------------ */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct dav_conf, member)

static bool set_methods(struct conf_load *load, const struct conf_node *node, void *conf,
                        const struct directive *row)
{
    struct dav_conf *c = conf;

    (void)row;
    c->methods_said = true;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice word = conf_arg(node, i);
        size_t m = 0;

        if (node->arg_count == 1 && slice_eq(word, SLICE("off")))
            return true;
        while (m < COUNT_OF(methods) && !slice_eq_nocase(word, slice_str(methods[m].name)))
            m++;
        if (m == COUNT_OF(methods)) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a method for files",
                          SLICE_FMT(word));
            conf_hint(load, "expected: PUT, DELETE, MKCOL, COPY, MOVE, or off");
            return false;
        }
        c->methods |= 1u << methods[m].method;
    }
    return true;
}

static const struct {
    const char *word;
    uint32_t shift;
} holders[] = { { "user:", 6 }, { "group:", 3 }, { "all:", 0 } };

static bool set_access(struct conf_load *load, const struct conf_node *node, void *conf,
                       const struct directive *row)
{
    struct dav_conf *c = conf;

    (void)row;
    c->access_said = true;
    c->access = ACCESS_DEFAULT;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice word = conf_arg(node, i), right = { 0 };
        size_t h = 0;

        while (h < COUNT_OF(holders) && !slice_starts(word, slice_str(holders[h].word)))
            h++;
        if (h < COUNT_OF(holders))
            right = slice_skip(word, strlen(holders[h].word));
        bool both = slice_eq(right, SLICE("rw"));

        if (!both && !slice_eq(right, SLICE("r"))) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a right",
                          SLICE_FMT(word));
            conf_hint(load, "expected: user:, group: or all:, then r or rw");
            return false;
        }
        c->access |= (both ? 6u : 4u) << holders[h].shift;
    }
    return true;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *conf)
{
    const struct dav_conf *outer = parent;
    struct dav_conf *c = conf;

    (void)load;
    (void)scope;
    if (!c->methods_said && outer != NULL)
        c->methods = outer->methods;
    if (!c->access_said)
        c->access = outer != NULL ? outer->access : ACCESS_DEFAULT;
    return true;
}

static const struct directive rows[] = {
    { "dav_methods", HSL, 1, 5, CONF_CUSTOM, .set = set_methods, .fallback = "off",
      .syntax = "off | PUT | DELETE | MKCOL | COPY | MOVE …",
      .help = "The methods that change files; all others stay refused.",
      .example = "dav_methods PUT DELETE MKCOL COPY MOVE;" },
    { "create_full_put_path", HSL, 1, 1, CONF_FLAG, AT(create_full_put_path), "off",
      .syntax = "on | off", .help = "Makes the directories that a PUT needs.",
      .example = "create_full_put_path on;" },
    { "dav_access", HSL, 1, 3, CONF_CUSTOM, .set = set_access, .fallback = "user:rw",
      .syntax = "user:rights | group:rights | all:rights …",
      .help = "Who may read and write the files and directories that are made.",
      .example = "dav_access group:rw all:r;" },
    { "min_delete_depth", HSL, 1, 1, CONF_NUMBER, AT(min_delete_depth), "0", .min = 0, .max = 1000,
      .syntax = "number", .help = "DELETE is allowed for paths of at least so many names.",
      .example = "min_delete_depth 2;" },
};

const struct feature feature_dav = {
    .name = "dav",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct dav_conf),
    .merge = merge,
    .about = "Changing files: PUT, DELETE, MKCOL, COPY and MOVE.",
    .index = &dav_index,
};
