/* relay_vars.c - $upstream_…: what became of each peer that was asked. Values of several stand
 * behind one another: ", " between those of one relay, " : " where an internal redirect led to
 * another one.
 */
#include "upstream/relay.h"

#include "conf/expr.h"
#include "http/vars_rows.h"

static uint32_t relay_index;

/* False: it has no value, and "-" stands for it. */
typedef bool attempt_fn(const struct attempt *, struct gather *);

static void print_ms(struct gather *g, uint64_t ns)
{
    uint64_t ms = ns / 1000000u;

    gather_printf(g, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static bool span(const struct attempt *a, uint64_t until_ns, struct gather *g)
{
    if (until_ns != 0)
        print_ms(g, until_ns - a->began_ns);
    return until_ns != 0;
}

static bool print_addr(const struct attempt *a, struct gather *g)
{
    gather_slice(g, a->peer);
    return true;
}

static bool print_status(const struct attempt *a, struct gather *g)
{
    if (a->status != 0)
        gather_u64(g, a->status);
    return a->status != 0;
}

static bool print_connect(const struct attempt *a, struct gather *g)
{
    return span(a, a->connected_ns, g);
}

static bool print_header(const struct attempt *a, struct gather *g)
{
    return span(a, a->head_ns, g);
}

static bool print_response(const struct attempt *a, struct gather *g)
{
    return span(a, a->over_ns, g);
}

static bool print_length(const struct attempt *a, struct gather *g)
{
    gather_u64(g, a->length);
    return true;
}

static bool print_received(const struct attempt *a, struct gather *g)
{
    gather_u64(g, a->received);
    return true;
}

static bool print_sent(const struct attempt *a, struct gather *g)
{
    gather_u64(g, a->sent);
    return true;
}

static bool print_queue(const struct attempt *a, struct gather *g)
{
    if (a->queued_ns != 0)
        print_ms(g, a->queued_ns);
    return a->queued_ns != 0;
}

enum {
    OF_ADDR,
    OF_STATUS,
    OF_CONNECT,
    OF_HEADER,
    OF_RESPONSE,
    OF_LENGTH,
    OF_RECEIVED,
    OF_SENT,
    OF_QUEUE
};

static attempt_fn *const prints[] = {
    [OF_ADDR] = print_addr,         [OF_STATUS] = print_status,     [OF_CONNECT] = print_connect,
    [OF_HEADER] = print_header,     [OF_RESPONSE] = print_response, [OF_LENGTH] = print_length,
    [OF_RECEIVED] = print_received, [OF_SENT] = print_sent,         [OF_QUEUE] = print_queue,
};

static bool print_all(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct attempt *first = ((struct request *)subject)->slots[SLOT_ATTEMPTS];

    for (const struct attempt *a = first; a != NULL; a = a->next) {
        if (a != first)
            gather_str(g, a->first ? " : " : ", ");
        if (!prints[use->number](a, g))
            gather_byte(g, '-');
    }
    return first != NULL;
}

static bool print_last(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct attempt *a = ((struct request *)subject)->slots[SLOT_ATTEMPTS];

    (void)use;
    for (; a != NULL; a = a->next)
        if (a->next == NULL)
            gather_slice(g, a->peer);
    return ((struct request *)subject)->slots[SLOT_ATTEMPTS] != NULL;
}

/* ---- fields of the last answer --------------------------------------------------------------- */

static const struct relay *last_of(void *subject)
{
    return ((struct request *)subject)->slots[SLOT_LAST_RELAY];
}

static bool print_named(const struct field *fields, uint32_t count, struct slice name,
                        struct gather *g)
{
    bool any = false;

    for (uint32_t i = 0; i < count; i++) {
        if (!field_named(fields[i].name, name))
            continue;
        if (any)
            gather_lit(g, ", ");
        gather_slice(g, fields[i].value);
        any = true;
    }
    return any;
}

static bool print_field(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct relay *y = last_of(subject);

    return y != NULL && print_named(y->fields, y->field_count, use->rest, g);
}

static bool print_trailer(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct relay *y = last_of(subject);

    return y != NULL && print_named(y->trailers, y->trailer_count, use->rest, g);
}

/* "name=value; Path=/" */
static bool print_cookie(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct relay *y = last_of(subject);

    for (uint32_t i = 0; y != NULL && i < y->field_count; i++) {
        struct slice rest = y->fields[i].value;

        if (!slice_eq_nocase(y->fields[i].name, SLICE("Set-Cookie")))
            continue;
        struct slice value = slice_cut(&rest, ';');
        struct slice name = slice_trim(slice_cut(&value, '='));

        if (!slice_eq_nocase(name, use->rest))
            continue;
        gather_slice(g, slice_trim(value));
        return true;
    }
    return false;
}

static const struct variable vars[] = {
    { "upstream_addr", print_all, OF_ADDR,
      .help = "The addresses of the servers that were asked." },
    { "upstream_status", print_all, OF_STATUS, .help = "The statuses of their answers." },
    { "upstream_connect_time", print_all, OF_CONNECT,
      .help = "Seconds until each connection was there." },
    { "upstream_header_time", print_all, OF_HEADER,
      .help = "Seconds until each answer's header was there." },
    { "upstream_response_time", print_all, OF_RESPONSE,
      .help = "Seconds until each answer was over." },
    { "upstream_response_length", print_all, OF_LENGTH, .help = "Bytes of each answer's body." },
    { "upstream_bytes_received", print_all, OF_RECEIVED, .help = "Bytes received from each." },
    { "upstream_bytes_sent", print_all, OF_SENT, .help = "Bytes of bodies sent to each." },
    { "upstream_queue_time", print_all, OF_QUEUE,
      .help = "Seconds spent in the queue; \"-\": none." },
    { "upstream_last_addr", print_last, .help = "The address of the server asked last." },
    { "upstream_http_", print_field, .prefix = true,
      .help = "A field of the last answer: lower case, \"_\" for \"-\"." },
    { "upstream_trailer_", print_trailer, .prefix = true,
      .help = "A field behind the body of the last answer, if it came over HTTP/2." },
    { "upstream_cookie_", print_cookie, .prefix = true,
      .help = "A cookie that the last answer set." },
};

const struct feature feature_relay = {
    .name = "upstream-answers",
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "What became of the servers that a request was passed on to.",
    .index = &relay_index,
};
