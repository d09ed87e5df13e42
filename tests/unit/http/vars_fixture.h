/* vars_fixture.h - for the tests of variables, logs, access rules and error pages: a
 * configuration from a string, one request made by hand, and what would have been logged. */
#ifndef TESTS_VARS_FIXTURE_H
#define TESTS_VARS_FIXTURE_H

#include "http/access.h"
#include "http/auth_request.h"
#include "http/access_log.h"
#include "http/early_hints.h"
#include "http/error_page.h"
#include "http/log_target.h"
#include "http/pipeline.h"
#include "http/rewrite.h"
#include "http/site.h"
#include "http/types.h"
#include "http/vars.h"
#include "wire/uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four headers above */
#include <cmocka.h>

enum { LINES_ROOM = 256 * 1024, FIELDS_ROOM = 16 };

/* 2026-11-23 05:31:59.042 UTC, and what the monotonic clock says then */
#define WALL_NS 1795411919042000000
#define MONO_NS 1000000000000u

struct fixture {
    struct conf_source source;
    struct slice text;
    struct arena arena;
    struct registry *registry;
    struct scope *root;
    struct site *site;
    struct regex *regexes;
    unsigned errors;
    struct gather complaints;

    struct loop loop;
    struct request r;
    struct addr peer, local;
    struct field fields[FIELDS_ROOM];
    uint64_t now_ns;

    struct gather lines;  /* what access logs wrote                                */
    struct gather places; /* where to: "path\n" for each line                       */
    char *space;
};

/* ---- configurations ---------------------------------------------------------------------- */

static inline int fixture_read(struct conf_source *s, const char *path, struct slice *ret)
{
    (void)path;
    *ret = container_of(s, struct fixture, source)->text;
    return 0;
}

static inline int fixture_glob(struct conf_source *s, const char *pattern,
                               void (*each)(void *arg, const char *path), void *arg)
{
    (void)s;
    (void)pattern;
    (void)each;
    (void)arg;
    return -ENOENT;
}

static inline void fixture_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    struct fixture *f = arg;

    (void)severity;
    gather_slice(&f->complaints, text);
}

static inline void fixture_load(struct fixture *f, const char *text)
{
    static const struct feature *const features[] = {
        &feature_http_core,
        &feature_logs,
        &feature_vars,
        &feature_access,
        &feature_auth_request,
        &feature_rewrite,
        &feature_error_page,
        &feature_access_log,
        &feature_types,
        &feature_early_hints,
        NULL,
    };
    struct conf_load *load;

    f->source = (struct conf_source){ .read = fixture_read, .glob = fixture_glob };
    f->text = slice_str(text);
    arena_init(&f->arena, NULL, 0, 65536, SIZE_MAX);
    f->registry = registry_create(features);
    load = conf_load_create(f->registry, &f->source, &f->arena, "/prefix/");
    f->root = conf_load_run(load, "/prefix/weir.conf");
    f->errors = conf_load_errors(load);
    f->site = f->root != NULL && f->errors == 0 ? site_build(load, f->root) : NULL;
    conf_load_report(load, false, fixture_complaint, f);
    f->regexes = conf_regexes(load);
    conf_load_destroy(load);
}

/* ---- requests ----------------------------------------------------------------------------- */

static inline struct fixture *fixture_of(struct request *r)
{
    return r->conn;
}

static inline void fixture_peer(struct request *r, struct addr *ret)
{
    *ret = fixture_of(r)->peer;
}

static inline void fixture_local(struct request *r, struct addr *ret)
{
    *ret = fixture_of(r)->local;
}

static inline int fixture_socket(struct request *r)
{
    (void)r;
    return -1;
}

static const struct request_ops fixture_ops = {
    .name = "HTTP/1.1",
    .peer = fixture_peer,
    .local = fixture_local,
    .socket = fixture_socket,
};

static inline uint64_t fixture_now(const struct io *io)
{
    return ((const struct fixture *)(const void *)io)->now_ns;
}

/* Nobody runs a step here. */
static const struct pipeline fixture_pipeline = { .step_count = 0 };

static inline void fixture_line(struct loop *loop, const struct log_policy *policy,
                                struct slice path, struct slice line)
{
    struct fixture *f = container_of(loop, struct fixture, loop);

    gather_slice(&f->places, policy->target != NULL ? policy->target->path : path);
    gather_byte(&f->places, '\n');
    gather_slice(&f->lines, line);
}

static const struct log_writer fixture_writer = { fixture_line };

