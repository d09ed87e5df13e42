/* limit_answer.h - what the two bare loops say, and how they listen. */
#ifndef BENCH_LIMIT_ANSWER_H
#define BENCH_LIMIT_ANSWER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER                                                                    \
    "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n" \
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!"

enum { ANSWER_SIZE = sizeof ANSWER - 1, PIPELINED_MAX = 64 };

static char answers[PIPELINED_MAX * ANSWER_SIZE];

static size_t heads_in(const char *bytes, size_t size)
{
    const char *at = bytes, *end = bytes + size;
    size_t count = 0;

    while ((at = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        at += 4;
        count++;
    }
    return count < PIPELINED_MAX ? count : PIPELINED_MAX;
}

static int listen_on(int port, int flags)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0), one = 1;

    for (size_t i = 0; i < PIPELINED_MAX; i++)
        memcpy(answers + i * ANSWER_SIZE, ANSWER, ANSWER_SIZE);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&to, sizeof to) != 0 || listen(fd, 4096) != 0) {
        perror("bind");
        exit(1);
    }
    return fd;
}

#endif
