/* progress.c - asks the kernel how far a peer has come. */
#include "net/progress.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t net_taken(int fd)
{
    struct tcp_info told;
    socklen_t size = sizeof told;
    int queued = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &told, &size) == 0)
        return told.tcpi_bytes_acked;
    if (ioctl(fd, SIOCOUTQ, &queued) == 0)
        return UINT64_MAX - (uint64_t)queued;
    return 0;
}
