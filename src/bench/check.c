/* check.c - what would stop a run, found before it begins. */
#include "base/clock.h"
#include "bench/protocol.h"
#include "bench/run.h"
#include "wire/h2_frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { FDS_OWN = 64, PORTS_FIRST = 32768, PORTS_LAST = 60999 };

static int check_descriptors(unsigned wanted, char *why, size_t size)
{
    struct rlimit files;
    rlim_t need = (rlim_t)wanted + FDS_OWN;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= need)
        return 0;
    if (files.rlim_max != RLIM_INFINITY && files.rlim_max < need) {
        snprintf(why, size,
                 "%u connections need %llu descriptors, and the hard limit is %llu: raise it "
                 "(ulimit -Hn) or use fewer",
                 wanted, (unsigned long long)need, (unsigned long long)files.rlim_max);
        return -1;
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) == 0)
        return 0;
    snprintf(why, size, "cannot raise the limit of descriptors: %s", strerror(errno));
    return -1;
}

static int check_ports(const struct bench_plan *plan, unsigned wanted, char *why, size_t size)
{
    unsigned first = PORTS_FIRST, last = PORTS_LAST;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    char line[64];

    if (f != NULL) {
        char *end;
        if (fgets(line, sizeof line, f) != NULL) {
            first = (unsigned)strtoul(line, &end, 10);
            last = (unsigned)strtoul(end, NULL, 10);
        }
        fclose(f);
    }
    unsigned sources = plan->source_count > 0 ? plan->source_count : 1;
    if (plan->more_sources)
        sources = BENCH_LOOPBACKS;
    uint64_t ports = last >= first ? (uint64_t)(last - first + 1) * sources : 0;
    if (wanted <= ports)
        return 0;
    snprintf(why, size,
             "%u connections need as many ports, and %u source address%s %llu: name more with "
             "--source, or widen net.ipv4.ip_local_port_range",
             wanted, sources, sources == 1 ? " has" : "es have", (unsigned long long)ports);
    return -1;
}

static void say_tls(const struct bench_plan *plan, SSL *ssl, int result, char *why, size_t size)
{
    long verdict = SSL_get_verify_result(ssl);
    const char *system = errno == EAGAIN || errno == 0 ? "no answer in time" : strerror(errno);
    char text[160];

    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_SYSCALL:
        snprintf(text, sizeof text, "%s", system);
        break;
    default:
        tls_error_text(text, sizeof text);
    }
    snprintf(why, size, "TLS with %s failed: %s", plan->url,
             plan->tls.verify && verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                                      : text);
    ERR_clear_error();
}

static bool greet(SSL *ssl, const struct bench_tls *wish)
{
    char name[256];

    snprintf(name, sizeof name, "%.*s", SLICE_FMT(wish->name));
    if (wish->tell && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    if (wish->verify && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) != 1 &&
        SSL_set1_host(ssl, name) != 1)
        return false;
    return SSL_set_alpn_protos(ssl, (const unsigned char *)wish->alpn.at,
                               (unsigned)wish->alpn.size) == 0;
}

/* Size 0: nothing. */
static struct slice chosen_by(const SSL *ssl)
{
    const unsigned char *name;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &name, &size);
    return slice_of((const char *)name, size);
}

static int refuse_choice(const struct bench_plan *plan, struct slice chosen, char *why, size_t size)
{
    snprintf(why, size, "%.160s does not speak %s: of the protocols of TLS (ALPN) it chose %.*s",
             plan->url, plan->protocol->name, SLICE_FMT(chosen.size > 0 ? chosen : SLICE("none")));
    return 0;
}

static int check_tls(const struct bench_plan *plan, int fd, char *why, size_t size)
{
    struct tls_ring *ring = tls_ring_create();
    struct tls_home *home = ring != NULL ? tls_home_create(ring) : NULL;
    SSL_CTX *context = home != NULL ? tls_domain_context(plan->tls.domain, home) : NULL;
    SSL *ssl = context != NULL ? SSL_new(context) : NULL;
    int result = 0;

    /* OpenSSL writes to the socket itself, here alone. */
    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
    errno = 0;
    if (ssl != NULL && greet(ssl, &plan->tls) && SSL_set_fd(ssl, fd) == 1)
        result = SSL_connect(ssl);
    if (ssl == NULL)
        snprintf(why, size, "no memory for TLS");
    else if (result != 1)
        say_tls(plan, ssl, result, why, size);
    else if (!bench_tls_agreed(&plan->tls, chosen_by(ssl)))
        result = refuse_choice(plan, chosen_by(ssl), why, size);
    SSL_free(ssl);
    if (home != NULL)
        tls_home_drop(home);
    tls_ring_destroy(ring);
    return result == 1 ? 0 : -1;
}

