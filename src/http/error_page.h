/* error_page.h - what a client sees when something is wrong. */
#ifndef HTTP_ERROR_PAGE_H
#define HTTP_ERROR_PAGE_H

#include "http/request.h"

extern const struct feature feature_error_page;

/* Consults error_page for r->response.status (>= 300). REROUTE, RELOCATE: it was sent to the
 * page's URI or named location; DONE: answered by a redirect to a URL; NEXT: no page is set. */
enum verdict error_page_apply(struct request *);

/* Does error_page have something for that status, here? */
bool error_page_has(const struct request *, unsigned status);

/* Must be the first filter: gives the answer of an error page the status it stands for. */
void filter_error_status(struct request *);

/* The default text for r->response.status: a small HTML page. */
void error_text_fill(struct request *);

#endif
