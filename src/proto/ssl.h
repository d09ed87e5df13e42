/* ssl.h - the directives ssl_…: what a server's TLS is like, and who answers a handshake. */
#ifndef PROTO_SSL_H
#define PROTO_SSL_H

#include "http/pipeline.h"
#include "http/site.h"
#include "net/tls.h"

struct conn;
struct expr;
struct tls_library;
struct tls_made;

/* A file that a directive names. */
struct ssl_file {
    struct slice path; /* absolute; or "data:" and the text itself               */
    struct expr *expr; /* it has variables; else NULL                            */
    const char *dir;   /* … and what it is below of, then: ends in "/"           */
    const struct conf_node *node;
    int64_t ends_s; /* of a certificate: when its first one ends; 0: not read yet       */
    struct ssl_file *next;
};

struct ssl_cache {
    enum tls_sessions sessions;
    struct conf_zone *zone;
};

/* ssl_ocsp: of whom is asked whether they are still good. */
enum ssl_ocsp { SSL_OCSP_OFF, SSL_OCSP_ALL, SSL_OCSP_LEAF };

/* A value of the zone of ssl_ocsp_cache. */
struct ssl_ocsp_cached {
    int64_t until_s;
    bool revoked;
};

/* ssl_certificate_warn */
struct ssl_warn {
    int64_t before_s, every_s; /* before_s < 0: off */
};

/* Of the http block: who watches over ends. */
struct ssl_ends {
    struct loop *loop; /* NULL: nobody */
    struct io_timer timer;
    struct site *site;
};

struct ssl_conf {
    struct ssl_file *certificates, *keys, *ticket_keys;
    struct tls_command *commands;
    struct ssl_cache cache;
    struct slice ciphers, curves, dhparam, client_certificate, trusted, crl, passwords,
        stapling_file, stapling_responder, ocsp_responder;
    int64_t verify_depth, session_timeout, buffer_size;
    unsigned protocols;
    int verify, ocsp;
    struct conf_zone *ocsp_zone; /* NULL: off */
    bool prefer, tickets, early_data, reject, stapling, stapling_verify;
    struct ssl_warn warn;
    struct log_target *key_log;  /* NULL: none */
    struct ssl_ends *ends;       /* of the http block */
    int64_t certificates_max;    /* of ssl_certificate_cache */
    struct tls_made *made;       /* in http{}: all of them */
    struct tls_library *library; /* certificates whose paths have variables; NULL: they have none */
    struct tls_domain *domain;   /* of a server that listens with TLS; NULL: none of its own */
};

extern const struct feature feature_ssl;

static inline const struct ssl_conf *ssl_conf_of(const struct server *s)
{
    return scope_conf(s->scope, &feature_ssl);
}

/* What a handshake begins with: the default server's domain. NULL: it has none. */
struct tls_domain *ssl_first_domain(const struct vhosts *);

/* Who answers: the server of that name, or the default one. */
struct tls_choice ssl_choose(struct conn *, struct slice name);

/* ssl_client.c: refuses requests without the certificate that their server asks for (495, 496), and
 * those for another server than the one that shook hands (421). */
enum verdict step_ssl_client(struct request *);
bool ssl_client_idle(const struct scope *);

/* ssl_domain.c: makes conf->domain from what was said; false after complaining. */
bool ssl_make_domain(struct conf_load *, struct scope *, struct ssl_conf *);

/* ssl_ends.c: certificates that end soon. */
conf_set_fn ssl_set_warn;
/* While the configuration is read: what its files are. */
void ssl_ends_complain(struct conf_load *, const struct ssl_conf *);
/* The first loop warns again and again, from now on for `to`. Both may be NULL. */
void ssl_ends_follow(struct loop *, struct site *from, struct site *to);
/* ssl_vars.c */
extern const struct feature feature_ssl_vars;

#endif
