/* ssi_scan.c - the grammar of server side includes: <!--# name param="value" … --> */
#include "filter/ssi_scan.h"

#include <string.h>

static const char opening[] = "<!--#";
enum { OPENING_SIZE = sizeof opening - 1 };

/* ---- text ---------------------------------------------------------------------------------- */

static struct slice take(struct slice *in, size_t size)
{
    struct slice head = slice_head(*in, size);

    *in = slice_skip(*in, size);
    return head;
}

static enum ssi_found scan_text(struct ssi_scan *s, struct slice *in, struct slice *ret)
{
    while (in->size > 0) {
        if (s->matched == 0) {
            const char *begin = memchr(in->at, opening[0], in->size);
            size_t before = begin != NULL ? (size_t)(begin - in->at) : in->size;

            if (before > 0) {
                *ret = take(in, before);
                return SSI_TEXT;
            }
        }
        if (in->at[0] != opening[s->matched]) {
            *ret = slice_of(opening, s->matched);
            s->matched = 0;
            return SSI_TEXT;
        }
        take(in, 1);
        if (++s->matched < OPENING_SIZE)
            continue;
        s->matched = s->dashes = 0;
        s->used = 0;
        s->quote = '\0';
        s->inside = true;
        s->too_long = s->escaped = false;
        return SSI_MORE;
    }
    return SSI_MORE;
}

/* ---- commands -------------------------------------------------------------------------------- */

static void keep(struct ssi_scan *s, char c)
{
    if (s->used < sizeof s->command)
        s->command[s->used++] = c;
    else
        s->too_long = true;
}

/* True: c is the last byte of the command. One that is too long ends at the first "-->". */
static bool step(struct ssi_scan *s, char c)
{
    if (s->quote != '\0' && !s->too_long) {
        if (s->escaped)
            s->escaped = false;
        else if (c == '\\')
            s->escaped = true;
        else if (c == s->quote)
            s->quote = '\0';
        return false;
    }
    if (c == '>' && s->dashes >= 2)
        return true;
    s->dashes = c == '-' ? s->dashes + 1 : 0;
    if (c == '"' || c == '\'')
        s->quote = c;
    return false;
}

static enum ssi_found scan_command(struct ssi_scan *s, struct slice *in)
{
    while (in->size > 0) {
        char c = take(in, 1).at[0];

        if (step(s, c)) {
            s->inside = false;
            s->used -= s->too_long ? 0 : 2; /* the dashes */
            return s->too_long ? SSI_BROKEN : SSI_COMMAND;
        }
        keep(s, c);
    }
    return SSI_MORE;
}

enum ssi_found ssi_scan(struct ssi_scan *s, struct slice *in, struct slice *ret)
{
    enum ssi_found found = s->inside ? SSI_MORE : scan_text(s, in, ret);

    return found == SSI_MORE && s->inside ? scan_command(s, in) : found;
}

struct slice ssi_scan_end(struct ssi_scan *s, bool *ret_unclosed)
{
    struct slice held = slice_of(opening, s->matched);

    *ret_unclosed = s->inside;
    s->matched = 0;
    s->inside = false;
    return held;
}

/* ---- taking apart ---------------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct slice *left)
{
    while (left->size > 0 && is_space(left->at[0]))
        take(left, 1);
}

/* Letters and "_", made lower case in place. */
static struct slice take_word(struct slice *left)
{
    size_t n = 0;

    for (; n < left->size; n++) {
        char c = (char)byte_lower((unsigned char)left->at[n]);

        if (!((c >= 'a' && c <= 'z') || c == '_'))
            break;
        ((char *)(uintptr_t)left->at)[n] = c;
    }
    return take(left, n);
}

/* "…" or '…'; escaped quotes lose their backslash, in place. */
static bool take_value(struct slice *left, struct slice *ret)
{
    char *into = (char *)(uintptr_t)left->at;
    char quote = left->size > 0 ? into[0] : '\0';
    size_t n = 0, i = 1;

    if (quote != '"' && quote != '\'')
        return false;
    for (; i < left->size && into[i] != quote; i++) {
        if (into[i] == '\\' && i + 1 < left->size) {
            if (into[i + 1] != quote)
                into[n++] = '\\';
            i++;
        }
        into[n++] = into[i];
    }
    if (i == left->size)
        return false;
    *ret = slice_of(into, n);
    take(left, i + 1);
    return true;
}

bool ssi_parse(struct ssi_scan *s, struct ssi_command *ret)
{
    struct slice left = slice_of(s->command, s->used);

    skip_space(&left);
    ret->name = take_word(&left);
    ret->count = 0;
    for (skip_space(&left); left.size > 0; skip_space(&left)) {
        struct ssi_param *p = &ret->params[ret->count];

        if (ret->count++ == SSI_PARAMS_MAX)
            return false;
        p->name = take_word(&left);
        skip_space(&left);
        if (p->name.size == 0 || left.size == 0 || take(&left, 1).at[0] != '=')
            return false;
        skip_space(&left);
        if (!take_value(&left, &p->value))
            return false;
    }
    return ret->name.size > 0;
}

struct slice ssi_param(const struct ssi_command *c, const char *name)
{
    for (unsigned i = 0; i < c->count; i++)
        if (slice_eq(c->params[i].name, slice_str(name)))
            return c->params[i].value;
    return (struct slice){ 0 };
}
