/* listen_test.c - listening sockets: opened, described, held by somebody, and left behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/holder.h"
#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* On a port that the kernel chooses; *ret is where. */
static int open_any(struct addr *ret)
{
    struct listen_wish wish = { .addr = { .family = AF_INET, .ip = { 127, 0, 0, 1 } },
                                .backlog = 16 };
    const char *step;
    int fd = listen_open(&wish, &step);

    assert_true(fd >= 0);
    addr_of_local(fd, ret);
    return fd;
}

static int connect_to(const struct addr *a)
{
    struct sockaddr_storage to;
    socklen_t size = addr_to_sockaddr(a, &to);
    int fd = socket(a->family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_true(connect(fd, (struct sockaddr *)&to, size) == 0 || errno == EINPROGRESS);
    return fd;
}

static void what_is_open_can_be_described(void **state)
{
    char path[LISTEN_PATH_SIZE];
    struct addr here, said;
    int fd = open_any(&here), other = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_true(listen_describe(fd, &said, path));
    assert_true(addr_eq(&here, &said));
    assert_string_equal(path, "");
    assert_false(listen_describe(other, &said, path));
    close(other);
    close(fd);
}

static void a_port_in_use_names_its_holder(void **state)
{
    struct listen_wish wish = { .backlog = 16 };
    char text[128], pid[32];
    const char *step;
    int fd = open_any(&wish.addr);

    (void)state;
    assert_int_equal(listen_open(&wish, &step), -EADDRINUSE);
    assert_string_equal(step, "bind()");
    assert_true(holder_find(&wish.addr, text, sizeof text));
    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    assert_non_null(strstr(text, pid));
    close(fd);
    assert_false(holder_find(&wish.addr, text, sizeof text));
}

static void options_reach_the_socket(void **state)
{
    struct listen_wish wish = { .addr = { .family = AF_INET, .ip = { 127, 0, 0, 1 } },
                                .backlog = 16,
                                .keepalive_set = true,
                                .keepalive = true,
                                .keep_idle = 77,
                                .keep_count = -1,
                                .rcvbuf = 65536 };
    const char *step;
    int fd = listen_open(&wish, &step), value = 0;
    socklen_t size = sizeof value;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    assert_true(value != 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    assert_true(value != 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
    assert_int_equal(value, 77);
    close(fd);
}

static void a_dead_servers_socket_file_is_replaced(void **state)
{
    char dir[] = "/tmp/weir-listen-XXXXXX", path[64];
    struct listen_wish wish = { .addr = { .family = AF_UNIX }, .unix_path = path, .backlog = 16 };
    const char *step;
    struct addr a;
    char said[LISTEN_PATH_SIZE];

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    int fd = listen_open(&wish, &step);

    assert_true(fd >= 0);
    assert_true(listen_describe(fd, &a, said));
    assert_string_equal(said, path);
    assert_int_equal(listen_open(&wish, &step), -EADDRINUSE); /* it lives */
    close(fd);
    fd = listen_open(&wish, &step);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fclose(file);
    assert_int_equal(listen_open(&wish, &step), -EADDRINUSE); /* no socket: not ours to remove */
    unlink(path);
    rmdir(dir);
}

static void without_syns_the_queue_can_still_be_served(void **state)
{
    struct addr here;
    int fd = open_any(&here), early = connect_to(&here), late, error = 0;
    socklen_t size = sizeof error;
    struct tcp_info early_state;
    socklen_t state_size = sizeof early_state;

    (void)state;
    assert_int_equal(listen_waiting(fd), 1);
    assert_int_equal(listen_stop_syns(fd), 0);
    late = connect_to(&here);
    int taken = accept(fd, NULL, NULL);

    assert_true(taken >= 0);
    assert_int_equal(listen_waiting(fd), 0);
    assert_int_equal(send(early, "x", 1, 0), 1); /* the filter lets data through */
    char byte = 0;

    assert_int_equal(recv(taken, &byte, 1, 0), 1);
    assert_int_equal(getsockopt(late, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    assert_int_equal(getsockopt(late, IPPROTO_TCP, TCP_INFO, &early_state, &state_size), 0);
    assert_int_equal(early_state.tcpi_state, TCP_SYN_SENT);
    close(late);
    close(early);
    close(taken);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open_can_be_described),
        cmocka_unit_test(a_port_in_use_names_its_holder),
        cmocka_unit_test(options_reach_the_socket),
        cmocka_unit_test(a_dead_servers_socket_file_is_replaced),
        cmocka_unit_test(without_syns_the_queue_can_still_be_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
