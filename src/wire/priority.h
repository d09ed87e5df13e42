/* priority.h - how urgent an answer is to its client (RFC 9218 §4): "u=1, i".
 *
 *   struct priority p = PRIORITY_DEFAULT;
 *   priority_from(text, &p);               members that are no priority change nothing
 */
#ifndef WIRE_PRIORITY_H
#define WIRE_PRIORITY_H

#include "base/slice.h"

enum { URGENCY_COUNT = 8, URGENCY_DEFAULT = 3 };

struct priority {
    uint8_t urgency; /* 0: first              */
    bool incremental;
};

#define PRIORITY_DEFAULT ((struct priority){ URGENCY_DEFAULT, false })

/* A dictionary of structured fields (RFC 8941 §3.2), of which two keys mean something. */
void priority_from(struct slice text, struct priority *);

#endif
