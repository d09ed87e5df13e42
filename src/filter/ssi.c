/* ssi.c - server side includes: pages whose commands are carried out while they are sent.
 *
 * The page is pulled a piece at a time and read into parts (ssi_read.h), which are given out in
 * their order. The answers of sub-requests are pulled when it is their turn. */
#include "conf/expr.h"
#include "conf/load.h"
#include "filter/added.h"
#include "filter/chunk.h"
#include "filter/ssi_read.h"
#include "http/error_page.h"
#include "http/media.h"
#include "http/site.h"
#include "http/subrequest.h"

#include <time.h>

enum { PIECE = 16 * 1024, PIECE_ARENA_MAX = 1024 * 1024, STUBS_MAX = 100, CAPTURE_STEP = 4096 };

static uint32_t ssi_index;

struct ssi_conf {
    bool on, silent_errors, keep_date;
    int64_t value_length, min_file_chunk;
    struct media_set *types;
    const struct conf_load *load;
};

struct ssi_body {
    struct body body;
    struct arena arena; /* what was read of this piece                               */
    struct ssi_part *first;
    struct body *lent; /* the child's body that gave the latest chunk, or NULL       */
    struct slice in;   /* of the piece, not read yet                                */
    size_t chunk;      /* size of the piece as the body within gave it; 0: none      */
    char *room;        /* for pieces that are ranges of files                        */
    bool waiting;      /* a child has nothing yet                                    */
    bool ended;
    unsigned stubs;
    struct ssi_reader reader;
};

/* ---- parts ------------------------------------------------------------------------------ */

static enum body_status later(struct ssi_body *s)
{
    s->waiting = true;
    return BODY_LATER;
}

static void end_child(struct ssi_part *p)
{
    if (p->child != NULL)
        request_end(p->child);
    p->child = NULL;
}

/* Reads the stub's commands; its parts come behind p. */
static bool use_stub(struct ssi_body *s, struct ssi_part *p)
{
    struct ssi_part *behind = p->next, **outer_end = s->reader.end;
    struct ssi_reader *rd = arena_alloc(&s->arena, sizeof *rd);
    struct slice text = p->stub;

    if (rd == NULL || ++s->stubs > STUBS_MAX)
        return false;
    *rd = (struct ssi_reader){ .request = s->reader.request,
                               .page = s->reader.page,
                               .arena = s->reader.arena,
                               .child_ops = s->reader.child_ops,
                               .owner = s,
                               .end = &p->next,
                               .silent = s->reader.silent,
                               .value_max = s->reader.value_max };
    p->next = NULL;
    while (text.size > 0 && !rd->failed) {
        rd->paused = false;
        ssi_read(rd, &text);
    }
    ssi_read_end(rd);
    *rd->end = behind;
    if (outer_end == &p->next)
        s->reader.end = rd->end;
    return !rd->failed;
}

/* Its answer is of no use, or its body was pulled to its end. */
static enum body_status child_over(struct ssi_body *s, struct ssi_part *p, bool bad)
{
    bool stub = p->stub.at != NULL && (bad || !p->any);

    end_child(p);
    return !stub || use_stub(s, p) ? BODY_END : BODY_FAILED;
}

static enum body_status pull_child(struct ssi_body *s, struct ssi_part *p, size_t max,
                                   struct chunk *ret)
{
    struct request *child = p->child;
    struct body *from;
    enum body_status status = BODY_END;

    if (child == NULL)
        return BODY_END;
    if (!subrequest_answered(child))
        return later(s);
    from = child->response.body;
    if (!p->any && p->stub.at != NULL && child->response.status >= 400)
        return child_over(s, p, true);
    if (from != NULL && !child->header_only)
        status = from->ops->pull(from, max, ret);
    if (status == BODY_LATER)
        return later(s);
    if (status == BODY_END)
        return child_over(s, p, false);
    if (status == BODY_CHUNK) {
        p->any = true;
        child->body_sent += ret->size;
        s->lent = from;
    }
    return status;
}

static void give_back(struct ssi_body *s, size_t size)
{
    if (s->lent != NULL && s->lent->ops->sent != NULL)
        s->lent->ops->sent(s->lent, size);
    s->lent = NULL;
}

/* The answer becomes a variable; nothing of it is given out. */
static enum body_status pull_capture(struct ssi_body *s, struct ssi_part *p, size_t max,
                                     struct chunk *ret)
{
    char room[CAPTURE_STEP];
    struct request *r = s->body.request;

