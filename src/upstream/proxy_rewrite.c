/* proxy_rewrite.c - redirects and cookies of a peer, as clients shall see them. */
#include "upstream/proxy.h"

#include "conf/expr.h"
#include "conf/regex.h"

enum { VALUE_MAX = 16 * 1024 };

/* ---- reading ----------------------------------------------------------------------------- */

static bool read_pattern(struct conf_load *load, const struct conf_node *node, unsigned arg,
                         struct regex **regex, bool always_nocase)
{
    struct slice text = conf_arg(node, arg);
    unsigned flags = always_nocase ? REGEX_NOCASE : 0;

    if (text.size == 0 || text.at[0] != '~')
        return true;
    text = slice_skip(text, 1);
    if (text.size > 0 && text.at[0] == '*') {
        text = slice_skip(text, 1);
        flags = REGEX_NOCASE;
    }
    *regex = regex_compile(load, node, arg, text, flags);
    return *regex != NULL;
}

static bool add_change(struct conf_load *load, const struct conf_node *node, struct changes *all,
                       bool domain)
{
    struct change *c = arena_must(conf_arena(load), sizeof *c);

    if (!read_pattern(load, node, 0, &c->regex, domain))
        return false;
    if (c->regex == NULL)
        c->from = expr_compile(load, node, 0);
    c->to = expr_compile(load, node, 1);
    if (c->to == NULL || (c->regex == NULL && c->from == NULL))
        return false;
    if (all->end == NULL)
        all->end = &all->first;
    *all->end = c;
    all->end = &c->next;
    all->off = false;
    return true;
}

static bool set_changes(struct conf_load *load, const struct conf_node *node, struct changes *all,
                        bool domain, bool has_standard)
{
    struct slice word = conf_arg(node, 0);

    if (node->arg_count == 2)
        return add_change(load, node, all, domain);
    all->off = slice_eq(word, SLICE("off"));
    if (has_standard && slice_eq(word, SLICE("default"))) {
        all->standard = true;
        return true;
    }
    if (all->off)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" stands alone", SLICE_FMT(word));
    conf_hint(load, "expected: what is replaced and what by%s, or off",
              has_standard ? ", or default" : "");
    return false;
}

bool proxy_set_redirect(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    (void)row;
    return set_changes(load, node, &((struct proxy_conf *)own)->redirect, false, true);
}

bool proxy_set_cookie_domain(struct conf_load *load, const struct conf_node *node, void *own,
                             const struct directive *row)
{
    (void)row;
    return set_changes(load, node, &((struct proxy_conf *)own)->cookie_domain, true, false);
}

bool proxy_set_cookie_path(struct conf_load *load, const struct conf_node *node, void *own,
                           const struct directive *row)
{
    (void)row;
    return set_changes(load, node, &((struct proxy_conf *)own)->cookie_path, false, false);
}

enum cookie_flag { COOKIE_SECURE = 1, COOKIE_HTTPONLY = 2, COOKIE_SAMESITE = 4 };

static bool read_flag(struct slice word, struct cookie_flags *f)
{
    static const struct {
        struct slice word;
        unsigned on, off;
        struct slice same_site;
    } all[] = {
        { { "secure", 6 }, COOKIE_SECURE, 0, { 0 } },
        { { "nosecure", 8 }, 0, COOKIE_SECURE, { 0 } },
        { { "httponly", 8 }, COOKIE_HTTPONLY, 0, { 0 } },
        { { "nohttponly", 10 }, 0, COOKIE_HTTPONLY, { 0 } },
        { { "samesite=strict", 15 }, COOKIE_SAMESITE, 0, { "Strict", 6 } },
        { { "samesite=lax", 12 }, COOKIE_SAMESITE, 0, { "Lax", 3 } },
        { { "samesite=none", 13 }, COOKIE_SAMESITE, 0, { "None", 4 } },
        { { "nosamesite", 10 }, 0, COOKIE_SAMESITE, { 0 } },
    };

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (!slice_eq_nocase(word, all[i].word))
            continue;
        f->on |= all[i].on;
        f->off |= all[i].off;
        if (all[i].same_site.size > 0)
            f->same_site = all[i].same_site;
        return true;
    }
    return false;
}

