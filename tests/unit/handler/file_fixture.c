/* file_fixture.c - a site in a directory of its own, and requests to it. */
#include "file_fixture.h"

#include "base/clock.h"
#include "conf/load.h"
#include "filter/gunzip.h"
#include "filter/recode.h"
#include "filter/replace.h"
#include "handler/small.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/log_target.h"
#include "http/rewrite.h"
#include "http/types.h"
#include "http/vars.h"
#include "net/addr.h"
#include "wire/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct feature *const test_features[] = {
    &feature_http_core,   &feature_logs,         &feature_vars,      &feature_types,
    &feature_headers,     &feature_rewrite,      &feature_static,    &feature_file_cache,
    &feature_index,       &feature_error_page,   &feature_autoindex, &feature_try_files,
    &feature_encoding,    &feature_gzip,         &feature_packed,    &feature_brotli,
    &feature_gunzip,      &feature_sub_filter,   &feature_charset,   &feature_empty_gif,
    &feature_stub_status, &feature_random_index, &feature_zstd,      NULL,
};

static const struct step steps[] = {
    { "find-location", step_find_location, NULL, false },
    { "rewrite", step_rewrite, NULL, false },
    { "try-files", step_try_files, NULL, false },
    { "random-index", step_random_index, NULL, false },
    { "index", step_index, NULL, false },
    { "autoindex", step_autoindex, NULL, false },
    { "packed", step_packed, NULL, false },
    { "static", step_static, NULL, false },
};

static const struct filter filters[] = {
    { "error-status", filter_error_status, NULL, false },
    { "conditional", filter_conditional, NULL, false },
    { "headers", filter_headers, NULL, false },
    { "gunzip", filter_gunzip, NULL, false },
    { "sub", filter_sub, NULL, false },
    { "charset", filter_charset, NULL, false },
    { "coding", filter_coding, NULL, false },
    { "range", filter_range, NULL, false },
    { "redirect", filter_redirect, NULL, false },
};

static const struct pipeline test_pipeline = {
    .steps = steps,
    .step_count = COUNT_OF(steps),
    .filters = filters,
    .filter_count = COUNT_OF(filters),
};

/* ---- what a protocol would do -------------------------------------------------------- */

static struct site_test *test_of(struct request *r)
{
    return r->conn;
}

static void on_respond(struct request *r)
{
    test_of(r)->answered = true;
}

static void on_ready(struct request *r)
{
    test_of(r)->ready = true;
}

static void on_peer(struct request *r, struct addr *ret)
{
    (void)r;
    assert_true(addr_parse(SLICE("192.0.2.7:4711"), 0, ret));
}

static void on_local(struct request *r, struct addr *ret)
{
    *ret = test_of(r)->local;
}

static int on_socket(struct request *r)
{
    (void)r;
    return -1;
}

static void on_freed(void *conn)
{
    ((struct site_test *)conn)->freed = true;
}

static const struct request_ops test_ops = { .name = "HTTP/1.1",
                                             .respond = on_respond,
                                             .body_ready = on_ready,
                                             .peer = on_peer,
                                             .local = on_local,
                                             .socket = on_socket,
                                             .freed = on_freed };

/* ---- the configuration --------------------------------------------------------------- */

static int read_text(struct conf_source *s, const char *path, struct slice *ret)
{
    (void)path;
    *ret = slice_str(container_of(s, struct site_test, source)->text);
    return 0;
}

static int find_none(struct conf_source *s, const char *pattern,
                     void (*each)(void *arg, const char *path), void *arg)
{
    (void)s;
    (void)pattern;
    (void)each;
    (void)arg;
    return -ENOENT;
}

static void on_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    struct site_test *t = arg;

    (void)severity;
    gather_slice(&t->complaints, text);
}

static void load_site(struct site_test *t)
{
    struct conf_load *load;
    char prefix[PATH_MAX + 2];

    t->source = (struct conf_source){ .read = read_text, .glob = find_none };
    gather_init(&t->complaints, t->complaints_text, sizeof t->complaints_text, NULL, 0);
    arena_init(&t->arena, NULL, 0, 65536, SIZE_MAX);
    t->registry = registry_create(test_features);
    snprintf(prefix, sizeof prefix, "%s/", t->dir);
    load = conf_load_create(t->registry, &t->source, &t->arena, prefix);
    t->root = conf_load_run(load, "/test.conf");
    if (conf_load_errors(load) == 0)
        t->site = site_build(load, t->root);
    conf_load_report(load, false, on_complaint, t);
    t->regexes = conf_regexes(load);
    conf_load_destroy(load);
}

static void open_log(struct site_test *t)
{
    char path[PATH_MAX];

    path_to(t, "error.log", path);
    t->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(t->log >= 0);
    for (struct log_target *l = log_targets_of(t->root)->first; l != NULL; l = l->next)
        l->sink.fd = t->log;
}

