/* bench_target.c - looks the host up, and writes the bytes of a request (RFC 9112 §3). */
#include "tool/bench_target.h"

#include "base/gather.h"
#include "bench/protocol.h"
#include "net/addr.h"
#include "tool/bench_http2.h"
#include "tool/bench_tls.h"
#include "wire/token.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HTTP_PORT = 80,
    HTTPS_PORT = 443,
    HOST_MAX = 255,
    HEAD_MAX = 64 * 1024,
    BODY_MAX = 64 * 1024 * 1024
};

#define SAY(...) (snprintf(why, BENCH_WHY_SIZE, __VA_ARGS__), false)

struct url {
    struct slice authority, host, target;
    bool secure;
    uint16_t port;
};

static bool printable(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.at[i] <= ' ' || text.at[i] == 0x7f)
            return false;
    return true;
}

static bool read_port(struct slice digits, uint16_t *ret)
{
    uint64_t port;

    if (digits.size == 0)
        return true;
    if (!slice_to_u64(digits, UINT16_MAX, &port) || port == 0)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool read_url(const char *text, struct url *u, char *why)
{
    struct slice rest = slice_str(text);

    u->secure = slice_starts(rest, SLICE("https://"));
    if (u->secure || slice_starts(rest, SLICE("http://")))
        rest = slice_skip(rest, u->secure ? 8 : 7);
    else if (slice_search(rest, SLICE("://")) < rest.size)
        return SAY("%s: unknown scheme; expected http or https://host[:port][/path]", text);
    if (!printable(rest))
        return SAY("%s: blanks or control bytes in the URL; expected them %%-encoded", text);
    rest = slice_head(rest, slice_find(rest, '#'));
    size_t slash = slice_find(rest, '/'), mark = slice_find(rest, '?');

    u->authority = slice_head(rest, slash < mark ? slash : mark);
    u->target = slice_skip(rest, u->authority.size);
    u->host = u->authority;
    u->port = u->secure ? HTTPS_PORT : HTTP_PORT;
    struct slice port = { 0 };

    if (u->host.size > 0 && u->host.at[0] == '[') {
        size_t end = slice_find(u->host, ']');

        if (end == u->host.size)
            return SAY("%s: no `]` behind the address", text);
        port = slice_skip(u->host, end + 1);
        u->host = slice_head(slice_skip(u->host, 1), end - 1);
    } else {
        size_t colon = slice_find(u->host, ':');

        port = slice_skip(u->host, colon);
        u->host = slice_head(u->host, colon);
    }
    if (port.size > 0 && (port.at[0] != ':' || !read_port(slice_skip(port, 1), &u->port)))
        return SAY("%s: wrong port; expected a number from 1 to 65535", text);
    if (u->host.size == 0 || u->host.size > HOST_MAX)
        return SAY("%s: no host; expected http://host[:port][/path]", text);
    return true;
}

static bool look_up(const struct url *u, struct bench_plan *plan, char *why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    char host[HOST_MAX + 1], port[8];
    int error;

    memcpy(host, u->host.at, u->host.size);
    host[u->host.size] = '\0';
    snprintf(port, sizeof port, "%u", u->port);
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0)
        return SAY("%.200s: %s", host, gai_strerror(error));
    memcpy(&plan->to, found->ai_addr, found->ai_addrlen);
    plan->to_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* Addresses to connect from; of a loopback target there are more, if ports run out. */
static bool read_sources(const char *words, struct bench_plan *plan, char *why)
{
    struct slice rest = slice_str(words != NULL ? words : "");
    struct addr to;

    addr_from_sockaddr(&to, (const struct sockaddr *)&plan->to, plan->to_size);
    plan->more_sources = words == NULL && to.family == AF_INET && addr_bytes(&to).at[0] == 127;
    while (rest.size > 0) {
        struct slice one = slice_head(rest, slice_find(rest, ','));
        struct addr from;

        rest = slice_skip(rest, one.size + (one.size < rest.size));
        if (plan->source_count == BENCH_SOURCES_MAX)
            return SAY("too many source addresses; expected at most %d", BENCH_SOURCES_MAX);
        if (!addr_parse(one, 0, &from) || from.port != 0)
            return SAY("\"%.*s\" is no source address; expected one like 127.0.0.2",
                       SLICE_FMT(one));
        if (from.family != to.family)
            return SAY("the source address %.*s is of another family than the target",
                       SLICE_FMT(one));
        addr_to_sockaddr(&from, &plan->sources[plan->source_count++]);
    }
    return true;
}

/* "@file" is a file's content, anything else is itself. */
static bool read_body(struct bench_words *w, char *why)
{
    struct stat st;
    char *bytes;

    if (w->body == NULL)
        return true;
    if (w->body[0] != '@') {
        bytes = strdup(w->body);
        w->payload = slice_of(bytes, bytes != NULL ? strlen(bytes) : 0);
        return bytes != NULL || SAY("no memory for the body");
    }
    int fd = open(w->body + 1, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, BENCH_WHY_SIZE, "%s: %s", w->body + 1, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    size_t size = S_ISREG(st.st_mode) && st.st_size <= BODY_MAX ? (size_t)st.st_size : SIZE_MAX;

    bytes = size != SIZE_MAX ? calloc(1, size + 1) : NULL;
    bool fine = bytes != NULL && read(fd, bytes, size) == (ssize_t)size;
    close(fd);
    w->payload = slice_of(bytes, fine ? size : 0);
    return fine || SAY("%s: expected a file of at most %d MiB", w->body + 1, BODY_MAX >> 20);
}

/* Our own fields are left out where the user gave them. */
bool bench_gave(const struct bench_words *w, const char *name)
{
    size_t size = strlen(name);

    for (unsigned i = 0; i < w->field_count; i++)
        if (strncasecmp(w->fields[i], name, size) == 0 && w->fields[i][size] == ':')
            return true;
    return false;
}

bool bench_field_fine(const char *text, char why[BENCH_WHY_SIZE])
{
    struct slice field = slice_str(text);
    size_t colon = slice_find(field, ':');
    bool fine = colon > 0 && colon < field.size;

    for (size_t i = 0; i < field.size; i++)
        fine &= (unsigned char)field.at[i] >= ' ' || field.at[i] == '\t';
    return fine || SAY("-H \"%s\" is no field; expected \"Name: value\"", text);
}

static bool write_request(struct bench_plan *plan, const struct bench_words *w, char *why)
{
    static char head[HEAD_MAX];
    struct gather g;

    gather_init(&g, head, sizeof head, NULL, 0);
    gather_printf(&g, "%s ", w->method);
    if (w->target.size == 0 || w->target.at[0] != '/')
        gather_byte(&g, '/');
    gather_slice(&g, w->target);
    gather_lit(&g, " HTTP/1.1\r\n");
    if (!bench_gave(w, "Host"))
        gather_printf(&g, "Host: %.*s\r\n", SLICE_FMT(w->authority));
    if (!bench_gave(w, "User-Agent"))
        gather_lit(&g, "User-Agent: weir-bench\r\n");
    if (!plan->keep_alive && !bench_gave(w, "Connection"))
        gather_lit(&g, "Connection: close\r\n");
    if (w->body != NULL && !bench_gave(w, "Content-Length"))
        gather_printf(&g, "Content-Length: %zu\r\n", w->payload.size);
    for (unsigned i = 0; i < w->field_count; i++) {
        if (!bench_field_fine(w->fields[i], why))
            return false;
        gather_printf(&g, "%s\r\n", w->fields[i]);
    }
    gather_lit(&g, "\r\n");
    if (g.full)
        return SAY("the request's head is too large; expected at most %d KiB", HEAD_MAX >> 10);
    size_t one = g.used + w->payload.size;
    char *all = calloc(plan->depth, one);

    if (all == NULL)
        return SAY("no memory for %u requests of %zu bytes", plan->depth, one);
    for (unsigned i = 0; i < plan->depth; i++) {
        memcpy(all + i * one, head, g.used);
        if (w->payload.size > 0)
            memcpy(all + i * one + g.used, w->payload.at, w->payload.size);
    }
    plan->requests = slice_of(all, one * plan->depth);
    plan->request = slice_head(plan->requests, one);
    return true;
}

static bool read_method(struct bench_plan *plan, const struct bench_words *w, char *why)
{
    struct slice name = slice_str(w->method);

    for (size_t i = 0; i < name.size; i++)
        if (token_class(name.at[i]) == 0)
            return SAY("\"%s\" is no method; expected GET, POST …", w->method);
    plan->method = method_from(name);
    return name.size > 0 || SAY("the method is empty; expected GET, POST …");
}

bool bench_target(struct bench_plan *plan, struct bench_words *w, char why[BENCH_WHY_SIZE])
{
    struct url u;

    plan->url = w->url;
    plan->protocol = w->http2 ? &bench_http2 : &bench_http1;
    if (!read_url(w->url, &u, why))
        return false;
    w->host = u.host;
    w->authority = u.authority;
    w->target = u.target;
    w->secure = u.secure;
    return read_method(plan, w, why) && read_body(w, why) &&
           (w->http2 ? bench_http2_request : write_request)(plan, w, why) &&
           look_up(&u, plan, why) && read_sources(w->sources, plan, why) && bench_tls(plan, w, why);
}

void bench_target_done(struct bench_plan *plan, struct bench_words *w)
{
    if (w->http2)
        bench_http2_done(plan);
    free((void *)(uintptr_t)plan->requests.at);
    free((void *)(uintptr_t)w->payload.at);
    bench_tls_done(plan, w);
    plan->requests = w->payload = (struct slice){ 0 };
}
