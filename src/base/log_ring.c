/* log_ring.c - records of 8-byte words behind one another, round and round. A record is its place
 * (counted from the ring's beginning, never starting over) with the lowest bit set, its sum and
 * size, and the text, filled up with zeros. All words are atomics: writers may meet. */
#include "base/log_ring.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORD = sizeof(uint64_t), HEAD_WORDS = 2, FRONT = 64, SIZE_BITS = 16 };

struct log_ring {
    _Atomic uint64_t *end;   /* the place where the next record goes */
    _Atomic uint64_t *words; /* … modulo count                       */
    uint64_t count;
    size_t mapped;
};

/* ---- the memory ------------------------------------------------------------------------- */

int log_ring_file(size_t size)
{
    int fd = memfd_create("weir-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)(FRONT + size / WORD * WORD)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    int error = -errno;

    close(fd);
    return error;
}

struct log_ring *log_ring_map(int fd)
{
    struct log_ring *ring;
    struct stat st;

    if (fstat(fd, &st) != 0 || st.st_size < LOG_RING_MIN || (ring = malloc(sizeof *ring)) == NULL)
        return NULL;
    ring->mapped = (size_t)st.st_size;
    char *at = mmap(NULL, ring->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED) {
        free(ring);
        return NULL;
    }
    ring->end = (_Atomic uint64_t *)(void *)at;
    ring->words = (_Atomic uint64_t *)(void *)(at + FRONT);
    ring->count = (ring->mapped - FRONT) / WORD;
    return ring;
}

void log_ring_unmap(struct log_ring *ring)
{
    if (ring == NULL)
        return;
    (void)munmap((void *)(uintptr_t)ring->end, ring->mapped);
    free(ring);
}

static _Atomic uint64_t *word_at(const struct log_ring *ring, uint64_t place)
{
    return &ring->words[place / WORD % ring->count];
}

static uint64_t get_word(const struct log_ring *ring, uint64_t place)
{
    return atomic_load_explicit(word_at(ring, place), memory_order_relaxed);
}

static void put_word(struct log_ring *ring, uint64_t place, uint64_t word)
{
    atomic_store_explicit(word_at(ring, place), word, memory_order_relaxed);
}

static uint64_t record_bytes(size_t text_size)
{
    return (HEAD_WORDS + (text_size + WORD - 1) / WORD) * WORD;
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 32;
}

static uint64_t sum_and_size(uint64_t sum, size_t size)
{
    return sum >> SIZE_BITS << SIZE_BITS | size;
}

/* ---- writing ---------------------------------------------------------------------------- */

void log_ring_add(struct log_ring *ring, struct slice line)
{
    line = slice_head(line, LOG_RING_LINE_MAX);
    uint64_t place = atomic_fetch_add(ring->end, record_bytes(line.size)) / WORD * WORD;
    uint64_t at = place + HEAD_WORDS * WORD, sum = place;

    for (size_t done = 0; done < line.size; done += WORD, at += WORD) {
        uint64_t word = 0;

        memcpy(&word, line.at + done, line.size - done < WORD ? line.size - done : WORD);
        put_word(ring, at, word);
        sum = mix(sum, word);
    }
    put_word(ring, place + WORD, sum_and_size(sum, line.size));
    atomic_store_explicit(word_at(ring, place), place | 1, memory_order_release);
}

/* ---- reading ---------------------------------------------------------------------------- */

void log_ring_begin(const struct log_ring *ring, size_t most, struct log_ring_cursor *ret)
{
    uint64_t size = ring->count * WORD;

    if (size > most)
        size = most / WORD * WORD;
    ret->end = atomic_load(ring->end) / WORD * WORD;
    ret->at = ret->end > size ? ret->end - size : 0;
}

/* The record that begins at the place; size 0: none does, or not all of it is there. */
static struct slice read_record(const struct log_ring *ring, uint64_t place, char *room)
{
    struct slice none = { 0 };

    if (atomic_load_explicit(word_at(ring, place), memory_order_acquire) != (place | 1))
        return none;
    uint64_t claim = get_word(ring, place + WORD), at = place + HEAD_WORDS * WORD, sum = place;
    size_t size = claim & ((1u << SIZE_BITS) - 1);

    if (size > LOG_RING_LINE_MAX)
        return none;
    for (size_t done = 0; done < size; done += WORD, at += WORD) {
        uint64_t word = get_word(ring, at);

        memcpy(room + done, &word, size - done < WORD ? size - done : WORD);
        sum = mix(sum, word);
    }
    return claim == sum_and_size(sum, size) ? slice_of(room, size) : none;
}

struct slice log_ring_next(const struct log_ring *ring, struct log_ring_cursor *c,
                           char room[LOG_RING_LINE_MAX])
{
    uint64_t end = atomic_load(ring->end) / WORD * WORD, size = ring->count * WORD;

    if (end > size && c->at < end - size)
        c->at = end - size; /* the writers were faster */
    while (c->at < c->end) {
        struct slice line = read_record(ring, c->at, room);

        c->at += line.size > 0 ? record_bytes(line.size) : WORD;
        if (line.size > 0)
            return line;
    }
    return (struct slice){ 0 };
}
