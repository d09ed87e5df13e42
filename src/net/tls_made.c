/* tls_made.c - finds what was made for the same words, or makes it. */
#include "net/tls_made.h"

#include <string.h>

/* A file's text is in one place, however often it is named. */
static bool same_bytes(struct slice a, struct slice b)
{
    return a.size == b.size && (a.at == b.at || slice_eq(a, b));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_certificates(const struct tls_certificate *a, const struct tls_certificate *b)
{
    while (a != NULL && b != NULL && same_bytes(a->chain, b->chain) && same_bytes(a->key, b->key)) {
        a = a->next;
        b = b->next;
    }
    return a == b;
}

static bool same_commands(const struct tls_command *a, const struct tls_command *b)
{
    while (a != b && a != NULL && b != NULL && same_text(a->name, b->name) &&
           same_text(a->value, b->value)) {
        a = a->next;
        b = b->next;
    }
    return a == b;
}

static bool same_ticket_keys(const struct tls_wish *a, const struct tls_wish *b)
{
    bool same = a->ticket_key_count == b->ticket_key_count;

    for (unsigned i = 0; same && i < a->ticket_key_count; i++)
        same = same_bytes(a->ticket_keys[i], b->ticket_keys[i]);
    return same;
}

static bool same_numbers(const struct tls_wish *a, const struct tls_wish *b)
{
    return a->client == b->client && a->protocols == b->protocols &&
           a->prefer_ours == b->prefer_ours && a->verify == b->verify &&
           a->verify_depth == b->verify_depth && a->tickets == b->tickets &&
           a->sessions == b->sessions && a->session_zone == b->session_zone &&
           a->session_timeout_s == b->session_timeout_s && a->early_data == b->early_data &&
           a->stapled == b->stapled && a->key_log == b->key_log && a->record_max == b->record_max;
}

/* Every member of struct tls_wish. */
static bool same_wish(const struct tls_wish *a, const struct tls_wish *b)
{
    return same_numbers(a, b) && same_certificates(a->certificates, b->certificates) &&
           same_bytes(a->passwords, b->passwords) && same_text(a->ciphers, b->ciphers) &&
           same_text(a->curves, b->curves) && same_bytes(a->dh, b->dh) &&
           same_commands(a->commands, b->commands) && same_bytes(a->authorities, b->authorities) &&
           same_bytes(a->trusted, b->trusted) && same_bytes(a->revoked, b->revoked) &&
           same_ticket_keys(a, b);
}

static bool same_order(const struct tls_order *a, const struct tls_order *b)
{
    return a->certificate == b->certificate && a->key == b->key &&
           a->library_most == b->library_most && same_bytes(a->staple, b->staple) &&
           same_bytes(a->responder, b->responder) && a->staple_verify == b->staple_verify &&
           same_wish(&a->wish, &b->wish);
}

static void destroy(void *domain)
{
    tls_domain_destroy(domain);
}

const struct tls_made *tls_make(struct conf_load *load, struct tls_made **list,
                                const struct tls_order *order, struct tls_fault *fault)
{
    struct tls_made *m = *list;

    while (m != NULL && !same_order(&m->order, order))
        m = m->next;
    if (m != NULL)
        return m;
    m = arena_must(conf_arena(load), sizeof *m);
    m->order = *order;
    m->domain = tls_domain_create(&order->wish, fault);
    if (m->domain == NULL)
        return NULL;
    conf_at_end(load, destroy, m->domain);
    *fault = (struct tls_fault){ .text = "no memory" };
    if (order->certificate != NULL) {
        m->library = tls_library_create(&order->wish, order->library_most);
        if (m->library == NULL)
            return NULL;
        conf_at_end(load, tls_library_destroy, m->library);
    }
    if (order->staple.size > 0 && !tls_domain_staple(m->domain, NULL, order->staple))
        return NULL;
    m->next = *list;
    *list = m;
    return m;
}
