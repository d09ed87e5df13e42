/* fuzz_tls.c - a TLS server between a real client and whatever changes its bytes on the way.
 *
 * The input's first byte says how the connection goes: raw bytes alone, or a client of OpenSSL
 * whose bytes are cut, changed and mixed with others as the rest of the input says. Nothing may
 * crash, be lent for good, or stay in flight; and content that arrives is a beginning of what
 * was sent.
 */
#include "io/sim.h"
#include "net/tls.h"

#include <openssl/pem.h>
#include <stdlib.h>

enum { SAID_MAX = 4096, TURNS = 200 };

static const struct io_limits limits = { .fds = 64, .bufs = 32, .buf_size = 16384 };

struct world {
    struct io *io;
    struct tls *tls;
    struct sim_peer *peer;
    int fd;
    struct io_op rx, end;
    enum tls_step step;
    bool closed, sent, asked, done;
    char heard[SAID_MAX];
    size_t heard_size;
};

static char pem_crt[4096], pem_key[4096];
static struct tls_domain *domain;
static struct tls_home *home;

/* A key and a certificate of its own, once. */
static void make_domain(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    BIO *crt = BIO_new(BIO_s_mem()), *sec = BIO_new(BIO_s_mem());
    static struct tls_certificate c;
    struct tls_wish wish = { .protocols = TLS_PROTOCOL_1_2 | TLS_PROTOCOL_1_3,
                             .tickets = true,
                             .session_timeout_s = 300,
                             .early_data = true };
    struct tls_fault fault;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 1000000);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"a.test", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    CHECK(PEM_write_bio_X509(crt, x) == 1);
    CHECK(PEM_write_bio_PrivateKey(sec, key, NULL, NULL, 0, NULL, NULL) == 1);
    c.chain = slice_of(pem_crt, (size_t)BIO_read(crt, pem_crt, sizeof pem_crt));
    c.key = slice_of(pem_key, (size_t)BIO_read(sec, pem_key, sizeof pem_key));
    wish.certificates = &c;
    BIO_free(crt);
    BIO_free(sec);
    X509_free(x);
    EVP_PKEY_free(key);
    domain = tls_domain_create(&wish, &fault);
    home = tls_home_create(tls_ring_create());
    CHECK(domain != NULL && home != NULL);
}

/* ---- our side ------------------------------------------------------------------------------- */

static void on_sent(void *owner, int error)
{
    (void)error;
    ((struct world *)owner)->sent = true;
}

static void on_ready(void *owner)
{
    (void)owner;
}

static struct tls_choice on_hello(void *owner, const struct tls_hello *hello)
{
    (void)owner;
    (void)hello;
    return (struct tls_choice){ .domain = domain, .h2 = true };
}

static const struct tls_ops ops = { .sent = on_sent, .ready = on_ready, .hello = on_hello };

static void take(struct world *w, struct io_buf *lent)
{
    struct io_buf *plain;

    w->step = tls_feed(w->tls, lent, &plain);
    while (plain != NULL) {
        struct io_buf *b = plain;
        size_t n = b->filled < SAID_MAX - w->heard_size ? b->filled : SAID_MAX - w->heard_size;

        plain = b->next;
        memcpy(w->heard + w->heard_size, b->bytes, n);
        w->heard_size += n;
        io_buf_release(w->io, b);
    }
}

static void on_bytes(struct io *io, struct io_op *op, struct io_result r)
{
    struct world *w = container_of(op, struct world, rx);
    static const struct iovec answer = { "an answer", 9 };

    if (r.buf == NULL) {
        w->closed = true;
        return;
    }
    r.buf->used = 0;
    r.buf->filled = (uint32_t)r.res;
    r.buf->next = NULL;
    take(w, r.buf);
    if (w->step == TLS_FAILED || w->step == TLS_ENDED) {
        w->closed = true;
        return;
    }
    if (w->step == TLS_OPEN && !w->asked && !tls_sending(w->tls)) {
        w->asked = true;
        tls_send(w->tls, &answer, 1);
    }
    io_recv(io, &w->rx, w->fd, 0, on_bytes);
}

static void on_closed(struct io *io, struct io_op *op, struct io_result r)
{
    (void)io;
    (void)r;
    container_of(op, struct world, end)->done = true;
}

/* ---- the client, and who changes its bytes --------------------------------------------------- */

struct client {
    SSL *ssl;
    BIO *in, *out;
    bool said;
};

static const char said[] = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

static void client_turn(struct client *c, struct sim_peer *peer, const uint8_t **knob, size_t *left)
{
    char bytes[8192];
    ssize_t n = sim_peer_read(peer, bytes, sizeof bytes);

    if (n > 0)
        BIO_write(c->in, bytes, (int)n);
    if (SSL_do_handshake(c->ssl) == 1) {
        if (!c->said)
            c->said = SSL_write(c->ssl, said, sizeof said - 1) > 0;
        (void)SSL_read(c->ssl, bytes, sizeof bytes);
    }
    n = BIO_read(c->out, bytes, sizeof bytes);
    if (n <= 0)
        return;
    while (*left >= 3 && (*knob)[0] != 0) { /* what, where, with what */
        size_t at = (size_t)(*knob)[1] % (size_t)n;

        if ((*knob)[0] & 1)
            bytes[at] = (char)(*knob)[2];
        if ((*knob)[0] & 2)
            n = (ssize_t)at + 1;
        *knob += 3;
        *left -= 3;
    }
    if (*left > 0) {
        *knob += 1;
        *left -= 1;
    }
    (void)!sim_peer_write(peer, bytes, (size_t)n);
}

static void client_open(struct client *c, bool old)
{
    static SSL_CTX *context;

    if (context == NULL)
        context = SSL_CTX_new(TLS_client_method());
    c->ssl = SSL_new(context);
    if (old)
        SSL_set_max_proto_version(c->ssl, TLS1_2_VERSION);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    SSL_set_tlsext_host_name(c->ssl, "a.test");
}

static void run(struct world *w, const uint8_t *knob, size_t left, uint8_t how)
{
    struct client c = { 0 };

    if (how & 1)
        client_open(&c, how & 2);
    else
        (void)!sim_peer_write(w->peer, knob, left);
    io_recv(w->io, &w->rx, w->fd, 0, on_bytes);
    for (int i = 0; i < TURNS && !w->closed; i++) {
        if (how & 1)
            client_turn(&c, w->peer, &knob, &left);
        if (sim_step(w->io, 1000000) == 0 && !(how & 1))
            sim_peer_shutdown(w->peer);
    }
    if (c.ssl != NULL)
        SSL_free(c.ssl);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct world w = { .step = TLS_HANDSHAKE };
    int error;

    if (size < 1)
        return 0;
    if (domain == NULL)
        make_domain();
    w.io = io_create(&io_engine_sim, &limits, &error);
    CHECK(w.io != NULL);
    sim_seed(w.io, size);
    w.peer = sim_pair(w.io, &w.fd);
    w.tls = tls_accept(home, w.io, w.fd, domain, &ops, &w);
    CHECK(w.peer != NULL && w.tls != NULL);
    run(&w, bytes + 1, size - 1, bytes[0]);
    CHECK(w.heard_size <= sizeof said - 1 && memcmp(w.heard, said, w.heard_size) == 0);
    tls_close(w.tls, true);
    io_close(w.io, &w.end, w.fd, on_closed);
    sim_peer_close(w.peer);
    while (!w.done)
        sim_step(w.io, 1000000);
    tls_destroy(w.tls);
    sim_step(w.io, 1000000);
    io_destroy(w.io);
    return 0;
}
