/* bare_epoll.c - the floor for reactors: accepts, receives, answers every head with the same bytes,
 * understands nothing. What a server costs above this is its own doing.
 *
 *   bare_epoll PORT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 512, PIPELINED = 32 };

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: bare\r\n"
                             "Date: Mon, 23 Nov 2026 00:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";
enum { ANSWER = sizeof answer - 1 };
static char answers[PIPELINED * ANSWER];

static int watch(int loop, int fd, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.fd = fd };

    return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e);
}

static int listen_on(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void serve(int fd)
{
    char bytes[4096], *at = bytes;
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    size_t heads = 0;

    if (n == 0)
        close(fd);
    if (n <= 0)
        return;
    while ((at = memmem(at, (size_t)(bytes + n - at), "\r\n\r\n", 4)) != NULL && heads < PIPELINED) {
        heads++;
        at += 4;
    }
    if (heads > 0 && send(fd, answers, heads * ANSWER, MSG_NOSIGNAL) < 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int listener = listen_on(argc > 1 ? atoi(argv[1]) : 8000), loop = epoll_create1(0);

    for (int i = 0; i < PIPELINED; i++)
        memcpy(answers + i * ANSWER, answer, ANSWER);
    watch(loop, listener, EPOLLIN);
    for (;;) {
        int n = epoll_wait(loop, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            int fd;

            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                watch(loop, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
        }
    }
}
