/* tls_made_test.c - what is wished twice is made once; what differs in anything is not shared. */
#include "net/tls_made.h"

#include "../conf/conf_test.h"

typedef void change_fn(struct tls_order *);

static struct tls_certificate one = { .chain = SLICE("chain"), .key = SLICE("key") };
static struct tls_certificate two = { .chain = SLICE("chain"), .key = SLICE("other key") };
static struct tls_command minimum = { .name = "MinProtocol", .value = "TLSv1.2" };
static const struct slice ticket_key = SLICE("a key for tickets");
static struct expr *const some_expr = (void *)&one; /* compared, not evaluated */

static struct tls_order of_a_client(void)
{
    return (struct tls_order){ .wish = { .client = true,
                                         .protocols = TLS_PROTOCOL_1_2 | TLS_PROTOCOL_1_3,
                                         .ciphers = "HIGH",
                                         .verify_depth = 1,
                                         .session_timeout_s = 300 } };
}

#define CHANGE(name, ...)                 \
    static void name(struct tls_order *o) \
    {                                     \
        struct tls_wish *w = &o->wish;    \
                                          \
        (void)w;                          \
        __VA_ARGS__;                      \
    }
CHANGE(role, w->client = false)
CHANGE(certificate, w->certificates = &one)
CHANGE(other_key, w->certificates = &two)
CHANGE(passwords, w->passwords = SLICE("secret"))
CHANGE(protocols, w->protocols = TLS_PROTOCOL_1_3)
CHANGE(ciphers, w->ciphers = "MEDIUM")
CHANGE(no_ciphers, w->ciphers = NULL)
CHANGE(curves, w->curves = "X25519")
CHANGE(dh, w->dh = SLICE("parameters"))
CHANGE(prefer_ours, w->prefer_ours = true)
CHANGE(commands, w->commands = &minimum)
CHANGE(verify, w->verify = TLS_VERIFY_ON)
CHANGE(verify_depth, w->verify_depth = 2)
CHANGE(authorities, w->authorities = SLICE("authorities"))
CHANGE(trusted, w->trusted = SLICE("authorities"))
CHANGE(revoked, w->revoked = SLICE("a list"))
CHANGE(tickets, w->tickets = true)
CHANGE(ticket_keys, w->ticket_keys = &ticket_key; w->ticket_key_count = 1)
CHANGE(sessions, w->sessions = TLS_SESSIONS_OFF)
CHANGE(session_timeout, w->session_timeout_s = 301)
CHANGE(early_data, w->early_data = true)
CHANGE(stapled, w->stapled = true)
CHANGE(record_max, w->record_max = 4096)
CHANGE(variable, o->certificate = o->key = some_expr)
CHANGE(library_most, o->library_most = 7)
CHANGE(staple, o->staple = SLICE("an answer"))
CHANGE(responder, o->responder = SLICE("http://ocsp.test/"))
CHANGE(staple_verify, o->staple_verify = true)

static change_fn *const changes[] = {
    role,    certificate, other_key,   passwords,    protocols, ciphers,         no_ciphers,
    curves,  dh,          prefer_ours, commands,     verify,    verify_depth,    authorities,
    trusted, revoked,     tickets,     ticket_keys,  sessions,  session_timeout, early_data,
    stapled, record_max,  variable,    library_most, staple,    responder,       staple_verify,
};

static void nothing_that_differs_is_shared(void **state)
{
    struct tls_made *list = NULL;
    struct tls_fault fault;
    struct fixture f;
    struct tls_order order = of_a_client();
    const struct tls_made *first;

    (void)state;
    fixture_open(&f);
    first = tls_make(f.load, &list, &order, &fault);
    assert_non_null(first);
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        order = of_a_client();
        changes[i](&order);
        if (tls_make(f.load, &list, &order, &fault) == first)
            fail_msg("change %zu made no difference", i);
    }
    fixture_close(&f);
}

static void equal_texts_in_other_places_are_shared(void **state)
{
    struct tls_made *list = NULL;
    struct tls_fault fault;
    struct fixture f;
    char ciphers[] = "HIGH", responder[] = "http://ocsp.test/";
    struct tls_order order = of_a_client();
    const struct tls_made *first;

    (void)state;
    fixture_open(&f);
    order.responder = SLICE("http://ocsp.test/");
    first = tls_make(f.load, &list, &order, &fault);
    assert_non_null(first);
    order.wish.ciphers = ciphers;
    order.responder = slice_str(responder);
    assert_ptr_equal(tls_make(f.load, &list, &order, &fault), first);
    assert_null(first->next);
    fixture_close(&f);
}

static void what_cannot_be_made_is_not_kept(void **state)
{
    struct tls_made *list = NULL;
    struct tls_fault fault;
    struct fixture f;
    struct tls_order order = of_a_client();

    (void)state;
    fixture_open(&f);
    order.wish.ciphers = "no such cipher";
    for (int i = 0; i < 2; i++) {
        fault = (struct tls_fault){ .part = TLS_PART_NONE };
        assert_null(tls_make(f.load, &list, &order, &fault));
        assert_int_equal(fault.part, TLS_PART_CIPHERS);
    }
    assert_null(list);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_differs_is_shared),
        cmocka_unit_test(equal_texts_in_other_places_are_shared),
        cmocka_unit_test(what_cannot_be_made_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
