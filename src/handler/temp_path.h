/* temp_path.h - reads directives such as `client_body_temp_path path [level [level [level]]]`. */
#ifndef HANDLER_TEMP_PATH_H
#define HANDLER_TEMP_PATH_H

#include "conf/load.h"
#include "handler/temp_file.h"

/* The path, made absolute and NUL-terminated, and digits of each level of directories below it.
 * False after a complaint. */
bool temp_path_read(struct conf_load *, const struct conf_node *, struct slice *path,
                    uint8_t levels[TEMP_LEVELS]) MUST_USE;

#endif