bool proxy_set_cookie_flags(struct conf_load *load, const struct conf_node *node, void *own,
                            const struct directive *row)
{
    struct proxy_conf *c = own;
    struct cookie_flags *f = arena_must(conf_arena(load), sizeof *f);

    (void)row;
    if (node->arg_count == 1 && slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    f->name = conf_arg(node, 0);
    if (!read_pattern(load, node, 0, &f->regex, false))
        return false;
    for (unsigned i = 1; i < node->arg_count; i++) {
        if (read_flag(conf_arg(node, i), f))
            continue;
        conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is no flag of a cookie",
                      SLICE_FMT(conf_arg(node, i)));
        conf_hint(load, "expected: secure, httponly, samesite=strict, samesite=lax, samesite=none, "
                        "or one of them with no before it");
        return false;
    }
    if (c->cookie_flags_end == NULL)
        c->cookie_flags_end = &c->cookie_flags;
    *c->cookie_flags_end = f;
    c->cookie_flags_end = &f->next;
    return true;
}

/* ---- one change -------------------------------------------------------------------------- */

/* The replacement is evaluated with the pattern's captures, the request's own stay as they are. */
static bool eval_captured(struct request *r, const struct change *c, const struct slice *captures,
                          struct slice *ret)
{
    struct slice own[CAPTURES_MAX];
    const struct regex *of = r->captures_of;
    bool made;

    memcpy(own, r->captures, sizeof own);
    memcpy(r->captures, captures, sizeof own);
    r->captures_of = c->regex;
    made = expr_eval(c->to, r, &r->arena, VALUE_MAX, ret);
    memcpy(r->captures, own, sizeof own);
    r->captures_of = of;
    return made;
}

static struct slice join(struct request *r, struct slice a, struct slice b, struct slice c)
{
    size_t size = a.size + b.size + c.size;
    char *into = arena_bytes(&r->arena, size + 1);
    struct gather g;

    if (into == NULL)
        return (struct slice){ 0 };
    gather_init(&g, into, size + 1, NULL, 0);
    gather_slice(&g, a);
    gather_slice(&g, b);
    gather_slice(&g, c);
    return gather_get(&g);
}

enum outcome { UNCHANGED, CHANGED, NO_MEMORY };

static enum outcome change_matched(struct request *r, const struct change *c, struct slice *value)
{
    struct slice captures[CAPTURES_MAX] = { 0 }, to;
    size_t before, behind;

    if (regex_match(c->regex, *value, captures, CAPTURES_MAX) != REGEX_YES)
        return UNCHANGED;
    if (!eval_captured(r, c, captures, &to))
        return NO_MEMORY;
    before = (size_t)(captures[0].at - value->at);
    behind = before + captures[0].size;
    *value = join(r, slice_head(*value, before), to, slice_skip(*value, behind));
    return value->at != NULL ? CHANGED : NO_MEMORY;
}

/* whole: the value must be that text, not only begin with it. */
static enum outcome change_text(struct request *r, const struct change *c, struct slice *value,
                                bool whole)
{
    struct slice from, to;

    if (!expr_eval(c->from, r, &r->arena, VALUE_MAX, &from))
        return NO_MEMORY;
    if (whole && value->size > 0 && value->at[0] == '.' && from.size > 0 && from.at[0] != '.')
        *value = slice_skip(*value, 1); /* a leading dot means nothing in a domain */
    if (whole && from.size > 0 && from.at[0] == '.')
        from = slice_skip(from, 1);
    if (whole ? !slice_eq_nocase(from, *value) : !slice_starts(*value, from))
        return UNCHANGED;
    if (!expr_eval(c->to, r, &r->arena, VALUE_MAX, &to))
        return NO_MEMORY;
    *value = join(r, to, slice_skip(*value, from.size), (struct slice){ 0 });
    return value->at != NULL ? CHANGED : NO_MEMORY;
}

static enum outcome change_first(struct request *r, const struct changes *all, struct slice *value,
                                 bool whole)
{
    for (const struct change *c = all->first; c != NULL; c = c->next) {
        enum outcome o =
            c->regex != NULL ? change_matched(r, c, value) : change_text(r, c, value, whole);

        if (o != UNCHANGED)
            return o;
    }
    return UNCHANGED;
}

/* ---- redirects --------------------------------------------------------------------------- */

/* proxy_redirect default: http[s]://peer/uri is the location's own path. */
static enum outcome change_standard(struct request *r, const struct proxied *px,
                                    struct slice *value)
{
    const struct target *t = px->target;
    struct slice from, to = t->has_uri ? t->prefix : SLICE("/");

    if (t->url != NULL)
        return UNCHANGED;
    from = join(r, t->tls ? SLICE("https://") : SLICE("http://"), t->host,
                t->has_uri ? t->uri : SLICE("/"));
    if (from.at == NULL)
        return NO_MEMORY;
    if (!slice_starts(*value, from))
        return UNCHANGED;
    *value = join(r, to, slice_skip(*value, from.size), (struct slice){ 0 });
    return value->at != NULL ? CHANGED : NO_MEMORY;
}

