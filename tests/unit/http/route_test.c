/* route_test.c - which server and which location: tables of configurations and questions. */
#include "base/log.h"
#include "http/log_target.h"
#include "http/site.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four headers above */
#include <cmocka.h>

/* ---- a configuration from a string -------------------------------------------------- */

struct text_source {
    struct conf_source source;
    struct slice text;
};

static int read_text(struct conf_source *s, const char *path, struct slice *ret)
{
    (void)path;
    *ret = container_of(s, struct text_source, source)->text;
    return 0;
}

static int glob_nothing(struct conf_source *s, const char *pattern,
                        void (*each)(void *arg, const char *path), void *arg)
{
    (void)s;
    (void)pattern;
    (void)each;
    (void)arg;
    return -ENOENT;
}

static void print_complaint(void *arg, struct slice text, enum conf_severity severity)
{
    (void)arg;
    (void)severity;
    print_message("%.*s", SLICE_FMT(text));
}

struct loaded {
    struct arena arena;
    struct registry *registry;
    struct site *site;
    struct regex *regexes;
    unsigned errors;
};

static void load(struct loaded *l, const char *text)
{
    static const struct feature *const features[] = { &feature_http_core, &feature_logs, NULL };
    struct text_source source = { { .read = read_text, .glob = glob_nothing }, slice_str(text) };
    struct conf_load *load;
    struct scope *root;

    arena_init(&l->arena, NULL, 0, 65536, SIZE_MAX);
    l->registry = registry_create(features);
    load = conf_load_create(l->registry, &source.source, &l->arena, "/prefix/");
    root = conf_load_run(load, "/prefix/weir.conf");
    l->site = root != NULL && conf_load_errors(load) == 0 ? site_build(load, root) : NULL;
    l->errors = conf_load_errors(load);
    if (l->site == NULL)
        conf_load_report(load, false, print_complaint, NULL);
    l->regexes = conf_regexes(load);
    conf_load_destroy(load);
}

static void unload(struct loaded *l)
{
    regex_free_all(l->regexes);
    registry_destroy(l->registry);
    arena_done(&l->arena);
}

/* ---- locations ------------------------------------------------------------------------ */

static void locations_follow_the_rules(void **state)
{
    static const char conf[] =
        "http { server { listen 80;\n"
        "location / { }\n location = / { }\n location /doc/ { }\n location ^~ /images/ { }\n"
        "location ~* \\.(gif|jpg)$ { }\n location = /exact { }\n location /docs/deep { }\n"
        "location /nest/ { location = /nest/one { } location ~ \\.txt$ { }\n"
        "                  location /nest/a/ { location ~ b$ { } } }\n"
        "location ~ ^/cap/(.*)$ { }\n location @named { }\n } }";
    static const struct {
        const char *uri, *location;
    } table[] = {
        { "/", "/" },
        { "/index.html", "/" },
        { "/doc/document.html", "/doc/" },
        { "/images/1.gif", "/images/" },
        { "/doc/1.JPG", "\\.(gif|jpg)$" },
        { "/exact", "/exact" },
        { "/exactly", "/" },
        { "/docs/deeper", "/docs/deep" },
        { "/docs/de", "/" },
        { "/nest/one", "/nest/one" },
        { "/nest/x.txt", "\\.txt$" },
        { "/nest/x.gif", "\\.(gif|jpg)$" },
        { "/nest/a/b", "b$" },
        { "/nest/a/x.txt", "\\.txt$" },
        { "/nest/a/q", "/nest/a/" },
        { "/cap/this", "^/cap/(.*)$" },
    };
    struct loaded l;

    (void)state;
    load(&l, conf);
    assert_non_null(l.site);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice captures[CAPTURES_MAX] = { 0 };
        const struct regex *of = NULL;
        const struct location *found = NULL;

        assert_int_equal(
            location_find(l.site->servers->root, slice_str(table[i].uri), captures, &of, &found),
            LOCATION_FOUND);
        assert_non_null(found);
        if (!slice_eq(found->name, slice_str(table[i].location)))
            fail_msg("%s went to \"%.*s\", not \"%s\"", table[i].uri, SLICE_FMT(found->name),
                     table[i].location);
        if (strcmp(table[i].uri, "/cap/this") == 0)
            assert_true(slice_eq(captures[1], SLICE("this")));
    }
    unload(&l);
}

