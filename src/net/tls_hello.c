/* tls_hello.c - who answers a client's first message: the server of that name, its certificate, and
 * the protocol behind TLS (RFC 6066 section 3, RFC 7301). */
#include "net/tls_private.h"

#include "base/block.h"
#include "base/log.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>

/* The name of a server_name extension (RFC 6066 3): a list, of which one host_name counts. */
static struct slice name_in(const unsigned char *at, size_t size)
{
    size_t length;

    if (size < 5 || at[2] != TLSEXT_NAMETYPE_host_name)
        return (struct slice){ 0 };
    length = (size_t)at[3] << 8 | at[4];
    if (length == 0 || length > TLS_NAME_MAX || length != size - 5)
        return (struct slice){ 0 };
    return slice_of((const char *)at + 5, length);
}

static bool plausible(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.at[i] <= ' ' || (unsigned char)name.at[i] >= 0x7f ||
            name.at[i] == '/')
            return false;
    return name.size > 0;
}

/* In lower case, without the dot that may end it. False: no memory. */
static bool keep_name(struct tls *t)
{
    const unsigned char *at;
    size_t size;

    if (SSL_client_hello_get0_ext(t->ssl, TLSEXT_TYPE_server_name, &at, &size) != 1)
        return true;
    struct slice name = name_in(at, size);

    if (!plausible(name))
        return true;
    if (name.at[name.size - 1] == '.')
        name.size--;
    t->name = block_alloc(name.size + 1);
    if (t->name == NULL)
        return false;
    for (size_t i = 0; i < name.size; i++)
        t->name[i] =
            name.at[i] >= 'A' && name.at[i] <= 'Z' ? (char)(name.at[i] | 0x20) : name.at[i];
    t->name_size = (uint16_t)name.size;
    return true;
}

/* What SSL_new() took from the context that it was made with, and SSL_set_SSL_CTX() leaves. */
static bool use(struct tls *t, struct tls_domain *domain)
{
    const uint64_t versions =
        SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    SSL_CTX *context = tls_domain_context(domain, t->home);
    const struct tls_wish *wish = tls_domain_wish(domain);
    SSL *ssl = t->ssl;

    if (context == NULL)
        return false;
    if (context == SSL_get_SSL_CTX(ssl))
        return true;
    t->domain = domain;
    SSL_set_SSL_CTX(ssl, context);
    SSL_clear_options(ssl, (SSL_get_options(ssl) & ~SSL_CTX_get_options(context)) | versions);
    SSL_set_options(ssl, SSL_CTX_get_options(context));
    (void)SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(context));
    (void)SSL_set_max_proto_version(ssl, SSL_CTX_get_max_proto_version(context));
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(context));
    if (wish->curves != NULL)
        (void)SSL_set1_groups_list(ssl, wish->curves);
    t->record_max = tls_domain_record_max(domain);
    (void)SSL_set_max_send_fragment(ssl, t->record_max);
    return true;
}

static int refuse(int *alert, int why)
{
    *alert = why;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = tls_of(ssl);
    struct tls_hello hello;
    struct tls_choice choice;

    (void)arg;
    if (t->chosen)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (t->name == NULL && !keep_name(t))
        return refuse(alert, SSL_AD_INTERNAL_ERROR);
    hello.name = slice_of(t->name, t->name_size);
    choice = t->ops->hello(t->owner, &hello);
    if (choice.wait) {
        t->hello_waits = true;
        return SSL_CLIENT_HELLO_RETRY;
    }
    if (choice.domain == NULL)
        return refuse(alert, SSL_AD_UNRECOGNIZED_NAME);
    if (!use(t, choice.domain))
        return refuse(alert, SSL_AD_INTERNAL_ERROR);
    t->h2 = choice.h2;
    t->chosen = true;
    t->slow = tls_domain_is_slow(choice.domain);
    return t->slow ? SSL_CLIENT_HELLO_RETRY : SSL_CLIENT_HELLO_SUCCESS;
}

/* A client that names protocols of which none is spoken here is told so (RFC 7301 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                   const unsigned char *theirs, unsigned size, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1\x08http/1.0\x08http/0.9";
    const size_t skip = tls_of(ssl)->h2 ? 0 : 3;
    unsigned char *chosen;

    (void)arg;
    if (SSL_select_next_proto(&chosen, ret_size, ours + skip, (unsigned)(sizeof ours - 1 - skip),
                              theirs, size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of(ssl);

    if (t == NULL || t->closing || t->ops->session == NULL)
        return 0;
    t->ops->session(t->owner, session);
    return 1;
}

/* A line of a key log (draft-ietf-tls-keylogfile); whole, or not at all. */
static void on_secret(const SSL *ssl, const char *line)
{
    const struct tls *t = tls_of(ssl);
    const struct log_sink *sink =
        t != NULL && t->domain != NULL ? tls_domain_wish(t->domain)->key_log : NULL;
    struct iovec parts[] = { { (void *)(uintptr_t)line, strlen(line) }, { "\n", 1 } };

    if (sink != NULL)
        (void)!writev(atomic_load(&sink->fd), parts, COUNT_OF(parts));
}

void tls_set_up(SSL_CTX *context, const struct tls_wish *wish)
{
    if (wish->key_log != NULL)
        SSL_CTX_set_keylog_callback(context, on_secret);
    if (wish->client) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
        return;
    }
    SSL_CTX_set_client_hello_cb(context, on_hello, NULL);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
}
