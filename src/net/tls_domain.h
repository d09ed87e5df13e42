/* tls_domain.h - what a TLS endpoint is: certificates, protocols, whom it trusts.
 *
 *   struct tls_wish wish = TLS_WISH_SERVER; … texts that were read, nothing is opened here
 *   struct tls_domain *d = tls_domain_create(&wish, &fault);   NULL: fault says which part and why
 *   SSL_CTX *c = tls_domain_context(d, home);             each loop's own, made when first used
 *
 * Immutable once made; the contexts behind it are made by the loops as they need them. Borrows
 * all that the wish names.
 */
#ifndef NET_TLS_DOMAIN_H
#define NET_TLS_DOMAIN_H

#include "base/slice.h"
#include "net/tls_home.h"

struct conf_zone;
struct log_sink;

/* A certificate with the chain behind it, and its private key, in PEM. */
struct tls_certificate {
    struct slice chain, key;
    struct tls_certificate *next;
};

/* ssl_conf_command: see SSL_CONF_cmd(3). */
struct tls_command {
    const char *name, *value;
    struct tls_command *next;
};

enum tls_protocol {
    TLS_PROTOCOL_1_0 = 1 << 0,
    TLS_PROTOCOL_1_1 = 1 << 1,
    TLS_PROTOCOL_1_2 = 1 << 2,
    TLS_PROTOCOL_1_3 = 1 << 3,
};

enum tls_verify { TLS_VERIFY_OFF, TLS_VERIFY_ON, TLS_VERIFY_OPTIONAL, TLS_VERIFY_OPTIONAL_NO_CA };

enum tls_sessions { TLS_SESSIONS_NONE, TLS_SESSIONS_OFF, TLS_SESSIONS_KEPT };

struct tls_wish {
    bool client; /* the role                                                   */
    struct tls_certificate *certificates;
    struct slice passwords; /* of the keys, a line each                                   */
    unsigned protocols;     /* enum tls_protocol                                          */
    const char *ciphers;    /* of TLS 1.2 and below; NULL: the library's                  */
    const char *curves;     /* NULL: the library's                                        */
    struct slice dh;        /* parameters in PEM; size 0: no DHE                          */
    bool prefer_ours;       /* of ciphers                                                 */
    struct tls_command *commands;
    enum tls_verify verify; /* of clients; of a server: any but TLS_VERIFY_OFF            */
    int64_t verify_depth;
    struct slice authorities; /* whose certificates are accepted, and named to clients      */
    struct slice trusted;     /* … and not named                                            */
    struct slice revoked;     /* certificate revocation lists                               */
    bool tickets;
    const struct slice *ticket_keys; /* of 48 or 80 bytes; the first one writes                */
    unsigned ticket_key_count;       /* 0: keys of our own                                     */
    enum tls_sessions sessions;
    const struct conf_zone *session_zone; /* TLS_SESSIONS_KEPT: shared by the loops            */
    int64_t session_timeout_s;
    bool early_data;
    bool stapled; /* an OCSP answer goes with the certificate: tls_domain_staple()             */
    const struct log_sink *key_log; /* gets the secrets of connections, for those who look at
                                       what was recorded; NULL: they stay here             */
    uint32_t record_max; /* bytes of content in a record; 0: TLS_RECORD_MAX                    */
};

/* Bytes of a state in a session_zone. */
enum { TLS_SESSION_ROOM = 1024 };

/* Which part of a wish is at fault. */
enum tls_part {
    TLS_PART_NONE, /* memory, the library */
    TLS_PART_CERTIFICATE,
    TLS_PART_KEY,
    TLS_PART_PROTOCOLS,
    TLS_PART_CIPHERS,
    TLS_PART_CURVES,
    TLS_PART_DH,
    TLS_PART_COMMAND,
    TLS_PART_AUTHORITIES,
    TLS_PART_TRUSTED,
    TLS_PART_REVOKED,
    TLS_PART_TICKET_KEY,
};

struct tls_fault {
    enum tls_part part;
    unsigned number; /* of certificates, commands, ticket keys: which one, from 0 */
    char text[256];  /* why, in the library's words                              */
};

struct tls_domain;

/* Everything is tried once, so that it cannot fail later but for want of memory. */
struct tls_domain *tls_domain_create(const struct tls_wish *, struct tls_fault *) MUST_USE;
void tls_domain_destroy(struct tls_domain *); /* no connection shakes hands on it any more */

const struct tls_wish *tls_domain_wish(const struct tls_domain *);

enum { TLS_ID_SIZE = 32 };

/* So many bytes: equal for domains that trust the same, in the same way, and show the same (of a
 * client: that are the same in all that matters), whichever generation they are of. */
struct slice tls_domain_id(const struct tls_domain *);

/* Borrowed. NULL: no memory. Any thread that holds the home. */
SSL_CTX *tls_domain_context(struct tls_domain *, struct tls_home *) MUST_USE;

uint16_t tls_domain_record_max(const struct tls_domain *);
/* A handshake takes long (a signature of RSA): a helper thread makes it. */
bool tls_domain_is_slow(const struct tls_domain *);

enum { TLS_DIGEST_SIZE = 32 };

/* The OCSP answer (DER) that clients get from now on with the certificate of that SHA-256; copied.
 * Size 0: none. certificate NULL: with whichever has none of its own. Any thread. False: no
 * memory. */
bool tls_domain_staple(struct tls_domain *, const unsigned char *certificate,
                       struct slice answer) MUST_USE;

/* The newest of the library's errors, as text; the queue is emptied. */
void tls_error_text(char *into, size_t size);

#endif
