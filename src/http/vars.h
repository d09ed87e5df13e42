/* vars.h - the variables every request has. */
#ifndef HTTP_VARS_H
#define HTTP_VARS_H

#include "conf/load.h"

/* The nginx whose language this is: the value of $nginx_version, which configurations test. */
#define NGINX_LANGUAGE "1.31.0"

extern const struct feature feature_vars;

#endif
