/* access.h - who may ask for what: allow, deny, satisfy and limit_except. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "http/request.h"

extern const struct feature feature_access;

/* The allow or deny that decides about the request's client; NULL: none fits. */
const struct conf_node *access_rule_for(struct request *);

/* ---- the access steps --------------------------------------------------------------------
 *
 * Several steps stand one behind the other in server/features.c: step_access begins (limit_except,
 * allow and deny), others follow (auth_basic), step_access_verdict ends. What each thinks of the
 * request is gathered in r->access_status and r->access_settled, as satisfy wants it; nothing is
 * answered before the end. A step that asks something of its own reads
 *
 *      if (access_settled(r))
 *          return NEXT;
 *      ...
 *      return fits ? access_grant(r) : access_refuse(r, 401);
 */

/* True if the steps behind have nothing to say any more: satisfy any and one of them granted, or
 * satisfy all and one of them refused. */
bool access_settled(const struct request *);

/* This step lets the request in. Returns NEXT. */
enum verdict access_grant(struct request *);

/* This step does not, and would answer `status`, 401 or 403 (among several with satisfy any, 401
 * is the one that helps the client). Returns NEXT. */
enum verdict access_refuse(struct request *, unsigned status);

/* Before access_refuse(r, 401): a value of WWW-Authenticate for the answer, whichever page
 * error_page has for it (RFC 9110 §11.6.1). Borrows it until the answer is sent. False: memory ran
 * out. */
bool access_challenge(struct request *, struct slice value) MUST_USE;

#endif
