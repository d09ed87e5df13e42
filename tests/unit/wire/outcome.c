/* outcome.c - each piece is copied into memory of exactly its size, so that the sanitizer sees
 * every byte read beyond it. */
#include "unit/wire/outcome.h"

#include "wire/chunked.h"
#include "wire/date.h"
#include "wire/proxy_line.h"
#include "wire/range.h"
#include "wire/uri.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

const struct outcome_options OUTCOME_DEFAULTS = {
    .limits = { .line_max = 8192,
                .head_max = 32768,
                .fields_max = 100,
                .ignore_invalid = true,
                .first_size = 1024 },
    .trailer_max = 8192,
    .size = 10,
    .now = 1795408000,
};

static void put_text(struct gather *out, const char *name, struct slice text)
{
    gather_str(out, name);
    gather_lit(out, " ");
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            gather_byte(out, (char)c);
        else
            gather_printf(out, "\\x%02x", c);
    }
    gather_lit(out, "\n");
}

static void put_flag(struct gather *out, bool flag, const char *name)
{
    if (flag)
        gather_printf(out, "%s\n", name);
}

void outcome_head(struct gather *out, const struct h1_head *h, enum h1_verdict verdict)
{
    if (verdict == H1_BAD)
        gather_printf(out, "bad %u\n", h->status);
    if (verdict == H1_MORE)
        gather_lit(out, "more\n");
    if (verdict != H1_DONE)
        return;
    gather_lit(out, "done\n");
    gather_printf(out, "method %u\n", h->method);
    put_text(out, "method-text", h->method_text);
    put_text(out, "target", h->target);
    put_text(out, "path", h->path);
    if (h->args.at != NULL)
        put_text(out, "args", h->args);
    if (h->scheme.size > 0)
        put_text(out, "scheme", h->scheme);
    put_text(out, "authority", h->authority);
    gather_printf(out, "version 1.%u\n", h->version_minor);
    put_text(out, "line", h->line);
    put_flag(out, h->chunked, "chunked");
    if (h->has_length)
        gather_printf(out, "length %llu\n", (unsigned long long)h->length);
    gather_printf(out, h->keep_alive ? "keep-alive\n" : "close\n");
    put_flag(out, h->expect_continue, "expect-continue");
    put_flag(out, h->upgrade, "upgrade");
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct field *f = &h->fields[i];
        put_text(out, "field", f->name);
        put_text(out, "value", f->value);
        gather_printf(out, "id %d%s\n", (int)f->id, h->known[f->id] == f ? " first" : "");
    }
}

/* Bytes that come in pieces. */
struct feed {
    struct slice input;
    const size_t *cuts;
    size_t cut_count, pos, begin;
    char *piece; /* input[begin..), up to the next cut */
    size_t piece_size;
};

static struct slice feed_next(struct feed *f)
{
    if (f->piece == NULL || f->pos >= f->begin + f->piece_size) {
        size_t end = f->input.size;
        for (size_t i = f->cut_count; i-- > 0;)
            if (f->cuts[i] > f->pos && f->cuts[i] < end)
                end = f->cuts[i];
        free(f->piece);
        f->begin = f->pos;
        f->piece_size = end - f->pos;
        f->piece = malloc(f->piece_size + (f->piece_size == 0));
        CHECK(f->piece != NULL);
        if (f->piece_size > 0)
            memcpy(f->piece, f->input.at + f->pos, f->piece_size);
    }
    return slice_of(f->piece + (f->pos - f->begin), f->piece_size - (f->pos - f->begin));
}

static enum h1_verdict feed_head(struct feed *f, struct h1_head *h)
{
    enum h1_verdict verdict = H1_MORE;
    while (verdict == H1_MORE && f->pos < f->input.size) {
        struct slice piece = feed_next(f);
        size_t taken;
        verdict = h1_head_feed(h, piece.at, piece.size, &taken);
        CHECK(taken <= piece.size && (verdict != H1_MORE || taken == piece.size));
        f->pos += taken;
    }
    return verdict;
}

static enum chunked_verdict feed_chunked(struct feed *f, struct chunked *c, struct gather *out)
{
    enum chunked_verdict verdict = CHUNKED_MORE;
    while (verdict <= CHUNKED_DATA && f->pos < f->input.size) {
        struct slice bytes = feed_next(f), piece;
        size_t taken;
        verdict = chunked_feed(c, bytes.at, bytes.size, &taken, &piece);
        CHECK(taken <= bytes.size && (verdict != CHUNKED_MORE || taken == bytes.size));
        if (out != NULL && verdict == CHUNKED_DATA)
            gather_slice(out, piece);
        f->pos += taken;
    }
    return verdict == CHUNKED_DATA ? CHUNKED_MORE : verdict;
}

static struct feed feed_from(struct slice input, const size_t *cuts, size_t cut_count)
{
    return (struct feed){ .input = input, .cuts = cuts, .cut_count = cut_count };
}

