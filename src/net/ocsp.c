/* ocsp.c - questions about certificates, and answers that are believed only if all of them fits. */
#include "net/ocsp.h"

#include "base/check.h"
#include "net/cert_facts.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>

bool ocsp_question(const struct ocsp_asked *asked, struct slice *ret)
{
    OCSP_REQUEST *q = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, asked->cert, asked->issuer);
    unsigned char *der = NULL;
    int size = -1;

    if (q != NULL && id != NULL && OCSP_request_add0_id(q, id) != NULL) {
        id = NULL;
        size = i2d_OCSP_REQUEST(q, &der);
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(q);
    ERR_clear_error();
    *ret = slice_of((const char *)der, size > 0 ? (size_t)size : 0);
    return size > 0;
}

static enum ocsp_state doubt(struct ocsp_judged *j, const char *why)
{
    char text[120];
    unsigned long error = ERR_get_error();

    if (error != 0) {
        ERR_error_string_n(error, text, sizeof text);
        snprintf(j->why, sizeof j->why, "%.30s (%s)", why, text);
    } else {
        snprintf(j->why, sizeof j->why, "%s", why);
    }
    ERR_clear_error();
    return OCSP_UNKNOWN;
}

/* Signed by the certificate's issuer, or by whom that one lets answer for it (RFC 6960 4.2.2.2). */
static bool signed_well(const struct ocsp_asked *asked, OCSP_BASICRESP *answer)
{
    X509_STORE *store = asked->trusted != NULL ? asked->trusted : X509_STORE_new();
    STACK_OF(X509) *helpers = sk_X509_new_null();
    bool good = store != NULL && helpers != NULL && sk_X509_push(helpers, asked->issuer) > 0;

    if (good && asked->trusted == NULL)
        good = X509_STORE_add_cert(store, asked->issuer) == 1 &&
               X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
    good = good && OCSP_basic_verify(answer, helpers, store, 0) == 1;
    sk_X509_free(helpers);
    if (asked->trusted == NULL)
        X509_STORE_free(store);
    return good;
}

static int64_t generalized(const ASN1_GENERALIZEDTIME *t)
{
    return t != NULL ? cert_time(t) : INT64_MAX;
}

/* What it says of that certificate, now. */
static enum ocsp_state find(const struct ocsp_asked *asked, OCSP_BASICRESP *answer, int64_t now_s,
                            struct ocsp_judged *j)
{
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, asked->cert, asked->issuer);
    int status = V_OCSP_CERTSTATUS_UNKNOWN, reason = -1, found;

    found = id != NULL
                ? OCSP_resp_find_status(answer, id, &status, &reason, &revoked, &from, &until)
                : 0;
    OCSP_CERTID_free(id);
    ERR_clear_error();
    if (found != 1)
        return doubt(j, "it is about another certificate");
    j->from_s = generalized(from);
    j->until_s = until != NULL ? generalized(until) : j->from_s + OCSP_ALONE_S;
    if (j->from_s == INT64_MAX || j->until_s == INT64_MAX || j->until_s < j->from_s)
        return doubt(j, "its dates are none");
    if (j->from_s > now_s + OCSP_SKEW_S)
        return doubt(j, "it is not valid yet");
    if (j->until_s < now_s - OCSP_SKEW_S)
        return doubt(j, "it is too old");
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        snprintf(j->why, sizeof j->why, "the certificate was revoked%s%s", reason >= 0 ? ": " : "",
                 reason >= 0 ? OCSP_crl_reason_str(reason) : "");
        return OCSP_REVOKED;
    }
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return doubt(j, "the responder does not know the certificate");
    return OCSP_GOOD;
}

enum ocsp_state ocsp_judge(const struct ocsp_asked *asked, struct slice answer, int64_t now_s,
                           struct ocsp_judged *j)
{
    const unsigned char *at = (const unsigned char *)answer.at;
    OCSP_RESPONSE *response;
    OCSP_BASICRESP *basic = NULL;
    enum ocsp_state state;
    int status;

    ERR_clear_error();
    *j = (struct ocsp_judged){ 0 };
    response = answer.size > 0 ? d2i_OCSP_RESPONSE(NULL, &at, (long)answer.size) : NULL;
    if (response == NULL || at != (const unsigned char *)answer.at + answer.size) {
        OCSP_RESPONSE_free(response);
        return doubt(j, "it is no OCSP answer");
    }
    status = OCSP_response_status(response);
    if (status == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        state = doubt(j, OCSP_response_status_str(status));
    else if (basic == NULL)
        state = doubt(j, "it is no OCSP answer");
    else if (!signed_well(asked, basic))
        state = doubt(j, "its signature is not good");
    else
        state = find(asked, basic, now_s, j);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return state;
}
