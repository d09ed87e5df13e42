/* method.h - the methods that have meaning here (RFC 9110 §9, RFC 4918). Any other token is
 * METHOD_OTHER and keeps its text. */
#ifndef WIRE_METHOD_H
#define WIRE_METHOD_H

#include "base/slice.h"

/* clang-format off */
#define METHODS(X) \
    X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(MKCOL) X(COPY) X(MOVE) X(OPTIONS) X(PROPFIND) \
    X(PROPPATCH) X(LOCK) X(UNLOCK) X(PATCH) X(TRACE) X(CONNECT)
/* clang-format on */

enum http_method {
    METHOD_OTHER,
#define X(name) METHOD_##name,
    METHODS(X)
#undef X
        METHOD_COUNT
};

/* Case-sensitive. */
enum http_method method_from(struct slice text);
const char *method_name(enum http_method);

#endif
