/* fixture.h - a small language to test the loader with, and files that live in memory.
 *
 *   struct fixture f;
 *   fixture_open(&f);
 *   fixture_file(&f, "/etc/weir/weir.conf", "user www;");
 *   struct scope *root = fixture_load(&f);          reads /etc/weir/weir.conf
 *   assert_string_equal(fixture_report(&f), "");
 *   fixture_close(&f);
 *
 * Complaints are reported with the paths below /etc/weir/ cut short.
 */
#ifndef TEST_CONF_FIXTURE_H
#define TEST_CONF_FIXTURE_H

#include "base/gather.h"
#include "conf/expr.h"
#include "conf/load.h"
#include "conf/regex.h"

enum { FIXTURE_FILES_MAX = 64 };

#define FIXTURE_DIR "/etc/weir/"

struct fixture {
    struct conf_source source; /* first: the source's functions find the fixture   */
    struct arena arena;
    struct registry *registry;
    struct conf_load *load;
    struct scope *root;
    struct {
        const char *path;
        struct slice text;
    } files[FIXTURE_FILES_MAX];
    size_t file_count;
    unsigned reads;
};

void fixture_open(struct fixture *);
void fixture_close(struct fixture *);
/* Borrows both. A path without "/" in front is below FIXTURE_DIR. */
void fixture_file(struct fixture *, const char *path, const char *text);
void fixture_bytes(struct fixture *, const char *path, struct slice text);
struct scope *fixture_load(struct fixture *);
/* All complaints, as a user sees them. */
const char *fixture_report(struct fixture *);

/* ---- the language -------------------------------------------------------------------- */

struct test_main {
    int64_t workers, limit;
    struct slice user, pid;
    int engine;
};

struct test_http {
    bool sendfile, deny;
    int64_t body_size, timeout_ms, cache_sec, header_buffers, header_size;
    int tokens;
    struct slice root, type, certificate;
    struct expr *answer;
    int64_t not_inherited;
    struct slice first_name; /* of server_name; no row's business                 */
    unsigned merges;         /* how often merge() saw this scope                  */
    const void *merge_parent;
    const struct regex *pattern; /* of location ~                                     */
};

extern const struct feature feature_test_main, feature_test_http;
extern const struct feature *const fixture_features[];

/* What an expression is evaluated for. */
struct test_subject {
    struct slice uri;
    struct slice captures[CAPTURES_MAX];
    struct slice named, named_value;
    struct expr *again; /* $again evaluates it; $twice does so two times     */
};

/* The n-th scope of a context below root, in order of the file. NULL: none. */
struct scope *fixture_scope(const struct scope *, uint32_t context, unsigned n);

#endif