static void put_rest(struct gather *out, struct feed *f)
{
    if (f->pos < f->input.size)
        put_text(out, "rest", slice_skip(f->input, f->pos));
    free(f->piece);
}

static void run_head(struct gather *out, const struct outcome_options *o, struct slice input,
                     const size_t *cuts, size_t cut_count)
{
    struct feed f = feed_from(input, cuts, cut_count);
    struct arena arena;
    struct h1_head h;
    arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
    h1_head_init(&h, &o->limits, &arena);
    enum h1_verdict verdict = feed_head(&f, &h);
    outcome_head(out, &h, verdict);
    if (verdict == H1_BAD) {
        put_text(out, "why", slice_str(h.why));
        put_text(out, "line", h.line);
        f.pos = f.input.size; /* what was taken of a bad head means nothing */
    }
    put_flag(out, verdict == H1_MORE && h.line_seen, "line-seen");
    put_rest(out, &f);
    arena_done(&arena);
}

static void run_chunked(struct gather *out, const struct outcome_options *o, struct slice input,
                        const size_t *cuts, size_t cut_count)
{
    static char space[1 << 20];
    static const char *const names[] = { "more", "data", "done", "bad" };
    struct feed f = feed_from(input, cuts, cut_count);
    struct gather content;
    struct chunked c;
    gather_init(&content, space, sizeof space, NULL, 0);
    chunked_init(&c, o->limits.allow_bare_lf, o->trailer_max);
    enum chunked_verdict verdict = feed_chunked(&f, &c, &content);
    gather_printf(out, "%s\n", names[verdict]);
    put_text(out, "content", gather_get(&content));
    if (verdict == CHUNKED_BAD) {
        put_text(out, "why", slice_str(c.why));
        f.pos = f.input.size;
    }
    put_rest(out, &f);
}

/* One request and its body; false when the stream cannot go on. */
static bool stream_request(struct gather *out, const struct outcome_options *o, struct feed *f,
                           struct arena *arena)
{
    struct h1_head h;
    struct chunked c;
    struct slice path;
    h1_head_init(&h, &o->limits, arena);
    enum h1_verdict verdict = feed_head(f, &h);
    if (verdict == H1_BAD)
        gather_printf(out, "%u", h.status);
    if (verdict == H1_MORE)
        gather_lit(out, "more");
    if (verdict != H1_DONE)
        return false;
    char *into = arena_bytes(arena, h.path.size + 1);
    CHECK(into != NULL);
    if (h.method != METHOD_CONNECT && !slice_eq(h.path, SLICE("*")) &&
        uri_normalise(h.path, true, into, &path) != URI_OK) {
        gather_lit(out, "400");
        return false;
    }
    if (h.has_length && h.length > f->input.size - f->pos) {
        gather_lit(out, "more");
        return false;
    }
    f->pos += h.has_length ? (size_t)h.length : 0;
    chunked_init(&c, o->limits.allow_bare_lf, o->trailer_max);
    enum chunked_verdict body = h.chunked ? feed_chunked(f, &c, NULL) : CHUNKED_DONE;
    gather_str(out, body == CHUNKED_BAD        ? "400"
                    : body == CHUNKED_MORE     ? "more"
                    : h.method == METHOD_OTHER ? "other"
                                               : "ok");
    return body == CHUNKED_DONE;
}

static void run_stream(struct gather *out, const struct outcome_options *o, struct slice input,
                       const size_t *cuts, size_t cut_count)
{
    struct feed f = feed_from(input, cuts, cut_count);
    bool going = true;
    while (going && f.pos < input.size) {
        struct arena arena;
        if (f.pos > 0)
            gather_lit(out, " ");
        arena_init(&arena, NULL, 0, 4096, SIZE_MAX);
        going = stream_request(out, o, &f, &arena);
        arena_done(&arena);
    }
    gather_lit(out, "\n");
    free(f.piece);
}

/* Grammars that see their input whole: a copy of exactly its size. */
static struct slice whole(struct feed *f, struct slice input)
{
    *f = feed_from(input, NULL, 0);
    return feed_next(f);
}

static void run_path(struct gather *out, const struct outcome_options *o, struct slice input,
                     const size_t *cuts, size_t cut_count)
{
    (void)cuts, (void)cut_count;
    struct feed f;
    struct slice raw = whole(&f, input), path;
    char *into = malloc(raw.size + (raw.size == 0));
    CHECK(into != NULL);
    if (uri_normalise(raw, !o->keep_slashes, into, &path) != URI_OK)
        gather_lit(out, "bad\n");
    else {
        put_text(out, "path", path);
        gather_str(out, path.at == raw.at ? "as it came\n" : "rewritten\n");
    }
    free(into);
    free(f.piece);
}

