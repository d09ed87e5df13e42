/* proxy_told.c - a connection's PROXY header, kept, and its variables. */
#include "http/proxy_told.h"

#include "http/vars_rows.h"

enum { BLOCK_SIZE = 256 }; /* enough for addresses and a few TLVs */

static struct addr addr_of(enum proxy_family family, const struct proxy_end *end)
{
    struct addr a = { 0 };

    if (family != PROXY_TCP4 && family != PROXY_TCP6)
        return a;
    a.family = family == PROXY_TCP4 ? AF_INET : AF_INET6;
    a.port = end->port;
    memcpy(a.ip, end->ip, sizeof a.ip);
    return a;
}

struct proxy_told *proxy_told_create(const struct proxy_line *line)
{
    struct arena arena;

    arena_init(&arena, NULL, 0, BLOCK_SIZE, SIZE_MAX);
    struct proxy_told *told = arena_alloc(&arena, sizeof *told);
    struct slice tlvs = arena_copy(&arena, line->tlvs);

    if (told == NULL || tlvs.at == NULL) {
        arena_done(&arena);
        return NULL;
    }
    *told = (struct proxy_told){ addr_of(line->family, &line->source),
                                 addr_of(line->family, &line->target), tlvs, arena };
    return told;
}

void proxy_told_destroy(struct proxy_told *told)
{
    if (told == NULL)
        return;
    struct arena arena = told->arena; /* it is freed with what is in it */

    arena_done(&arena);
}

/* ---- variables --------------------------------------------------------------------------- */

static bool put_addr(const struct addr *a, struct gather *g)
{
    if (a->family == AF_UNSPEC)
        return false;
    addr_print(a, g);
    return true;
}

static bool put_port(const struct addr *a, struct gather *g)
{
    if (a->family == AF_UNSPEC)
        return false;
    if (a->port > 0)
        gather_u64(g, a->port);
    return true;
}

#define TOLD_GETTER(name, put, end)                                              \
    bool name(void *subject, const struct variable_use *use, struct gather *g)   \
    {                                                                            \
        const struct proxy_told *told = ((const struct request *)subject)->told; \
                                                                                 \
        (void)use;                                                               \
        return told != NULL && put(&told->end, g);                               \
    }

TOLD_GETTER(get_told_addr, put_addr, source)
TOLD_GETTER(get_told_port, put_port, source)
TOLD_GETTER(get_told_server_addr, put_addr, target)
TOLD_GETTER(get_told_server_port, put_port, target)

/* ---- TLVs by name --------------------------------------------------------------------------- */

struct tlv_name {
    struct slice name;
    uint8_t type;
};

static const struct tlv_name plain_names[] = {
    { { "alpn", 4 }, PROXY_TLV_ALPN },           { { "authority", 9 }, PROXY_TLV_AUTHORITY },
    { { "unique_id", 9 }, PROXY_TLV_UNIQUE_ID }, { { "ssl", 3 }, PROXY_TLV_SSL },
    { { "netns", 5 }, PROXY_TLV_NETNS },
};

static const struct tlv_name ssl_names[] = {
    { { "version", 7 }, PROXY_TLV_SSL_VERSION }, { { "cn", 2 }, PROXY_TLV_SSL_CN },
    { { "cipher", 6 }, PROXY_TLV_SSL_CIPHER },   { { "sig_alg", 7 }, PROXY_TLV_SSL_SIG_ALG },
    { { "key_alg", 7 }, PROXY_TLV_SSL_KEY_ALG },
};

static bool find_type(const struct tlv_name *names, size_t count, struct slice name, uint8_t *ret)
{
    uint64_t n;

    if (slice_starts(name, SLICE("0x"))) {
        if (!slice_hex_to_u64(slice_skip(name, 2), UINT8_MAX, &n))
            return false;
        *ret = (uint8_t)n;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq(names[i].name, name))
            continue;
        *ret = names[i].type;
        return true;
    }
    return false;
}

bool get_told_tlv(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct proxy_told *told = ((const struct request *)subject)->told;
    struct slice name = use->rest, tlvs, ssl = SLICE("ssl_");
    bool inner = slice_starts(name, ssl);
    uint32_t verify;
    uint8_t type;

    if (told == NULL)
        return false;
    tlvs = told->tlvs;
    if (inner) {
        name = slice_skip(name, ssl.size);
        if (!proxy_tlv_ssl(proxy_tlv_find(tlvs, PROXY_TLV_SSL), &tlvs, &verify))
            return false;
        if (slice_eq(name, SLICE("verify"))) {
            gather_u64(g, verify);
            return true;
        }
    }
    if (inner ? !find_type(ssl_names, COUNT_OF(ssl_names), name, &type)
              : !find_type(plain_names, COUNT_OF(plain_names), name, &type))
        return false;
    struct slice value = proxy_tlv_find(tlvs, type);

    gather_slice(g, value);
    return value.at != NULL;
}
