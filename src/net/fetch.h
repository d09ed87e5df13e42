/* fetch.h - one HTTP exchange that the server itself begins, small and over in time.
 *
 *   struct fetch f = { .io = io, .resolver = v, .how = &how, .url = url, .timeout_ms = 10000,
 *                      .answer_max = 65536, .done = on_done };
 *   fetch_begin(&f);          …on_done(&f): f.why is NULL: f.status and f.answer are there
 *   fetch_cancel(&f);         …done() as well, and soon: f.why says so
 *
 * done() is called once, never from inside a call, when nothing is in flight any more: it may free
 * the fetch. Only http:// is spoken: what is fetched must prove itself.
 */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "io/io.h"
#include "net/resolver.h"
#include "wire/h1_response.h"

struct fetch_url {
    struct slice host; /* without brackets */
    struct slice authority, path;
    uint16_t port;
};

/* NULL; or what is wrong with it. Borrows the text. */
const char *fetch_read_url(struct slice text, struct fetch_url *ret);

/* What is said in the first part stays as it is until done(). */
struct fetch {
    struct io *io;
    struct resolver *resolver;
    const struct resolver_how *how;
    struct slice url;
    struct slice type, body; /* POST, with this content; size 0: GET */
    int64_t timeout_ms;
    uint32_t answer_max;
    void (*done)(struct fetch *);

    const char *why;     /* what failed; NULL: nothing         */
    unsigned status;     /* of the answer                      */
    struct slice answer; /* its content, until done() returns  */

    /* Its own: */
    struct lookup lookup;
    struct fetch_url target;
    struct io_op rx, tx, end;
    struct io_timer timer, soon;
    struct sockaddr_storage peer;
    socklen_t peer_size;
    struct resolved literal; /* the host, if it is an address */
    unsigned next;           /* of the addresses              */
    int fd;
    bool looking, over, head_read;
    struct arena arena;
    struct h1_response response;
    struct iovec iov[2];
    char *bytes;
    uint32_t used;
};

void fetch_begin(struct fetch *);
void fetch_cancel(struct fetch *);

#endif