/* In the clear nothing is agreed: the server must begin with SETTINGS (RFC 9113 §3.4). */
static int check_preface(const struct bench_plan *plan, int fd, char *why, size_t size)
{
    uint8_t hello[H2_PREFACE_SIZE + H2_FRAME_HEAD], head[H2_FRAME_HEAD];
    struct h2_frame first = { .type = H2_SETTINGS };
    size_t have = 0;
    ssize_t got;

    memcpy(hello, H2_PREFACE, H2_PREFACE_SIZE);
    h2_put_head(hello + H2_PREFACE_SIZE, 0, H2_SETTINGS, 0, 0);
    errno = 0;
    got = send(fd, hello, sizeof hello, MSG_NOSIGNAL);
    while (got > 0 && have < sizeof head) {
        got = recv(fd, head + have, sizeof head - have, 0);
        have += got > 0 ? (size_t)got : 0;
    }
    if (have == sizeof head)
        h2_frame_read(head, &first);
    if (have == sizeof head && first.type == H2_SETTINGS && !(first.flags & H2_ACK))
        return 0;
    snprintf(why, size, "%.160s does not speak HTTP/2 without TLS: %s", plan->url,
             have == sizeof head ? "it does not begin with SETTINGS"
             : errno == EAGAIN   ? "no answer in time"
             : errno != 0        ? strerror(errno)
                                 : "it closed the connection");
    return -1;
}

/* One connection before all others: a run against nobody is refused at once. */
static int check_server(const struct bench_plan *plan, char *why, size_t size)
{
    struct timeval patience = { .tv_sec = (time_t)(plan->timeout_ns / NS_PER_SEC),
                                .tv_usec = (suseconds_t)(plan->timeout_ns % NS_PER_SEC / 1000) };
    int fd = socket(plan->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        snprintf(why, size, "cannot open a socket: %s", strerror(errno));
        return -1;
    }
    if (patience.tv_sec == 0 && patience.tv_usec == 0)
        patience.tv_usec = 1000; /* zero would mean: wait for ever */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int error = connect(fd, (const struct sockaddr *)&plan->to, plan->to_size) == 0 ? 0 : errno;
    int shaken = 0;

    if (error == 0 && plan->tls.domain != NULL)
        shaken = check_tls(plan, fd, why, size);
    else if (error == 0 && plan->protocol->streams)
        shaken = check_preface(plan, fd, why, size);
    close(fd);
    if (error == 0)
        return shaken;
    snprintf(why, size, "cannot connect to %s: %s", plan->url,
             error == EINPROGRESS || error == EAGAIN ? "no answer in time" : strerror(error));
    return -1;
}

static int check_sources(const struct bench_plan *plan, char *why, size_t size)
{
    for (unsigned i = 0; i < plan->source_count; i++) {
        const struct sockaddr_storage *from = &plan->sources[i];
        int fd = socket(from->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t bytes =
            from->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        int error = fd >= 0 && bind(fd, (const struct sockaddr *)from, bytes) == 0 ? 0 : errno;

        if (fd >= 0)
            close(fd);
        if (error != 0) {
            snprintf(why, size, "source address %u cannot be used: %s", i + 1, strerror(error));
            return -1;
        }
    }
    return 0;
}

int bench_check(const struct bench_plan *plan, char *why, size_t why_size)
{
    unsigned wanted = plan->connections + plan->idle + plan->trickle;
    unsigned most = io_engine_fds_max(plan->engine);

    if (most != 0 && wanted + FDS_OWN > most) {
        snprintf(why, why_size, "the engine %s watches %u descriptors at most, and %u are needed",
                 io_engine_name(plan->engine), most, wanted + FDS_OWN);
        return -1;
    }
    if (check_descriptors(wanted, why, why_size) != 0 ||
        check_ports(plan, wanted, why, why_size) != 0 || check_sources(plan, why, why_size) != 0)
        return -1;
    return check_server(plan, why, why_size);
}
