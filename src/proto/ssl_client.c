/* ssl_client.c - who a client says it is by its certificate, and whether that is enough. */
#include "proto/ssl.h"

#include "proto/http1_private.h"

#include <openssl/x509v3.h>

bool ssl_client_idle(const struct scope *scope)
{
    const struct ssl_conf *conf = scope_conf(scope, &feature_ssl);

    return conf->verify == TLS_VERIFY_OFF;
}

/* Nothing is wrong with it but that nobody we know signed it. */
static bool is_unknown_issuer(long result)
{
    static const long unknown[] = {
        X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,     X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,       X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
    };

    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        if (unknown[i] == result)
            return true;
    return false;
}

/* The certificate was asked for by the server of that name, and by its rules. */
static bool shook_hands(const struct request *r, const struct tls *t)
{
    struct slice captures[CAPTURES_MAX], name = tls_name(t);
    const struct regex *captures_of;
    const struct server *s = name.size > 0 ? vhosts_find(r->vhosts, name, captures, &captures_of)
                                           : r->vhosts->default_server;

    return s == r->server;
}

enum verdict step_ssl_client(struct request *r)
{
    const struct ssl_conf *conf = ssl_conf_of(r->server);
    const struct tls *t = r->ops->tls != NULL ? r->ops->tls(r) : NULL;
    const bool any = conf->verify == TLS_VERIFY_OPTIONAL_NO_CA;
    bool given;
    long result;

    if (t == NULL || conf->verify == TLS_VERIFY_OFF)
        return NEXT;
    if (!shook_hands(r, t)) {
        request_log(r, LOG_INFO, 0,
                    "client attempted to request the server name different from the one that was "
                    "negotiated");
        return request_fail(r, 421);
    }
    given = SSL_get0_peer_certificate(tls_ssl(t)) != NULL;
    result = SSL_get_verify_result(tls_ssl(t));
    if (result != X509_V_OK && !(any && is_unknown_issuer(result))) {
        request_log(r, LOG_INFO, 0, "client SSL certificate verify error: (%ld:%s)", result,
                    X509_verify_cert_error_string(result));
        return request_fail(r, 495);
    }
    if (conf->verify == TLS_VERIFY_ON && !given) {
        request_log(r, LOG_INFO, 0, "client sent no required SSL certificate");
        return request_fail(r, 496);
    }
    return NEXT;
}
