/* uri.c - paths, decoded exactly once and then walked; authorities; escaping on the way out. */
#include "wire/uri.h"

#include <arpa/inet.h>

enum { PORT_MAX = 65535 };

/* Does nothing in the path need a change? Looks for an escape, a NUL, "//" (if they are merged)
 * and segments that may be dots: "/." and what follows is looked at when it is rewritten. */
static bool is_normal(struct slice raw, bool merge_slashes)
{
    static const bool LOOK[256] = { ['%'] = true, ['/'] = true, ['\0'] = true };
    const char *at = raw.at, *end = raw.at + raw.size;
    for (; at < end; at++) {
        if (!LOOK[(unsigned char)*at])
            continue;
        if (*at != '/')
            return false;
        if (at + 1 < end && (at[1] == '.' || (at[1] == '/' && merge_slashes)))
            return false;
    }
    return true;
}

/* The path as far as it is rewritten; `segment` is where its last segment begins, which is
 * always behind a '/'. */
struct rewrite {
    char *into;
    size_t used, segment;
    bool merge_slashes;
};

/* The last segment is whole. Returns whether it stays; "." and ".." and merged slashes go.
 * Going up walks back over bytes that are then gone: linear in all. */
static enum uri_verdict segment_end(struct rewrite *r, bool *stays)
{
    struct slice last = slice_of(r->into + r->segment, r->used - r->segment);
    *stays = true;
    if (last.size == 0)
        *stays = !r->merge_slashes;
    else if (slice_eq(last, SLICE(".")))
        *stays = false;
    else if (slice_eq(last, SLICE(".."))) {
        if (r->segment <= 1)
            return URI_BAD;
        *stays = false;
        r->segment--;
        while (r->into[r->segment - 1] != '/')
            r->segment--;
    }
    if (!*stays)
        r->used = r->segment;
    return URI_OK;
}

static enum uri_verdict byte_add(struct rewrite *r, char c)
{
    bool stays = true;
    if (c == '\0')
        return URI_BAD;
    if (c == '/' && segment_end(r, &stays) != URI_OK)
        return URI_BAD;
    if (stays)
        r->into[r->used++] = c;
    if (c == '/')
        r->segment = r->used;
    return URI_OK;
}

