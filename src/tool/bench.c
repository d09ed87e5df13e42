/* bench.c - the words of `weir bench`: one table of options, then the run. */
#include "tool/bench.h"

#include "base/clock.h"
#include "bench/report.h"
#include "bench/run.h"
#include "tool/bench_target.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_WORDS = 2, SECONDS_MAX = 86400 * 30 };

struct bench_job {
    struct bench_plan plan;
    struct bench_words words;
    unsigned streams; /* 0: not said */
    const char *json, *csv, *html;
    bool quiet, help;
};

/* ---- options ------------------------------------------------------------------------------ */

typedef bool option_fn(struct bench_job *, const char *word, const char *value);

static bool wrong(const char *word, const char *value, const char *expected)
{
    fprintf(stderr, "weir bench: %s \"%s\": expected %s\n", word, value, expected);
    return false;
}

static bool read_count(const char *word, const char *value, uint64_t least, uint64_t most,
                       uint64_t *ret)
{
    char expected[64];

    if (slice_to_u64(slice_str(value), most, ret) && *ret >= least)
        return true;
    snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long)least,
             (unsigned long long)most);
    return wrong(word, value, expected);
}

static bool read_unsigned(const char *word, const char *value, uint64_t least, uint64_t most,
                          unsigned *ret)
{
    uint64_t number;

    if (!read_count(word, value, least, most, &number))
        return false;
    *ret = (unsigned)number;
    return true;
}

/* Seconds, with a fraction if need be; an `s` behind them is welcome. */
static bool read_seconds(const char *word, const char *value, uint64_t *ret_ns)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end != value && *end == 's')
        end++;
    if (end == value || *end != '\0' || !(seconds >= 0) || seconds > SECONDS_MAX)
        return wrong(word, value, "seconds, like 10 or 0.5");
    *ret_ns = (uint64_t)(seconds * NS_PER_SEC);
    return true;
}

static bool set_connections(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 0, BENCH_CONNECTIONS_MAX, &j->plan.connections);
}

static bool set_depth(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 1, BENCH_DEPTH_MAX, &j->plan.depth);
}

static bool set_streams(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 1, BENCH_DEPTH_MAX, &j->streams);
}

static bool set_http2(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->words.http2 = true;
    return true;
}

static bool set_duration(struct bench_job *j, const char *word, const char *value)
{
    return read_seconds(word, value, &j->plan.duration_ns);
}

static bool set_count(struct bench_job *j, const char *word, const char *value)
{
    return read_count(word, value, 1, UINT64_MAX / 2, &j->plan.count);
}

static bool set_rate(struct bench_job *j, const char *word, const char *value)
{
    char *end;

    j->plan.rate = strtod(value, &end);
    if (end == value || *end != '\0' || !(j->plan.rate > 0) || j->plan.rate > 1e8)
        return wrong(word, value, "requests a second, above 0");
    return true;
}

static bool set_gaps(struct bench_job *j, const char *word, const char *value)
{
    if (strcmp(value, "exponential") == 0)
        j->plan.gaps = GAPS_EXPONENTIAL;
    else if (strcmp(value, "constant") == 0)
        j->plan.gaps = GAPS_CONSTANT;
    else
        return wrong(word, value, "exponential or constant");
    return true;
}

static bool set_idle(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 0, BENCH_CONNECTIONS_MAX, &j->plan.idle);
}

static bool set_trickle(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 0, BENCH_CONNECTIONS_MAX, &j->plan.trickle);
}

static bool set_no_keepalive(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->plan.keep_alive = false;
    return true;
}

static bool set_sources(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.sources = value;
    return true;
}

static bool set_marks(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->plan.marks = true;
    return true;
}

static bool set_warmup(struct bench_job *j, const char *word, const char *value)
{
    return read_seconds(word, value, &j->plan.warmup_ns);
}

