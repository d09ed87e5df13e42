/* rewrite.h - the list of instructions that a server or location runs before anything else
 * looks at the request.
 *
 * Directives add instructions in the order they are written; step_server_rewrite and
 * step_rewrite run them. NEXT from the last one lets the request go on; any other verdict ends
 * the list. An instruction embeds struct rewrite_op and finds itself by container_of.
 */
#ifndef HTTP_REWRITE_H
#define HTTP_REWRITE_H

#include "http/request.h"

struct rewrite_op {
    enum verdict (*run)(struct request *, const struct rewrite_op *);
    const struct conf_node *node; /* what it was made from                            */
    bool last;                    /* nothing behind it is ever reached                */
    struct rewrite_op *next;
};

/* Of one scope; not inherited. */
struct rewrite_script {
    struct rewrite_op *first, **end;
};

extern const struct feature feature_rewrite;

/* Puts op behind what the scope being loaded already has; warns if it cannot be reached. */
void rewrite_add(struct conf_load *, struct rewrite_script *, struct rewrite_op *);

#endif
