/* ssl_load.c - ssl_certificate with variables: what a connection's handshake waits for. */
#include "proto/ssl_load.h"

#include "http/log_target.h"
#include "proto/conn.h"
#include "proto/http1_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A handshake's look-up: the connection's, or its own when that has gone. */
struct ssl_load {
    struct tls_fetch fetch;
    struct conn *conn; /* NULL: it closed meanwhile */
    struct loop *loop;
    struct site *site; /* held: the library is its */
};

static void load_free(struct ssl_load *load)
{
    tls_fetch_end(&load->fetch);
    site_drop(load->loop, load->site);
    free(load);
}

static void on_fetched(struct tls_fetch *fetch)
{
    struct ssl_load *load = container_of(fetch, struct ssl_load, fetch);
    struct conn *c = load->conn;

    if (c == NULL) {
        load_free(load);
        return;
    }
    conn_tls_take(c, NULL);
    conn_run(c, c->states[c->state].bytes);
}

/* The paths that the directives mean for this connection: they may use what is known of it, as
 * $ssl_server_name. */
static bool find_paths(struct conn *c, const struct server *server, struct ssl_load *load)
{
    const struct ssl_conf *conf = ssl_conf_of(server);
    const struct ssl_file *files[2] = { conf->certificates, conf->keys };
    const struct vhosts *v = conn_vhosts(c);
    struct request *r = v != NULL ? conn_request(c, &h1_ops, v) : NULL;
    bool ok = r != NULL;

    if (!ok)
        return false;
    r->is_check = true; /* it is in no log */
    r->server = server;
    r->scope = server->scope;
    for (int i = 0; i < 2 && ok; i++) {
        struct slice path;

        ok = expr_eval(files[i]->expr, r, &r->arena, TLS_PATH_ROOM - 1, &path) && path.size > 0 &&
             memchr(path.at, '\0', path.size) == NULL;
        if (ok)
            snprintf(load->fetch.paths[i], TLS_PATH_ROOM, "%s%.*s",
                     path.at[0] == '/' ? "" : files[i]->dir, SLICE_FMT(path));
    }
    request_end(r);
    return ok;
}

static struct tls_choice start(struct conn *c, const struct server *server)
{
    struct ssl_load *load = calloc(1, sizeof *load);

    if (load == NULL)
        return (struct tls_choice){ .domain = NULL };
    load->loop = c->loop;
    load->site = c->shaking_on;
    load->conn = c;
    load->fetch.library = ssl_conf_of(server)->library;
    load->fetch.done = on_fetched;
    site_hold(load->loop, load->site);
    c->load = load;
    if (!find_paths(c, server, load)) {
        log_write(log_of_scope(server->scope), LOG_ERROR, 0,
                  "*%llu the path of the certificate is empty or too long while SSL handshaking",
                  (unsigned long long)c->number);
        return (struct tls_choice){ .domain = NULL };
    }
    tls_fetch_begin(c->io, &load->fetch);
    return (struct tls_choice){ .wait = true };
}

struct tls_choice ssl_load_choose(struct conn *c, const struct server *server)
{
    if (c->load == NULL)
        return start(c, server);
    if (io_busy(&c->load->fetch.op))
        return (struct tls_choice){ .wait = true };
    if (tls_fetch_domain(&c->load->fetch) != NULL)
        return (struct tls_choice){ .domain = tls_fetch_domain(&c->load->fetch) };
    log_write(log_of_scope(server->scope), LOG_ERROR, 0, "*%llu %s while SSL handshaking",
              (unsigned long long)c->number, c->load->fetch.why);
    return (struct tls_choice){ .domain = NULL };
}

void ssl_load_end(struct conn *c)
{
    struct ssl_load *load = c->load;

    c->load = NULL;
    if (load == NULL)
        return;
    load->conn = NULL;
    if (!io_busy(&load->fetch.op))
        load_free(load);
}