static bool set_timeout(struct bench_job *j, const char *word, const char *value)
{
    return read_seconds(word, value, &j->plan.timeout_ns) &&
           (j->plan.timeout_ns > 0 || wrong(word, value, "seconds above 0"));
}

static bool set_threads(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 1, BENCH_THREADS_MAX, &j->plan.threads);
}

static bool set_engine(struct bench_job *j, const char *word, const char *value)
{
    const char *name = strcmp(value, "auto") == 0 ? "epoll" : value;

    j->plan.engine = io_engine_find(name);
    return j->plan.engine != NULL ||
           wrong(word, value, "auto, io_uring, epoll, poll, select or threads");
}

static bool set_method(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.method = value;
    return true;
}

static bool set_field(struct bench_job *j, const char *word, const char *value)
{
    if (j->words.field_count == BENCH_FIELDS_MAX)
        return wrong(word, value, "fewer fields");
    j->words.fields[j->words.field_count++] = value;
    return true;
}

static bool set_body(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.body = value;
    return true;
}

static bool set_resume(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->plan.tls.resume = true;
    return true;
}

static bool set_verify(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->plan.tls.verify = true;
    return true;
}

static bool set_authorities(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.authorities = value;
    return true;
}

static bool set_sni(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.sni = value;
    return true;
}

static bool set_tls(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.tls_version = value;
    return true;
}

static bool set_groups(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.groups = value;
    return true;
}

static bool set_ciphers(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->words.ciphers = value;
    return true;
}

static bool set_expect(struct bench_job *j, const char *word, const char *value)
{
    return read_unsigned(word, value, 100, 999, &j->plan.expect);
}

static bool set_json(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->json = value;
    return true;
}

static bool set_csv(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->csv = value;
    return true;
}

static bool set_html(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    j->html = value;
    return true;
}

static bool set_quiet(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->quiet = true;
    return true;
}

static bool set_help(struct bench_job *j, const char *word, const char *value)
{
    (void)word;
    (void)value;
    j->help = true;
    return true;
}

static const struct option {
    const char *letter, *word, *value; /* value NULL: takes none */
    option_fn *set;
    const char *says;
} options[] = {
    { "-c", "--connections", "N", set_connections, "connections that ask (64)" },
    { "-p", "--depth", "N", set_depth, "requests in flight on each, pipelined (1)" },
    { NULL, "--http2", NULL, set_http2, "HTTP/2: with https by ALPN, else from the first byte" },
    { "-m", "--streams", "N", set_streams, "HTTP/2: requests at once on each connection (1)" },
    { "-d", "--duration", "SECONDS", set_duration, "how long (10, unless -n is given)" },
    { "-n", "--count", "N", set_count, "how many requests" },
    { "-r", "--rate", "N", set_rate, "requests a second, due whatever the answers: an open loop" },
    { NULL, "--gaps", "KIND", set_gaps, "between them: exponential or constant (exponential)" },
    { NULL, "--no-keepalive", NULL, set_no_keepalive, "a connection for each request" },
    { NULL, "--resume", NULL, set_resume, "https: each takes up the TLS session of its last one" },
    { NULL, "--verify", NULL, set_verify, "https: the server's certificate must be good" },
    { NULL, "--cacert", "FILE", set_authorities, "the same, by these authorities" },
    { NULL, "--sni", "NAME", set_sni, "https: the server's name, if it is not the URL's" },
    { NULL, "--tls", "VERSION", set_tls, "https: 1.2 or 1.3 alone" },
    { NULL, "--ciphers", "LIST", set_ciphers, "https: in OpenSSL's words; TLS_… are of 1.3" },
    { NULL, "--groups", "LIST", set_groups, "https: of the key exchange, like X25519" },
    { NULL, "--idle", "N", set_idle, "connections beside them that say nothing" },
    { NULL, "--trickle", "N", set_trickle, "connections that send a byte a second" },
    { NULL, "--source", "ADDRESS[,…]", set_sources, "connect from these, in turn" },
    { NULL, "--warmup", "SECONDS", set_warmup, "not counted, before the run (0)" },
    { NULL, "--marks", NULL, set_marks, "begin and end on standard error, around what counts" },
    { NULL, "--timeout", "SECONDS", set_timeout, "for an answer (10)" },
    { "-X", "--method", "METHOD", set_method, "GET, or POST with a body" },
    { "-H", "--header", "FIELD", set_field, "\"Name: value\"; may be repeated" },
    { NULL, "--body", "TEXT|@FILE", set_body, "what requests carry" },
    { NULL, "--expect", "STATUS", set_expect, "others are errors (200 to 399 are fine)" },
    { NULL, "--engine", "NAME", set_engine, "the generator's own I/O model (epoll)" },
    { "-t", "--threads", "N", set_threads, "loops (1)" },
    { NULL, "--json", "FILE", set_json, "write the result there; - is standard output" },
    { NULL, "--csv", "FILE", set_csv, "a line a second" },
    { NULL, "--html", "FILE", set_html, "a page with both curves" },
    { "-q", "--quiet", NULL, set_quiet, "no line a second, no summary" },
    { "-h", "--help", NULL, set_help, "this" },
};