static inline void fixture_field(struct fixture *f, const char *name, const char *value)
{
    struct h1_head *head = &f->r.head;
    struct field *field = &f->fields[head->field_count++];

    *field = (struct field){ slice_str(name), slice_str(value), field_from(slice_str(name)) };
    if (field->id != FIELD_OTHER && head->known[field->id] == NULL)
        head->known[field->id] = field;
}

/* "GET /dir/file.html?a=1 HTTP/1.1" for the first server of the configuration. */
static inline void fixture_request(struct fixture *f, const char *line)
{
    struct request *r = &f->r;
    struct slice left = slice_str(line), target;

    f->now_ns = MONO_NS;
    f->loop.now = fixture_now;
    f->loop.pipeline = &fixture_pipeline;
    f->loop.io = (struct io *)(void *)f;
    f->loop.wall_synced_ns = MONO_NS;
    f->loop.wall_offset_ns = WALL_NS - (int64_t)MONO_NS;
    memset(r, 0, sizeof *r);
    OBJ_BORN(r, REQUEST_MAGIC);
    arena_init(&r->arena, NULL, 0, 4096, REQUEST_ARENA_MAX);
    r->loop = &f->loop;
    r->io = f->loop.io;
    r->ops = &fixture_ops;
    r->conn = f;
    r->started_ns = r->conn_opened_ns = MONO_NS;
    r->head.fields = f->fields;
    r->head.line = left;
    r->head.method_text = slice_cut(&left, ' ');
    r->head.method = method_from(r->head.method_text);
    r->head.target = target = slice_cut(&left, ' ');
    r->head.path = slice_head(target, slice_find(target, '?'));
    if (r->head.path.size < target.size)
        r->head.args = slice_skip(target, r->head.path.size + 1);
    r->head.version_minor = left.size > 0 && left.at[left.size - 1] == '0' ? 0 : 1;
    r->args = r->head.args;
    request_set_uri(r, r->head.path);
    r->response.length = r->response.last_modified = -1;
    r->response.headers_end = &r->response.headers;
    r->site = f->site;
    r->server = f->site->servers;
    r->scope = r->server->scope;
    r->log = log_of_scope(r->scope);
}

/* Sends it to the location that fits. */
static inline void fixture_locate(struct fixture *f)
{
    assert_int_equal(step_find_location(&f->r), NEXT);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static inline void fixture_open(struct fixture *f, const char *text)
{
    memset(f, 0, sizeof *f);
    f->space = test_malloc(3 * LINES_ROOM);
    gather_init(&f->lines, f->space, LINES_ROOM, NULL, 0);
    gather_init(&f->places, f->space + LINES_ROOM, LINES_ROOM, NULL, 0);
    gather_init(&f->complaints, f->space + 2 * LINES_ROOM, LINES_ROOM, NULL, 0);
    log_writer = &fixture_writer;
    assert_true(addr_parse(SLICE("192.0.2.7:4711"), 0, &f->peer));
    assert_true(addr_parse(SLICE("198.51.100.1:80"), 0, &f->local));
    fixture_load(f, text);
}

/* The same, for one that must be right, with a request at hand. */
static inline void fixture_start(struct fixture *f, const char *text, const char *line)
{
    fixture_open(f, text);
    if (f->site == NULL)
        fail_msg("%.*s", SLICE_FMT(gather_get(&f->complaints)));
    fixture_request(f, line);
}

static inline void fixture_close(struct fixture *f)
{
    if (f->r.magic == REQUEST_MAGIC) {
        body_drop(f->r.response.body);
        arena_done(&f->r.arena);
    }
    regex_free_all(f->regexes);
    registry_destroy(f->registry);
    arena_done(&f->arena);
    test_free(f->space);
}

static inline void assert_text(struct slice found, const char *expected)
{
    if (!slice_eq(found, slice_str(expected)))
        fail_msg("found:    \"%.*s\"\nexpected: \"%s\"", SLICE_FMT(found), expected);
}

static inline void assert_says(const struct fixture *f, const char *part)
{
    struct slice all = gather_get(&f->complaints);

    if (slice_search(all, slice_str(part)) == all.size)
        fail_msg("\"%s\" is not in:\n%.*s", part, SLICE_FMT(all));
}

/* The bytes of an answer whose body is in memory. */
static inline struct slice fixture_body(struct fixture *f)
{
    struct body *b = f->r.response.body;
    struct chunk chunk;

    if (b == NULL)
        return (struct slice){ 0 };
    assert_int_equal(b->ops->pull(b, SIZE_MAX, &chunk), BODY_CHUNK);
    return slice_of(chunk.at, chunk.size);
}

#endif