enum uri_verdict uri_normalise(struct slice raw, bool merge_slashes, char *into, struct slice *ret)
{
    if (raw.size == 0 || raw.at[0] != '/')
        return URI_BAD;
    if (is_normal(raw, merge_slashes)) {
        *ret = raw;
        return URI_OK;
    }
    struct rewrite r = { .into = into, .used = 1, .segment = 1, .merge_slashes = merge_slashes };
    into[0] = '/';
    for (size_t i = 1; i < raw.size; i++) {
        char c = raw.at[i];
        if (c == '%') {
            int high = i + 2 < raw.size ? hex_value(raw.at[i + 1]) : -1;
            int low = i + 2 < raw.size ? hex_value(raw.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return URI_BAD;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (byte_add(&r, c) != URI_OK)
            return URI_BAD;
    }
    bool stays;
    if (r.used > r.segment && segment_end(&r, &stays) != URI_OK)
        return URI_BAD;
    *ret = slice_of(into, r.used);
    return URI_OK;
}

/* What may stand in a path as it is (RFC 3986 §3.3, and '/'). */
static const bool PATH_PLAIN[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&'] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true, ['+'] = true,
    [','] = true,         [';'] = true,         ['='] = true,         [':'] = true, ['@'] = true,
    ['/'] = true,
};

void uri_encode_byte(struct gather *into, unsigned char c)
{
    char escape[] = { '%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15] };

    gather_bytes(into, escape, sizeof escape);
}

void uri_encode_path(struct gather *into, struct slice path)
{
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if (PATH_PLAIN[c])
            gather_byte(into, (char)c);
        else
            uri_encode_byte(into, c);
    }
}

void html_escape(struct gather *into, struct slice text)
{
    static const struct slice ENTITY[256] = {
        ['&'] = { "&amp;", 5 },  ['<'] = { "&lt;", 4 },   ['>'] = { "&gt;", 4 },
        ['"'] = { "&quot;", 6 }, ['\''] = { "&#39;", 5 },
    };
    for (size_t i = 0; i < text.size; i++) {
        struct slice entity = ENTITY[(unsigned char)text.at[i]];
        if (entity.size > 0)
            gather_slice(into, entity);
        else
            gather_byte(into, text.at[i]);
    }
}

/* How many bytes the UTF-8 sequence at s has (RFC 3629 §4: no overlong forms, no surrogates,
 * nothing above U+10FFFF); 0 if it is none. */
static size_t utf8_size(struct slice s)
{
    static const struct {
        unsigned char first, last, second_min, second_max, size;
    } FORMS[] = {
        { 0x00, 0x7f, 0x80, 0xbf, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    const unsigned char *at = (const unsigned char *)s.at;
    size_t form = 0;
    while (form < COUNT_OF(FORMS) && (at[0] < FORMS[form].first || at[0] > FORMS[form].last))
        form++;
    if (form == COUNT_OF(FORMS) || FORMS[form].size > s.size)
        return 0;
    for (size_t i = 1; i < FORMS[form].size; i++) {
        unsigned char least = i == 1 ? FORMS[form].second_min : 0x80;
        unsigned char most = i == 1 ? FORMS[form].second_max : 0xbf;
        if (at[i] < least || at[i] > most)
            return 0;
    }
    return FORMS[form].size;
}

/* JSON is UTF-8: a byte that is not becomes U+FFFD, else readers refuse the whole text. */
void json_escape(struct gather *into, struct slice text)
{
    while (text.size > 0) {
        size_t size = utf8_size(text);
        unsigned char c = (unsigned char)text.at[0];
        if (size == 0)
            gather_lit(into, "\\ufffd");
        else if (c == '"' || c == '\\') {
            char escape[] = { '\\', (char)c };
            gather_bytes(into, escape, sizeof escape);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[] = {
                '\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]
            };
            gather_bytes(into, escape, sizeof escape);
        } else
            gather_bytes(into, text.at, size);
        text = slice_skip(text, size > 0 ? size : 1);
    }
}

/* RFC 3986 §3.2.2 reg-name, without escapes: unreserved and sub-delims. */
static const bool HOST_BYTE[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&'] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true, ['+'] = true,
    [','] = true,         [';'] = true,         ['='] = true,
};

/* An empty label is refused: where a host names a directory, "." and ".." would climb. */
static size_t name_size(struct slice authority)
{
    const char *at = authority.at, *end = at + authority.size, *dot = at - 1;
    for (; at < end && HOST_BYTE[(unsigned char)*at]; at++) {
        if (*at != '.')
            continue;
        if (at == dot + 1)
            return 0;
        dot = at;
    }
    return (size_t)(at - authority.at);
}

static size_t literal_size(struct slice authority)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t end = slice_find(authority, ']');
    if (end == authority.size || end > sizeof text)
        return 0;
    memcpy(text, authority.at + 1, end - 1);
    text[end - 1] = '\0';
    if (strlen(text) != end - 1 || inet_pton(AF_INET6, text, &address) != 1)
        return 0;
    return end + 1;
}

enum uri_verdict uri_authority_split(struct slice authority, struct slice *ret_host,
                                     uint16_t *ret_port)
{
    uint64_t port = 0;
    if (authority.size == 0)
        return URI_BAD;
    size_t size = authority.at[0] == '[' ? literal_size(authority) : name_size(authority);
    if (size == 0)
        return URI_BAD;
    struct slice rest = slice_skip(authority, size);
    if (rest.size > 0 && rest.at[0] != ':')
        return URI_BAD;
    if (rest.size > 1 && !slice_to_u64(slice_skip(rest, 1), PORT_MAX, &port))
        return URI_BAD;
    if (ret_host != NULL)
        *ret_host = slice_head(authority, size);
    if (ret_port != NULL)
        *ret_port = (uint16_t)port;
    return URI_OK;
}

struct slice uri_host_fold(struct slice host, char *into)
{
    for (size_t i = 0; i < host.size; i++)
        into[i] = (char)byte_lower((unsigned char)host.at[i]);
    if (host.size > 0 && host.at[host.size - 1] == '.')
        host.size--;
    return slice_of(into, host.size);
}

enum uri_verdict uri_authority(struct slice authority, char *into, struct slice *ret_host,
                               uint16_t *ret_port)
{
    struct slice host;
    if (uri_authority_split(authority, &host, ret_port) != URI_OK)
        return URI_BAD;
    *ret_host = uri_host_fold(host, into);
    return URI_OK;
}
