/* static.h - files as answers. */
#ifndef HANDLER_STATIC_H
#define HANDLER_STATIC_H

#include "http/pipeline.h"

struct file;

extern const struct feature feature_static, feature_index, feature_autoindex, feature_try_files,
    feature_packed, feature_random_index;
step_fn step_try_files, step_random_index, step_index, step_autoindex, step_packed, step_static;
idle_fn try_files_idle, random_index_idle, autoindex_idle, packed_idle;
look_fn file_look; /* file_look.c */

/* Answers with an open file that is no directory, of the type that r's extension says. Takes f.
 * DONE, also when memory ran out (500). */
enum verdict static_answer(struct request *, struct file *f);

/* All of f, sent as the scope says: for who holds f until the request ends, and has looked for its
 * contents. NULL: no memory. */
struct body *static_body(struct request *, struct file *f) MUST_USE;

#endif
