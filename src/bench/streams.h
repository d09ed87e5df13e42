/* streams.h - the requests that one connection of HTTP/2 has in flight, found by their streams.
 *
 *   streams_init(&t, count, memory);       streams_size(count) bytes, aligned to 8
 *   s = streams_add(&t, id);               there is room: t.open < t.count
 *   s = streams_find(&t, id);              NULL: it has ended, or never began
 *   streams_remove(&t, s);
 *
 * Streams begin in order and end in any, so a few buckets by number hold one each, nearly always.
 */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NONE: free. ASKED: the head of the answer has not come. ANSWERED: it has, content may follow. */
enum stream_state { STREAM_NONE, STREAM_ASKED, STREAM_ANSWERED };

struct stream {
    uint32_t id;
    uint16_t next; /* in its bucket, or of the free ones */
    uint16_t status;
    uint8_t state;       /* enum stream_state                  */
    bool sent_end;       /* the request is out, its body with it  */
    bool has_length;     /* of the answer's content               */
    uint64_t length;     /* if so                                 */
    uint64_t got;        /* of it                                 */
    uint64_t sent;       /* of the request's body                 */
    int64_t send_window; /* below 0: the server has narrowed it   */
    int64_t recv_window;
    uint64_t progress_ns; /* when it began, or some of its answer came */
};

struct streams {
    struct stream *all; /* a stream's place here is its request's slot */
    uint16_t *buckets;
    uint16_t count, open, free, mask;
};

size_t streams_size(unsigned count);
/* Borrows the memory. At most UINT16_MAX / 2 streams. */
void streams_init(struct streams *, unsigned count, void *memory);

struct stream *streams_add(struct streams *, uint32_t id);
struct stream *streams_find(const struct streams *, uint32_t id);
void streams_remove(struct streams *, struct stream *);

#endif