    (void)max;
    for (;;) {
        enum body_status status = pull_child(s, p, sizeof room, ret);

        if (status == BODY_END) {
            if (p->value.full)
                ssi_error(&s->reader, "an answer for a variable is longer than %d bytes",
                          SSI_VALUE_MAX);
            else if (!ssi_put(r, &s->reader.page->variables, p->variable, gather_get(&p->value)))
                return BODY_FAILED;
        }
        if (status != BODY_CHUNK)
            return status;
        if (ret->file >= 0 && !chunk_read(r, ret, room))
            return BODY_FAILED;
        gather_bytes(&p->value, ret->file >= 0 ? room : ret->at, ret->size);
        give_back(s, ret->size);
    }
}

static enum body_status pull_text(struct ssi_body *s, struct ssi_part *p, size_t max,
                                  struct chunk *ret)
{
    struct slice piece = slice_head(p->text, max);

    (void)s;
    if (piece.size == 0)
        return BODY_END;
    *ret = (struct chunk){ .at = piece.at, .size = piece.size, .file = -1 };
    p->text = slice_skip(p->text, piece.size);
    return BODY_CHUNK;
}

static enum body_status (*const pulls[])(struct ssi_body *, struct ssi_part *, size_t,
                                         struct chunk *) = {
    [SSI_PART_TEXT] = pull_text,
    [SSI_PART_CHILD] = pull_child,
    [SSI_PART_CAPTURE] = pull_capture,
};

static void pop(struct ssi_body *s)
{
    struct ssi_part *p = s->first;

    end_child(p);
    s->first = p->next;
    if (s->first == NULL)
        s->reader.end = &s->first;
}

/* ---- pieces of the page -------------------------------------------------------------------- */

static bool take_piece(struct ssi_body *s, const struct chunk *k)
{
    s->chunk = k->size;
    s->in = slice_of(k->at, k->size);
    if (k->file < 0)
        return true;
    if (s->room == NULL)
        s->room = arena_alloc(&s->body.request->arena, PIECE);
    s->in = slice_of(s->room, k->size);
    return s->room != NULL && chunk_read(s->body.request, k, s->room);
}

/* All parts were given out: lets the piece go and asks for the next. CHUNK: there is one. */
static enum body_status next_piece(struct ssi_body *s)
{
    struct body *from = s->body.from;
    enum body_status status;
    struct chunk k;

    if (s->ended)
        return BODY_END;
    if (s->chunk > 0 && from->ops->sent != NULL)
        from->ops->sent(from, s->chunk);
    s->chunk = 0;
    arena_reset(&s->arena);
    status = from->ops->pull(from, PIECE, &k);
    if (status == BODY_CHUNK)
        return take_piece(s, &k) ? BODY_CHUNK : BODY_FAILED;
    if (status != BODY_END)
        return status;
    s->ended = true;
    ssi_read_end(&s->reader);
    return BODY_CHUNK;
}

static enum body_status read_more(struct ssi_body *s)
{
    enum body_status status = BODY_CHUNK;

    if (s->in.size == 0)
        status = next_piece(s);
    s->reader.paused = false;
    s->reader.ahead = 0;
    if (status == BODY_CHUNK)
        ssi_read(&s->reader, &s->in);
    return s->reader.failed ? BODY_FAILED : status;
}

static enum body_status ssi_pull(struct body *b, size_t max, struct chunk *ret)
{
    struct ssi_body *s = container_of(b, struct ssi_body, body);

    for (;;) {
        struct ssi_part *p = s->first;
        enum body_status status = p != NULL ? pulls[p->kind](s, p, max, ret) : read_more(s);

        if (p != NULL && status == BODY_END)
            pop(s);
        else if (p != NULL || status != BODY_CHUNK)
            return status;
    }
}

static void ssi_sent(struct body *b, size_t size)
{
    give_back(container_of(b, struct ssi_body, body), size);
}

static void ssi_drop(struct body *b)
{
    struct ssi_body *s = container_of(b, struct ssi_body, body);

    for (struct ssi_part *p = s->first; p != NULL; p = p->next)
        end_child(p);
    arena_done(&s->arena);
    body_drop(b->from);
}

static const struct body_ops ssi_ops = {
    .name = "ssi", .pull = ssi_pull, .sent = ssi_sent, .drop = ssi_drop
};

static void child_goes_on(struct request *child, void *arg)
{
    struct ssi_part *p = arg;
    struct ssi_body *s = p->owner;

    (void)child;
    if (!s->waiting || s->first != p)
        return;
    s->waiting = false;
    request_body_ready(s->body.request);
}

/* ---- the filter ----------------------------------------------------------------------------- */

static const struct subrequest_ops child_ops = { child_goes_on, child_goes_on };

