/* tcp_info.h - what the kernel knows about a TCP connection: $tcpinfo_rtt and its kin. */
#ifndef NET_TCP_INFO_H
#define NET_TCP_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_now {
    uint32_t rtt_us, rttvar_us;   /* smoothed round trip time, and its variance        */
    uint32_t snd_cwnd, rcv_space; /* segments; bytes                                   */
};

/* False when fd is no TCP socket. See tcp(7), TCP_INFO. */
bool net_tcp_now(int fd, struct tcp_now *);

#endif
