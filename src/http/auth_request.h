/* auth_request.h - access by the opinion of a sub-request. */
#ifndef HTTP_AUTH_REQUEST_H
#define HTTP_AUTH_REQUEST_H

#include "http/pipeline.h"

extern const struct feature feature_auth_request;

/* One of the access steps: 2xx grants, 401 and 403 refuse with that status, anything else is
 * a 500. WAIT until the sub-request is answered. */
step_fn step_auth_request;
idle_fn auth_request_idle;

#endif