struct slice proxy_change_redirect(struct request *r, const struct proxied *px, struct slice value,
                                   bool *changed)
{
    const struct changes *all = &px->conf->redirect;
    enum outcome o = UNCHANGED;

    if (!all->off && all->standard)
        o = change_standard(r, px, &value);
    if (o == UNCHANGED && !all->off)
        o = change_first(r, all, &value, false);
    *changed = o == CHANGED;
    return o == NO_MEMORY ? (struct slice){ 0 } : value;
}

/* ---- cookies ----------------------------------------------------------------------------- */

static const struct cookie_flags *flags_for(const struct proxy_conf *c, struct slice name)
{
    for (const struct cookie_flags *f = c->cookie_flags; f != NULL; f = f->next) {
        struct slice captures[CAPTURES_MAX];

        if (f->regex != NULL ? regex_match(f->regex, name, captures, CAPTURES_MAX) == REGEX_YES
                             : slice_eq_nocase(f->name, name))
            return f;
    }
    return NULL;
}

struct cookie {
    struct request *request;
    const struct proxy_conf *conf;
    const struct cookie_flags *flags;
    unsigned flags_off, said; /* attributes that do not stay; that are there      */
    struct gather out;
};

/* Which flag an attribute is; 0: none. */
static unsigned flag_of(struct slice name)
{
    return slice_eq_nocase(name, SLICE("Secure"))     ? COOKIE_SECURE
           : slice_eq_nocase(name, SLICE("HttpOnly")) ? COOKIE_HTTPONLY
           : slice_eq_nocase(name, SLICE("SameSite")) ? COOKIE_SAMESITE
                                                      : 0;
}

static bool copy_attribute(struct cookie *k, struct slice attribute)
{
    struct slice value = slice_trim(attribute), name = slice_trim(slice_cut(&value, '='));
    bool domain = slice_eq_nocase(name, SLICE("Domain"));
    const struct changes *all = domain                                 ? &k->conf->cookie_domain
                                : slice_eq_nocase(name, SLICE("Path")) ? &k->conf->cookie_path
                                                                       : NULL;

    unsigned flag = k->flags != NULL ? flag_of(name) : 0;

    if ((flag & k->flags_off) != 0)
        return true; /* it is said anew, or not at all */
    k->said |= flag;
    if (all == NULL || all->off || all->first == NULL) {
        gather_slice(&k->out, attribute);
        return true;
    }
    value = slice_trim(value);
    if (change_first(k->request, all, &value, domain) == NO_MEMORY)
        return false;
    gather_byte(&k->out, ' ');
    gather_slice(&k->out, name);
    gather_byte(&k->out, '=');
    gather_slice(&k->out, value);
    return true;
}

static void add_flags(struct cookie *k)
{
    unsigned on = k->flags != NULL ? k->flags->on & ~k->said : 0;

    if (on & COOKIE_SECURE)
        gather_lit(&k->out, "; Secure");
    if (on & COOKIE_HTTPONLY)
        gather_lit(&k->out, "; HttpOnly");
    if (on & COOKIE_SAMESITE) {
        gather_lit(&k->out, "; SameSite=");
        gather_slice(&k->out, k->flags->same_site);
    }
}

struct slice proxy_change_cookie(struct request *r, const struct proxied *px, struct slice value)
{
    const struct proxy_conf *c = px->conf;
    struct cookie k = { .request = r, .conf = c };
    struct slice rest = value, pair = slice_cut(&rest, ';'), name = pair;
    bool more = pair.size < value.size;

    if (c->cookie_domain.first == NULL && c->cookie_path.first == NULL && c->cookie_flags == NULL)
        return value;
    k.flags = flags_for(c, slice_trim(slice_cut(&name, '=')));
    if (k.flags != NULL)
        k.flags_off = k.flags->off | (k.flags->on & COOKIE_SAMESITE);
    gather_init(&k.out, NULL, 0, &r->arena, VALUE_MAX);
    gather_slice(&k.out, pair);
    while (more) {
        struct slice attribute = slice_cut(&rest, ';');
        size_t before = k.out.used;

        more = rest.size > 0;
        gather_byte(&k.out, ';');
        if (!copy_attribute(&k, attribute))
            return (struct slice){ 0 };
        if (k.out.used == before + 1)
            k.out.used = before;
    }
    add_flags(&k);
    return k.out.full ? (struct slice){ 0 } : gather_get(&k.out);
}
