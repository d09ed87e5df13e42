/* tls.h - TLS on a connection (RFC 8446, RFC 5246), in either role.
 *
 *   t = tls_accept(home, io, fd, &ops, me)      or tls_connect(home, io, fd, domain, &ops, me)
 *   step = tls_feed(t, buf, &plain);            each buffer that io_recv() lent; NULL: go on
 *   tls_send(t, iov, n);                        …ops->sent(me, 0)
 *   tls_finish(t); …                            the peer is told that no more comes
 *   tls_destroy(t);                             in the completion of io_close()
 *
 * OpenSSL sees no socket: what was received is handed to it, and what it makes is gathered and sent
 * with the loop's own operations; so TLS is the same on every engine.
 *
 * Laws:
 *   - ops are called from completions, never from inside a call;
 *   - a connection that neither sends nor shakes hands holds no buffer;
 *   - a handshake that waits for a helper thread (TLS_WAITS) takes no calls but tls_feed() with
 *     what came meanwhile: ops->ready() says when it goes on.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "io/io.h"
#include "net/tls_domain.h"

struct tls;

enum tls_step {
    TLS_HANDSHAKE, /* more is needed before anything can be sent               */
    TLS_WAITS,     /* a helper thread is at work, or what it asked for is not here */
    TLS_OPEN,      /* handshake done (or early data came): send and receive     */
    TLS_ENDED,     /* the peer finished sending (close_notify)                  */
    TLS_FAILED,    /* tls_why() says why; an alert may be on its way             */
};

/* What a client's first message asks for. */
struct tls_hello {
    struct slice name; /* SNI, lower case; size 0: none    */
};

/* Who answers it. */
struct tls_choice {
    struct tls_domain *domain; /* NULL: nobody; the handshake is refused                 */
    bool h2;                   /* HTTP/2 may be chosen (RFC 7301)                        */
    bool wait;                 /* not known yet: asked again when tls_feed(t, NULL) comes */
};

struct tls_ops {
    void (*sent)(void *owner, int error); /* what tls_send() was given; error: 0 or -errno  */
    void (*ready)(void *owner);           /* TLS_WAITS is over: tls_feed(t, NULL, …)         */
    /* Of a server: chooses by the client's hello. */
    struct tls_choice (*hello)(void *owner, const struct tls_hello *);
    /* Of a client: a session came that a later connection may take up. Takes it. */
    void (*session)(void *owner, SSL_SESSION *);
};

/* Borrows home and owner; `first` is used until the hello says more. NULL: no memory. */
struct tls *tls_accept(struct tls_home *, struct io *, int fd, struct tls_domain *first,
                       const struct tls_ops *, void *owner) MUST_USE;

/* `name` (of at most 255 bytes; size 0: none) is sent as SNI if `tell`, and checked against the
 * certificate if the domain verifies; an address is only checked. `alpn` is in the wire's form, or
 * size 0. `session` (may be NULL) is taken up if the server agrees. Begins when
 * tls_feed(t, NULL, …) is called. */
struct tls_greeting {
    struct slice name, alpn;
    bool tell;
    SSL_SESSION *session;
};
struct tls *tls_connect(struct tls_home *, struct io *, int fd, struct tls_domain *,
                        const struct tls_greeting *, const struct tls_ops *, void *owner) MUST_USE;

/* In the completion of the descriptor's close, or behind it (see tls_close()). */
void tls_destroy(struct tls *);
/* Nothing is on its way out, and no file is read. */
bool tls_is_quiet(const struct tls *);
/* Its requests are served elsewhere from now on (see io_leave()): it must be quiet. */
void tls_move(struct tls *, struct io *, void *owner);

/* Takes `lent` (may be NULL) and decrypts what it can. *ret_plain: a list of buffers, for the
 * caller to release; it may be there beside every step. */
enum tls_step tls_feed(struct tls *, struct io_buf *lent, struct io_buf **ret_plain);

/* Borrows the vector and its bytes until ops->sent(). One at a time, once TLS_OPEN was said. */
void tls_send(struct tls *, const struct iovec *, int count);
/* The same with `size` bytes of an open file from offset. -ENODATA: it ended before. */
void tls_send_file(struct tls *, int file, uint64_t offset, uint32_t size);
bool tls_sending(const struct tls *);
/* Grows while what is being sent leaves. */
uint64_t tls_moved(const struct tls *);

/* close_notify, behind what is being sent; then FIN (io_finish). Once. */
void tls_finish(struct tls *);
/* The descriptor is about to be closed: close_notify now, if the socket takes it at once, and if
 * all was said (`whole`): what was cut off must not look complete (RFC 8446 6.1). From now on
 * only ops->ready() is called, once, if tls_busy(): a read or a helper's work is not over, and
 * tls_destroy() must wait for it. */
void tls_close(struct tls *, bool whole);
bool tls_busy(const struct tls *);

/* Why it failed, in the library's words. */
const char *tls_why(const struct tls *);
/* The handshake is over, and well. */
bool tls_is_open(const struct tls *);
/* "h2", "http/1.1" …; size 0: nothing was agreed. */
struct slice tls_protocol_agreed(const struct tls *);
/* What comes now may be a replay: early data, and the handshake is not over (RFC 8470). */
bool tls_is_early(const struct tls *);
/* For variables: what OpenSSL knows. */
SSL *tls_ssl(const struct tls *);
/* Its server name as the client said it (lower case) or was told to; size 0: none. Borrowed. */
struct slice tls_name(const struct tls *);

#endif
