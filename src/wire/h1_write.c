/* h1_write.c - the only place where bytes of an HTTP/1 head are put together. */
#include "wire/h1_write.h"

#include "base/scan.h"
#include "wire/field.h"

/* Phrases are nginx's where it has one, else those of the IANA registry. */
/* clang-format off */
#define PHRASES(X) \
    X(100, "Continue") X(101, "Switching Protocols") X(102, "Processing") \
    X(103, "Early Hints") X(200, "OK") X(201, "Created") X(202, "Accepted") \
    X(203, "Non-Authoritative Information") X(204, "No Content") X(205, "Reset Content") \
    X(206, "Partial Content") X(207, "Multi-Status") X(208, "Already Reported") \
    X(226, "IM Used") X(300, "Multiple Choices") X(301, "Moved Permanently") \
    X(302, "Moved Temporarily") X(303, "See Other") X(304, "Not Modified") \
    X(305, "Use Proxy") X(307, "Temporary Redirect") X(308, "Permanent Redirect") \
    X(400, "Bad Request") X(401, "Unauthorized") X(402, "Payment Required") \
    X(403, "Forbidden") X(404, "Not Found") X(405, "Not Allowed") X(406, "Not Acceptable") \
    X(407, "Proxy Authentication Required") X(408, "Request Time-out") X(409, "Conflict") \
    X(410, "Gone") X(411, "Length Required") X(412, "Precondition Failed") \
    X(413, "Request Entity Too Large") X(414, "Request-URI Too Large") \
    X(415, "Unsupported Media Type") X(416, "Requested Range Not Satisfiable") \
    X(417, "Expectation Failed") X(421, "Misdirected Request") \
    X(422, "Unprocessable Content") X(423, "Locked") X(424, "Failed Dependency") \
    X(425, "Too Early") X(426, "Upgrade Required") X(428, "Precondition Required") \
    X(429, "Too Many Requests") X(431, "Request Header Fields Too Large") \
    X(451, "Unavailable For Legal Reasons") X(500, "Internal Server Error") \
    X(501, "Not Implemented") X(502, "Bad Gateway") X(503, "Service Temporarily Unavailable") \
    X(504, "Gateway Time-out") X(505, "HTTP Version Not Supported") \
    X(506, "Variant Also Negotiates") X(507, "Insufficient Storage") X(508, "Loop Detected") \
    X(511, "Network Authentication Required")
/* clang-format on */

enum { STATUS_MIN = 100, STATUS_MAX = 599, LINE_FIXED = sizeof "HTTP/1.1 200 \r\n" - 1 };

static const struct slice LINES[STATUS_MAX + 1 - STATUS_MIN] = {
#define X(status, phrase) \
    [status -             \
        STATUS_MIN] = { "HTTP/1.1 " #status " " phrase "\r\n", LINE_FIXED + sizeof phrase - 1 },
    PHRASES(X)
#undef X
};

static struct slice line_of(unsigned status)
{
    bool known = status >= STATUS_MIN && status <= STATUS_MAX;
    return known ? LINES[status - STATUS_MIN] : (struct slice){ 0 };
}

void h1_status_line(struct gather *g, unsigned status)
{
    struct slice line = line_of(status);
    if (line.size > 0) {
        gather_slice(g, line);
        return;
    }
    gather_lit(g, "HTTP/1.1 ");
    gather_u64(g, status);
    gather_lit(g, " \r\n");
}

struct slice status_phrase(unsigned status)
{
    struct slice line = line_of(status);
    if (line.size == 0)
        return SLICE("");
    return slice_of(line.at + LINE_FIXED - 2, line.size - LINE_FIXED);
}

/* Control bytes are rare, so whether one is of the forbidden three is asked only then. */
bool h1_value_safe(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        i += scan_ctl(value.at + i, value.size - i);
        if (i < value.size && (value.at[i] == '\r' || value.at[i] == '\n' || value.at[i] == '\0'))
            return false;
    }
    return true;
}

bool h1_field(struct gather *g, struct slice name, struct slice value)
{
    if (!field_name_ok(name) || !h1_value_safe(value))
        return false;
    size_t size = name.size + value.size + 4;
    if (!gather_room(g, size))
        return true;
    char *at = g->at + g->used;
    memcpy(at, name.at, name.size);
    memcpy(at + name.size, ": ", 2);
    if (value.size > 0)
        memcpy(at + name.size + 2, value.at, value.size);
    memcpy(at + size - 2, "\r\n", 2);
    g->used += size;
    return true;
}

bool h1_field_known(struct gather *g, struct slice line_begin, struct slice value)
{
    if (!h1_value_safe(value))
        return false;
    size_t size = line_begin.size + value.size + 2;
    if (!gather_room(g, size))
        return true;
    char *at = g->at + g->used;
    memcpy(at, line_begin.at, line_begin.size);
    if (value.size > 0)
        memcpy(at + line_begin.size, value.at, value.size);
    memcpy(at + size - 2, "\r\n", 2);
    g->used += size;
    return true;
}

void h1_chunk_size(struct gather *g, uint64_t size)
{
    gather_hex(g, size);
    gather_lit(g, "\r\n");
}
