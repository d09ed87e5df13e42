/* tcp_info.c - one getsockopt; a separate file because the kernel's header wants to be alone. */
#include "net/tcp_info.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

bool net_tcp_now(int fd, struct tcp_now *now)
{
    struct tcp_info i;
    socklen_t size = sizeof i;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &size) != 0 || size < sizeof i)
        return false;
    *now = (struct tcp_now){ i.tcpi_rtt, i.tcpi_rttvar, i.tcpi_snd_cwnd, i.tcpi_rcv_space };
    return true;
}
