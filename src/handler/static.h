/* static.h - files as answers. */
#ifndef HANDLER_STATIC_H
#define HANDLER_STATIC_H

#include "http/pipeline.h"

extern const struct feature feature_static, feature_index, feature_autoindex, feature_try_files;
step_fn step_try_files, step_index, step_autoindex, step_static;
look_fn file_look; /* file_look.c */

#endif
