/* line.h - a connection of the load generator up to the bytes that are meant: its socket, and TLS
 * between it and the protocol if the plan says so.
 *
 *   line_init(&l, load, &ops);
 *   line_open(&l)  …ops->open()       connected, and hands shaken
 *   line_send()    …ops->sent()       one at a time
 *   …ops->bytes()                     what came, in the clear
 *   line_close(&l) …ops->closed()     line_open() may follow
 *   line_done(&l)
 *
 * No callback comes from inside a call, and none but closed() behind line_close().
 */
#ifndef BENCH_LINE_H
#define BENCH_LINE_H

#include "bench/plan.h"
#include "net/tls.h"

enum line_state { LINE_CLOSED, LINE_CONNECTING, LINE_SHAKING, LINE_OPEN, LINE_CLOSING };

struct line;
struct load;

struct line_ops {
    /* 0; -EPROTO: TLS failed, and that was noted; or another -errno. */
    void (*open)(struct line *, int error);
    /* A list of buffers, borrowed until it returns; then what came of the read: above 0: go on, 0:
     * the peer finished, or -errno. */
    void (*bytes)(struct line *, const struct io_buf *list, int result);
    void (*sent)(struct line *, int error);
    void (*closed)(struct line *);
};

struct line {
    struct io_op out, in, closing;
    struct load *load;
    struct io *io; /* the loop's, or a thread of its own: set by the owner */
    const struct line_ops *ops;
    int fd;
    uint8_t state; /* enum line_state */
    struct tls *tls;
    SSL_SESSION *session; /* plan->resume: for the next handshake */
    uint64_t shook_ns;    /* when the handshake began             */
};

/* Did the server choose (by ALPN, RFC 7301; size 0: nothing) what it must? */
bool bench_tls_agreed(const struct bench_tls *, struct slice chosen);

void line_init(struct line *, struct load *, const struct line_ops *);
/* What is open must be closed before. */
void line_done(struct line *);

/* 0, or -errno: then it stays closed. */
int line_open(struct line *) MUST_USE;
/* Borrows the vector and its bytes, of at most IO_SEND_MAX, until ops->sent(). */
void line_send(struct line *, const struct iovec *);
bool line_sending(const struct line *);
/* Does nothing when it is closed, or is being closed. */
void line_close(struct line *);

#endif
