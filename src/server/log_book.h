/* log_book.h - the access log of one loop: buffers, compressed ones, files of changing names.
 *
 * A loop writes its own lines; nothing is shared with other loops but the descriptors. Lines
 * that cannot be written (a full disk) are dropped and counted, and the error log says so at
 * most once a second.
 */
#ifndef SERVER_LOG_BOOK_H
#define SERVER_LOG_BOOK_H

#include "http/log_target.h"
#include "http/loop.h"

struct log_book;
struct site;

/* To be put into log_writer. */
extern const struct log_writer log_book_writer;

struct log_book *log_book_create(struct loop *) MUST_USE;
void log_book_destroy(struct loop *); /* writes what is buffered                      */

/* Writes what is buffered and closes files of changing names: before logs are reopened. */
void log_book_flush(struct loop *);
/* The site's log targets are about to go. */
void log_book_forget(struct loop *, const struct site *);

#endif
