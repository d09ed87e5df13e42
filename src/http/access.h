/* access.h - who may ask for what: allow, deny, satisfy and limit_except. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "http/request.h"

extern const struct feature feature_access;

/* What one check thinks of a request. */
enum access_opinion {
    ACCESS_NONE, /* nothing is configured here, or no rule fits  */
    ACCESS_GRANTED,
    ACCESS_REFUSED, /* and the request's answer says why            */
    ACCESS_WAIT,    /* the step will be run again                   */
};

/* allow and deny alone, whatever satisfy says. Decides the answer when it refuses. */
enum access_opinion access_by_address(struct request *);

#endif
