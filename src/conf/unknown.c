/* unknown.c - a name that cannot stand where it stands: in the wrong block, not in weir yet,
 * misspelt, or nothing at all. */
#include "conf/known.h"
#include "conf/load_private.h"
#include "conf/registry_private.h"
#include "conf/suggest.h"

enum { WORDS_SIZE = 512 };

static void complain_context(struct conf_load *load, const struct conf_node *node,
                             const struct registry_entry *e, uint32_t context)
{
    char allowed[WORDS_SIZE], here[WORDS_SIZE];
    uint32_t contexts = 0;
    for (; e != NULL; e = e->next)
        contexts |= e->row->contexts;
    ctx_words(contexts, allowed, sizeof allowed);
    ctx_words(context, here, sizeof here);
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "`%.*s` is allowed in %s; not in %s",
                  SLICE_FMT(node->name), allowed, here);
}

static void complain_missing(struct conf_load *load, const struct conf_node *node,
                             const struct known_directive *known)
{
    const char *module = known_modules[known->module];
    bool nginx = module[0] == 'n';
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                  nginx ? "`%.*s` is an nginx directive (%s) that weir does not have yet"
                        : "`%.*s` belongs to an nginx module of others, which weir does not have",
                  SLICE_FMT(node->name), module);
}

/* Rows that may stand here are considered first, so that they win among equals. */
static void consider_rows(struct suggestion *s, const struct registry *g, uint32_t contexts)
{
    for (size_t i = 0; i < g->feature_count; i++) {
        const struct feature *f = g->features[i];
        for (size_t k = 0; k < f->row_count; k++)
            if ((f->rows[k].contexts & contexts) != 0)
                suggest_consider(s, f->rows[k].name);
    }
}

static void consider_known(struct suggestion *s, uint32_t contexts)
{
    for (size_t i = 0; i < known_directive_count; i++)
        if ((known_directives[i].contexts & contexts) != 0)
            suggest_consider(s, known_directives[i].name);
}

static void suggest_name(struct conf_load *load, struct slice name, uint32_t context)
{
    struct suggestion s;
    char words[WORDS_SIZE];
    suggest_init(&s, name);
    consider_rows(&s, load->registry, context);
    consider_rows(&s, load->registry, UINT32_MAX);
    consider_known(&s, context);
    consider_known(&s, UINT32_MAX);
    if (s.best == NULL)
        return;
    const struct registry_entry *e = registry_entries(load->registry, slice_str(s.best));
    uint32_t contexts = 0;
    for (; e != NULL; e = e->next)
        contexts |= e->row->contexts;
    ctx_words(contexts, words, sizeof words);
    if (contexts == 0)
        conf_hint(load, "help: did you mean `%s`? (weir does not have it yet)", s.best);
    else if ((contexts & context) == 0)
        conf_hint(load, "help: did you mean `%s`? (allowed in %s)", s.best, words);
    else
        conf_hint(load, "help: did you mean `%s`?", s.best);
}

void complain_unknown(struct conf_load *load, const struct conf_node *node, uint32_t context)
{
    const struct registry_entry *elsewhere = registry_entries(load->registry, node->name);
    const struct known_directive *known = known_directive_find(node->name, context);
    if (elsewhere != NULL) {
        complain_context(load, node, elsewhere, context);
        return;
    }
    if (known != NULL) {
        complain_missing(load, node, known);
        return;
    }
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "unknown directive `%.*s`",
                  SLICE_FMT(slice_head(node->name, 100)));
    if (load->latest != NULL)
        suggest_name(load, node->name, context);
}
