/* browser.c - is the browser a modern one, or an ancient one? By what it says in User-Agent. */
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"

enum { PARTS = 4, PART_MAX = 4000 };

/* Where a browser's version stands. Those that pretend to be others come first. */
static const struct kind {
    const char *name;
    const char *mark;    /* it is this one if this text is there           */
    const char *version; /* the version stands behind this                 */
} kinds[] = {
    { "opera", "Opera", "Opera" },
    { "msie", "MSIE ", "MSIE " },
    { "konqueror", "Konqueror", "Konqueror/" },
    { "safari", "Safari/", "Safari/" },
    { "gecko", "Gecko", "rv:" },
};

struct modern {
    const struct kind *kind;
    unsigned version[PARTS];
    struct modern *next;
};

struct ancient {
    struct slice text;
    struct ancient *next;
};

struct browser_conf {
    struct modern *modern, **modern_end;
    struct ancient *ancient, **ancient_end;
    bool unlisted; /* … browsers are modern                            */
    bool said;     /* anything of the above                            */
    struct slice modern_value, ancient_value;
};

static uint32_t browser_index;

/* ---- looking ----------------------------------------------------------------------------- */

static struct slice behind(struct slice text, const char *mark)
{
    struct slice m = slice_str(mark);
    size_t at = slice_search(text, m);

    return at < text.size ? slice_skip(text, at + m.size) : (struct slice){ 0 };
}

/* "5.0.1": how many parts could be read. */
static unsigned read_version(struct slice text, unsigned version[PARTS])
{
    unsigned n = 0;
    size_t i = 0;

    memset(version, 0, PARTS * sizeof *version);
    while (n < PARTS && i < text.size && text.at[i] >= '0' && text.at[i] <= '9') {
        for (; i < text.size && text.at[i] >= '0' && text.at[i] <= '9'; i++)
            if (version[n] < PART_MAX)
                version[n] = version[n] * 10 + (unsigned)(text.at[i] - '0');
        n++;
        if (i == text.size || text.at[i] != '.')
            break;
        i++;
    }
    return n;
}

static const struct kind *kind_of(struct slice agent)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (slice_search(agent, slice_str(kinds[i].mark)) < agent.size)
            return &kinds[i];
    return NULL;
}

static bool is_at_least(const unsigned version[PARTS], const unsigned least[PARTS])
{
    for (unsigned i = 0; i < PARTS; i++)
        if (version[i] != least[i])
            return version[i] > least[i];
    return true;
}

enum age { UNKNOWN, MODERN, ANCIENT };

/* Listed with a version: modern from that one on, ancient before. */
static enum age by_version(const struct browser_conf *conf, struct slice agent)
{
    const struct kind *kind = kind_of(agent);
    unsigned version[PARTS];
    enum age age = UNKNOWN;
    struct slice text;

    if (kind == NULL)
        return UNKNOWN;
    text = behind(agent, kind->version);
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '/'))
        text = slice_skip(text, 1);
    read_version(text, version);
    for (const struct modern *m = conf->modern; m != NULL; m = m->next) {
        if (m->kind != kind)
            continue;
        if (is_at_least(version, m->version))
            return MODERN;
        age = ANCIENT;
    }
    return age;
}

static enum age age_of(struct request *r, const struct browser_conf *conf)
{
    struct slice agent = request_field(r, FIELD_USER_AGENT);
    enum age age = by_version(conf, agent);

    if (age != UNKNOWN)
        return age;
    for (const struct ancient *a = conf->ancient; a != NULL; a = a->next)
        if (slice_search(agent, a->text) < agent.size)
            return ANCIENT;
    return conf->unlisted ? MODERN : ANCIENT;
}

/* use->number: the age that is asked for. */
static bool get_age(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct browser_conf *conf = request_conf(r, &feature_browser);

    if (!conf->said || age_of(r, conf) != (enum age)use->number)
        return false;
    gather_slice(g, use->number == MODERN ? conf->modern_value : conf->ancient_value);
    return true;
}