static void run_authority(struct gather *out, const struct outcome_options *o, struct slice input,
                          const size_t *cuts, size_t cut_count)
{
    (void)o, (void)cuts, (void)cut_count;
    struct feed f;
    struct slice raw = whole(&f, input), host;
    uint16_t port;
    char *into = malloc(raw.size + (raw.size == 0));
    CHECK(into != NULL);
    if (uri_authority(raw, into, &host, &port) != URI_OK)
        gather_lit(out, "bad\n");
    else {
        put_text(out, "host", host);
        gather_printf(out, "port %u\n", port);
    }
    free(into);
    free(f.piece);
}

static void put_end(struct gather *out, const char *name, enum proxy_family family,
                    const struct proxy_end *end)
{
    char ip[64];
    if (family == PROXY_UNIX) {
        put_text(out, name, end->path);
        return;
    }
    CHECK(inet_ntop(family == PROXY_TCP4 ? AF_INET : AF_INET6, end->ip, ip, sizeof ip) != NULL);
    gather_printf(out, "%s %s %u\n", name, ip, end->port);
}

static void put_proxy(struct gather *out, const struct proxy_line *line)
{
    static const char *const families[] = { "unknown", "tcp4", "tcp6", "unix" };
    struct slice rest = line->tlvs, value;
    uint8_t type;
    gather_printf(out, "v%u %s %zu\n", line->version,
                  line->local ? "local" : families[line->family], line->size);
    if (line->family != PROXY_UNKNOWN) {
        put_end(out, "source", line->family, &line->source);
        put_end(out, "target", line->family, &line->target);
    }
    while (proxy_tlv_next(&rest, &type, &value)) {
        char name[16];
        snprintf(name, sizeof name, "tlv %02x", type);
        put_text(out, name, value);
    }
    CHECK(rest.size == 0);
}

/* What came so far is shown again with every piece, in a block of exactly its size. */
static void run_proxy(struct gather *out, const struct outcome_options *o, struct slice input,
                      const size_t *cuts, size_t cut_count)
{
    (void)o;
    struct proxy_line line;
    for (size_t i = 0; i <= cut_count; i++) {
        struct feed f;
        struct slice seen = whole(&f, slice_head(input, i < cut_count ? cuts[i] : input.size));
        enum proxy_verdict verdict = proxy_line_read(seen, &line);
        if (verdict == PROXY_DONE)
            put_proxy(out, &line);
        else if (verdict == PROXY_BAD)
            gather_printf(out, "bad %s\n", line.why);
        free(f.piece);
        if (verdict != PROXY_MORE)
            return;
    }
    gather_lit(out, "more\n");
}

static void run_range(struct gather *out, const struct outcome_options *o, struct slice input,
                      const size_t *cuts, size_t cut_count)
{
    (void)cuts, (void)cut_count;
    static const char *const names[] = { "none", "ok", "unsatisfiable" };
    struct feed f;
    struct range ranges[RANGES_MAX];
    unsigned count = 0;
    enum range_verdict verdict = range_parse(whole(&f, input), o->size, ranges, &count);
    gather_str(out, names[verdict]);
    for (unsigned i = 0; verdict == RANGE_OK && i < count; i++)
        gather_printf(out, " %llu-%llu", (unsigned long long)ranges[i].first,
                      (unsigned long long)ranges[i].last);
    gather_lit(out, "\n");
    free(f.piece);
}

static void run_date(struct gather *out, const struct outcome_options *o, struct slice input,
                     const size_t *cuts, size_t cut_count)
{
    (void)cuts, (void)cut_count;
    struct feed f;
    int64_t sec;
    if (!date_parse(whole(&f, input), o->now, &sec))
        gather_lit(out, "bad\n");
    else {
        char text[DATE_HTTP_SIZE];
        date_http(sec, text);
        gather_printf(out, "%lld\n", (long long)sec);
        put_text(out, "date", slice_of(text, sizeof text));
    }
    free(f.piece);
}

static void run_etags(struct gather *out, const struct outcome_options *o, struct slice input,
                      const size_t *cuts, size_t cut_count)
{
    (void)cuts, (void)cut_count;
    struct feed f;
    gather_str(out, etag_in_list(whole(&f, input), o->tag, o->weak) ? "yes\n" : "no\n");
    free(f.piece);
}

outcome_fn *outcome_from(struct slice kind)
{
    static const struct {
        const char *name;
        outcome_fn *run;
    } KINDS[] = {
        { "head", run_head }, { "stream", run_stream }, { "chunked", run_chunked },
        { "path", run_path }, { "range", run_range },   { "authority", run_authority },
        { "date", run_date }, { "etags", run_etags },   { "proxy", run_proxy },
    };
    for (size_t i = 0; i < COUNT_OF(KINDS); i++)
        if (slice_eq(kind, slice_str(KINDS[i].name)))
            return KINDS[i].run;
    return NULL;
}
