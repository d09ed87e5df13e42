/* fcgi.c - FastCGI records, written and read. */
#include "wire/fcgi.h"

enum { VERSION = 1, REQUEST_ID = 1, RESPONDER = 1, KEEP_CONN = 1, LENGTH_MAX = 0x7fffffff };

/* ---- writing ------------------------------------------------------------------------------- */

void fcgi_header(enum fcgi_type type, size_t size, char into[FCGI_HEADER_SIZE])
{
    CHECK(size <= FCGI_CONTENT_MAX);
    const char head[FCGI_HEADER_SIZE] = {
        VERSION, (char)type, 0, REQUEST_ID, (char)(size >> 8), (char)size, 0, 0,
    };

    memcpy(into, head, sizeof head);
}

static void put_header(struct gather *g, enum fcgi_type type, size_t size)
{
    char head[FCGI_HEADER_SIZE];

    fcgi_header(type, size, head);
    gather_bytes(g, head, sizeof head);
}

void fcgi_begin(struct gather *g, bool keep)
{
    const char body[8] = { 0, RESPONDER, keep ? KEEP_CONN : 0 };

    put_header(g, FCGI_BEGIN_REQUEST, sizeof body);
    gather_bytes(g, body, sizeof body);
}

void fcgi_params_open(struct fcgi_params *p, struct gather *g)
{
    *p = (struct fcgi_params){ .into = g, .at = g->used };
    put_header(g, FCGI_PARAMS, 0);
}

static size_t record_used(const struct fcgi_params *p)
{
    return p->into->used - p->at - FCGI_HEADER_SIZE;
}

/* The open record gets its size; a further one is opened. */
static void turn_over(struct fcgi_params *p)
{
    if (!p->into->full)
        fcgi_header(FCGI_PARAMS, record_used(p), p->into->at + p->at);
    p->at = p->into->used;
    put_header(p->into, FCGI_PARAMS, 0);
}

static void put(struct fcgi_params *p, struct slice bytes)
{
    while (bytes.size > 0 && !p->into->full) {
        size_t room = FCGI_CONTENT_MAX - record_used(p);
        struct slice some = slice_head(bytes, room);

        gather_slice(p->into, some);
        bytes = slice_skip(bytes, some.size);
        if (bytes.size > 0)
            turn_over(p);
    }
}

/* Up to 127 in one byte, more in four with the highest bit set. */
static void put_length(struct fcgi_params *p, size_t size)
{
    const char large[4] = { (char)(size >> 24 | 0x80), (char)(size >> 16), (char)(size >> 8),
                            (char)size };

    put(p, size < 128 ? slice_of(&large[3], 1) : slice_of(large, sizeof large));
}

void fcgi_param(struct fcgi_params *p, struct slice name, struct slice value)
{
    if (name.size > LENGTH_MAX || value.size > LENGTH_MAX) {
        p->failed = true;
        return;
    }
    put_length(p, name.size);
    put_length(p, value.size);
    put(p, name);
    put(p, value);
}

void fcgi_params_close(struct fcgi_params *p)
{
    if (record_used(p) > 0)
        turn_over(p);
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum fcgi_verdict bad(struct fcgi *f, const char *why)
{
    f->why = why;
    return FCGI_BAD;
}

static unsigned word(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* The header is there. */
static enum fcgi_verdict begin_record(struct fcgi *f)
{
    f->head_used = 0;
    f->type = f->head[1];
    f->content = word(f->head + 4);
    f->padding = f->head[6];
    if (f->head[0] != VERSION)
        return bad(f, "FastCGI record of an unknown version");
    if (word(f->head + 2) != REQUEST_ID)
        return bad(f, "FastCGI record of a request that was not made");
    if (f->type != FCGI_STDOUT && f->type != FCGI_STDERR && f->type != FCGI_END_REQUEST)
        return bad(f, "FastCGI record of a type that an application does not send");
    if (f->type == FCGI_END_REQUEST && f->content != sizeof f->end)
        return bad(f, "FastCGI end of a wrong size");
    f->out_ended |= f->type == FCGI_STDOUT && f->content == 0;
    f->in_record = true;
    return FCGI_MORE;
}

static size_t collect(unsigned char *into, uint8_t *used, size_t want, const char *at, size_t size)
{
    size_t some = want - *used < size ? want - *used : size;

    memcpy(into + *used, at, some);
    *used = (uint8_t)(*used + some);
    return some;
}

static enum fcgi_verdict end_request(struct fcgi *f)
{
    f->ended = true;
    f->protocol_status = f->end[4];
    if (f->protocol_status != 0)
        return bad(f, "the FastCGI application refused the request");
    return FCGI_END;
}

/* Content of the record; at least one byte of it is there. */
static enum fcgi_verdict take_content(struct fcgi *f, const char *at, size_t size, size_t *taken,
                                      struct slice *piece)
{
    size_t some = f->content < size ? f->content : size;

    if (f->type == FCGI_END_REQUEST)
        some = collect(f->end, &f->end_used, sizeof f->end, at, some);
    f->content -= (uint32_t)some;
    *taken += some;
    if (f->type != FCGI_END_REQUEST) {
        *piece = slice_of(at, some);
        return f->type == FCGI_STDOUT ? FCGI_OUT : FCGI_ERR;
    }
    return FCGI_MORE;
}

enum fcgi_verdict fcgi_feed(struct fcgi *f, const char *at, size_t size, size_t *taken,
                            struct slice *piece)
{
    enum fcgi_verdict v = FCGI_MORE;

    *taken = 0;
    *piece = (struct slice){ 0 };
    while (v == FCGI_MORE && (*taken < size || (f->in_record && f->content + f->padding == 0))) {
        if (!f->in_record) {
            *taken += collect(f->head, &f->head_used, sizeof f->head, at + *taken, size - *taken);
            if (f->head_used == sizeof f->head)
                v = begin_record(f);
        } else if (f->content > 0) {
            v = take_content(f, at + *taken, size - *taken, taken, piece);
        } else if (f->padding > 0) {
            size_t some = f->padding < size - *taken ? f->padding : size - *taken;

            f->padding -= (uint32_t)some;
            *taken += some;
        } else {
            f->in_record = false;
            if (f->type == FCGI_END_REQUEST)
                v = end_request(f);
        }
    }
    return v;
}

void fcgi_untake(struct fcgi *f, size_t size)
{
    f->content += (uint32_t)size;
}
