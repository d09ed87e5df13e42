/* fixture.h - what the cases of the conformance test share: a loop, links to peers, patience.
 *
 * A case says what must be true with MUST(), what must become true with UNTIL(), and what must
 * not happen by settling: settle() turns the loop until whatever could happen has happened.
 * On the branches variant of the threads engine every link has a loop of its own, so cases
 * submit to link.io and turn only the home loop.
 */
#ifndef TESTS_IO_FIXTURE_H
#define TESTS_IO_FIXTURE_H

#include "io/io.h"

#include <netinet/in.h>

enum { MS = 1000000, PATIENCE_MS = 20000, SETTLE_TURNS = 6 };

struct fixture {
    struct io *io; /* the home loop */
    const char *engine, *name;
    bool branches, sim;
    uint64_t seed;
};
extern struct fixture t;

_Noreturn void fail_at(const char *file, int line, const char *func, const char *what);
#define MUST(x) ((x) ? (void)0 : fail_at(__FILE__, __LINE__, __func__, #x))
#define UNTIL(x)                                                          \
    do {                                                                  \
        for (uint64_t end_ = patience_end(); !(x); io_turn(t.io, 5 * MS)) \
            if (patience_over(end_))                                      \
                fail_at(__FILE__, __LINE__, __func__, "in time: " #x);    \
    } while (0)

uint64_t patience_end(void);
bool patience_over(uint64_t end);
void settle(void);
/* With nothing to do for a while, the loop must wait, and not go round and round. */
void must_not_spin(const char *file, int line);
#define MUST_NOT_SPIN() must_not_spin(__FILE__, __LINE__)
/* What the test itself prepared went wrong: not the engine's fault. */
#define HAVE(x) MUST(x)

/* ---- seeing completions ------------------------------------------------------------------ */

/* `op` stays the first member: note() is the done function of all of them. */
struct seen {
    struct io_op op;
    struct io_result r; /* the last one                          */
    int finals, mores;
    uint64_t bytes; /* sum of positive results               */
    uint32_t hash;  /* of received bytes, in order           */
    bool keep;      /* keep the last buffer, else release it */
    struct io_op *then_cancel;
    struct io *then_io;
};
io_done_fn note;
uint32_t hash_add(uint32_t hash, const void *bytes, size_t size);

/* ---- links ------------------------------------------------------------------------------- */

struct sim_peer;

/* Ours: fd on io. The peer's end: a plain non-blocking socket, or sim's. */
struct link {
    struct io *io;
    int fd, peer;
    struct sim_peer *sim;
    struct seen end;
};

/* The loop for one more link. */
struct io *loop_open(void);
void link_open(struct link *);        /* a stream with small buffers                        */
void link_open_tcp(struct link *);    /* over loopback                                      */
void link_shut(struct link *);        /* closes ours, waits for it, then the peer's         */
void link_close_start(struct link *); /* only asks for the close                            */
bool link_closed(const struct link *);

void peer_put(struct link *, const void *bytes, size_t size); /* all of it must fit          */
/* Bytes read, 0 at the end, -1 if there is nothing now, -2 after a reset. */
int peer_get(struct link *, void *into, size_t size);
void peer_finish(struct link *);
void peer_close(struct link *);
void peer_reset(struct link *);

/* Reads everything the peer has and hashes it. Returns how much. */
size_t peer_drain(struct link *, uint32_t *hash, size_t most);

/* A listener on loopback and its address. */
int listener_open(struct sockaddr_in *ret_at, int backlog);
int client_open(const struct sockaddr_in *at, bool nonblock);

/* A file with `size` bytes of a known pattern; cold: not in the page cache, where possible. */
int file_open(size_t size, bool cold);
void pattern_fill(uint8_t *bytes, size_t size, uint64_t offset);
uint32_t pattern_hash(size_t size, uint64_t offset);

/* ---- cases ------------------------------------------------------------------------------- */

/* QUIET: it counts on bytes that come together to stay together. */
enum { NO_SIM = 1, NO_BRANCHES = 2, ONLY_SELECT = 4, QUIET = 8 };

struct test_case {
    const char *name;
    void (*run)(void);
    unsigned flags;
    struct io_limits limits; /* zero: the usual ones */
};
extern const struct test_case law_cases[], stream_cases[], file_cases[], socket_cases[],
    loop_cases[];

#endif
