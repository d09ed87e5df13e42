/* lint_regex.c - reads a regular expression for what can go wrong in it.
 *
 * A repeated group is risky if the same text can be cut into repetitions in several ways: when
 * something in it is repeated itself and nothing mandatory beside it marks where one repetition
 * ends, or when two of its alternatives are a single byte each and share some. */
#include "tool/lint_regex.h"

enum { PIECES_MAX = 128, DEPTH_MAX = 32 };

struct set {
    uint64_t bits[4];
};

/* Part of an alternative: what it can hold, and how. */
struct piece {
    struct set set;
    bool must;   /* it holds at least one byte              */
    bool many;   /* it holds any number of them             */
    bool single; /* it holds exactly one                    */
};

struct reader {
    struct lint_regex *ret;
    const char *at, *end;
    bool nocase, lost;
    unsigned depth;
};

/* ---- sets of bytes ----------------------------------------------------------------------- */

static void set_add(struct set *s, unsigned char c)
{
    s->bits[c / 64] |= UINT64_C(1) << (c % 64);
}

static bool set_has(const struct set *s, unsigned char c)
{
    return (s->bits[c / 64] >> (c % 64) & 1) != 0;
}

static void set_range(struct set *s, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to && c < 256; c++)
        set_add(s, (unsigned char)c);
}

static void set_join(struct set *s, const struct set *other)
{
    for (int i = 0; i < 4; i++)
        s->bits[i] |= other->bits[i];
}

static void set_invert(struct set *s)
{
    for (int i = 0; i < 4; i++)
        s->bits[i] = ~s->bits[i];
}

static bool set_meets(const struct set *a, const struct set *b)
{
    for (int i = 0; i < 4; i++)
        if ((a->bits[i] & b->bits[i]) != 0)
            return true;
    return false;
}

static void set_fold(struct set *s)
{
    for (unsigned c = 'a'; c <= 'z'; c++) {
        if (set_has(s, (unsigned char)c))
            set_add(s, (unsigned char)(c - 32));
        if (set_has(s, (unsigned char)(c - 32)))
            set_add(s, (unsigned char)c);
    }
}

/* ---- escapes and classes ----------------------------------------------------------------- */

static const struct {
    char letter;
    const char *ranges; /* pairs: from, to */
} escape_classes[] = {
    { 'd', "09" },   { 'w', "09AZaz__" }, { 's', "\t\r  " }, { 'h', "\t\t  " }, { 'v', "\n\r" },
    { 'n', "\n\n" }, { 'r', "\r\r" },     { 't', "\t\t" },   { 'f', "\f\f" },   { 'e', "\x1b\x1b" },
};

static void add_ranges(struct set *s, const char *ranges)
{
    for (; ranges[0] != '\0'; ranges += 2)
        set_range(s, (unsigned char)ranges[0], (unsigned char)ranges[1]);
}

/* What a backslash and c stand for; false: for no byte (\b, \A …). */
static bool escape_set(struct reader *r, char c, struct set *s)
{
    if (c != 'B' && c != 'b' && strchr("AzZGKE", c) != NULL)
        return false;
    if (c == 'b' || c == 'B' || c == 'Q')
        return false;
    if (c == 'p' || c == 'P' || c == 'X' || c == 'R' || (c >= '0' && c <= '9')) {
        set_range(s, 0, 255);
        return true;
    }
    if (c == 'x' && r->end - r->at >= 2 && hex_value(r->at[0]) >= 0 && hex_value(r->at[1]) >= 0) {
        set_add(s, (unsigned char)(hex_value(r->at[0]) * 16 + hex_value(r->at[1])));
        r->at += 2;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(escape_classes); i++) {
        bool other = c == escape_classes[i].letter - 32 && strchr("DWSHV", c) != NULL;

        if (c != escape_classes[i].letter && !other)
            continue;
        add_ranges(s, escape_classes[i].ranges);
        if (other)
            set_invert(s);
        return true;
    }
    set_add(s, (unsigned char)c);
    return true;
}

static const struct {
    const char *name, *ranges;
} named_classes[] = {
    { "[:alpha:]", "AZaz" },    { "[:digit:]", "09" },      { "[:alnum:]", "09AZaz" },
    { "[:space:]", "\t\r  " },  { "[:upper:]", "AZ" },      { "[:lower:]", "az" },
    { "[:xdigit:]", "09AFaf" }, { "[:word:]", "09AZaz__" },
};

static bool named_class(struct reader *r, struct set *s)
{
    struct slice rest = slice_of(r->at, (size_t)(r->end - r->at));

    for (size_t i = 0; i < COUNT_OF(named_classes); i++) {
        if (!slice_starts(rest, slice_str(named_classes[i].name)))
            continue;
        add_ranges(s, named_classes[i].ranges);
        r->at += strlen(named_classes[i].name);
        return true;
    }
    return false;
}

