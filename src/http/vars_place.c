/* vars_place.c - variables about where and when: addresses, files, clocks, the process. */
#include "http/vars_rows.h"

#include "base/clock.h"
#include "http/map_path.h"
#include "http/site.h"
#include "net/tcp_info.h"
#include "wire/date.h"

#include <limits.h>
#include <unistd.h>

/* ---- addresses ------------------------------------------------------------------------------- */

bool get_remote_addr(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    addr_print(request_client(subject), g);
    return true;
}

/* Nothing for unix sockets, which have no ports, and where a proxy told none. */
static bool gather_port(struct gather *g, const struct addr *a)
{
    if ((a->family == AF_INET || a->family == AF_INET6) && a->port > 0)
        gather_u64(g, a->port);
    return true;
}

bool get_remote_port(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    return gather_port(g, request_client(subject));
}

bool get_binary_addr(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_slice(g, addr_bytes(request_client(subject)));
    return true;
}

bool get_server_addr(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct addr here;

    (void)use;
    r->ops->local(r, &here);
    addr_print(&here, g);
    return true;
}

bool get_server_port(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct addr here;

    (void)use;
    r->ops->local(r, &here);
    return gather_port(g, &here);
}

bool get_scheme(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_str(g, ((const struct request *)subject)->tls ? "https" : "http");
    return true;
}

bool get_https(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    if (((const struct request *)subject)->tls)
        gather_lit(g, "on");
    return true;
}

bool get_nth(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_u64(g, ((const struct request *)subject)->nth);
    return true;
}

bool get_pipe(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_byte(g, ((const struct request *)subject)->pipelined ? 'p' : '.');
    return true;
}

/* row->arg: the member of struct tcp_now */
bool get_tcp(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct tcp_now now;
    uint32_t value;
    int fd = r->ops->socket(r);

    if (fd < 0 || !net_tcp_now(fd, &now))
        return false;
    memcpy(&value, (const char *)&now + use->number, sizeof value);
    gather_u64(g, value);
    return true;
}

/* ---- files -------------------------------------------------------------------------------- */

bool get_filename(void *subject, const struct variable_use *use, struct gather *g)
{
    size_t before = g->used;

    (void)use;
    map_filename(subject, g);
    return g->used > before;
}

bool get_document_root(void *subject, const struct variable_use *use, struct gather *g)
{
    struct slice root = map_root(subject);

    (void)use;
    gather_slice(g, root);
    return root.size > 0;
}

/* No value for a directory that does not exist. */
bool get_realpath_root(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct slice root = map_root(r);
    char path[PATH_MAX], real[PATH_MAX];

    (void)use;
    if (root.size == 0 || root.size >= sizeof path || r->loop->real_path == NULL)
        return false;
    memcpy(path, root.at, root.size);
    path[root.size] = '\0';
    if (r->loop->real_path(path, real) == NULL)
        return false;
    gather_str(g, real);
    return true;
}

/* ---- time ----------------------------------------------------------------------------------- */

/* "12.034" */
static void gather_seconds(struct gather *g, uint64_t ms)
{
    char rest[4] = {
        '.',
        (char)('0' + ms / 100 % 10),
        (char)('0' + ms / 10 % 10),
        (char)('0' + ms % 10),
    };

    gather_u64(g, ms / 1000);
    gather_bytes(g, rest, sizeof rest);
}

static uint64_t ms_since(const struct request *r, uint64_t since_ns)
{
    uint64_t now = loop_now_ns(r->loop, r->io);

    return now > since_ns ? (now - since_ns) / NS_PER_MS : 0;
}

bool get_request_time(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    gather_seconds(g, ms_since(r, r->started_ns));
    return true;
}

bool get_connection_time(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    gather_seconds(g, ms_since(r, r->conn_opened_ns));
    return true;
}

static uint64_t wall_ms(const struct request *r)
{
    loop_now_ns(r->loop, r->io);
    return (uint64_t)loop_wall_ns(r->loop) / NS_PER_MS;
}

bool get_msec(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_seconds(g, wall_ms(subject));
    return true;
}

bool get_time_local(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    loop_now_ns(r->loop, r->io);
    gather_slice(g, loop_log_date(r->loop));
    return true;
}

bool get_time_iso(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    loop_now_ns(r->loop, r->io);
    gather_slice(g, loop_iso_date(r->loop));
    return true;
}

/* "2026-11-23T05:31:59.042+00:00" */
bool get_time_iso_ms(void *subject, const struct variable_use *use, struct gather *g)
{
    enum { BEFORE_ZONE = DATE_ISO_SIZE - 6 };
    const struct request *r = subject;
    unsigned ms = (unsigned)(wall_ms(r) % 1000);
    struct slice date = loop_iso_date(r->loop);
    char rest[4] = {
        '.',
        (char)('0' + ms / 100),
        (char)('0' + ms / 10 % 10),
        (char)('0' + ms % 10),
    };

    (void)use;
    gather_slice(g, slice_head(date, BEFORE_ZONE));
    gather_bytes(g, rest, sizeof rest);
    gather_slice(g, slice_skip(date, BEFORE_ZONE));
    return true;
}

bool get_pid(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)subject;
    (void)use;
    gather_i64(g, getpid());
    return true;
}
