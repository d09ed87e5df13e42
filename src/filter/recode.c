/* recode.c - text from one character set into another. */
#include "filter/recode.h"

#include <stdlib.h>

enum { SEQUENCE_MAX = 4, ESCAPE_MAX = 16 };

struct recoder {
    const struct recode_map *map;
    struct slice (*next)(struct recoder *, struct slice *in, bool last);
    char held[SEQUENCE_MAX]; /* the beginning of a UTF-8 sequence                */
    size_t held_size;
    char made[ESCAPE_MAX]; /* what could not be put out yet                      */
    struct slice left;     /* … of it                                            */
};

/* ---- UTF-8 (RFC 3629 §3-4) ---------------------------------------------------------------- */

static const struct {
    unsigned char mask, lead;
    uint8_t size;
    uint32_t least;
} forms[] = {
    { 0x80, 0x00, 1, 0 },
    { 0xe0, 0xc0, 2, 0x80 },
    { 0xf0, 0xe0, 3, 0x800 },
    { 0xf8, 0xf0, 4, 0x10000 },
};

int utf8_read(struct slice s, uint32_t *ret_point)
{
    for (size_t f = 0; f < COUNT_OF(forms) && s.size > 0; f++) {
        unsigned char lead = (unsigned char)s.at[0];
        uint32_t point = lead & (unsigned char)~forms[f].mask;

        if ((lead & forms[f].mask) != forms[f].lead)
            continue;
        for (size_t i = 1; i < forms[f].size; i++) {
            if (i == s.size)
                return 0;
            if (((unsigned char)s.at[i] & 0xc0) != 0x80)
                return -1;
            point = point << 6 | ((unsigned char)s.at[i] & 0x3f);
        }
        if (point < forms[f].least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return -1;
        *ret_point = point;
        return forms[f].size;
    }
    return s.size == 0 ? 0 : -1;
}

/* ---- the map ------------------------------------------------------------------------------ */

static struct recode_char char_of(struct slice bytes)
{
    struct recode_char c = { .size = (uint8_t)bytes.size };

    memcpy(c.bytes, bytes.at, bytes.size);
    return c;
}

bool recode_map_add(struct recode_map *m, unsigned char byte, struct slice to)
{
    uint32_t point;

    if (m->utf8 ? utf8_read(to, &point) != (int)to.size : to.size != 1)
        return false;
    if (to.size == 0)
        return false;
    m->to_of[byte] = char_of(to);
    if (!m->utf8)
        m->from_of[(unsigned char)to.at[0]] = char_of(slice_of((const char *)&byte, 1));
    return true;
}

static int by_point(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void recode_map_done(struct recode_map *m)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;

        if (byte < 0x80 && m->to_of[byte].size == 0)
            m->to_of[byte] = char_of(slice_of(&c, 1));
        if (byte < 0x80 && m->from_of[byte].size == 0)
            m->from_of[byte] = char_of(slice_of(&c, 1));
        if (!m->utf8 || m->to_of[byte].size == 0)
            continue;
        utf8_read(slice_of(m->to_of[byte].bytes, m->to_of[byte].size), &m->points[m->count].point);
        m->points[m->count++].byte = (uint8_t)byte;
    }
    qsort(m->points, m->count, sizeof m->points[0], by_point);
}

/* ---- a character at a time ------------------------------------------------------------------ */

static struct slice from_table(const struct recode_char table[256], struct slice *in)
{
    const struct recode_char *c = &table[(unsigned char)in->at[0]];

    *in = slice_skip(*in, 1);
    return c->size > 0 ? slice_of(c->bytes, c->size) : SLICE("?");
}

static struct slice forwards(struct recoder *s, struct slice *in, bool last)
{
    (void)last;
    return from_table(s->map->to_of, in);
}

static struct slice backwards(struct recoder *s, struct slice *in, bool last)
{
    (void)last;
    return from_table(s->map->from_of, in);
}

static struct slice from_point(struct recoder *s, uint32_t point)
{
    const uint32_t *found =
        bsearch(&point, s->map->points, s->map->count, sizeof s->map->points[0], by_point);
    struct gather g;

    if (found != NULL) {
        const uint8_t *byte = (const uint8_t *)(found + 1);

        s->made[0] = (char)*byte;
        return slice_of(s->made, 1);
    }
    gather_init(&g, s->made, sizeof s->made, NULL, 0);
    gather_lit(&g, "&#");
    gather_u64(&g, point);
    gather_byte(&g, ';');
    return gather_get(&g);
}

/* What of broken bytes one "?" stands for: the first, and those behind it that would go on. */
static size_t broken_size(struct slice s)
{
    size_t most = 1, size = 1;

    for (size_t f = 0; f < COUNT_OF(forms); f++)
        if (((unsigned char)s.at[0] & forms[f].mask) == forms[f].lead)
            most = forms[f].size;
    while (size < most && size < s.size && ((unsigned char)s.at[size] & 0xc0) == 0x80)
        size++;
    return size;
}

/* Sequences may be cut anywhere: what began one in the chunk before stands in held[]. */
static struct slice from_utf8(struct recoder *s, struct slice *in, bool last)
{
    size_t before = s->held_size, more = SEQUENCE_MAX - before;
    struct slice all;
    uint32_t point;
    int size;

    if (more > in->size)
        more = in->size;
    if (more > 0)
        memcpy(s->held + before, in->at, more);
    all = slice_of(s->held, before + more);
    size = utf8_read(all, &point);
    if (size == 0 && !last) {
        s->held_size = all.size;
        *in = slice_skip(*in, more);
        return (struct slice){ 0 };
    }
    s->held_size = 0;
    if (size > 0) {
        *in = slice_skip(*in, (size_t)size - before);
        return from_point(s, point);
    }
    *in = slice_skip(*in, broken_size(all) - before);
    return SLICE("?");
}

static enum transform_status run(void *state, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    struct recoder *s = state;
    bool last = op == TRANSFORM_END;

    for (;;) {
        size_t size = s->left.size < out->left ? s->left.size : out->left;

        if (size > 0)
            memcpy(out->at, s->left.at, size);
        out->at += size;
        out->left -= size;
        s->left = slice_skip(s->left, size);
        if (s->left.size > 0)
            return TRANSFORM_FULL;
        if (in->size == 0 && !(last && s->held_size > 0))
            return TRANSFORM_DONE;
        s->left = s->next(s, in, last);
    }
}

const struct transform_ops recode_ops = { "charset", run, NULL };

struct recoder *recode_create(struct arena *a, const struct recode_map *m, bool back)
{
    struct recoder *s = arena_zalloc(a, sizeof *s);

    if (s == NULL)
        return NULL;
    s->map = m;
    s->next = !back ? forwards : m->utf8 ? from_utf8 : backwards;
    return s;
}
