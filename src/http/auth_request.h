/* auth_request.h - access by the opinion of a sub-request. */
#ifndef HTTP_AUTH_REQUEST_H
#define HTTP_AUTH_REQUEST_H

#include "http/access.h"

extern const struct feature feature_auth_request;

/* One of the checks of access.c: 2xx grants, 401 and 403 refuse with that status, anything else is
 * a 500. ACCESS_WAIT until the sub-request is answered. */
enum access_opinion access_by_request(struct request *);
bool access_by_request_idle(const struct scope *);

#endif