/* Behind the "[". */
static void read_class(struct reader *r, struct set *s)
{
    bool inverted = r->at < r->end && *r->at == '^';
    const char *first = r->at += inverted;
    int last = -1; /* a byte that may begin a range */

    while (r->at < r->end && (*r->at != ']' || r->at == first)) {
        char c = *r->at;

        if (c == '[' && named_class(r, s)) {
            last = -1;
            continue;
        }
        r->at++;
        if (c == '\\' && r->at < r->end) {
            char e = *r->at++;

            (void)escape_set(r, e, s);
            last = strchr("dDwWsShHvVnrtpPx", e) != NULL ? -1 : (unsigned char)e;
        } else if (c == '-' && last >= 0 && r->at < r->end && *r->at != ']' && *r->at != '\\') {
            set_range(s, (unsigned)last, (unsigned char)*r->at++);
            last = -1;
        } else {
            set_add(s, (unsigned char)c);
            last = (unsigned char)c;
        }
    }
    r->at += r->at < r->end;
    if (r->nocase)
        set_fold(s);
    if (inverted)
        set_invert(s);
}

/* ---- groups ------------------------------------------------------------------------------ */

static bool read_alternatives(struct reader *r, struct piece *ret);

/* Something in the alternative is repeated, and nothing beside it marks an end. */
static bool is_ambiguous(const struct piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool marked = !pieces[i].many;

        for (size_t k = 0; k < count && !marked; k++)
            marked = k != i && pieces[k].must && !set_meets(&pieces[k].set, &pieces[i].set);
        if (!marked)
            return true;
    }
    return false;
}

/* Named groups and those that are no groups: what follows "(?". */
struct opening {
    const char *begin;
    bool captures, empty, atomic;
};

static const struct opening openings[] = {
    { "<=", false, true, false }, { "<!", false, true, false }, { "=", false, true, false },
    { "!", false, true, false },  { ">", false, false, true },  { ":", false, false, false },
    { "|", false, false, false }, { "P<", true, false, false }, { "<", true, false, false },
    { "'", true, false, false },
};

static struct opening read_opening(struct reader *r)
{
    struct slice rest = slice_of(r->at, (size_t)(r->end - r->at));
    const char *from;

    if (rest.size < 2 || rest.at[0] != '?')
        return (struct opening){ "", true, false, false };
    r->at++;
    rest = slice_skip(rest, 1);
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        if (!slice_starts(rest, slice_str(openings[i].begin)))
            continue;
        from = r->at += strlen(openings[i].begin);
        while (openings[i].captures && r->at < r->end && strchr(">')", *r->at) == NULL)
            r->at++;
        if (openings[i].captures && r->ret->groups + 1 < LINT_GROUPS_MAX)
            r->ret->names[r->ret->groups + 1] = slice_of(from, (size_t)(r->at - from));
        r->at += openings[i].captures && r->at < r->end;
        return openings[i];
    }
    while (r->at < r->end && *r->at != ':' && *r->at != ')') /* (?i) and (?i:…) */
        r->nocase |= *r->at++ == 'i';
    r->at += r->at < r->end && *r->at == ':';
    return (struct opening){ "", false, false, false };
}

/* Behind the "(": a piece, and whether its repetition would be risky. */
static bool read_group(struct reader *r, struct piece *ret)
{
    struct opening o = read_opening(r);
    unsigned number = o.captures ? ++r->ret->groups : 0;

    if (++r->depth > DEPTH_MAX) {
        r->lost = true;
        return false;
    }
    bool risky = read_alternatives(r, ret);

    r->depth--;
    r->lost |= r->at >= r->end;
    r->at += r->at < r->end;
    if (o.captures && number < LINT_GROUPS_MAX && set_has(&ret->set, '\n'))
        r->ret->line_feeds |= UINT32_C(1) << number;
    if (o.empty)
        *ret = (struct piece){ 0 };
    return risky && !o.atomic && !o.empty;
}

/* ---- alternatives, pieces, quantifiers ---------------------------------------------------- */

static bool read_atom(struct reader *r, struct piece *ret)
{
    char c = *r->at++;

    *ret = (struct piece){ .must = true, .single = true };
    if (c == '(')
        return read_group(r, ret);
    if (c == '[') {
        read_class(r, &ret->set);
    } else if (c == '.') {
        set_add(&ret->set, '\n');
        set_invert(&ret->set);
    } else if (c == '^' || c == '$') {
        *ret = (struct piece){ 0 };
    } else if (c == '\\' && r->at < r->end) {
        c = *r->at++;
        if (!escape_set(r, c, &ret->set))
            *ret = (struct piece){ 0 };
    } else {
        set_add(&ret->set, (unsigned char)c);
    }
    if (r->nocase)
        set_fold(&ret->set);
    return false;
}

/* "{2,}" and its like: behind it, or at itself if it is no quantifier. */
static const char *read_braces(const char *at, const char *end, bool *ret_none, bool *ret_many)
{
    const char *c = at + 1;
    bool digits = false;

    *ret_none = c < end && *c == '0';
    for (; c < end && *c >= '0' && *c <= '9'; c++)
        digits = true;
    bool open = c < end && *c == ',';

    c += open;
    *ret_many = open && c < end && *c == '}';
    while (c < end && *c >= '0' && *c <= '9')
        c++;
    return digits && c < end && *c == '}' ? c + 1 : at;
}

