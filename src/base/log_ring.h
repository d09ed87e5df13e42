/* log_ring.h - the last lines of a log, in memory of a given size that processes share.
 *
 *   int fd = log_ring_file(32 << 20);                 the master; it travels to the worker
 *   struct log_ring *ring = log_ring_map(fd);         both; the file is initialised by being empty
 *   log_ring_add(ring, line);                         any thread of any process
 *   log_ring_begin(ring, SIZE_MAX, &cursor);
 *   while ((line = log_ring_next(ring, &cursor, room)).size > 0) …      oldest first
 *
 * There is no lock. A writer takes its place by moving the end on; a line carries its place and
 * a sum over both, and a reader believes only what fits: lines half written, or half written
 * over, are passed over. What a process with a mapping can do to the others is write nonsense:
 * every index is taken modulo the size, and the file cannot shrink.
 */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include "base/slice.h"

enum { LOG_RING_MIN = 32 * 1024, LOG_RING_MAX = 64 * 1024 * 1024, LOG_RING_LINE_MAX = 4096 };

struct log_ring;

/* Where a reader is: between two lines. */
struct log_ring_cursor {
    uint64_t at, end;
};

/* Gives the descriptor of an empty ring of `size` bytes (LOG_RING_MIN to LOG_RING_MAX), or -errno:
 * memfd_create(2), sealed against shrinking. */
int log_ring_file(size_t size) MUST_USE;

/* Gives the ring behind a descriptor of log_ring_file(), which stays the caller's; NULL: no
 * memory, or not such a file. */
struct log_ring *log_ring_map(int fd) MUST_USE;
void log_ring_unmap(struct log_ring *);

/* Keeps a copy of the line (at most LOG_RING_LINE_MAX bytes of it). Never fails, never waits. */
void log_ring_add(struct log_ring *, struct slice line);

/* From the oldest line on, or so late that at most `most` bytes come, to the newest of now. */
void log_ring_begin(const struct log_ring *, size_t most, struct log_ring_cursor *ret);

/* The next line, in `room`; size 0: there are no more. */
struct slice log_ring_next(const struct log_ring *, struct log_ring_cursor *,
                           char room[LOG_RING_LINE_MAX]);

#endif