static void no_location_is_possible(void **state)
{
    struct slice captures[CAPTURES_MAX];
    const struct regex *of;
    const struct location *found = NULL;
    struct loaded l;

    (void)state;
    load(&l, "http { server { listen 80; location /a { } } }");
    assert_non_null(l.site);
    location_find(l.site->servers->root, SLICE("/b"), captures, &of, &found);
    assert_null(found);
    unload(&l);
}

/* ---- servers ----------------------------------------------------------------------------- */

static void names_follow_the_rules(void **state)
{
    static const char conf[] = "http {\n"
                               "server { listen 80; server_name first; }\n"
                               "server { listen 80 default_server; server_name _; }\n"
                               "server { listen 80; server_name example.org www.example.org; }\n"
                               "server { listen 80; server_name *.example.org; }\n"
                               "server { listen 80; server_name *.sub.example.org; }\n"
                               "server { listen 80; server_name mail.*; }\n"
                               "server { listen 80; server_name ~^user(?<id>[0-9]+)\\.test$; }\n"
                               "server { listen 80; server_name .dot.test; }\n"
                               "}";
    static const struct {
        const char *host, *name;
    } table[] = {
        { "first", "first" },
        { "unknown", "_" },
        { "", "_" },
        { "example.org", "example.org" },
        { "EXAMPLE.org", "example.org" },
        { "x.example.org", "*.example.org" },
        { "x.y.example.org", "*.example.org" },
        { "a.sub.example.org", "*.sub.example.org" },
        { "mail.test", "mail.*" },
        { "mail.example.org", "*.example.org" },
        { "user42.test", "~^user(?<id>[0-9]+)\\.test$" },
        { "dot.test", ".dot.test" },
        { "a.b.dot.test", ".dot.test" },
    };
    struct loaded l;

    (void)state;
    load(&l, conf);
    assert_non_null(l.site);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice captures[CAPTURES_MAX] = { 0 };
        const struct regex *of = NULL;
        const struct server *s =
            vhosts_find(l.site->addrs->vhosts, slice_str(table[i].host), captures, &of);

        if (!slice_eq(s->names->text, slice_str(table[i].name)))
            fail_msg("host \"%s\" went to \"%.*s\", not \"%s\"", table[i].host,
                     SLICE_FMT(s->names->text), table[i].name);
    }
    unload(&l);
}

/* ---- sockets ---------------------------------------------------------------------------- */

static void wildcards_cover_addresses(void **state)
{
    struct loaded l;
    unsigned listeners = 0;

    (void)state;
    load(&l, "http { server { listen 80; } server { listen 127.0.0.1:80; }\n"
             "server { listen 127.0.0.2:80 backlog=100; } server { listen [::]:80; }\n"
             "server { listen unix:/run/x.sock; } }");
    assert_non_null(l.site);
    for (const struct listener_want *w = l.site->listeners; w != NULL; w = w->next)
        listeners++;
    assert_int_equal(listeners, 4);
    assert_non_null(l.site->listeners->covered);
    unload(&l);
}

/* ---- mistakes ------------------------------------------------------------------------------ */

static void mistakes_are_refused(void **state)
{
    static const char *const confs[] = {
        "http { server { listen 80; listen 80; } }",
        "http { server { listen 80 default_server; } server { listen 80 default_server; } }",
        "http { server { listen 80 backlog=10; } server { listen 80 backlog=20; } }",
        "http { server { listen 99999; } }",
        "http { server { listen nowhere.test:80; } }",
        "http { server { listen 80 bcklog=3; } }",
        "http { server { listen 80; server_name a*b; } }",
        "http { server { listen 80; server_name ~(; } }",
        "http { server { listen 80; location /a { } location /a { } } }",
        "http { server { listen 80; location = /a { } location = /a { } } }",
        "http { server { listen 80; location @a { } location @a { } } }",
        "http { server { listen 80; location /a { location /b { } } } }",
        "http { server { listen 80; location = /a { location /a/b { } } } }",
        "http { server { listen 80; location /a { location @n { } } } }",
        "http { server { listen 80; location ~~ /a { } } }",
        "http { server { listen 80; location ~ ( { } } }",
        "http { server { listen 80; location /a { root /x; alias /y; } } }",
        "http { server { listen 80; large_client_header_buffers 0 8k; } }",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(confs); i++) {
        struct loaded l;

        load(&l, confs[i]);
        if (l.errors == 0)
            fail_msg("accepted: %s", confs[i]);
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locations_follow_the_rules), cmocka_unit_test(no_location_is_possible),
        cmocka_unit_test(names_follow_the_rules),     cmocka_unit_test(wildcards_cover_addresses),
        cmocka_unit_test(mistakes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
