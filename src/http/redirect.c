/* redirect.c - Location as the client needs it (RFC 9110 §10.2.2): a path becomes absolute when
 * absolute_redirect says so, and what cannot stand in a field is encoded. */
#include "http/error_page.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "wire/uri.h"

/* The server's first name, if one can be asked for by it: no pattern, no "_". */
static struct slice name_of(const struct server *s)
{
    struct slice name =
        s->names != NULL && s->names->regex == NULL ? s->names->text : (struct slice){ 0 };

    if (name.size > 1 && name.at[0] == '.')
        name = slice_skip(name, 1);
    return slice_find(name, '*') < name.size || slice_eq(name, SLICE("_")) ? (struct slice){ 0 }
                                                                           : name;
}

static void address_of(struct request *r, struct gather *g)
{
    struct addr here;

    r->ops->local(r, &here);
    if (here.family == AF_UNIX)
        gather_lit(g, "localhost");
    if (here.family == AF_INET6)
        gather_byte(g, '[');
    if (here.family != AF_UNIX)
        addr_print(&here, g);
    if (here.family == AF_INET6)
        gather_byte(g, ']');
}

/* The host that was asked for; with server_name_in_redirect the server's name comes first. */
static void host_of(struct request *r, struct gather *g)
{
    struct slice name = name_of(r->server);
    bool named = name.size > 0 && (core_conf(r)->server_name_in_redirect || r->host.size == 0);

    if (named)
        gather_slice(g, name);
    else if (r->host.size > 0)
        gather_slice(g, r->host);
    else
        address_of(r, g);
}

static void port_of(struct request *r, struct gather *g)
{
    struct addr here;

    r->ops->local(r, &here);
    if (!core_conf(r)->port_in_redirect || here.family == AF_UNIX || here.port == 0 ||
        here.port == (r->tls ? 443 : 80))
        return;
    gather_byte(g, ':');
    gather_u64(g, here.port);
}

/* Variables may bring in line ends, which would begin another field, and blanks. */
static bool must_be_encoded(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static void gather_encoded(struct gather *g, struct slice to)
{
    for (size_t i = 0; i < to.size; i++) {
        if (must_be_encoded(to.at[i]))
            uri_encode_byte(g, (unsigned char)to.at[i]);
        else
            gather_byte(g, to.at[i]);
    }
}

static bool is_plain(struct slice to)
{
    for (size_t i = 0; i < to.size; i++)
        if (must_be_encoded(to.at[i]))
            return false;
    return true;
}

void filter_redirect(struct request *r)
{
    struct slice to = r->response.location;
    bool path = to.size > 0 && to.at[0] == '/' && core_conf(r)->absolute_redirect;
    struct gather g;

    if (!path && is_plain(to))
        return;
    gather_init(&g, NULL, 0, &r->arena, 3 * to.size + 1024);
    if (path) {
        gather_str(&g, r->tls ? "https://" : "http://");
        host_of(r, &g);
        port_of(r, &g);
    }
    gather_encoded(&g, to);
    if (g.full) {
        request_fail(r, 500);
        error_text_fill(r);
        return;
    }
    r->response.location = gather_get(&g);
}
