/* order.h - what the master tells the worker, and what the worker reports back.
 *
 * Both directions are fixed structs over a SEQPACKET socket pair: one message, one struct, no
 * pointers, sizes checked. Descriptors travel over a second pair, always before the order
 * that announces how many there are, so the worker never waits for them.
 */
#ifndef SERVER_ORDER_H
#define SERVER_ORDER_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum order_kind {
    ORDER_GENERATION = 1, /* run this bundle; its descriptors: bundle, sockets, logs       */
    ORDER_REOPEN,         /* the newest generation's logs, opened again: as many as in it  */
    ORDER_QUIT,           /* finish what there is, then leave                              */
};

struct order {
    uint32_t kind;
    uint32_t number;      /* of the generation                                             */
    uint32_t descriptors; /* sent before this                                              */
    uint32_t alone;       /* nobody else accepts on the sockets that are given up          */
};

enum report_kind { REPORT_RUNNING = 1, REPORT_REFUSED };

enum { REPORT_TEXT_SIZE = 1024 };

struct report {
    uint32_t kind;
    uint32_t number; /* of the generation it is about                                 */
    char text[REPORT_TEXT_SIZE];
};

/* The two ends of both pairs: [0] the master's, [1] the worker's. 0 or -errno. */
struct order_line {
    int orders[2], descriptors[2];
};
int order_line_open(struct order_line *) MUST_USE;
void order_line_close(struct order_line *, unsigned end);

/* Sends a whole message without waiting. 0 or -errno. */
int order_send(int fd, const void *message, size_t size) MUST_USE;

/* Sends or receives `count` descriptors. Receiving waits only for what is on its way; those
 * that came before a failure are closed. 0 or -errno. */
int descriptors_send(int fd, const int *fds, uint32_t count) MUST_USE;
int descriptors_receive(int fd, int *fds, uint32_t count) MUST_USE;

#endif