static int usage(FILE *to, int status)
{
    fprintf(to, "usage: weir bench [OPTION]… http[s]://HOST[:PORT][/PATH]\n\n"
                "Asks one address for one thing, again and again, and says how long it took.\n\n");
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        const struct option *o = &options[i];
        int size = fprintf(to, "  %s%s %s%s%s", o->letter != NULL ? o->letter : "  ",
                           o->letter != NULL ? "," : " ", o->word, o->value != NULL ? " " : "",
                           o->value != NULL ? o->value : "");

        fprintf(to, "%*s%s\n", size < 30 ? 30 - size : 1, "", o->says);
    }
    return status;
}

static const struct option *find(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (strcmp(word, options[i].word) == 0 ||
            (options[i].letter != NULL && strcmp(word, options[i].letter) == 0))
            return &options[i];
    return NULL;
}

static bool read_words(struct bench_job *j, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct option *o = argv[i][0] == '-' ? find(argv[i]) : NULL;

        if (o == NULL && argv[i][0] != '-' && j->words.url == NULL) {
            j->words.url = argv[i];
            continue;
        }
        if (o == NULL) {
            fprintf(stderr, "weir bench: unknown word \"%s\"; `weir bench --help` lists them\n",
                    argv[i]);
            return false;
        }
        const char *word = argv[i], *value = o->value != NULL ? argv[++i] : "";

        if (value == NULL) {
            fprintf(stderr, "weir bench: %s: expected %s\n", word, o->value);
            return false;
        }
        if (!o->set(j, word, value))
            return false;
    }
    return true;
}

/* Pipelines are of HTTP/1, streams of HTTP/2. */
static bool agree_on_depth(struct bench_job *j)
{
    if (j->streams > 0 && !j->words.http2) {
        fprintf(stderr, "weir bench: -m: HTTP/1 has no streams; expected --http2 with it\n");
        return false;
    }
    if (j->plan.depth > 1 && j->words.http2) {
        fprintf(stderr, "weir bench: -p: HTTP/2 has no pipelines; expected -m with --http2\n");
        return false;
    }
    if (j->streams > 0)
        j->plan.depth = j->streams;
    return true;
}

/* Words that are fine alone, and not together. */
static bool agree(struct bench_job *j)
{
    struct bench_plan *p = &j->plan;

    if (j->words.method == NULL)
        j->words.method = j->words.body != NULL ? "POST" : "GET";
    if (p->duration_ns == 0 && p->count == 0)
        p->duration_ns = 10ull * NS_PER_SEC;
    if (p->connections == 0 && p->count > 0) {
        fprintf(stderr, "weir bench: -n needs connections that ask; expected -c above 0\n");
        return false;
    }
    if (!agree_on_depth(j))
        return false;
    if (!p->keep_alive && p->depth > 1) {
        fprintf(stderr,
                "weir bench: --no-keepalive sends one request on each connection; "
                "expected %s 1 with it\n",
                j->words.http2 ? "-m" : "-p");
        return false;
    }
    if (p->threads > p->connections && p->connections > 0)
        p->threads = p->connections;
    return true;
}

