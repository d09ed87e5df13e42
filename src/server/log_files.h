/* log_files.h - the descriptors behind a configuration's log targets.
 *
 * The master opens them; the worker is given duplicates, in the order of the targets' ids.
 * Targets that go to the standard error stream have no descriptor of their own.
 */
#ifndef SERVER_LOG_FILES_H
#define SERVER_LOG_FILES_H

#include "http/log_target.h"

/* Opens every target that is not open. False: text (a sentence, at most size bytes) says why;
 * what was opened before stays open. */
bool log_files_open(struct log_targets *, char *text, size_t size) MUST_USE;
void log_files_close(struct log_targets *);

/* Before log_files_open(): logs in memory that were there in `before`, too, go on in this list. */
void log_files_keep(struct log_targets *, const struct log_targets *before);

/* Has it a descriptor of its own? */
bool log_target_travels(const struct log_target *);

/* How many descriptors travel; and the descriptors, borrowed. */
uint32_t log_files_count(const struct log_targets *);
void log_files_list(const struct log_targets *, int *into);

/* The worker's side: takes log_files_count() descriptors. */
void log_files_take(struct log_targets *, const int *fds);

/* Puts fd, opened for a target like `fresh`, behind the descriptors that such targets have in
 * this list, also under running writers: dup3(2) replaces the open file, the number stays. */
void log_files_swap(struct log_targets *, const struct log_target *fresh, int fd);

/* Opens one target anew: a descriptor, or -errno. */
int log_file_open(const struct log_target *);

#endif
