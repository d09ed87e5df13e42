/* file_policy.c - the directives about opening files, and the rule they make for a path. */
#include "handler/file_policy.h"

#include "conf/expr.h"
#include "conf/load.h"
#include "http/map_path.h"

#include <limits.h>

enum { TRUST_INACTIVE_MS = 60 * 1000, TRUST_MAX_MAX = 10 * 1000 * 1000 };

static uint32_t file_policy_index;

/* ---- the rule for a path ------------------------------------------------------------- */

static const enum links links_of[] = {
    [SYMLINKS_UNSAID] = LINKS_BENEATH,
    [SYMLINKS_OFF] = LINKS_FREE,
    [SYMLINKS_ON] = LINKS_NONE,
    [SYMLINKS_IF_NOT_OWNER] = LINKS_OWNED,
};

/* from=part trusts the path's beginning, if it is one, up to a slash; the whole path: all. */
static bool trust_part(struct request *r, const struct file_policy *c, struct file_place *p)
{
    struct slice from;

    if (!expr_eval(c->from, r, &r->arena, PATH_MAX, &from))
        return false;
    if (from.size == 0 || !slice_starts(p->path, from))
        return true;
    if (from.size == p->path.size)
        p->links = LINKS_FREE;
    else if (p->path.at[from.size] == '/')
        p->trusted_size = (uint32_t)from.size;
    else if (from.at[from.size - 1] == '/')
        p->trusted_size = (uint32_t)from.size - 1;
    return true;
}

bool file_place_of(struct request *r, const struct file_policy *c, struct slice path,
                   struct slice below, struct file_place *ret)
{
    *ret = (struct file_place){ .path = path,
                                .root_size = (uint32_t)map_root_part(path, below).size,
                                .links = links_of[c->symlinks] };
    if (ret->links == LINKS_BENEATH || ret->links == LINKS_FREE || c->from == NULL)
        return true;
    return trust_part(r, c, ret);
}

/* ---- directives ---------------------------------------------------------------------- */

static bool refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                   const char *expected)
{
    conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is no parameter of %.*s",
                  SLICE_FMT(conf_arg(node, arg)), SLICE_FMT(node->name));
    conf_hint(load, "expected: %s", expected);
    return false;
}

static bool read_max(struct slice text, struct file_trust *trust)
{
    uint64_t max;

    if (!slice_to_u64(text, TRUST_MAX_MAX, &max) || max == 0)
        return false;
    trust->max = (int64_t)max;
    return true;
}

static bool set_cache(struct conf_load *load, const struct conf_node *node, void *conf,
                      const struct directive *row)
{
    struct file_trust *trust = &((struct file_policy *)conf)->trust;

    (void)row;
    *trust = (struct file_trust){ .inactive_ms = TRUST_INACTIVE_MS };
    if (node->arg_count == 1 && slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    for (unsigned i = 0; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);
        bool good = slice_starts(text, SLICE("max="))
                        ? read_max(slice_skip(text, 4), trust)
                        : slice_starts(text, SLICE("inactive=")) &&
                              conf_parse_msec(slice_skip(text, 9), &trust->inactive_ms);

        if (!good)
            return refuse(load, node, i, "off, or max=number [inactive=time]");
    }
    if (trust->max == 0) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "max= is missing");
        conf_hint(load, "expected: open_file_cache max=number [inactive=time]");
        return false;
    }
    trust->on = true;
    return true;
}

static bool set_symlinks(struct conf_load *load, const struct conf_node *node, void *conf,
                         const struct directive *row)
{
    static const char *const words[] = { "off", "on", "if_not_owner" };
    struct file_policy *c = conf;

    (void)row;
    for (int i = 0; i < (int)COUNT_OF(words); i++)
        if (slice_eq(conf_arg(node, 0), slice_str(words[i])))
            c->symlinks = SYMLINKS_OFF + i;
    if (c->symlinks == SYMLINKS_UNSAID)
        return refuse(load, node, 0, "off, on or if_not_owner");
    if (node->arg_count == 1)
        return true;
    if (!slice_starts(conf_arg(node, 1), SLICE("from=")) || c->symlinks == SYMLINKS_OFF)
        return refuse(load, node, 1, "from=part, behind on or if_not_owner");
    c->from = expr_compile_text(load, node, 1, slice_skip(conf_arg(node, 1), 5));
    return c->from != NULL;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct file_policy, member)

static const struct directive rows[] = {
    { "open_file_cache", HSL, 1, 2, CONF_CUSTOM, AT(trust), "off", .set = set_cache,
      .size = sizeof(struct file_trust), .syntax = "off | max=number [inactive=time]",
      .help = "Trusts what is known of a file for open_file_cache_valid instead of looking at it "
              "again in each turn, and keeps up to max files open, each until it was not asked "
              "for that long. Without it weir keeps files open too, but trusts nothing.",
      .example = "open_file_cache max=10000 inactive=20s;" },
    { "open_file_cache_valid", HSL, 1, 1, CONF_MSEC, AT(valid_ms), "60s", .syntax = "time",
      .help = "How long what is known of a file is trusted, with open_file_cache.",
      .example = "open_file_cache_valid 30s;" },
    { "open_file_cache_min_uses", HSL, 1, 1, CONF_NUMBER, AT(min_uses), "1", .min = 1,
      .max = INT32_MAX, .syntax = "number",
      .help = "How often a file must have been asked for before it is trusted.",
      .example = "open_file_cache_min_uses 2;" },
    { "open_file_cache_errors", HSL, 1, 1, CONF_FLAG, AT(errors), "off", .syntax = "on | off",
      .help = "Whether it is trusted as well that a file could not be opened.",
      .example = "open_file_cache_errors on;" },
    { "disable_symlinks", HSL, 1, 2, CONF_CUSTOM, AT(symlinks), NULL, .set = set_symlinks,
      .size = AT(from) + sizeof(struct expr *) - AT(symlinks),
      .syntax = "off | on [from=part] | if_not_owner [from=part]",
      .help = "Which symbolic links are followed. Not said: those that stay below the root. off: "
              "all. on: none. if_not_owner: those that belong to the owner of what they point "
              "at. from= begins looking behind that part of the path.",
      .example = "disable_symlinks if_not_owner from=$document_root;" },
};

const struct feature feature_file_cache = {
    .name = "file_cache",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct file_policy),
    .about = "How files are opened, kept open, and found to have changed.",
    .index = &file_policy_index,
};