/* ---- the run ------------------------------------------------------------------------------ */

typedef void report_fn(FILE *, const struct bench_plan *, const struct bench_result *);

static bool write_report(const char *path, report_fn *report, const struct bench_plan *plan,
                         const struct bench_result *result)
{
    bool to_stdout = path != NULL && strcmp(path, "-") == 0;

    if (path == NULL)
        return true;
    FILE *f = to_stdout ? stdout : fopen(path, "we");

    if (f != NULL)
        report(f, plan, result);
    bool fine = f != NULL && fflush(f) == 0 && !ferror(f);

    if (!fine)
        fprintf(stderr, "weir bench: %s: %s\n", path, strerror(errno));
    if (f != NULL && !to_stdout)
        fclose(f);
    return fine;
}

static bool to_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

/* One of each kind tells more than their number. */
static void say_why(const struct bench_plan *plan, const struct board *b)
{
    for (int i = 0; i < BENCH_ERROR_COUNT; i++) {
        if (b->why[i][0] == '\0')
            continue;
        if (i == BENCH_TLS)
            fprintf(stderr, "weir bench: TLS with %s failed: %s\n", plan->url, b->why[i]);
        else
            fprintf(stderr, "weir bench: %s: the first error of the kind %s: %s\n", plan->url,
                    bench_error_names[i], b->why[i]);
    }
}

static int run(struct bench_job *j)
{
    struct bench_plan *plan = &j->plan;
    bool taken = to_stdout(j->json) || to_stdout(j->csv) || to_stdout(j->html);
    bool live = !j->quiet && !taken && isatty(STDOUT_FILENO);
    struct bench_result *result = calloc(1, sizeof *result);
    bool fine = result != NULL && bench_run(plan, live, result);

    if (!fine) {
        free(result);
        return EXIT_FAILED;
    }
    if (!j->quiet && !taken)
        report_text(stdout, plan, result);
    fine &= write_report(j->json, report_json, plan, result);
    fine &= write_report(j->csv, report_csv, plan, result);
    fine &= write_report(j->html, report_html, plan, result);
    say_why(plan, &result->board);
    if (plan->connections > 0 && result->board.total.requests == 0) {
        fprintf(stderr, "weir bench: %s answered nothing\n", plan->url);
        fine = false;
    }
    bench_result_done(result);
    free(result);
    return fine ? 0 : EXIT_FAILED;
}

int tool_bench(int argc, char **argv)
{
    static struct bench_job job = {
        .plan = { .connections = 64,
                  .depth = 1,
                  .threads = 1,
                  .keep_alive = true,
                  .timeout_ns = 10ull * NS_PER_SEC,
                  .engine = &io_engine_epoll },
    };
    char why[BENCH_WHY_SIZE];
    int status = EXIT_FAILED;

    if (!read_words(&job, argc, argv))
        return EXIT_WORDS;
    if (job.help)
        return usage(stdout, 0);
    if (job.words.url == NULL)
        return usage(stderr, EXIT_WORDS);
    if (!agree(&job))
        return EXIT_WORDS;
    if (!bench_target(&job.plan, &job.words, why)) {
        fprintf(stderr, "weir bench: %s\n", why);
        status = EXIT_WORDS;
    } else if (bench_check(&job.plan, why, sizeof why) != 0) {
        fprintf(stderr, "weir bench: %s\n", why);
    } else {
        status = run(&job);
    }
    bench_target_done(&job.plan, &job.words);
    return status;
}
