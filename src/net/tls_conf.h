/* tls_conf.h - what directives about TLS have in common, whichever role they are for.
 *
 *   wish.protocols …                  tls_conf_protocols(load, node, &protocols), in set functions
 *   tls_conf_read(load, node, path, &wish.trusted)          when the scope is merged
 *   d = tls_domain_create(&wish, &fault);
 *   tls_conf_complain(load, CONF_EMERG, tls_conf_place(scope, prefix, tls_part_name(…)), &fault);
 */
#ifndef NET_TLS_CONF_H
#define NET_TLS_CONF_H

#include "conf/load.h"
#include "net/tls_domain.h"

/* Adds the node's protocols to *protocols. */
bool tls_conf_protocols(struct conf_load *, const struct conf_node *, unsigned *protocols) MUST_USE;
/* Appends the node's command. */
void tls_conf_command(struct conf_load *, const struct conf_node *, struct tls_command **list);

/* A certificate's or a key's place, that the node's first argument says: an absolute path, or
 * "data:" and the text itself. False after a complaint. */
bool tls_conf_file(struct conf_load *, const struct conf_node *, struct slice text,
                   struct slice *ret) MUST_USE;
/* What is there. */
bool tls_conf_read(struct conf_load *, const struct conf_node *, struct slice path,
                   struct slice *ret) MUST_USE;

/* For C's functions; NULL if the text is empty or `none`. */
const char *tls_conf_text(struct conf_load *, struct slice text, const char *none);

/* Where the directive stands that is in force: in the scope, or around it; else the scope's own.
 * Its name is prefix and name. */
const struct conf_node *tls_conf_place(const struct scope *, const char *prefix, const char *name);
bool tls_conf_is_said(const struct scope *, const char *prefix, const char *name);

/* "ssl_ciphers": the directive that a part of a wish comes from, of a server or of a client. */
const char *tls_part_name(enum tls_part, bool client);
void tls_conf_complain(struct conf_load *, enum conf_severity, const struct conf_node *,
                       const struct tls_fault *);

#endif
