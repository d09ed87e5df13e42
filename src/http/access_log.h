/* access_log.h - one line for each request that has ended. */
#ifndef HTTP_ACCESS_LOG_H
#define HTTP_ACCESS_LOG_H

#include "http/request.h"

extern const struct feature feature_access_log;

/* The pipeline's log function: writes to every access_log of r->scope through log_writer. */
void access_log_request(struct request *);

#endif
