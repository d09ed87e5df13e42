/* cert.c - the words behind `weir cert`. */
#include "tool/cert.h"

#include "net/cert_facts.h"
#include "tool/authority.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct cert_job {
    const struct registry *registry;
    struct conf_source *source;
    int argc; /* behind the word */
    char **argv;
};

static int usage(FILE *to, int status)
{
    fputs("usage: weir cert list [-c FILE] [--json]     certificates of a configuration\n"
          "       weir cert show FILE                    what a certificate says\n"
          "       weir cert make [-o DIR] [--force] NAME...\n"
          "                                              one from this user's own authority\n"
          "       weir cert trust                        how to trust that authority\n"
          "Exit status: 0; 1 one has expired or cannot be read or made; 2 wrong words.\n",
          to);
    return status;
}

static int fail(const char *why)
{
    fprintf(stderr, "weir: %s\n", why);
    return CERT_FINDINGS;
}

static int run_list(struct cert_job *j)
{
    const char *path = NULL;
    bool json = false;

    for (int i = 0; i < j->argc; i++) {
        if (strcmp(j->argv[i], "--json") == 0)
            json = true;
        else if (strcmp(j->argv[i], "-c") == 0 && i + 1 < j->argc)
            path = j->argv[++i];
        else
            return usage(stderr, CERT_WORDS);
    }
    return cert_list(j->registry, j->source, path, json);
}

/* ---- show --------------------------------------------------------------------------- */

static void show_one(const struct cert_facts *f, int64_t now)
{
    char from[11], until[11];
    int64_t left = cert_days_left(f->until_s, now);

    cert_day(f->from_s, from);
    cert_day(f->until_s, until);
    printf("names        %s\n", f->names[0] != '\0' ? f->names : "none");
    printf("subject      %s\nissuer       %s\n", f->subject, f->issuer);
    if (now < f->from_s)
        printf("valid        from %s, not yet, until %s\n", from, until);
    else
        printf("valid        from %s until %s, %s %lld day%s\n", from, until,
               left < 0 ? "expired for" : "which is in", (long long)(left < 0 ? -left : left),
               left == 1 || left == -1 ? "" : "s");
    printf("key          %s\nsigned with  %s\nserial       %s\n", f->key, f->signature, f->serial);
    printf("authority    %s\n", f->authority ? "yes" : "no");
    if (f->ocsp[0] != '\0')
        printf("OCSP         %s\n", f->ocsp);
    printf("SHA-256      %s\npin          %s\n", f->fingerprint, f->pin);
}

static int run_show(struct cert_job *j)
{
    int status = CERT_GOOD;
    int64_t now = (int64_t)time(NULL);
    struct cert_facts f;
    struct cert_reader r;
    struct slice text;
    int error;

    if (j->argc != 1)
        return usage(stderr, CERT_WORDS);
    error = j->source->read(j->source, j->argv[0], &text);
    if (error != 0) {
        fprintf(stderr, "weir: %s: %s\n", j->argv[0], strerror(-error));
        return CERT_FINDINGS;
    }
    cert_reader_init(&r, text);
    while (cert_reader_next(&r, &f)) {
        if (r.count > 1)
            putchar('\n');
        show_one(&f, now);
        if (f.until_s < now)
            status = CERT_FINDINGS;
    }
    if (r.broken) {
        fprintf(stderr, "weir: %s: %s\n", j->argv[0], r.why);
        status = CERT_FINDINGS;
    }
    cert_reader_done(&r);
    return status;
}

/* ---- make --------------------------------------------------------------------------- */

struct making {
    const char *dir;
    const char *names[AUTHORITY_NAMES_MAX];
    unsigned count;
    bool force;
};

static bool read_making(struct making *m, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--force") == 0)
            m->force = true;
        else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc)
            m->dir = argv[++i];
        else if (argv[i][0] != '-' && m->count < AUTHORITY_NAMES_MAX)
            m->names[m->count++] = argv[i];
        else
            return false;
    }
    return m->count > 0;
}

/* Files are named as the first name is, but for what shells and other systems dislike. */
static void file_name(const char *dir, const char *name, const char *end, char into[PATH_MAX])
{
    int at = snprintf(into, PATH_MAX, "%s/", dir);

    for (const char *c = name; *c != '\0' && at < PATH_MAX - 8; c++)
        into[at++] = *c == '*' || *c == '/' || *c == ':' ? '_' : *c;
    snprintf(into + at, (size_t)(PATH_MAX - at), "%s", end);
}

static int run_make(struct cert_job *j)
{
    struct making m = { .dir = "." };
    char why[AUTHORITY_WHY], cert[PATH_MAX], key[PATH_MAX];
    struct authority a;
    int status = CERT_GOOD;

    if (!read_making(&m, j->argc, j->argv))
        return usage(stderr, CERT_WORDS);
    file_name(m.dir, m.names[0], ".crt", cert);
    file_name(m.dir, m.names[0], ".key", key);
    if (!m.force && (access(cert, F_OK) == 0 || access(key, F_OK) == 0)) {
        fprintf(stderr, "weir: %s or %s is there already; --force replaces both\n", cert, key);
        return CERT_FINDINGS;
    }
    if (!authority_open(&a, why) || !authority_issue(&a, m.names, m.count, cert, key, why)) {
        status = fail(why);
    } else {
        printf("ssl_certificate     %s;\nssl_certificate_key %s;\n", cert, key);
        if (a.fresh)
            authority_note(&a, stdout);
    }
    authority_done(&a);
    return status;
}

static int run_trust(struct cert_job *j)
{
    char why[AUTHORITY_WHY];
    struct authority a;
    int status = CERT_GOOD;

    if (j->argc != 0)
        return usage(stderr, CERT_WORDS);
    if (!authority_open(&a, why))
        status = fail(why);
    else
        authority_note(&a, stdout);
    authority_done(&a);
    return status;
}

static int run_help(struct cert_job *j)
{
    (void)j;
    return usage(stdout, CERT_GOOD);
}

static const struct {
    const char *word;
    int (*run)(struct cert_job *);
} words[] = {
    { "list", run_list },   { "show", run_show }, { "make", run_make },
    { "trust", run_trust }, { "-h", run_help },   { "--help", run_help },
};

int tool_cert(const struct registry *registry, struct conf_source *source, int argc, char **argv)
{
    struct cert_job j = { registry, source, argc - 2, argv + 2 };

    for (size_t i = 0; argc > 1 && i < COUNT_OF(words); i++)
        if (strcmp(argv[1], words[i].word) == 0)
            return words[i].run(&j);
    return usage(stderr, CERT_WORDS);
}
