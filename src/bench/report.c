/* report.c - the summary as text, JSON and CSV. */
#include "bench/report.h"

#include "base/clock.h"
#include "bench/protocol.h"

#define US 1000.0
#define MB 1e6

static double rate_of(const struct bench_result *r, uint64_t count)
{
    return r->seconds > 0 ? (double)count / r->seconds : 0;
}

/* ---- text --------------------------------------------------------------------------------- */

static void text_time(FILE *to, const char *name, double ns)
{
    if (ns < 1e6)
        fprintf(to, "  %-6s %9.1f us\n", name, ns / 1e3);
    else if (ns < 1e9)
        fprintf(to, "  %-6s %9.2f ms\n", name, ns / 1e6);
    else
        fprintf(to, "  %-6s %9.2f s\n", name, ns / 1e9);
}

static void text_errors(FILE *to, const struct tally *t)
{
    fprintf(to, "errors    %llu", (unsigned long long)tally_errors(t));
    for (int i = 0; i < BENCH_ERROR_COUNT; i++)
        if (t->errors[i] > 0)
            fprintf(to, ", %s %llu", bench_error_names[i], (unsigned long long)t->errors[i]);
    fputc('\n', to);
}

static void text_handshakes(FILE *to, const struct bench_result *r)
{
    const struct tally *t = &r->board.total;

    fprintf(to, "handshakes %llu: %.1f/s, %llu resumed\n", (unsigned long long)t->handshakes,
            rate_of(r, t->handshakes), (unsigned long long)t->resumed);
    if (t->handshakes == 0)
        return;
    text_time(to, "mean", histogram_mean(&t->handshake));
    text_time(to, "p50", (double)histogram_at(&t->handshake, 0.5));
    text_time(to, "p99", (double)histogram_at(&t->handshake, 0.99));
    text_time(to, "max", (double)t->handshake.max);
}

void report_text(FILE *to, const struct bench_plan *plan, const struct bench_result *r)
{
    const struct tally *t = &r->board.total;
    const struct histogram *h = &t->latency;
    double cpu_s = r->user_s + r->system_s;

    fprintf(to, "%s: %s, %u connections, %s %u, %s, %s\n", plan->url, plan->protocol->name,
            plan->connections, plan->protocol->streams ? "streams" : "depth", plan->depth,
            plan->keep_alive ? "keep-alive" : "a connection a request",
            io_engine_name(plan->engine));
    fprintf(to, "requests  %llu in %.2f s: %.1f/s, %.2f MB/s\n", (unsigned long long)t->requests,
            r->seconds, rate_of(r, t->requests), rate_of(r, t->bytes) / MB);
    text_errors(to, t);
    if (r->unfinished > 0)
        fprintf(to, "unfinished %llu at the end\n", (unsigned long long)r->unfinished);
    if (t->side_lost > 0)
        fprintf(to, "idle or trickling connections closed by the server: %llu\n",
                (unsigned long long)t->side_lost);
    fprintf(to, "latency%s\n", plan->rate > 0 ? " from the time a request was due" : "");
    text_time(to, "mean", histogram_mean(h));
    text_time(to, "p50", (double)histogram_at(h, 0.5));
    text_time(to, "p90", (double)histogram_at(h, 0.9));
    text_time(to, "p99", (double)histogram_at(h, 0.99));
    text_time(to, "p99.9", (double)histogram_at(h, 0.999));
    text_time(to, "max", (double)h->max);
    if (plan->tls.domain != NULL)
        text_handshakes(to, r);
    fprintf(to, "generator %.2f s user, %.2f s system: %.0f %% of %u processor%s\n", r->user_s,
            r->system_s, r->wall_s > 0 ? 100 * cpu_s / r->wall_s / plan->threads : 0, plan->threads,
            plan->threads == 1 ? "" : "s");
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void json_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', to);
        if (*c < 0x20 || *c == 0x7f)
            fprintf(to, "\\u%04x", *c);
        else
            fputc(*c, to);
    }
    fputc('"', to);
}

static void json_config(FILE *to, const struct bench_plan *plan)
{
    bool streams = plan->protocol->streams;

    fprintf(to, "  \"config\": {\n    \"url\": ");
    json_text(to, plan->url);
    fprintf(to,
            ",\n    \"protocol\": \"%s\", \"engine\": \"%s\", \"threads\": %u,\n"
            "    \"connections\": %u, \"pipeline\": %u, \"streams\": %u,\n"
            "    \"idle\": %u, \"trickle\": %u,\n"
            "    \"keepalive\": %s, \"rate\": %.3f, \"gaps\": \"%s\",\n"
            "    \"warmup_s\": %.3f, \"duration_s\": %.3f, \"count\": %llu, \"timeout_s\": %.3f,\n"
            "    \"expect\": %u, \"sources\": %u,\n"
            "    \"tls\": %s, \"resume\": %s, \"verify\": %s\n  },\n",
            plan->protocol->name, io_engine_name(plan->engine), plan->threads, plan->connections,
            streams ? 1 : plan->depth, streams ? plan->depth : 0, plan->idle, plan->trickle,
            plan->keep_alive ? "true" : "false", plan->rate,
            plan->gaps == GAPS_CONSTANT ? "constant" : "exponential",
            (double)plan->warmup_ns / NS_PER_SEC, (double)plan->duration_ns / NS_PER_SEC,
            (unsigned long long)plan->count, (double)plan->timeout_ns / NS_PER_SEC, plan->expect,
            plan->source_count, plan->tls.domain != NULL ? "true" : "false",
            plan->tls.resume ? "true" : "false", plan->tls.verify ? "true" : "false");
}

