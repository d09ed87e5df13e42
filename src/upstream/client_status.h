/* client_status.h - ssl_ocsp: a client's certificate counts only while its authority says so.
 *
 * Requests wait until the responder has answered. What is not known to be good is refused (495):
 * no answer, an old one, one about something else are no reason to believe. What was found good is
 * remembered by the connection, and by ssl_ocsp_cache, as long as the answer allows.
 */
#ifndef UPSTREAM_CLIENT_STATUS_H
#define UPSTREAM_CLIENT_STATUS_H

#include "http/pipeline.h"

enum verdict step_client_status(struct request *);
bool client_status_idle(const struct scope *);

#endif
