/* limit_epoll.c - how little a request can cost on epoll: a loop that looks for the ends of heads
 * and answers each with the same bytes. It reads no header, serves no file, knows no timeout.
 *
 *   limit_epoll PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "limit_answer.h"

static int epoll;

static void watch(int fd, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.fd = fd };

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        close(fd);
}

static void accept_all(int listener)
{
    int one = 1;

    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(fd, EPOLLIN | EPOLLET | EPOLLRDHUP);
    }
}

static void answer(int fd)
{
    char bytes[4096];
    ssize_t size = recv(fd, bytes, sizeof bytes, 0);

    if (size > 0) {
        size_t heads = heads_in(bytes, (size_t)size);

        if (heads > 0)
            (void)!send(fd, answers, heads * ANSWER_SIZE, MSG_NOSIGNAL);
    } else if (size == 0 || errno != EAGAIN) {
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[512];
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 0, SOCK_NONBLOCK);

    epoll = epoll_create1(0);
    watch(listener, EPOLLIN);
    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);

        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                answer(events[i].data.fd);
    }
}
