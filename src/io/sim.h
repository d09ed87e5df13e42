/* sim.h - an engine for tests: sockets in memory, time that jumps, and a seed that decides.
 *
 *   struct io *io = io_create(&io_engine_sim, &limits, &error);
 *   sim_seed(io, 42);
 *   struct sim_peer *p = sim_pair(io, &fd);     fd: give it to io_recv(), io_send(), …
 *   sim_peer_write(p, "GET / HTTP/1.1\r\n\r\n", 18);
 *   io_turn(io, UINT64_MAX);
 *
 * The seed decides in which order ops complete, after what delay, how many bytes a read or a
 * write moves, whether a cancel comes too late. The same seed and the same calls give the same
 * run. Nothing is real but files, which io_read() and io_sendfile() read in random short steps.
 * Time stands still while there is something to do, then jumps to the next thing that happens.
 *
 * sim_ledger() says what is open; it must be what it was when everything is closed again.
 */
#ifndef IO_SIM_H
#define IO_SIM_H

#include "io/io.h"

struct sim_peer;

enum { SIM_FD_BASE = 1 << 20 };

/* Chances in percent. Zero-initialised: a quiet network that splits nothing. */
struct sim_faults {
    uint8_t short_io;    /* a read or write moves fewer bytes than it could           */
    uint8_t delay;       /* an op completes a random time later                       */
    uint8_t late_cancel; /* a cancel loses against what was about to happen           */
    uint8_t no_bufs;     /* a recv finds no buffer, once                              */
    uint32_t delay_max_us;
    uint32_t queue_max; /* bytes a direction holds before writing waits; 0: 64 KiB    */
};

void sim_seed(struct io *, uint64_t seed);
void sim_faults(struct io *, const struct sim_faults *);
/* A number below `below`, from the same seed: for the test's own choices. */
uint32_t sim_random(struct io *, uint32_t below);

/* ---- sockets and their other ends -------------------------------------------------------- */

/* A connected stream; *ret_fd is ours. */
struct sim_peer *sim_pair(struct io *, int *ret_fd) MUST_USE;
/* A listening socket on a made-up port: io_accept() it. io_connect() to a sockaddr_in with this
 * port finds it, too. 0 < port. */
int sim_listener(struct io *, uint16_t port) MUST_USE;
/* Whoever connects to it waits, until it is not mute any more. */
void sim_listener_mute(struct io *, uint16_t port, bool mute);
/* A socket for io_connect(); io_socket() makes them, too. */
int sim_socket(struct io *) MUST_USE;
/* Connects to a listener; NULL: nobody listens there. */
struct sim_peer *sim_connect(struct io *, uint16_t port) MUST_USE;
/* The next connection that our side made to a port that has a listener which nobody accepts
 * from, as its server; NULL: none. */
struct sim_peer *sim_accept(struct io *, uint16_t port) MUST_USE;

/* Moves what fits. Returns how many bytes; 0 if none fit or the connection is over. */
size_t sim_peer_write(struct sim_peer *, const void *bytes, size_t size);
/* Bytes; 0: our side finished or closed; -1 with errno EAGAIN or ECONNRESET. */
ssize_t sim_peer_read(struct sim_peer *, void *into, size_t size);
void sim_peer_shutdown(struct sim_peer *); /* FIN                                              */
void sim_peer_close(struct sim_peer *);    /* FIN; later bytes of ours are answered by a reset */
void sim_peer_reset(struct sim_peer *);    /* RST; the peer is gone                            */
bool sim_peer_reset_seen(const struct sim_peer *);

/* Resets the connection when our side has read, or written, this many more bytes. */
void sim_peer_reset_after(struct sim_peer *, uint64_t read, uint64_t written);

/* ---- time and books ---------------------------------------------------------------------- */

/* Runs the loop for so much virtual time. Returns how many completions and timers ran. */
int sim_step(struct io *, uint64_t time_ns);

struct sim_ledger {
    uint32_t sockets, peers, bufs_lent, flying, timers;
};
struct sim_ledger sim_ledger(const struct io *);

#endif
