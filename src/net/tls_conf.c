/* tls_conf.c - reads what directives about TLS have in common, and says what is wrong with it. */
#include "net/tls_conf.h"

#include <string.h>

bool tls_conf_protocols(struct conf_load *load, const struct conf_node *node, unsigned *protocols)
{
    static const struct {
        const char *name;
        unsigned bit;
    } words[] = {
        { "TLSv1", TLS_PROTOCOL_1_0 },
        { "TLSv1.1", TLS_PROTOCOL_1_1 },
        { "TLSv1.2", TLS_PROTOCOL_1_2 },
        { "TLSv1.3", TLS_PROTOCOL_1_3 },
        { "SSLv2", 0 },
        { "SSLv3", 0 },
    };

    for (unsigned i = 0; i < node->arg_count; i++) {
        size_t w = 0;

        while (w < COUNT_OF(words) && !slice_eq(conf_arg(node, i), slice_str(words[w].name)))
            w++;
        if (w == COUNT_OF(words)) {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a protocol",
                          SLICE_FMT(conf_arg(node, i)));
            conf_hint(load, "expected: TLSv1, TLSv1.1, TLSv1.2, TLSv1.3");
            return false;
        }
        if (words[w].bit == 0)
            conf_complain(load, CONF_WARN, node, (int)i,
                          "%s was broken long ago: it is not spoken here", words[w].name);
        *protocols |= words[w].bit;
    }
    if (*protocols != 0)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "no protocol is left");
    return false;
}

void tls_conf_command(struct conf_load *load, const struct conf_node *node,
                      struct tls_command **list)
{
    struct tls_command *c = arena_must(conf_arena(load), sizeof *c);

    c->name = arena_printf(conf_arena(load), "%.*s", SLICE_FMT(conf_arg(node, 0))).at;
    c->value = arena_printf(conf_arena(load), "%.*s", SLICE_FMT(conf_arg(node, 1))).at;
    while (*list != NULL)
        list = &(*list)->next;
    *list = c;
}

/* ---- files ----------------------------------------------------------------------------------- */

bool tls_conf_file(struct conf_load *load, const struct conf_node *node, struct slice text,
                   struct slice *ret)
{
    *ret = text;
    if (text.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "no file is named");
        return false;
    }
    if (slice_starts(text, SLICE("engine:")) || slice_starts(text, SLICE("store:"))) {
        conf_complain(load, CONF_EMERG, node, 0, "keys of engines and stores cannot be used");
        conf_hint(load, "expected: a file in PEM, or \"data:\" and the text itself");
        return false;
    }
    if (text.at[0] != '/' && !slice_starts(text, SLICE("data:")))
        *ret = arena_printf(conf_arena(load), "%s%.*s", conf_dir(load), SLICE_FMT(text));
    return true;
}

bool tls_conf_read(struct conf_load *load, const struct conf_node *node, struct slice path,
                   struct slice *ret)
{
    struct slice text = SLICE("data:");
    int error;

    if (slice_starts(path, text)) {
        *ret = slice_skip(path, text.size);
        return true;
    }
    error = conf_read(load, arena_printf(conf_arena(load), "%.*s", SLICE_FMT(path)).at, ret);
    if (error == 0)
        return true;
    conf_complain(load, CONF_EMERG, node, 0, "\"%.*s\" cannot be read: %s", SLICE_FMT(path),
                  strerror(-error));
    return false;
}

const char *tls_conf_text(struct conf_load *load, struct slice text, const char *none)
{
    if (text.size == 0 || slice_eq(text, slice_str(none)))
        return NULL;
    return arena_printf(conf_arena(load), "%.*s", SLICE_FMT(text)).at;
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static bool is_named(const struct conf_node *n, const char *prefix, const char *name)
{
    struct slice before = slice_str(prefix);

    return slice_starts(n->name, before) &&
           slice_eq(slice_skip(n->name, before.size), slice_str(name));
}

static const struct conf_node *find(const struct scope *scope, const char *prefix, const char *name)
{
    for (const struct scope *s = scope; s != NULL && s->node != NULL; s = s->parent)
        for (const struct conf_node *n = s->node->children; n != NULL; n = n->next)
            if (is_named(n, prefix, name))
                return n;
    return NULL;
}

const struct conf_node *tls_conf_place(const struct scope *scope, const char *prefix,
                                       const char *name)
{
    const struct conf_node *found = find(scope, prefix, name);

    return found != NULL ? found : scope->node;
}

bool tls_conf_is_said(const struct scope *scope, const char *prefix, const char *name)
{
    return find(scope, prefix, name) != NULL;
}

static const struct {
    const char *server, *client, *what;
} parts[] = {
    [TLS_PART_NONE] = { "ssl_certificate", "ssl_protocols", "TLS cannot be set up" },
    [TLS_PART_CERTIFICATE] = { "ssl_certificate", NULL, "this is not a certificate in PEM" },
    [TLS_PART_KEY] = { "ssl_certificate_key", NULL, "this is not the certificate's key" },
    [TLS_PART_PROTOCOLS] = { "ssl_protocols", NULL, "these protocols cannot be had" },
    [TLS_PART_CIPHERS] = { "ssl_ciphers", NULL, "no cipher fits" },
    [TLS_PART_CURVES] = { "ssl_ecdh_curve", NULL, "these are not curves" },
    [TLS_PART_DH] = { "ssl_dhparam", NULL, "these are not DH parameters" },
    [TLS_PART_COMMAND] = { "ssl_conf_command", NULL, "the library refuses it" },
    [TLS_PART_AUTHORITIES] = { "ssl_client_certificate", NULL, "these are not certificates" },
    [TLS_PART_TRUSTED] = { "ssl_trusted_certificate", NULL, "these are not certificates" },
    [TLS_PART_REVOKED] = { "ssl_crl", NULL, "this is not a revocation list" },
    [TLS_PART_TICKET_KEY] = { "ssl_session_ticket_key", NULL, "this is not a ticket key" },
};

const char *tls_part_name(enum tls_part part, bool client)
{
    return client && parts[part].client != NULL ? parts[part].client : parts[part].server;
}

void tls_conf_complain(struct conf_load *load, enum conf_severity severity,
                       const struct conf_node *node, const struct tls_fault *fault)
{
    conf_complain(load, severity, node, node->arg_count > 0 ? 0 : CONF_AT_NAME, "%s: %s",
                  parts[fault->part].what, fault->text);
}
