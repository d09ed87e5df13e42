/* method.c - from a method's text to what it means. */
#include "wire/method.h"

enum { METHOD_SIZE_MAX = 9, METHODS_OF_A_SIZE = 5 };

static const struct slice NAMES[METHOD_COUNT] = {
#define X(name) [METHOD_##name] = { #name, sizeof #name - 1 },
    METHODS(X)
#undef X
};

/* Which methods have a name of this many bytes; the rest of a row is METHOD_OTHER. */
static const unsigned char OF_SIZE[METHOD_SIZE_MAX + 1][METHODS_OF_A_SIZE] = {
    [3] = { METHOD_GET, METHOD_PUT },
    [4] = { METHOD_HEAD, METHOD_POST, METHOD_COPY, METHOD_MOVE, METHOD_LOCK },
    [5] = { METHOD_MKCOL, METHOD_PATCH, METHOD_TRACE },
    [6] = { METHOD_DELETE, METHOD_UNLOCK },
    [7] = { METHOD_OPTIONS, METHOD_CONNECT },
    [8] = { METHOD_PROPFIND },
    [9] = { METHOD_PROPPATCH },
};

enum http_method method_from(struct slice text)
{
    if (text.size > METHOD_SIZE_MAX)
        return METHOD_OTHER;
    const unsigned char *row = OF_SIZE[text.size];
    for (int i = 0; i < METHODS_OF_A_SIZE && row[i] != METHOD_OTHER; i++)
        if (slice_eq(NAMES[row[i]], text))
            return (enum http_method)row[i];
    return METHOD_OTHER;
}

const char *method_name(enum http_method method)
{
    return method > METHOD_OTHER && method < METHOD_COUNT ? NAMES[method].at : "";
}