static void open_loop(struct site_test *t)
{
    static const struct io_limits limits = { .fds = 4096, .bufs = 16, .buf_size = 4096 };
    int error;

    t->use.count = 0;
    t->site->uses = &t->use;
    t->loop.io = io_create(&io_engine_epoll, &limits, &error);
    assert_non_null(t->loop.io);
    t->loop.now = io_now_ns;
    t->loop.site = t->site;
    t->loop.pipeline = &test_pipeline;
    t->loop.files = &t->files;
    t->loop.coders = &t->coders;
    slab_init(&t->loop.request_slab, REQUEST_SLOT, 4);
    file_cache_init(&t->files);
    assert_true(addr_parse(SLICE("198.51.100.1:80"), 0, &t->local));
}

bool site_try(struct site_test *t, const char *http_text, const char *server_text)
{
    char inner[TEXT_ROOM / 2];
    const char *home = getenv("TMPDIR");

    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "%s/weir-test-XXXXXX", home != NULL ? home : "/tmp");
    assert_non_null(mkdtemp(t->dir));
    snprintf(inner, sizeof inner, server_text, t->dir, t->dir, t->dir, t->dir);
    snprintf(
        t->text, sizeof t->text,
        "error_log %s/error.log info;\nhttp {\n%s\nserver {\nlisten 80;\nroot html;\n%s\n} }\n",
        t->dir, http_text, inner);
    put_directory(t, "html");
    load_site(t);
    return t->site != NULL;
}

void site_open_in(struct site_test *t, const char *http_text, const char *server_text)
{
    if (!site_try(t, http_text, server_text))
        fail_msg("%.*s", SLICE_FMT(gather_get(&t->complaints)));
    open_log(t);
    open_loop(t);
}

void site_open(struct site_test *t, const char *server_text)
{
    site_open_in(t, "", server_text);
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s;
    (void)kind;
    (void)where;
    return remove(path);
}