static bool wrap(struct request *r, const struct ssi_conf *conf)
{
    struct ssi_body *s = arena_zalloc(&r->arena, sizeof *s);
    struct ssi_page *page = ssi_page(r, conf->load);

    if (s == NULL || page == NULL || !chunk_head_changed(r, conf->keep_date))
        return false;
    arena_init(&s->arena, NULL, 0, 4096, PIECE_ARENA_MAX);
    s->body = (struct body){ .ops = &ssi_ops, .from = r->response.body, .request = r };
    s->reader.request = r;
    s->reader.page = page;
    s->reader.arena = &s->arena;
    s->reader.child_ops = &child_ops;
    s->reader.owner = s;
    s->reader.end = &s->first;
    s->reader.silent = conf->silent_errors;
    s->reader.value_max = (size_t)conf->value_length;
    r->response.body = &s->body;
    r->response.length = -1;
    r->response.accept_ranges = false;
    return true;
}

bool ssi_idle(const struct scope *scope)
{
    const struct ssi_conf *conf = scope_conf(scope, &feature_ssi);

    return !conf->on;
}

void filter_ssi(struct request *r)
{
    const struct ssi_conf *conf = request_conf(r, &feature_ssi);

    if (!conf->on || r->response.body == NULL || r->response.length == 0 ||
        !media_in(conf->types, r->response.content_type) ||
        response_find(r, SLICE("Content-Encoding")) != NULL)
        return;
    if (!wrap(r, conf)) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}

/* ---- variables -------------------------------------------------------------------------- */

/* use->number: 0 for local time, 1 for Greenwich's. */
static bool get_date(void *subject, const struct variable_use *use, struct gather *g)
{
    static const char usual[] = "%A, %d-%b-%Y %H:%M:%S %Z";
    struct request *r = subject;
    const struct ssi_page *page = request_main(r)->slots[SLOT_SSI];
    const char *format = page != NULL ? page->date_format.at : usual;
    time_t now;
    struct tm parts;
    char text[256];

    loop_now_ns(r->loop, r->io);
    now = (time_t)(loop_wall_ns(r->loop) / 1000000000);
    if (strcmp(format, "%s") == 0) {
        gather_i64(g, now);
        return true;
    }
    if (use->number == 0)
        localtime_r(&now, &parts);
    else
        gmtime_r(&now, &parts);
    gather_bytes(g, text, strftime(text, sizeof text, format, &parts));
    return true;
}

static const struct variable variables[] = {
    { "date_local", get_date, .arg = 0,
      .help = "The time here, in the format that the SSI command config was given." },
    { "date_gmt", get_date, .arg = 1, .help = "The same in Greenwich." },
};

/* ---- directives --------------------------------------------------------------------------- */

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct ssi_conf *conf = own;

    (void)scope;
    (void)parent;
    conf->load = load;
    return true;
}

#define AT(member) offsetof(struct ssi_conf, member)

static const struct directive rows[] = {
    { "ssi", CTX_ANY_HTTP | CTX_IF_LOCATION, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Carries out the commands of server side includes in answers.",
      .example = "location ~ \\.shtml$ { ssi on; }" },
    { "ssi_types", CTX_ANY_HTTP, 1, ARGS_MANY, CONF_CUSTOM, AT(types), "text/html",
      .set = media_set_types, .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that are looked through beside text/html; * means all.",
      .example = "ssi_types text/xml;" },
    { "ssi_silent_errors", CTX_ANY_HTTP, 1, 1, CONF_FLAG, AT(silent_errors), "off",
      .syntax = "on | off", .help = "Whether a command that fails leaves no text in the page." },
    { "ssi_last_modified", CTX_ANY_HTTP, 1, 1, CONF_FLAG, AT(keep_date), "off",
      .syntax = "on | off",
      .help = "Keeps Last-Modified, and the ETag as a weak one, on answers that are looked "
              "through." },
    { "ssi_value_length", CTX_ANY_HTTP, 1, 1, CONF_SIZE, AT(value_length), "256", .min = 1,
      .max = SSI_COMMAND_MAX, .syntax = "length",
      .help = "The longest value of a command's parameter." },
    { "ssi_min_file_chunk", CTX_ANY_HTTP, 1, 1, CONF_SIZE, AT(min_file_chunk), "1k",
      .syntax = "size",
      .help = "Read and kept for nginx's sake: here a page's own text is always sent from "
              "memory, what it includes from files." },
};

const struct feature feature_ssi = {
    .name = "ssi",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct ssi_conf),
    .vars = variables,
    .var_count = COUNT_OF(variables),
    .merge = merge,
    .about = "Pages whose commands are carried out while they are sent: include, echo, set, if, "
             "config, block.",
    .index = &ssi_index,
};
