/* file_fixture.h - for the tests of files as answers: a directory of its own, a configuration
 * from a string, and requests that run down the real steps and filters over a real loop.
 *
 *   struct site_test t;
 *   site_open(&t, "location /x/ { alias %s/html/; }");      "%s" is the directory
 *   put_file(&t, "html/a.txt", "text");
 *   assert_int_equal(ask(&t, "GET /a.txt", NULL), 200);
 *   assert_text(t.body, "text");
 *   site_close(&t);
 */
#ifndef TESTS_FILE_FIXTURE_H
#define TESTS_FILE_FIXTURE_H

#include "filter/coding.h"
#include "handler/file_cache.h"
#include "handler/static.h"
#include "http/pipeline.h"
#include "http/site.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the headers above */
#include <cmocka.h>

enum { TEXT_ROOM = 32 * 1024, FIELDS_ROOM = 16, BODY_ROOM = 8 * 1024 * 1024 };

struct site_test {
    char dir[PATH_MAX];
    char text[TEXT_ROOM]; /* the configuration                                    */
    struct conf_source source;
    struct arena arena;
    struct registry *registry;
    struct regex *regexes;
    struct scope *root;
    struct site *site;
    struct site_use use;
    struct gather complaints;
    char complaints_text[TEXT_ROOM];
    int log; /* the error log                                        */

    struct loop loop;
    struct file_cache files;
    struct coders coders;
    struct request *r; /* the one being asked, or asked last and not ended     */
    struct field fields[FIELDS_ROOM];
    struct addr local;
    bool tls;
    bool answered, ready, freed;

    /* what was answered */
    enum body_status end; /* BODY_END or BODY_FAILED                              */
    struct slice body;
    char *body_bytes;
    unsigned file_chunks, memory_chunks;
};

/* The text goes into http { server { } }; it may hold up to four "%s". */
void site_open(struct site_test *, const char *server_text);
/* The same with something in http as well. */
void site_open_in(struct site_test *, const char *http_text, const char *server_text);
/* One that may be wrong: false, and what was complained about is in t->complaints. */
bool site_try(struct site_test *, const char *http_text, const char *server_text);
void site_close(struct site_test *);

/* ---- the directory: names are below it ---------------------------------------------------- */

void put_file(struct site_test *, const char *name, const char *text);
void put_bytes(struct site_test *, const char *name, const char *bytes, size_t size);
void put_directory(struct site_test *, const char *name);
void put_link(struct site_test *, const char *name, const char *target);
void path_to(struct site_test *, const char *name, char into[PATH_MAX]);

/* ---- requests -------------------------------------------------------------------------------- */

/* "GET /path?args", and fields "Name: value\n…" or NULL. Runs it to its answer, takes the body,
 * leaves the request in t->r until the next. Returns the status. */
unsigned ask(struct site_test *, const char *line, const char *fields);
/* … in two steps: with the answer decided, and then with the body taken. */
unsigned ask_head(struct site_test *, const char *line, const char *fields);
void take_body(struct site_test *);
/* Begins one; it may be waiting for a helper thread. */
void ask_begin(struct site_test *, const char *line, const char *fields);
void ask_end(struct site_test *); /* the client is gone, or has it all */
void turn_until(struct site_test *, const bool *flag);

/* The value of a field of the answer; "" if it is not there. */
const char *answer_field(struct site_test *, const char *name);
/* The cache's entry for a file below the directory, or NULL. */
struct file *cached(struct site_test *, const char *name);
/* As if nothing had been written to for long. */
void let_settle(struct site_test *);

void assert_text(struct slice found, const char *expected);
void assert_logged(struct site_test *, const char *part);
void assert_not_logged(struct site_test *, const char *part);
void assert_says(const struct site_test *, const char *part);

#endif
