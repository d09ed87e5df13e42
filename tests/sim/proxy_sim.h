/* proxy_sim.h - what proxy_sim.c (clients), the servers that misbehave and the judge know of each
 * other: the trips, one for each request of a client.
 */
#ifndef TESTS_SIM_PROXY_SIM_H
#define TESTS_SIM_PROXY_SIM_H

#include "sim/stage.h"

extern bool verbose;

/* What a server's answer must become on the client's side. */
enum fate {
    FATE_UNSEEN, /* no server has seen the request whole                           */
    FATE_NONE,   /* there is none: 502 or 504                                      */
    FATE_WHOLE,  /* all of it                                                      */
    FATE_BROKEN, /* its head, and less than the whole body                         */
    FATE_EITHER, /* … or all of it: only the end is wrong, behind a body of known size */
    FATE_TUNNEL, /* 101, and all of what follows                                   */
    FATE_CUT,    /* 101, and some of what follows                                  */
};

struct trip {
    unsigned number;
    const char *method;
    size_t up_size;                         /* of the request's body, or of what goes up a tunnel */
    bool up_chunked, upgrade, repeats, old; /* old: HTTP/1.0 */
    bool frail; /* its body goes by as it comes: it may be lost with a server that refuses it */
    /* what servers made of it */
    unsigned asked, attempt; /* attempt: also those that do not count */
    bool blurred;   /* a server that read nothing for long may have it, too: nobody knows which
                     answer is the last */
    enum fate fate; /* of the last that was asked */
    unsigned status;
    size_t down_size;
};

enum { TRIPS_MAX = 96, SERVERS = 3, PORT_FIRST = 1001 };

extern struct trip trips[TRIPS_MAX];

/* Byte i of what trip n sends up, or gets: no two trips look alike. */
static inline char trip_byte(unsigned n, bool up, size_t i)
{
    uint32_t x = ((n * 2u + up + 1u) * 2654435761u) ^ (uint32_t)(i * 2246822519u);

    return (char)(x >> 13 ^ x >> 24);
}

struct servers_mood {
    bool calm;    /* every answer is whole */
    bool spent;   /* … and the one connection that may go away all the same has gone */
    bool silent;  /* some server left somebody waiting: 504 is possible */
    bool thin;    /* few bytes move at a time: who shares them should not want too many */
    bool wide;    /* … or a lot */
    bool touched; /* bytes of a connection moved since somebody looked */
};

extern struct servers_mood mood;

/* What came of a connection of a client. */
struct outcome {
    struct trip *const *asks;
    unsigned ask_count;
    struct slice in; /* all that it got                                            */
    bool reset;      /* … and then a reset                                          */
    bool polite;     /* it asked for all of it, and waited; else: it may be less    */
};

void judge(const struct outcome *);

/* What servers speak, and what follows for the clients: proxy_servers.c has HTTP/1,
 * proxy_h2_servers.c HTTP/2. */
struct servers_kind {
    const char *name; /* of the program            */
    const char *conf; /* for http{} …              */
    const char *old;  /* … and for location /o/    */
    unsigned clients_max;
    bool upgrades;
    void (*welcome)(struct io *, struct sim_peer *end); /* a connection of weir's */
    void (*step)(struct io *);
    void (*close)(void);
};
extern const struct servers_kind servers;

/* proxy_ports.c: the ports that the servers listen on. */
void servers_open(struct io *, bool calm);
void servers_step(struct io *);
void servers_close(struct io *);

#endif
