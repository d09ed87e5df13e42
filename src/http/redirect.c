/* redirect.c - Location as the client needs it (RFC 9110 §10.2.2): a path becomes absolute when
 * absolute_redirect says so. */
#include "http/error_page.h"
#include "http/pipeline.h"
#include "http/site.h"

static void host_of(struct request *r, struct gather *g)
{
    const struct server *s = r->server;

    if (r->host.size > 0 && !core_conf(r)->server_name_in_redirect) {
        gather_slice(g, r->host);
    } else if (s->names != NULL && s->names->regex == NULL) {
        gather_slice(g, s->names->text);
    } else {
        struct addr here;

        r->ops->local(r, &here);
        if (here.family == AF_INET6)
            gather_byte(g, '[');
        addr_print(&here, g);
        if (here.family == AF_INET6)
            gather_byte(g, ']');
    }
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

void filter_redirect(struct request *r)
{
    struct slice to = r->response.location;
    struct gather g;

    if (to.size == 0 || to.at[0] != '/' || !core_conf(r)->absolute_redirect)
        return;
    gather_init(&g, NULL, 0, &r->arena, to.size + 1024);
    gather_str(&g, r->tls ? "https://" : "http://");
    host_of(r, &g);
    port_of(r, &g);
    gather_slice(&g, to);
    if (g.full) {
        request_fail(r, 500);
        error_text_fill(r);
        return;
    }
    r->response.location = gather_get(&g);
}