static bool get_msie(void *subject, const struct variable_use *use, struct gather *g)
{
    struct slice agent = request_field(subject, FIELD_USER_AGENT);

    (void)use;
    if (slice_search(agent, SLICE("MSIE ")) == agent.size ||
        slice_search(agent, SLICE("Opera")) < agent.size)
        return false;
    gather_byte(g, '1');
    return true;
}

static const struct variable vars[] = {
    { "modern_browser", get_age, .arg = MODERN,
      .help = "The value of modern_browser_value, if the browser is modern." },
    { "ancient_browser", get_age, .arg = ANCIENT,
      .help = "The value of ancient_browser_value, if the browser is not modern." },
    { "msie", get_msie, .help = "1 if the browser is an Internet Explorer up to version 10." },
};

/* ---- directives -------------------------------------------------------------------------- */

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *what)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is no %s",
                  SLICE_FMT(conf_arg(node, arg)), what);
    conf_hint(load, "expected: msie, gecko, opera, safari or konqueror and a version such as 9.0; "
                    "or unlisted");
    return false;
}

static bool set_modern(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct browser_conf *conf = own;
    struct slice name = conf_arg(node, 0), version = conf_arg(node, 1);
    struct modern *m = arena_must(conf_arena(load), sizeof *m);

    (void)row;
    conf->said = true;
    if (node->arg_count == 1) {
        conf->unlisted = slice_eq(name, SLICE("unlisted"));
        return conf->unlisted || refuse(load, node, 0, "browser without a version");
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (slice_eq(name, slice_str(kinds[i].name)))
            m->kind = &kinds[i];
    if (m->kind == NULL)
        return refuse(load, node, 0, "browser");
    if (read_version(version, m->version) == 0 || version.at[version.size - 1] < '0' ||
        version.at[version.size - 1] > '9')
        return refuse(load, node, 1, "version");
    if (conf->modern_end == NULL)
        conf->modern_end = &conf->modern;
    *conf->modern_end = m;
    conf->modern_end = &m->next;
    return true;
}

static bool set_ancient(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct browser_conf *conf = own;

    (void)row;
    conf->said = true;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct ancient *a = arena_must(conf_arena(load), sizeof *a);

        a->text = slice_eq(conf_arg(node, i), SLICE("netscape4")) ? SLICE("Mozilla/4")
                                                                  : conf_arg(node, i);
        if (conf->ancient_end == NULL)
            conf->ancient_end = &conf->ancient;
        *conf->ancient_end = a;
        conf->ancient_end = &a->next;
    }
    return true;
}

/* The list of modern ones is inherited whole, and so is that of the ancient ones. */
static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct browser_conf *outer = parent;
    struct browser_conf *conf = own;

    (void)load;
    (void)scope;
    if (outer == NULL)
        return true;
    if (conf->modern == NULL && !conf->unlisted) {
        conf->modern = outer->modern;
        conf->unlisted = outer->unlisted;
    }
    if (conf->ancient == NULL)
        conf->ancient = outer->ancient;
    conf->said |= outer->said;
    return true;
}

#define AT(member) offsetof(struct browser_conf, member)

static const struct directive rows[] = {
    { "modern_browser", CTX_ANY_HTTP, 1, 2, CONF_CUSTOM, .set = set_modern, .repeats = true,
      .syntax = "browser version | unlisted",
      .help = "From which version on a browser is modern; unlisted: those that are named nowhere "
              "are.",
      .example = "modern_browser msie 9.0;" },
    { "modern_browser_value", CTX_ANY_HTTP, 1, 1, CONF_STRING, AT(modern_value), "1",
      .syntax = "string", .help = "What $modern_browser is for modern browsers." },
    { "ancient_browser", CTX_ANY_HTTP, 1, ARGS_MANY, CONF_CUSTOM, .set = set_ancient,
      .repeats = true, .syntax = "string …",
      .help = "Texts in User-Agent by which ancient browsers are known.",
      .example = "ancient_browser Links Lynx netscape4;" },
    { "ancient_browser_value", CTX_ANY_HTTP, 1, 1, CONF_STRING, AT(ancient_value), "1",
      .syntax = "string", .help = "What $ancient_browser is for ancient browsers." },
};

const struct feature feature_browser = {
    .name = "browser",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct browser_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Modern browsers and ancient ones, told apart.",
    .index = &browser_index,
};
