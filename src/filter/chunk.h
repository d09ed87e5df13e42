/* chunk.h - what filters that look at bytes do with chunks that are ranges of files. */
#ifndef FILTER_CHUNK_H
#define FILTER_CHUNK_H

#include "http/request.h"

/* Reads a chunk of a file (k->file >= 0) into room[0..k->size). Ranges are given out when they are
 * in the page cache: this waits for nothing. False, and logged: it cannot be read, or the file
 * became shorter. */
bool chunk_read(struct request *, const struct chunk *, char *room) MUST_USE;

/* The bytes of r's body are no longer those of a file: Last-Modified and ETag go, or, with
 * keep_date, the ETag becomes a weak one. False: no memory. */
bool chunk_head_changed(struct request *, bool keep_date) MUST_USE;

#endif
