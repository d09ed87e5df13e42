/* lint_safety.c - rules about what a client can do with a configuration. */
#include "tool/lint_private.h"

#include <arpa/inet.h>

/* ---- decoded paths in lines of text -------------------------------------------------------- */

/* The argument that becomes part of a line, or NULL. */
static const struct conf_arg *find_line(const struct conf_node *n)
{
    uint32_t at = node_is(n, "proxy_pass") || (node_is(n, "return") && n->arg_count == 1) ? 0 : 1;
    struct slice text = conf_arg(n, at), code = conf_arg(n, 0);
    bool url = slice_starts(text, SLICE("http")) || slice_starts(text, SLICE("$scheme"));

    if (at >= n->arg_count)
        return NULL;
    if (node_is(n, "rewrite") && !arg_is(n, 2, "redirect") && !arg_is(n, 2, "permanent") && !url)
        return NULL;
    if (node_is(n, "return") && at == 1 && (code.size != 3 || code.at[0] != '3'))
        return NULL;
    return &n->args[at];
}

static void tell_variable(struct lint *l, const struct conf_node *n, const struct conf_arg *arg,
                          struct slice name, const char *why)
{
    if (find_variable(arg->text, name) == arg->text.size)
        return;
    lint_tell(l, n, (int)(arg - n->args),
              "$request_uri is as the client wrote it; in a class, exclude \\s too: [^/\\s]",
              "`$%.*s` is %s: a client that asks for /%%0d%%0aX:y writes a line of its own here",
              SLICE_FMT(name), why);
}

/* The nearest regular expression on the decoded path around the directive; false: there is none. */
static bool find_pattern(const struct spot *s, struct node_regex *ret)
{
    for (s = s->outer; s != NULL; s = s->outer) {
        if (node_is(s->node, "location") && node_regex(s, 0, ret))
            return true;
        if (node_is(s->node, "if") && node_regex(s, 0, ret)) {
            struct slice name = conf_arg(s->node, 0);

            return find_variable(name, SLICE("uri")) < name.size ||
                   find_variable(name, SLICE("document_uri")) < name.size;
        }
    }
    return false;
}

void look_line_feed(struct lint *l, const struct spot *s)
{
    static const char *const digits = "123456789";
    const struct conf_arg *arg = find_line(s->node);
    struct node_regex pattern;
    struct lint_regex r;

    if (arg == NULL)
        return;
    tell_variable(l, s->node, arg, SLICE("uri"), "the decoded path");
    tell_variable(l, s->node, arg, SLICE("document_uri"), "the decoded path");
    if (node_is(s->node, "rewrite") || !find_pattern(s, &pattern))
        return;
    lint_regex_read(&r, pattern.pattern, pattern.nocase);
    for (unsigned i = 1; i <= r.groups && i < LINT_GROUPS_MAX; i++) {
        const char *why = "a part of the decoded path that may hold a line feed";

        if ((r.line_feeds >> i & 1) == 0)
            continue;
        if (i <= 9)
            tell_variable(l, s->node, arg, slice_of(digits + i - 1, 1), why);
        if (r.names[i].size > 0)
            tell_variable(l, s->node, arg, r.names[i], why);
    }
}

/* ---- regular expressions ------------------------------------------------------------------ */

void look_regex_risky(struct lint *l, const struct spot *s)
{
    struct node_regex found;
    struct lint_regex r;

    for (unsigned i = 0; node_regex(s, i, &found); i++) {
        lint_regex_read(&r, found.pattern, found.nocase);
        if (r.risky)
            lint_tell(l, s->node, found.arg,
                      "one repetition is enough: (a+)+ is a+; or make it possessive: (?>…)*",
                      "`%.*s` matches the same text in many ways; a request that nearly matches "
                      "takes very long",
                      SLICE_FMT(r.why));
    }
}

void look_regex_dot(struct lint *l, const struct spot *s)
{
    bool host = node_is(s->node, "server_name");
    struct node_regex found;

    for (unsigned i = 0; node_regex(s, i, &found); i++) {
        struct slice p = found.pattern;
        size_t at = host ? lint_regex_host_dot(p) : lint_regex_suffix_dot(p);

        if (at < p.size)
            lint_tell(l, s->node, found.arg,
                      lint_printf(l, "%.*s\\.%.*s", SLICE_FMT(slice_head(p, at)),
                                  SLICE_FMT(slice_skip(p, at + 1))),
                      "the dot before `%.*s` stands for any byte",
                      SLICE_FMT(slice_skip(p, at + 1)));
    }
}

/* ---- settings ----------------------------------------------------------------------------- */

