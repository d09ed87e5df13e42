/* core.h - what core.c, listen.c and site.c share while a configuration is loaded. */
#ifndef HTTP_CORE_H
#define HTTP_CORE_H

#include "http/log_target.h"
#include "http/site.h"

/* The site being built: the object of the http{} around us. */
struct site *core_site(struct conf_load *);

/* listen.c */
conf_set_fn core_set_listen;
/* *:80, for a server that says no listen. */
void listen_default(struct conf_load *, struct site *, struct server *);
/* A unix socket whose file has that mode. */
bool listen_unix(struct conf_load *, struct site *, struct server *, struct slice path,
                 unsigned mode) MUST_USE;
/* "*:80", "[::1]:8080", "unix:/run/x.sock": for messages. */
void listen_print(const struct listen_addr *, struct gather *);

/* names.c: adds argument `arg` of server_name. */
bool core_add_name(struct conf_load *, const struct conf_node *, unsigned arg, struct server *);
/* Enters a server's names at one of its addresses; complains about conflicts. */
bool names_enter(struct conf_load *, struct vhosts *, const struct server *,
                 const struct listen_addr *);

#endif
