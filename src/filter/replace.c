/* replace.c - texts in a stream of bytes replaced by others. */
#include "filter/replace.h"

enum { REPLACE_ROOM = 16 * 1024, NO_PAIR = -1 };

/* bytes[0..from) are gone, [from..at) are to go out as they are, [at..used) are not looked at
 * yet, or may be the beginning of a match. */
struct replacer {
    struct replace_pair *pairs;
    unsigned count;
    bool once;
    int found;            /* the pair whose match begins at `at`, or NO_PAIR        */
    struct slice pending; /* what of a replacement is still to go out             */
    char *bytes;
    size_t from, at, used, size;
    bool begins[256]; /* is it the first byte of a text that is looked for?    */
};

static void mark_beginnings(struct replacer *s)
{
    memset(s->begins, 0, sizeof s->begins);
    for (unsigned i = 0; i < s->count; i++) {
        unsigned char c = (unsigned char)s->pairs[i].match.at[0];

        if (s->pairs[i].done)
            continue;
        s->begins[c] = true;
        if (c >= 'a' && c <= 'z')
            s->begins[c - 'a' + 'A'] = true;
    }
}

struct replacer *replacer_create(struct arena *a, struct replace_pair *pairs, unsigned count,
                                 bool once)
{
    struct replacer *s = arena_zalloc(a, sizeof *s);
    size_t longest = 0;

    if (s == NULL)
        return NULL;
    for (unsigned i = 0; i < count; i++)
        if (pairs[i].match.size > longest)
            longest = pairs[i].match.size;
    s->pairs = pairs;
    s->count = count;
    s->once = once;
    s->found = NO_PAIR;
    s->size = longest + REPLACE_ROOM;
    s->bytes = arena_alloc(a, s->size);
    mark_beginnings(s);
    return s->bytes != NULL ? s : NULL;
}

/* ---- looking for matches ---------------------------------------------------------------- */

enum look { LOOK_NO, LOOK_YES, LOOK_UNKNOWN };

/* Does the text stand at `at`? UNKNOWN: so far, it does. */
static enum look look_for(const struct replacer *s, struct slice match)
{
    size_t there = s->used - s->at;
    size_t size = match.size < there ? match.size : there;

    for (size_t i = 0; i < size; i++)
        if (byte_lower((unsigned char)s->bytes[s->at + i]) != (unsigned char)match.at[i])
            return LOOK_NO;
    return size == match.size ? LOOK_YES : LOOK_UNKNOWN;
}

/* At `at` alone. In the order of the pairs: one that may still match lets later ones wait. */
static enum look look_here(struct replacer *s, bool last)
{
    for (unsigned i = 0; i < s->count; i++) {
        enum look l = s->pairs[i].done ? LOOK_NO : look_for(s, s->pairs[i].match);

        if (l == LOOK_YES)
            s->found = (int)i;
        if (l == LOOK_YES || (l == LOOK_UNKNOWN && !last))
            return l;
    }
    return LOOK_NO;
}

/* Moves `at` on to a match, or to what may become one, or to the end. */
static void look_on(struct replacer *s, bool last)
{
    for (; s->at < s->used; s->at++)
        if (s->begins[(unsigned char)s->bytes[s->at]] && look_here(s, last) != LOOK_NO)
            return;
}

/* Everything before the match is out: the replacement is next. */
static void take_match(struct replacer *s)
{
    struct replace_pair *p = &s->pairs[s->found];

    s->found = NO_PAIR;
    s->pending = p->with;
    s->at += p->match.size;
    s->from = s->at;
    if (s->once) {
        p->done = true;
        mark_beginnings(s);
    }
}

/* ---- bytes in, bytes out ------------------------------------------------------------------ */

/* How many of them fitted. */
static size_t put(struct transform_room *out, const char *at, size_t size)
{
    if (size > out->left)
        size = out->left;
    if (size > 0)
        memcpy(out->at, at, size);
    out->at += size;
    out->left -= size;
    return size;
}

static bool take_in(struct replacer *s, struct slice *in)
{
    size_t size;

    if (in->size == 0)
        return false;
    memmove(s->bytes, s->bytes + s->at, s->used - s->at);
    s->used -= s->at;
    s->at = s->from = 0;
    size = in->size < s->size - s->used ? in->size : s->size - s->used;
    memcpy(s->bytes + s->used, in->at, size);
    s->used += size;
    *in = slice_skip(*in, size);
    return true;
}

static enum transform_status run(void *state, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    struct replacer *s = state;

    for (;;) {
        s->pending = slice_skip(s->pending, put(out, s->pending.at, s->pending.size));
        if (s->pending.size > 0)
            return TRANSFORM_FULL;
        s->from += put(out, s->bytes + s->from, s->at - s->from);
        if (s->from < s->at)
            return TRANSFORM_FULL;
        if (s->found != NO_PAIR) {
            take_match(s);
            continue;
        }
        look_on(s, op == TRANSFORM_END);
        if (s->found == NO_PAIR && s->from == s->at && !take_in(s, in))
            return TRANSFORM_DONE;
    }
}

const struct transform_ops replacer_ops = { "sub_filter", run, NULL };