void look_tls(struct lint *l, const struct spot *s)
{
    static const char *const weak[] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1" };

    for (unsigned i = 0; i < s->node->arg_count; i++)
        for (size_t k = 0; k < COUNT_OF(weak); k++)
            if (arg_is(s->node, i, weak[k]))
                lint_tell(l, s->node, (int)i,
                          lint_printf(l, "%.*s TLSv1.2 TLSv1.3;", SLICE_FMT(s->node->name)),
                          "%s is not to be used any more", weak[k]);
}

/* Does anything here say who may come in? */
void look_api(struct lint *l, const struct spot *s)
{
    static const char *const guards[] = { "allow", "deny", "auth_basic", "auth_request" };

    if (!arg_is(s->node, 0, "write=on"))
        return;
    for (size_t i = 0; i < COUNT_OF(guards); i++)
        if (spot_inherited(l, s, guards[i]) != NULL)
            return;
    lint_tell(l, s->node, 0, "allow 127.0.0.1; deny all; or weir upstream, which needs no location",
              "everybody can change the servers that requests are passed on to");
}

void look_server_tokens(struct lint *l, const struct spot *s)
{
    if (arg_is(s->node, 0, "on"))
        lint_tell(l, s->node, 0, "server_tokens off;",
                  "answers and error pages tell which version this is");
}

void look_merge_slashes(struct lint *l, const struct spot *s)
{
    if (arg_is(s->node, 0, "off"))
        lint_tell(l, s->node, 0, "merge_slashes on;",
                  "//admin is not in `location /admin` then, but names the same file");
}

void look_host_header(struct lint *l, const struct spot *s)
{
    if (slice_eq_nocase(conf_arg(s->node, 0), SLICE("Host")) &&
        (arg_is(s->node, 1, "$http_host") || arg_is(s->node, 1, "${http_host}")))
        lint_tell(l, s->node, 1, lint_printf(l, "%.*s Host $host;", SLICE_FMT(s->node->name)),
                  "`$http_host` is passed on as the client wrote it, unlike the name that chose "
                  "this server");
}

void look_access_order(struct lint *l, const struct spot *s)
{
    for (const struct conf_node *n = spot_siblings(l, s); n != s->node; n = n->next)
        if (node_among(n, "allow deny") && arg_is(n, 0, "all")) {
            lint_tell(l, s->node, CONF_AT_NAME,
                      lint_printf(l, "put `%.*s all;` last", SLICE_FMT(n->name)),
                      "this is never asked: `%.*s all` at line %u comes first, and the first that "
                      "fits decides",
                      SLICE_FMT(n->name), n->line);
            return;
        }
}

void look_referer_none(struct lint *l, const struct spot *s)
{
    for (unsigned i = 0; i < s->node->arg_count; i++)
        if (arg_is(s->node, i, "none"))
            lint_tell(l, s->node, (int)i, "leave it out if the field is to protect something",
                      "a client that sends no Referer passes");
}

/* ---- resolvers ---------------------------------------------------------------------------- */

static const struct {
    uint32_t net;
    unsigned bits;
} own_nets[] = {
    { 0x0a000000, 8 },  { 0x7f000000, 8 },  { 0xac100000, 12 },
    { 0xc0a80000, 16 }, { 0xa9fe0000, 16 }, { 0x64400000, 10 },
};

/* An address beyond this machine and private networks (RFC 1918, 4193, 6598)? Names are none. */
static bool is_public(const char *text)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, text, &four) == 1) {
        for (size_t i = 0; i < COUNT_OF(own_nets); i++)
            if ((ntohl(four.s_addr) ^ own_nets[i].net) >> (32 - own_nets[i].bits) == 0)
                return false;
        return true;
    }
    return inet_pton(AF_INET6, text, &six) == 1 && !IN6_IS_ADDR_LOOPBACK(&six) &&
           !IN6_IS_ADDR_LINKLOCAL(&six) && (six.s6_addr[0] & 0xfe) != 0xfc;
}

void look_resolver(struct lint *l, const struct spot *s)
{
    for (unsigned i = 0; i < s->node->arg_count; i++) {
        struct slice address = s->node->args[i].text;
        char text[INET6_ADDRSTRLEN];

        if (slice_starts(address, SLICE("["))) {
            address = slice_skip(address, 1);
            address = slice_head(address, slice_find(address, ']'));
        } else {
            address = slice_head(address, slice_find(address, ':'));
        }
        snprintf(text, sizeof text, "%.*s", SLICE_FMT(address));
        if (!is_public(text))
            continue;
        lint_tell(l, s->node, (int)i, "a resolver of this machine: resolver 127.0.0.53;",
                  "who is on the way to %s can say where a name leads", text);
        return;
    }
}
