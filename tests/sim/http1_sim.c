/* http1_sim.c - the real protocol, pipeline and handlers over a simulated network: short reads
 * and writes, resets at any byte, late cancels, missing buffers, slow and silent clients.
 *
 *   http1_sim [COUNT [FIRST]]      runs COUNT seeds; a failure prints its seed
 *
 * Each seed makes a few clients. A polite one must get exactly the answers to what it asked, in
 * order; a rude one may reset, half-close or go silent at any byte. In the end every deadline
 * is let pass, and the books must be balanced: no connection, request, buffer, timer or op left.
 */
#include "sim/world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 6, ASKS_MAX = 8, IN_MAX = 4 << 20, PATIENCE_S = 600 };

/* ---- what clients ask, and what they must get ------------------------------------------ */

struct ask {
    const char *text;
    unsigned status; /* 0: the connection closes without an answer */
    size_t body;     /* bytes of the body; SIZE_MAX: any            */
    const char *begins;
    bool head, last; /* no body follows; the server closes then     */
};

#define H "\r\nHost: a.test\r\n"
static const struct ask menu[] = {
    { "GET /h.txt HTTP/1.1" H "\r\n", 200, 13, "Hello, world!", false, false },
    { "POST /read HTTP/1.1" H "Content-Length: 0\r\n\r\n", 200, 7, "0 bytes", false, false },
    { "POST /read HTTP/1.1" H "Content-Length: 16\r\n\r\nabcdefghijklmnop", 200, 8, "16 bytes",
      false, false },
    { "POST /read HTTP/1.1" H "Content-Length: 52\r\n\r\n"
      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
      200, 8, "52 bytes", false, false },
    { "POST /read HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\n"
      "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n3\r\nabc\r\n0\r\n\r\n",
      200, 8, "29 bytes", false, false },
    { "POST /read HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n", 400, SIZE_MAX,
      NULL, false, true },
    { "POST /stream HTTP/1.1" H "Content-Length: 0\r\n\r\n", 200, 7, "0 bytes", false, false },
    { "POST /stream HTTP/1.1" H "Content-Length: 16\r\n\r\nabcdefghijklmnop", 200, 8, "16 bytes",
      false, false },
    { "POST /stream HTTP/1.1" H "Content-Length: 52\r\n\r\n"
      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
      200, 8, "52 bytes", false, false },
    { "POST /stream HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\n"
      "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n3\r\nabc\r\n0\r\n\r\n",
      200, 8, "29 bytes", false, false },
    { "POST /stream HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n", 400, SIZE_MAX,
      NULL, false, true },
    { "GET / HTTP/1.1" H "\r\n", 200, 13, "Hello", false, false },
    { "HEAD /h.txt HTTP/1.1" H "\r\n", 200, 13, NULL, true, false },
    { "GET /big.bin HTTP/1.1" H "\r\n", 200, BIG_SIZE, "abcdef", false, false },
    { "GET /slow/big.bin HTTP/1.1" H "\r\n", 200, BIG_SIZE, "abcdef", false, false },
    { "GET /big.bin HTTP/1.1" H "Range: bytes=23-45\r\n\r\n", 206, 23, "abcdef", false, false },
    { "GET /big.bin HTTP/1.1" H "Range: bytes=0-9,23-32\r\n\r\n", 206, SIZE_MAX, "\r\n--", false,
      false },
    { "GET /list/ HTTP/1.1" H "\r\n", 200, SIZE_MAX, "<!DOCTYPE", false, false },
    { "GET /list HTTP/1.1" H "\r\n", 404, SIZE_MAX, NULL, false, false },
    { "GET /missing HTTP/1.1" H "\r\n", 404, SIZE_MAX, "<!DOCTYPE", false, false },
    { "GET /ret HTTP/1.1" H "\r\n", 200, 9, "returned", false, false },
    { "POST /echo HTTP/1.1" H "Content-Length: 11\r\n\r\nhello world", 200, 2, "ok", false, false },
    { "POST /echo HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: 1\r\n\r\n",
      200, 2, "ok", false, false },
    { "POST /h.txt HTTP/1.1" H "Content-Length: 4\r\n\r\nbody", 405, SIZE_MAX, NULL, false, false },
    { "GET /h.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, 13, "Hello", false, false },
    { "GET /h.txt HTTP/1.1" H "Connection: close\r\n\r\n", 200, 13, "Hello", false, true },
    { "POST /echo HTTP/1.1" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, SIZE_MAX, NULL,
      false, true },
    { "GET /%zz HTTP/1.1" H "\r\n", 400, SIZE_MAX, NULL, false, true },
    { "nonsense\r\n\r\n", 400, SIZE_MAX, NULL, false, true },
    { "GET /none HTTP/1.1" H "\r\n", 0, 0, NULL, false, true },
    { "POST /echo HTTP/1.1" H "Content-Length: 99999999\r\n\r\n", 413, SIZE_MAX, NULL, false,
      true },
};

enum manner { POLITE, RESETS, HALF_CLOSES, GOES_SILENT, NEVER_READS, MANNERS };

struct client {
    struct sim_peer *peer;
    enum manner manner;
    const struct ask *asks[ASKS_MAX];
    unsigned ask_count;
    char out[8192];
    size_t out_size, out_done, out_stop;
    char *in;
    size_t in_size;
    bool over; /* nothing more will be read or written */
};

static void make_client(struct io *io, struct client *c)
{
    int fd;

    memset(c, 0, sizeof *c);
    c->peer = sim_pair(io, &fd);
    c->in = malloc(IN_MAX);
    MUST(c->in != NULL);
    c->manner = sim_random(io, 3) > 0 ? POLITE : (enum manner)sim_random(io, MANNERS);
    c->ask_count = 1 + sim_random(io, ASKS_MAX);
    for (unsigned i = 0; i < c->ask_count; i++) {
        const struct ask *a = &menu[sim_random(io, COUNT_OF(menu))];
        size_t size = strlen(a->text);

        c->asks[i] = a;
        memcpy(c->out + c->out_size, a->text, size);
        c->out_size += size;
        if (a->last)
            c->ask_count = i + 1;
    }
    c->out_stop = c->manner == POLITE || c->manner == NEVER_READS
                      ? c->out_size
                      : sim_random(io, (uint32_t)c->out_size + 1);
    MUST(http1_open(&stage.loop, io, fd, 0));
}

static void read_some(struct client *c)
{
    ssize_t n;

    while (c->in_size < IN_MAX && c->manner != NEVER_READS &&
           (n = sim_peer_read(c->peer, c->in + c->in_size, IN_MAX - c->in_size)) != -1) {
        c->in_size += (size_t)n;
        if (n == 0) {
            c->over = true;
            return;
        }
    }
    if (c->manner != NEVER_READS && errno == ECONNRESET)
        c->over = true;
}

static void rudeness(struct io *io, struct client *c)
{
    switch (c->manner) {
    case RESETS:
        sim_peer_reset(c->peer);
        c->over = true;
        c->peer = NULL;
        break;
    case HALF_CLOSES:
        sim_peer_shutdown(c->peer);
        c->manner = GOES_SILENT;
        break;
    default:
        break;
    }
    (void)io;
}

static void client_step(struct io *io, struct client *c)
{
    size_t left = c->out_stop - c->out_done;

    if (c->over)
        return;
    if (left > 0) {
        size_t most = 1 + sim_random(io, sim_random(io, 2) ? 40 : 8192);

        c->out_done += sim_peer_write(c->peer, c->out + c->out_done, left < most ? left : most);
    } else if (c->manner != POLITE) {
        rudeness(io, c);
    }
    if (!c->over)
        read_some(c);
}

/* ---- judging what came ------------------------------------------------------------------- */

static size_t number_behind(struct slice head, const char *name, size_t missing)
{
    size_t at = slice_search(head, slice_str(name));
    uint64_t n;

    if (at == head.size)
        return missing;
    struct slice rest = slice_skip(head, at + strlen(name));

    MUST(slice_to_u64(slice_cut(&rest, '\r'), SIZE_MAX / 2, &n));
    return (size_t)n;
}

/* Cuts one answer off *in and compares it with what was asked. */
static void judge_answer(const struct ask *a, struct slice *in)
{
    size_t end = slice_search(*in, SLICE("\r\n\r\n"));
    uint64_t status;

    MUST(end < in->size);
    struct slice head = slice_head(*in, end + 2);

    MUST(slice_starts(head, SLICE("HTTP/1.1 ")));
    MUST(slice_to_u64(slice_head(slice_skip(head, 9), 3), 999, &status));
    if (status != a->status)
        fprintf(stderr, "asked %.40s… got %llu\n", a->text, (unsigned long long)status);
    MUST(status == a->status);
    size_t length = number_behind(head, "Content-Length: ", 0);

    *in = slice_skip(*in, end + 4);
    MUST(a->body == SIZE_MAX || length == a->body);
    if (a->head)
        return;
    MUST(in->size >= length);
    if (a->begins != NULL)
        MUST(slice_starts(*in, slice_str(a->begins)));
    for (size_t i = 0; length == BIG_SIZE && i < length; i++)
        MUST(in->at[i] == (char)('a' + i % 23));
    *in = slice_skip(*in, length);
}

static void judge(const struct client *c)
{
    struct slice in = slice_of(c->in, c->in_size);

    if (c->manner != POLITE)
        return;
    if (getenv("SIM_VERBOSE") != NULL)
        for (unsigned i = 0; i < c->ask_count; i++)
            fprintf(stderr, "ask %u: %.30s; %zu bytes came, %zu of %zu sent\n", i, c->asks[i]->text,
                    c->in_size, c->out_done, c->out_size);
    for (unsigned i = 0; i < c->ask_count; i++)
        if (c->asks[i]->status != 0)
            judge_answer(c->asks[i], &in);
    MUST(in.size == 0);
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void run(uint64_t seed)
{
    struct loop *loop = world_open(seed);
    struct io *io = loop->io;
    struct sim_ledger before = sim_ledger(io);
    struct client clients[CLIENTS_MAX];
    unsigned count = 1 + sim_random(io, CLIENTS_MAX);
    struct sim_faults faults = { .short_io = (uint8_t)sim_random(io, 90),
                                 .delay = (uint8_t)sim_random(io, 60),
                                 .late_cancel = (uint8_t)sim_random(io, 100),
                                 .no_bufs = (uint8_t)sim_random(io, 30),
                                 .delay_max_us = 1 + sim_random(io, 20000),
                                 .queue_max = 64u << sim_random(io, 12) };

    sim_faults(io, &faults);
    for (unsigned i = 0; i < count; i++)
        make_client(io, &clients[i]);
    for (unsigned s = 0; s < PATIENCE_S * 1000; s++) {
        bool over = true;

        for (unsigned i = 0; i < count; i++) {
            client_step(io, &clients[i]);
            over &= clients[i].over || clients[i].manner == NEVER_READS;
        }
        sim_step(io, 1000000);
        if (over && loop->conn_count == 0)
            break;
    }
    for (unsigned i = 0; i < count; i++) {
        judge(&clients[i]);
        free(clients[i].in);
        if (clients[i].peer != NULL)
            sim_peer_close(clients[i].peer);
    }
    sim_step(io, PATIENCE_S * 1000000000ull);
    MUST(loop->conn_count == 0);
    MUST(stage.uses[0].count == 0);
    MUST(loop->conn_slab.taken == 0 && loop->request_slab.taken == 0 && loop->out_slab.taken == 0);
    struct sim_ledger after = sim_ledger(io);

    MUST(memcmp(&before, &after, sizeof before) == 0);
    world_close(loop);
}

/* A connection whose request finds no memory is closed for that reason, and only it. */
static void without_memory(void)
{
    struct loop *loop = world_open(1);
    struct client c;

    slab_done(&loop->request_slab);
    slab_init(&loop->request_slab, 1u << 30, 1u << 30); /* no machine has that much */
    make_client(loop->io, &c);
    c.manner = GOES_SILENT;
    for (unsigned s = 0; s < 100; s++) {
        client_step(loop->io, &c);
        sim_step(loop->io, 1000000);
    }
    MUST(loop->stats.closed[CLOSE_no_memory] == 1 && loop->conn_count == 0);
    sim_peer_close(c.peer);
    free(c.in);
    sim_step(loop->io, 1000000000);
    world_close(loop);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    signal(SIGPIPE, SIG_IGN);
    world_load();
    without_memory();
    for (seed_now = first; seed_now < first + count; seed_now++)
        run(seed_now);
    world_unload();
    printf("%llu seeds passed\n", (unsigned long long)count);
    return 0;
}