static void json_latency(FILE *to, const struct histogram *h)
{
    bool first = true;

    fprintf(to,
            "  \"latency_us\": {\n    \"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, "
            "\"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f,\n    \"buckets\": [",
            histogram_mean(h) / US, (double)histogram_at(h, 0.5) / US,
            (double)histogram_at(h, 0.9) / US, (double)histogram_at(h, 0.99) / US,
            (double)histogram_at(h, 0.999) / US, (double)h->max / US);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->buckets[i] == 0)
            continue;
        fprintf(to, "%s[%.3f, %llu]", first ? "" : ", ", (double)histogram_bucket_top(i) / US,
                (unsigned long long)h->buckets[i]);
        first = false;
    }
    fprintf(to, "]\n  },\n");
}

static void json_handshakes(FILE *to, const struct bench_result *r)
{
    const struct tally *t = &r->board.total;
    const struct histogram *h = &t->handshake;

    fprintf(to,
            "  \"handshakes\": {\"count\": %llu, \"resumed\": %llu, \"per_second\": %.3f,\n"
            "    \"mean_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, \"max_us\": %.3f},\n",
            (unsigned long long)t->handshakes, (unsigned long long)t->resumed,
            rate_of(r, t->handshakes), histogram_mean(h) / US, (double)histogram_at(h, 0.5) / US,
            (double)histogram_at(h, 0.99) / US, (double)h->max / US);
}

static void json_seconds(FILE *to, const struct board *b)
{
    fprintf(to, "  \"per_second\": [");
    for (size_t i = 0; i < b->count; i++) {
        const struct second *s = &b->seconds[i];
        fprintf(to,
                "%s\n    {\"second\": %zu, \"requests\": %llu, \"bytes\": %llu, \"errors\": %llu, "
                "\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f}",
                i > 0 ? "," : "", i + 1, (unsigned long long)s->requests,
                (unsigned long long)s->bytes, (unsigned long long)s->errors, (double)s->p50_ns / US,
                (double)s->p99_ns / US, (double)s->p999_ns / US);
    }
    fprintf(to, "\n  ],\n");
}

void report_json(FILE *to, const struct bench_plan *plan, const struct bench_result *r)
{
    const struct tally *t = &r->board.total;

    fprintf(to, "{\n");
    json_config(to, plan);
    fprintf(to,
            "  \"seconds\": %.6f, \"requests\": %llu, \"rps\": %.3f,\n"
            "  \"bytes\": %llu, \"bytes_per_second\": %.3f, \"connections\": %llu,\n"
            "  \"unfinished\": %llu, \"side_lost\": %llu,\n  \"errors\": {\"total\": %llu",
            r->seconds, (unsigned long long)t->requests, rate_of(r, t->requests),
            (unsigned long long)t->bytes, rate_of(r, t->bytes), (unsigned long long)t->connections,
            (unsigned long long)r->unfinished, (unsigned long long)t->side_lost,
            (unsigned long long)tally_errors(t));
    for (int i = 0; i < BENCH_ERROR_COUNT; i++)
        fprintf(to, ", \"%s\": %llu", bench_error_names[i], (unsigned long long)t->errors[i]);
    fprintf(to, "},\n");
    json_latency(to, &t->latency);
    json_handshakes(to, r);
    json_seconds(to, &r->board);
    fprintf(to, "  \"cpu\": {\"user\": %.6f, \"system\": %.6f, \"wall\": %.6f}\n}\n", r->user_s,
            r->system_s, r->wall_s);
}

/* ---- CSV ---------------------------------------------------------------------------------- */

void report_csv(FILE *to, const struct bench_plan *plan, const struct bench_result *r)
{
    (void)plan;
    fprintf(to, "second,requests,bytes,errors,p50_us,p99_us,p999_us\n");
    for (size_t i = 0; i < r->board.count; i++) {
        const struct second *s = &r->board.seconds[i];
        fprintf(to, "%zu,%llu,%llu,%llu,%.3f,%.3f,%.3f\n", i + 1, (unsigned long long)s->requests,
                (unsigned long long)s->bytes, (unsigned long long)s->errors, (double)s->p50_ns / US,
                (double)s->p99_ns / US, (double)s->p999_ns / US);
    }
}
