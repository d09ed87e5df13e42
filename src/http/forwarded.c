/* forwarded.c - fields such as X-Forwarded-For, read from their end. */
#include "http/forwarded.h"

struct trusted *forwarded_read(struct conf_load *load, const struct conf_node *node, unsigned arg)
{
    struct trusted *t = arena_must(conf_arena(load), sizeof *t);
    struct slice text = conf_arg(node, arg);
    bool low_bits = false;

    *t = (struct trusted){ .is_unix = slice_eq(text, SLICE("unix:")) };
    if (!t->is_unix && !addr_net_parse(text, &t->net, &low_bits)) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "\"%.*s\" is not an address",
                      SLICE_FMT(text));
        conf_hint(load, "expected: an address, a net such as 10.0.0.0/8, or unix:; names are not "
                        "looked up");
        return NULL;
    }
    if (low_bits)
        conf_complain(load, CONF_WARN, node, (int)arg,
                      "the address has bits beyond the net's mask; they mean nothing");
    return t;
}

bool forwarded_trusted(const struct trusted *nets, const struct addr *a)
{
    for (const struct trusted *t = nets; t != NULL; t = t->next)
        if (t->is_unix ? a->family == AF_UNIX : addr_in_net(a, &t->net))
            return true;
    return false;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". Without a port
 * it is 0: not known. */
static bool read_client(struct slice text, struct addr *ret)
{
    size_t colon = slice_find(text, ':');
    bool port =
        colon < text.size && slice_find(slice_skip(text, colon + 1), ':') == text.size - colon - 1;
    struct addr_net net;
    bool low_bits;

    if (port || (text.size > 0 && text.at[0] == '['))
        return addr_parse(text, 0, ret) && !addr_is_any(ret);
    if (slice_find(text, '/') < text.size || !addr_net_parse(text, &net, &low_bits))
        return false;
    *ret = net.base;
    ret->port = 0;
    return true;
}

bool forwarded_look_back(const struct trusted *nets, bool recursive, struct slice value,
                         struct addr *client, bool *found)
{
    while (value.size > 0) {
        size_t at = value.size;
        struct addr said;

        while (at > 0 && value.at[at - 1] != ',' && value.at[at - 1] != ' ')
            at--;
        struct slice text = slice_skip(value, at);

        value = slice_head(value, at > 0 ? at - 1 : 0);
        if (text.size == 0)
            continue;
        if (!read_client(text, &said))
            return false;
        *client = said;
        *found = true;
        if (!recursive || !forwarded_trusted(nets, &said))
            return false;
    }
    return true;
}