void site_close(struct site_test *t)
{
    if (t->loop.io != NULL) {
        ask_end(t);
        coders_done(&t->coders);
        file_cache_done(&t->files);
        assert_int_equal(t->files.count, 0);
        assert_int_equal(t->files.descriptors, 0);
        assert_int_equal(t->files.bytes, 0);
        slab_done(&t->loop.request_slab);
        io_destroy(t->loop.io);
        close(t->log);
    }
    test_free(t->body_bytes);
    regex_free_all(t->regexes);
    registry_destroy(t->registry);
    arena_done(&t->arena);
    assert_int_equal(nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* ---- the directory ------------------------------------------------------------------- */

void path_to(struct site_test *t, const char *name, char into[PATH_MAX])
{
    assert_true(snprintf(into, PATH_MAX, "%s/%s", t->dir, name) < PATH_MAX);
}

void put_bytes(struct site_test *t, const char *name, const char *bytes, size_t size)
{
    char path[PATH_MAX];
    int fd;

    path_to(t, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

void put_file(struct site_test *t, const char *name, const char *text)
{
    put_bytes(t, name, text, strlen(text));
}

void put_directory(struct site_test *t, const char *name)
{
    char path[PATH_MAX];

    path_to(t, name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

void put_link(struct site_test *t, const char *name, const char *target)
{
    char path[PATH_MAX];

    path_to(t, name, path);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

/* ---- requests ------------------------------------------------------------------------ */

static void add_fields(struct site_test *t, struct h1_head *h, const char *text)
{
    struct slice left = slice_str(text != NULL ? text : "");

    h->fields = t->fields;
    while (left.size > 0) {
        struct slice line = slice_cut(&left, '\n'), name = slice_cut(&line, ':');
        struct field *field = &t->fields[h->field_count++];

        *field = (struct field){ name, slice_trim(line), field_from(name) };
        if (field->id != FIELD_OTHER && h->known[field->id] == NULL)
            h->known[field->id] = field;
    }
}

static void make_head(struct site_test *t, struct request *r, const char *line, const char *fields)
{
    struct slice left = slice_str(line);
    char *path = arena_alloc(&r->arena, left.size + 1);
    struct slice uri;

    memset(&r->head, 0, sizeof r->head);
    r->head.line = left;
    r->head.version_minor = 1;
    r->head.method_text = slice_cut(&left, ' ');
    r->head.method = method_from(r->head.method_text);
    r->head.target = left;
    r->head.path = slice_cut(&left, '?');
    if (r->head.path.size < r->head.target.size)
        r->head.args = left;
    r->args = r->head.args;
    add_fields(t, &r->head, fields);
    r->host = request_field(r, FIELD_HOST);
    assert_int_equal(uri_normalise(r->head.path, true, path, &uri), URI_OK);
    request_set_uri(r, uri);
}

void ask_end(struct site_test *t)
{
    if (t->r == NULL)
        return;
    request_end(t->r);
    t->r = NULL;
    turn_until(t, &t->freed);
}

void ask_begin(struct site_test *t, const char *line, const char *fields)
{
    struct request *r;

    ask_end(t);
    (void)io_turn(t->loop.io, 0);
    t->answered = t->ready = t->freed = false;
    r = t->r = request_create(&t->loop, t->loop.io, &test_ops, t);
    assert_non_null(r);
    make_head(t, r, line, fields);
    r->tls = t->tls;
    r->server = t->site->servers;
    r->vhosts = t->site->addrs->vhosts;
    r->scope = r->server->scope;
    r->log = log_of_scope(r->scope);
    request_run(r);
}

void turn_until(struct site_test *t, const bool *flag)
{
    uint64_t end = clock_mono_ns() + (uint64_t)10 * NS_PER_SEC;

    while (!*flag && clock_mono_ns() < end)
        (void)io_turn(t->loop.io, (uint64_t)100 * NS_PER_MS);
    assert_true(*flag);
}

unsigned ask_head(struct site_test *t, const char *line, const char *fields)
{
    ask_begin(t, line, fields);
    turn_until(t, &t->answered);
    return t->r->response.status;
}

static void take_chunk(struct site_test *t, const struct chunk *k)
{
    char *into = t->body_bytes + t->body.size;

    assert_true(k->size > 0 && t->body.size + k->size <= BODY_ROOM);
    if (k->file >= 0) {
        t->file_chunks++;
        /* as sendfile(2) would: short if the file is */
        ssize_t n = pread(k->file, into, k->size, (off_t)k->offset);

        assert_true(n >= 0);
        t->body.size += (size_t)n;
        return;
    }
    t->memory_chunks++;
    memcpy(into, k->at, k->size);
    t->body.size += k->size;
}

void take_body(struct site_test *t)
{
    struct body *b = t->r->response.body;
    struct chunk k;

    if (t->body_bytes == NULL)
        t->body_bytes = test_malloc(BODY_ROOM);
    t->body = slice_of(t->body_bytes, 0);
    t->file_chunks = t->memory_chunks = 0;
    t->end = BODY_END;
    while (b != NULL) {
        t->ready = false;
        t->end = b->ops->pull(b, 100 * 1024, &k);
        if (t->end == BODY_CHUNK)
            take_chunk(t, &k);
        else if (t->end == BODY_LATER)
            turn_until(t, &t->ready);
        else
            return;
        if (t->end == BODY_CHUNK && b->ops->sent != NULL)
            b->ops->sent(b, k.size);
    }
}

unsigned ask(struct site_test *t, const char *line, const char *fields)
{
    ask_head(t, line, fields);
    take_body(t);
    if (t->end == BODY_END && t->r->response.length >= 0)
        assert_int_equal(t->body.size, t->r->response.length);
    return t->r->response.status;
}

/* ---- looking ------------------------------------------------------------------------- */

const char *answer_field(struct site_test *t, const char *name)
{
    struct header *h = response_find(t->r, slice_str(name));
    struct slice copy = h != NULL ? arena_copy(&t->r->arena, h->value) : SLICE("");

    return copy.at;
}

struct file *cached(struct site_test *t, const char *name)
{
    char path[PATH_MAX];

    path_to(t, name, path);
    for (size_t i = 0; i < FILE_BUCKETS; i++)
        for (struct file *f = t->files.buckets[i]; f != NULL; f = f->next)
            if (slice_eq(f->place.path, slice_str(path)))
                return f;
    return NULL;
}

void let_settle(struct site_test *t)
{
    for (size_t i = 0; i < FILE_BUCKETS; i++)
        for (struct file *f = t->files.buckets[i]; f != NULL; f = f->next)
            f->copy_ns = 0;
}

void assert_text(struct slice found, const char *expected)
{
    if (!slice_eq(found, slice_str(expected)))
        fail_msg("found:    \"%.*s\"\nexpected: \"%s\"", SLICE_FMT(found), expected);
}

static bool log_has(struct site_test *t, const char *part, struct slice *all)
{
    static char text[256 * 1024];
    ssize_t n = pread(t->log, text, sizeof text, 0);

    assert_true(n >= 0);
    *all = slice_of(text, (size_t)n);
    return slice_search(*all, slice_str(part)) < all->size;
}

void assert_logged(struct site_test *t, const char *part)
{
    struct slice all;

    if (!log_has(t, part, &all))
        fail_msg("\"%s\" is not in the log:\n%.*s", part, SLICE_FMT(all));
}

void assert_not_logged(struct site_test *t, const char *part)
{
    struct slice all;

    if (log_has(t, part, &all))
        fail_msg("\"%s\" is in the log:\n%.*s", part, SLICE_FMT(all));
}

void assert_says(const struct site_test *t, const char *part)
{
    struct slice all = gather_get(&t->complaints);

    if (slice_search(all, slice_str(part)) == all.size)
        fail_msg("\"%s\" is not in:\n%.*s", part, SLICE_FMT(all));
}
