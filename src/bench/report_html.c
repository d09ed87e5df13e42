/* report_html.c - a page that needs nothing else: figures, percentiles, rate and latency over
 * time. The curves are SVG; colours follow the reader's light or dark. */
#include "bench/report.h"

#include "base/clock.h"
#include "bench/protocol.h"

#include <math.h>

enum { WIDTH = 760, HEIGHT = 260, LEFT = 70, RIGHT = 14, TOP = 14, BOTTOM = 34, LINES = 5 };

#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)

static const char style[] =
    "<style>:root{--ink:#17242b;--soft:#5b6b74;--line:#dbe3e7;--paper:#fbfdfe;--one:#0b7285;"
    "--two:#c2410c}@media(prefers-color-scheme:dark){:root{--ink:#e6edf0;--soft:#9aa9b1;"
    "--line:#2b3a42;--paper:#11191d;--one:#4cc9e0;--two:#ff9a5c}}body{font:16px/1.5 system-ui,"
    "sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:var(--ink);"
    "background:var(--paper)}table{border-collapse:collapse}td{padding:.15rem 1.2rem .15rem 0;"
    "font-variant-numeric:tabular-nums}td:first-child{color:var(--soft)}svg{width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif;fill:var(--soft)}.grid{stroke:var(--line)}"
    ".one,.two{fill:none;stroke-width:2}.one{stroke:var(--one)}.two{stroke:var(--two)}"
    "h2{font-size:1.1rem;margin-top:2rem}code{word-break:break-all}</style>";

static void html_text(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", to);
            break;
        case '&':
            fputs("&amp;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            fputc(*text, to);
        }
    }
}

static void row(FILE *to, const char *name, double value, const char *unit)
{
    fprintf(to, "<tr><td>%s</td><td>%.*f %s</td></tr>\n", name, value < 100 ? 2 : 0, value, unit);
}

static void figures(FILE *to, const struct bench_plan *plan, const struct bench_result *r)
{
    const struct tally *t = &r->board.total;
    const struct histogram *h = &t->latency;
    double seconds = r->seconds > 0 ? r->seconds : 1;

    fprintf(to, "<table><tr><td>protocol</td><td>%s</td></tr>\n", plan->protocol->name);
    row(to, "requests", (double)t->requests, "");
    row(to, "requests a second", (double)t->requests / seconds, "");
    row(to, "errors", (double)tally_errors(t), "");
    row(to, "megabytes a second", (double)t->bytes / seconds / 1e6, "");
    row(to, "connections that ask", plan->connections, "");
    row(to, plan->protocol->streams ? "streams of each" : "requests in flight on each", plan->depth,
        "");
    row(to, "latency, mean", histogram_mean(h) / 1e3, "µs");
    row(to, "median", (double)histogram_at(h, 0.5) / 1e3, "µs");
    row(to, "90 %", (double)histogram_at(h, 0.9) / 1e3, "µs");
    row(to, "99 %", (double)histogram_at(h, 0.99) / 1e3, "µs");
    row(to, "99.9 %", (double)histogram_at(h, 0.999) / 1e3, "µs");
    row(to, "longest", (double)h->max / 1e3, "µs");
    row(to, "generator's CPU", r->user_s + r->system_s, "s");
    fprintf(to, "</table>\n");
}

/* ---- curves ------------------------------------------------------------------------------- */

static double x_of(double share)
{
    return LEFT + share * PLOT_WIDTH;
}

static double y_of(double share)
{
    return TOP + (1 - share) * PLOT_HEIGHT;
}

/* 1, 2 or 5 times a power of ten: not below value. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value > 0 ? value : 1)));
    double digit = value / power;

    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static void plot_begin(FILE *to, const char *title, double top, const char *unit)
{
    fprintf(to, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" role=\"img\"><title>%s</title>\n", title,
            WIDTH, HEIGHT, title);
    for (int i = 0; i <= LINES; i++) {
        double y = y_of((double)i / LINES);

        fprintf(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                WIDTH - RIGHT, y, y);
        fprintf(to, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g%s</text>\n", LEFT - 8,
                y + 4, top * i / LINES, i == LINES ? unit : "");
    }
}

static void tick(FILE *to, double share, const char *label)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x_of(share),
            HEIGHT - 10, label);
}

/* The horizontal axis stretches towards 100 %: each nine has the same room. */
static void percentiles(FILE *to, const struct histogram *h)
{
    enum { NINES = 4, STEPS = 40 };
    static const char *const labels[NINES + 1] = { "0", "90 %", "99 %", "99.9 %", "99.99 %" };
    double top = round_up((double)h->max / 1e3);

    plot_begin(to, "Latency by percentile", top, " µs");
    fprintf(to, "<polyline class=\"one\" points=\"");
    for (int i = 0; i <= NINES * STEPS; i++) {
        double nines = (double)i / STEPS;
        double us = (double)histogram_at(h, 1 - pow(10, -nines)) / 1e3;

        fprintf(to, "%.1f,%.1f ", x_of(nines / NINES), y_of(us / top));
    }
    fprintf(to, "\"/>\n");
    for (int i = 0; i <= NINES; i++)
        tick(to, (double)i / NINES, labels[i]);
    fprintf(to, "</svg>\n");
}

typedef double value_fn(const struct second *);

static double rate_in(const struct second *s)
{
    return (double)s->requests;
}

static double median_in(const struct second *s)
{
    return (double)s->p50_ns / 1e3;
}

static double tail_in(const struct second *s)
{
    return (double)s->p99_ns / 1e3;
}

static double largest(const struct board *b, value_fn *value)
{
    double most = 0;

    for (size_t i = 0; i < b->count; i++)
        most = fmax(most, value(&b->seconds[i]));
    return most;
}

static void line(FILE *to, const struct board *b, value_fn *value, double top, const char *kind)
{
    double last = b->count > 1 ? (double)(b->count - 1) : 1;

    fprintf(to, "<polyline class=\"%s\" points=\"", kind);
    for (size_t i = 0; i < b->count; i++)
        fprintf(to, "%.1f,%.1f ", x_of((double)i / last), y_of(value(&b->seconds[i]) / top));
    fprintf(to, "\"/>\n");
}

static void seconds_axis(FILE *to, const struct board *b)
{
    char label[32];

    tick(to, 0, "1 s");
    if (b->count < 2)
        return;
    snprintf(label, sizeof label, "%zu s", b->count);
    tick(to, 1, label);
}

void report_html(FILE *to, const struct bench_plan *plan, const struct bench_result *r)
{
    const struct board *b = &r->board;
    double rate_top = round_up(largest(b, rate_in)), late_top = round_up(largest(b, tail_in));

    fprintf(to,
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
            "<title>weir bench</title>%s\n<h1>weir bench</h1><p><code>",
            style);
    html_text(to, plan->url);
    fprintf(to, "</code></p>\n");
    figures(to, plan, r);
    if (b->total.requests > 0) {
        percentiles(to, &b->total.latency);
        plot_begin(to, "Answers in each second", rate_top, "");
        line(to, b, rate_in, rate_top, "one");
        seconds_axis(to, b);
        fprintf(to, "</svg>\n");
        plot_begin(to, "Latency in each second: median, and 99 %", late_top, " µs");
        line(to, b, median_in, late_top, "one");
        line(to, b, tail_in, late_top, "two");
        seconds_axis(to, b);
        fprintf(to, "</svg>\n");
    }
    fprintf(to, "</html>\n");
}
