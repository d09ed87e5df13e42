/* tls_private.h - what tls.c, tls_send.c, tls_domain.c and tls_resume.c share. */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include "net/tls.h"

#include <pthread.h>

enum tls_phase {
    PHASE_HELLO, /* a handshake, before early data was looked for          */
    PHASE_EARLY, /* early data may come                                     */
    PHASE_SHAKE, /* the rest of the handshake                               */
    PHASE_OPEN,
    PHASE_BROKEN,
};

enum { TLS_NAME_MAX = 255, TLS_WHY_MAX = 200 };

struct tls {
    uint32_t magic;
#define TLS_MAGIC 0x746c7363u
    uint8_t phase; /* enum tls_phase */
    bool client, h2, chosen, working, hello_waits, early, closing;
    bool sending;   /* tls_send() was called and not yet answered       */
    bool finishing; /* FIN follows what is being sent                   */
    bool slow;      /* the next step is a helper's                      */
    bool held;      /* what was gathered may wait for an answer to go with it */
    uint16_t name_size;
    uint16_t record_max; /* bytes of content                                */
    int fd;
    struct io *io;
    struct tls_home *home;
    struct tls_domain *domain, *first; /* chosen; of the beginning. NULL once hands are shaken:
                                          the connection may outlive them                     */
    const struct tls_ops *ops;
    void *owner;
    SSL *ssl;
    char *name; /* block_alloc()'s */

    /* received: encrypted */
    struct io_buf *in_first, *in_last; /* being read                                       */
    struct io_buf *spent;              /* read to their ends; released by the loop's thread */
    struct io_buf *later;              /* came while a helper was at work                  */

    /* to be sent */
    struct tls_out *out, *flying; /* being gathered; with the loop                         */
    struct io_op tx, side;        /* side: a helper's work, or a read of a file            */
    struct io_timer soon;         /* tells of a send that never left               */
    struct iovec flying_iov;
    const struct iovec *iov; /* the caller's, or file_iov                              */
    struct iovec file_iov;
    int iov_count, iov_at;
    size_t iov_done; /* of iov[iov_at] */
    int file;
    uint64_t file_offset;
    uint32_t file_left;
    struct tls_out *file_bytes;
    int error;        /* of sending: -errno; 0                            */
    uint64_t moved;   /* bytes that left, of sends that are over          */
    uint64_t last_ns; /* when something was sent last: record sizes       */
    int shaken;       /* what the helper's step came to: see shake()                   */
    char *why;        /* malloc'ed; NULL: nothing went wrong, or there was no memory         */
};

static inline struct tls *tls_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* tls_identity.c: see tls_domain_id(). False: no memory. */
bool tls_identify(const struct tls_wish *, uint8_t id[TLS_ID_SIZE]) MUST_USE;
/* tls_hello.c: callbacks of a context that find their connection themselves. */
void tls_set_up(SSL_CTX *, const struct tls_wish *);
/* tls.c: the library's newest error becomes what tls_why() says. */
void tls_note_error(struct tls *, const char *doing);
void tls_note(struct tls *, const char *why);
/* tls_send.c: what was gathered goes out, if nothing is on its way. */
void tls_flush(struct tls *);
/* The same behind what was fed: tickets that end a handshake wait for the first answer. */
void tls_flush_fed(struct tls *);
/* The buffer that is gathered into; NULL: no memory. */
struct tls_out *tls_gathering(struct tls *);
/* tls_resume.c: session tickets, and the sessions that a zone keeps. */
void tls_resume_set_up(SSL_CTX *, struct tls_domain *);

/* tls_staple.c: the answers of a domain. */
struct tls_staples {
    pthread_mutex_t lock;
    struct tls_staple *first;
};

void tls_staples_init(struct tls_staples *);
void tls_staples_done(struct tls_staples *);
void tls_staples_set_up(SSL_CTX *, struct tls_staples *);
bool tls_staples_put(struct tls_staples *, const unsigned char *certificate,
                     struct slice answer) MUST_USE;

#endif
