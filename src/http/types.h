/* types.h - media types by file extension. */
#ifndef HTTP_TYPES_H
#define HTTP_TYPES_H

#include "http/request.h"

extern const struct feature feature_types;

/* The type of r's extension in the scope in force; default_type if the extension says nothing. */
struct slice types_of(const struct request *r);

#endif
