/* log_format.h - log_format and the formats that need no definition. For access_log.c. */
#ifndef HTTP_LOG_FORMAT_H
#define HTTP_LOG_FORMAT_H

#include "conf/load.h"
#include "http/request.h"

struct log_format;

/* The formats of a configuration, in the http scope. */
struct log_formats {
    struct log_format *first;
};

/* The set function of log_format; conf must begin with struct log_formats. */
conf_set_fn log_format_set;

/* The format of that name, or a ready-made one (combined, json). NULL: unknown. node and arg
 * are what asks for it. */
const struct log_format *log_format_find(struct conf_load *, struct log_formats *,
                                         const struct conf_node *, unsigned arg, struct slice name);

/* The nearest known name, or NULL. */
const char *log_format_nearest(struct conf_load *, const struct log_formats *, struct slice name);

/* Appends the line, without its newline. */
void log_format_write(const struct log_format *, struct request *, struct gather *);

#endif
