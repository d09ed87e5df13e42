/* conn_tell.c - what a connection knows that requests on it are told, whatever its protocol. */
#include "http/log_target.h"
#include "http/site.h"
#include "proto/conn.h"

#include <stdarg.h>
#include <stdio.h>

static void local_of(void *conn, struct addr *ret)
{
    addr_of_local(((const struct conn *)conn)->fd, ret);
}

const struct vhosts *conn_vhosts(struct conn *c)
{
    return site_vhosts(c->loop->site, c->listener_id, local_of, c);
}

const struct addr *conn_peer(struct conn *c)
{
    if (c->peer.family == AF_UNSPEC)
        addr_of_peer(c->fd, &c->peer);
    return &c->peer;
}

void conn_log(struct conn *c, enum log_level level, const char *format, ...)
{
    const struct vhosts *v = conn_vhosts(c);
    char text[LOG_LINE_MAX], address[ADDR_TEXT_MAX];
    struct gather client;
    va_list args;

    if (v == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gather_init(&client, address, sizeof address, NULL, 0);
    addr_print(conn_peer(c), &client);
    log_write(log_of_scope(v->default_server->scope), level, 0, "*%llu %s, client: %.*s",
              (unsigned long long)c->number, text, SLICE_FMT(gather_get(&client)));
}

struct request *conn_request(struct conn *c, const struct request_ops *ops, const struct vhosts *v)
{
    struct request *r = request_create(c->loop, c->io, ops, c);

    if (r == NULL)
        return NULL;
    c->live_requests++;
    r->vhosts = v;
    r->told = c->told;
    r->tls = c->tls != NULL;
    r->scope = v->default_server->scope;
    r->number = c->number;
    r->conn_opened_ns = c->opened_ns;
    return r;
}

/* ---- for the protocols' request_ops --------------------------------------------------------- */

void conn_ops_peer(struct request *r, struct addr *ret)
{
    *ret = *conn_peer(r->conn);
}

void conn_ops_local(struct request *r, struct addr *ret)
{
    local_of(r->conn, ret);
}

int conn_ops_socket(struct request *r)
{
    return ((const struct conn *)r->conn)->fd;
}

struct tls *conn_ops_tls(struct request *r)
{
    return ((const struct conn *)r->conn)->tls;
}
