/* engine.h - which engine the worker's loops run on. */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

#include "base/log.h"
#include "io/io.h"

/* What a loop may need, from the descriptors this process may have. */
struct io_limits engine_limits(void);

/* The engine for `use` (USE_… of main_conf.h). `auto` and io_uring try io_uring with as many
 * loops as will run; where it cannot be had, epoll is used and one line of the log says why.
 * WEIR_NO_IO_URING=1 in the environment keeps `auto` from trying. */
const struct io_engine *engine_choose(int use, unsigned loops, const struct io_limits *,
                                      const struct log *);

#endif