static void read_quantifier(struct reader *r, struct piece *p, bool risky, const char *from)
{
    bool none = false, many = false;
    const char *begin = r->at;

    if (r->at >= r->end || strchr("*+?{", *r->at) == NULL)
        return;
    if (*r->at == '{') {
        r->at = read_braces(r->at, r->end, &none, &many);
        if (r->at == begin)
            return;
    } else {
        none = *r->at != '+';
        many = *r->at++ != '?';
    }
    bool possessive = r->at < r->end && *r->at == '+';

    r->at += r->at < r->end && (*r->at == '+' || *r->at == '?');
    p->must &= !none;
    p->many |= many && !possessive;
    p->single = false;
    if (!many || possessive || !risky || r->ret->risky)
        return;
    r->ret->risky = true;
    r->ret->why = slice_of(from, (size_t)(r->at - from));
}

/* One alternative, joined into *ret; true: to repeat it would be risky. */
static bool read_sequence(struct reader *r, struct piece *ret)
{
    struct piece pieces[PIECES_MAX];
    size_t count = 0, bytes = 0;
    bool must = false, many = false, single = false;

    *ret = (struct piece){ 0 };
    while (r->at < r->end && *r->at != '|' && *r->at != ')') {
        const char *from = r->at;
        struct piece p;
        bool risky = read_atom(r, &p);

        read_quantifier(r, &p, risky, from);
        set_join(&ret->set, &p.set);
        must |= p.must;
        many |= p.many;
        single = p.single;
        bytes += p.must || p.many;
        if (count < PIECES_MAX)
            pieces[count++] = p;
    }
    ret->must = must;
    ret->many = many;
    ret->single = single && bytes == 1;
    return count < PIECES_MAX && is_ambiguous(pieces, count);
}

static bool read_alternatives(struct reader *r, struct piece *ret)
{
    struct set singles = { { 0 } };
    struct piece p;
    bool risky = false, first = true;

    *ret = (struct piece){ .must = true, .single = true };
    do {
        r->at += !first;
        first = false;
        risky |= read_sequence(r, &p);
        set_join(&ret->set, &p.set);
        ret->must &= p.must;
        ret->many |= p.many;
        ret->single &= p.single;
        if (!p.single)
            continue;
        risky |= set_meets(&singles, &p.set);
        set_join(&singles, &p.set);
    } while (r->at < r->end && *r->at == '|');
    return risky;
}

void lint_regex_read(struct lint_regex *ret, struct slice pattern, bool nocase)
{
    struct reader r = { .ret = ret, .at = pattern.at, .nocase = nocase };
    struct piece whole;

    *ret = (struct lint_regex){ 0 };
    if (pattern.size == 0)
        return;
    r.end = pattern.at + pattern.size;
    (void)read_alternatives(&r, &whole);
    if (r.lost || r.at < r.end)
        ret->risky = false;
}

/* ---- dots -------------------------------------------------------------------------------- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The next dot outside of classes, without a backslash before it or a quantifier behind it. */
static size_t next_dot(struct slice s, size_t i)
{
    for (bool inside = false; i < s.size; i++) {
        if (s.at[i] == '\\')
            i++;
        else if (inside ? s.at[i] == ']' : s.at[i] == '[')
            inside = !inside;
        else if (!inside && s.at[i] == '.' &&
                 (i + 1 == s.size || strchr("*+?{", s.at[i + 1]) == NULL))
            return i;
    }
    return s.size;
}

size_t lint_regex_host_dot(struct slice s)
{
    for (size_t i = next_dot(s, 0); i < s.size; i = next_dot(s, i + 1))
        if (i > 0 && i + 1 < s.size &&
            (is_name(s.at[i - 1]) || strchr(")+*]", s.at[i - 1]) != NULL) &&
            (is_name(s.at[i + 1]) || s.at[i + 1] == '('))
            return i;
    return s.size;
}

/* ".php", ".php$", ".(jpg|png)$", ".(?:js)$" at the end. */
size_t lint_regex_suffix_dot(struct slice s)
{
    for (size_t i = next_dot(s, 0); i < s.size; i = next_dot(s, i + 1)) {
        struct slice rest = slice_skip(s, i + 1);
        size_t k = 0;

        if (i > 0 && strchr("^/(|", s.at[i - 1]) != NULL && rest.size > 0 && rest.at[0] != '(')
            continue;
        if (slice_starts(rest, SLICE("(?:")))
            rest = slice_skip(rest, 3);
        while (k < rest.size && (is_name(rest.at[k]) || strchr("(|)?", rest.at[k]) != NULL))
            k++;
        if (k > 0 && (k == rest.size || (rest.at[k] == '$' && k + 1 == rest.size)))
            return i;
    }
    return s.size;
}
