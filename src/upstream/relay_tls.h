/* relay_tls.h - the directives …_ssl_… of those that pass requests on over TLS.
 *
 *   RELAY_SSL_ROWS("proxy_"),                                  behind RELAY_ROWS, in the rows
 *   relay_tls_merge(load, scope, &c->relay, &wish)             in merge(), where TLS may be spoken
 *   relay_secure(y, host)                                      between relay_begin and relay_step
 */
#ifndef UPSTREAM_RELAY_TLS_H
#define UPSTREAM_RELAY_TLS_H

#include "upstream/relay_conf.h"

conf_set_fn relay_set_ssl_certificate, relay_set_ssl_key, relay_set_ssl_protocols,
    relay_set_ssl_command, relay_set_ssl_key_log;

/* Who asks for a domain. */
struct relay_tls_wish {
    const struct feature *feature;
    const char *prefix; /* "proxy_" */
    const struct conf_node *node;
    bool certain; /* it is TLS; else variables will tell */
};

/* Makes c->tls.domain, or takes one that was made for the same words. False after a complaint. */
bool relay_tls_merge(struct conf_load *, struct scope *, struct relay_conf *,
                     const struct relay_tls_wish *) MUST_USE;

/* The relay's channels are encrypted; host: "name:port" as …_pass says it, whose name is the
 * server's unless …_ssl_name says another. False: no memory, or a name or certificate that cannot
 * be, which is logged. */
bool relay_secure(struct relay *, struct slice host) MUST_USE;

/* Asks a server, as soon as the certificate to be shown to it is there: if it is looked for, the
 * step runs again. */
void relay_start(struct relay *);

/* That name, without a port. False: no memory, or none that can be. */
bool relay_server_name(struct request *, const struct relay_conf *, struct slice host,
                       struct slice *ret) MUST_USE;

/* clang-format off */
#define RELAY_SSL_FLAG(name, member, value, words) \
    { name, RELAY_WHERE, 1, 1, CONF_FLAG, RELAY_AT(tls.member), value, .syntax = "on | off", \
      .help = words }
#define RELAY_SSL_FILE(name, member, words) \
    { name, RELAY_WHERE, 1, 1, CONF_FILE, RELAY_AT(tls.member), NULL, .syntax = "file", \
      .help = words }
#define RELAY_SSL_OWN(name, least, most, setter, member, value, many, form, words) \
    { name, RELAY_WHERE, least, most, CONF_CUSTOM, RELAY_AT(tls.member), value, .set = setter, \
      .size = sizeof(((struct relay_conf *)0)->tls.member), .repeats = many, .syntax = form, \
      .help = words }

#define RELAY_SSL_ROWS(P) \
    RELAY_SSL_OWN(P "ssl_certificate", 1, 1, relay_set_ssl_certificate, certificate, NULL, false, \
                  "file", "The certificate that servers are shown, and the chain behind it, in " \
                  "PEM: a file, or \"data:\" and the text itself; nothing: none. Variables may " \
                  "stand in a path."), \
    RELAY_SSL_OWN(P "ssl_certificate_key", 1, 1, relay_set_ssl_key, key, NULL, false, "file", \
                  "The private key of the certificate, in PEM."), \
    { P "ssl_certificate_cache", RELAY_WHERE, 1, 4, CONF_CUSTOM, .set = conf_set_ignored, \
      .syntax = "off | max=N [inactive=time] [valid=time]", \
      .help = "Certificates are read with the configuration, once; of those with variables, 64 " \
              "are kept while their files stay the same." }, \
    { P "ssl_ciphers", RELAY_WHERE, 1, 1, CONF_STRING, RELAY_AT(tls.ciphers), "DEFAULT", \
      .syntax = "ciphers", .help = "Ciphers of TLS 1.2 and below, in OpenSSL's words." }, \
    RELAY_SSL_OWN(P "ssl_conf_command", 2, 2, relay_set_ssl_command, commands, NULL, true, \
                  "name value", "A word of OpenSSL's own configuration (SSL_CONF_cmd)."), \
    RELAY_SSL_FILE(P "ssl_crl", crl, "Certificates of servers that were revoked."), \
    RELAY_SSL_OWN(P "ssl_key_log", 1, 1, relay_set_ssl_key_log, key_log, NULL, false, "path", \
                  "A file that the secrets of connections are written into, as Wireshark reads " \
                  "them: whoever has it can read what was recorded."), \
    { P "ssl_name", RELAY_WHERE, 1, 1, CONF_EXPR, RELAY_AT(tls.name), NULL, .syntax = "name", \
      .help = "The server's name: checked if its certificate is verified, and told to it if " \
              "names are; without it, the name that requests are passed on to." }, \
    RELAY_SSL_FILE(P "ssl_password_file", passwords, \
                   "Pass phrases of the key, a line each; all are tried."), \
    RELAY_SSL_OWN(P "ssl_protocols", 1, 6, relay_set_ssl_protocols, protocols, \
                  "TLSv1.2 TLSv1.3", false, "[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]", \
                  "The protocols that are spoken."), \
    RELAY_SSL_FLAG(P "ssl_server_name", tell, "off", \
                   "Tells servers which name they are asked by (SNI)."), \
    RELAY_SSL_FLAG(P "ssl_session_reuse", resume, "on", \
                   "Takes sessions up that servers gave: handshakes are shorter."), \
    RELAY_SSL_FILE(P "ssl_trusted_certificate", trusted, \
                   "Authorities whose servers are accepted, in PEM."), \
    RELAY_SSL_FLAG(P "ssl_verify", verify, "off", \
                   "Verifies servers' certificates and that they are for the server's name; off: " \
                   "anybody on the way can be the server."), \
    { P "ssl_verify_depth", RELAY_WHERE, 1, 1, CONF_NUMBER, RELAY_AT(tls.verify_depth), "1", \
      .max = 100, .syntax = "number", \
      .help = "How long the chain behind a server's certificate may be." }
/* clang-format on */

#endif
