/* relay.c - asks a peer, then another one, until there is an answer or nobody is left. */
#include "upstream/cache.h"
#include "upstream/keeping.h"
#include "upstream/relay_tls.h"

#include "upstream/sticky.h"

#include <errno.h>
#include <stdio.h>

enum { REQUEST_HEAD_MAX = 256 * 1024, HEAD_FIRST = 1024, NS_PER_US = 1000 };

static void on_event(void *, enum channel_event, int error);
static void on_bytes(void *, struct io_buf *);

static const struct channel_ops channel_events = { on_event, on_bytes };

/* ---- the log ---------------------------------------------------------------------------- */

static const char *doing(const struct relay *y)
{
    switch (y->state) {
    case RELAY_CONNECT:
        return y->channel != NULL && channel_shakes(y->channel) ? "SSL handshaking to upstream"
                                                                : "connecting to upstream";
    case RELAY_HEAD:
        return y->all_sent || y->deaf ? "reading response header from upstream"
                                      : "sending request to upstream";
    case RELAY_TUNNEL:
        return "proxying upgraded connection";
    case RELAY_QUEUED:
    case RELAY_ANSWER:
    case RELAY_OVER:
        break;
    }
    return "reading upstream";
}

static void complain(struct relay *y, const char *said, int error)
{
    const struct attempt *a = y->attempt;
    struct slice peer = a != NULL ? a->peer : y->pick.group->name;
    char about[128] = "";

    if (error != 0)
        snprintf(about, sizeof about, " (%d: %s)", error, strerror(error));
    request_log(y->request, LOG_ERROR, 0, "%s%s while %s, upstream: \"%s%.*s\"", said, about,
                doing(y), y->tls.domain != NULL ? y->protocol->secure : y->protocol->scheme,
                SLICE_FMT(peer));
}

/* ---- attempts ---------------------------------------------------------------------------- */

static uint64_t now_ns(const struct relay *y)
{
    return io_now_ns(y->request->io);
}

static bool note_attempt(struct relay *y, const struct peer *peer)
{
    struct request *r = y->request;
    struct attempt *a = arena_zalloc(&r->arena, sizeof *a), **at;

    if (a == NULL)
        return false;
    a->peer = peer != NULL ? peer->at.text : y->pick.group->name;
    a->name = peer != NULL ? peer->name : y->pick.group->name;
    a->began_ns = now_ns(y);
    a->queued_ns = relay_queued_ns(y);
    a->first = y->attempt == NULL;
    for (at = (struct attempt **)&r->slots[SLOT_ATTEMPTS]; *at != NULL; at = &(*at)->next)
        ;
    *at = a;
    y->attempt = a;
    return true;
}

void relay_count(struct relay *y)
{
    const struct attempt *a = y->attempt;

    y->pick.sent = a->sent + (y->head_sent ? y->head.size : 0);
    y->pick.received = a->received;
    y->pick.status = a->head_ns != 0 ? a->status : 0;
}

static void attempt_over(struct relay *y)
{
    struct attempt *a = y->attempt;

    if (a == NULL || a->over_ns != 0)
        return;
    a->over_ns = now_ns(y);
    relay_count(y);
    if (a->head_ns == 0)
        return;
    y->pick.header_us = (a->head_ns - a->began_ns) / NS_PER_US + 1;
    y->pick.last_us = (a->over_ns - a->began_ns) / NS_PER_US + 1;
}

/* ---- the end of an attempt ----------------------------------------------------------------- */

/* What is being sent for a tunnel is the loop's until then. */
static void close_channel(struct relay *y)
{
    struct channel *c = y->channel;

    y->channel = NULL;
    channel_frees(c, y->tunnel);
    y->tunnel = NULL;
    channel_close(c);
}

static void leave_channel(struct relay *y, bool failed)
{
    attempt_over(y);
    balance_done(&y->pick, failed);
    if (y->channel == NULL)
        return;
    relay_drop_input(y);
    close_channel(y);
}

void relay_finish(struct relay *y)
{
    struct channel *c = y->channel;

    attempt_over(y);
    if (!y->broken && y->pick.peer != NULL)
        sticky_answered(y->request, y->pick.group, y->pick.peer);
    balance_done(&y->pick, false);
    y->request->leaves_with_client = false; /* all that is left is this side's */
    if (c == NULL)
        return;
    if (y->broken || !y->all_sent || y->in_ended || y->protocol->may_keep == NULL ||
        !y->protocol->may_keep(y)) {
        close_channel(y);
        return;
    }
    y->channel = NULL;
    channel_keep(c, &y->pick.group->keeping);
}

/* No peer has an answer. */
void relay_give_up(struct relay *y, unsigned status)
{
    leave_channel(y, false);
    y->state = RELAY_OVER;
    y->failed_with = (uint16_t)status;
    if (y->waits) {
        y->waits = false;
        request_resume(y->request);
    }
}

/* ---- the next peer ------------------------------------------------------------------------- */

static void forget_answer(struct relay *y)
{
    y->any_received = y->in_ended = y->over = y->broken = y->refused = false;
    y->head_sent = y->file_next = y->end_sent = y->any_sent = y->all_sent = y->deaf = false;
    y->chunk.size = 0;
    y->why = NULL;
    y->duplex = false;
}

static void body_ready(struct request *r, void *relay)
{
    struct relay *y = relay;

    (void)r;
    if (y->channel != NULL && (y->state == RELAY_HEAD || (y->state == RELAY_ANSWER && y->duplex)))
        relay_send(y);
}

/* The body from its beginning. False: no memory. */
static bool open_body(struct relay *y)
{
    struct request *r = y->request;

    switch (y->source) {
    case SOURCE_NONE:
        y->up = NULL;
        y->up_left = 0;
        return true;
    case SOURCE_FIXED:
        y->up = y->fixed.size > 0 ? body_memory(r, y->fixed) : NULL;
        y->up_left = (int64_t)y->fixed.size;
        return y->up != NULL || y->fixed.size == 0;
    case SOURCE_READ:
        y->up = client_body_open(r);
        break;
    case SOURCE_STREAM:
        if (r->client_body == NULL)
            y->stream = client_body_stream(r, body_ready, y);
        else if (!client_body_rewind(r))
            y->stream = NULL;
        y->up = y->stream;
        break;
    }
    y->up_left = client_body_length(r);
    return y->up != NULL;
}

static void connected(struct relay *y)
{
    y->attempt->connected_ns = now_ns(y);
    y->state = RELAY_HEAD;
    if (!y->protocol->begin(y)) {
        if (y->why != NULL)
            relay_fail(y, FAULT_INVALID, y->why, 0);
        else
            relay_give_up(y, 500);
        return;
    }
    relay_send(y);
}

static bool idempotent(const struct request *r)
{
    return !slice_eq(r->head.method_text, SLICE("POST")) &&
           !slice_eq(r->head.method_text, SLICE("LOCK")) &&
           !slice_eq(r->head.method_text, SLICE("PATCH"));
}

static bool write_head(struct relay *);

/* False: that peer cannot even be tried. */
static bool try_peer(struct relay *y, const struct peer *peer)
{
    struct channel_manner manner = relay_manner(y);
    int error = 0;

    manner.careful = !idempotent(y->request) || y->source == SOURCE_STREAM;
    y->channel = channel_open(y->request, &peer->at, &manner, &channel_events, y, &error);
    y->state = RELAY_CONNECT;
    if (y->channel == NULL) {
        complain(y, "socket() failed", error);
        y->attempt->status = 502;
        attempt_over(y);
        balance_done(&y->pick, true);
        return false;
    }
    if (y->source == SOURCE_READ || y->source == SOURCE_STREAM)
        channel_lend(y->channel, client_body_hold(y->request), client_body_let_go);
    if (channel_is_open(y->channel))
        connected(y);
    else
        channel_deadline(y->channel, y->conf->connect_timeout);
    return true;
}

void relay_ask(struct relay *y)
{
    const struct peer *peer;
    const char *why;

    forget_answer(y);
    if (!open_body(y)) {
        relay_give_up(y, 500);
        return;
    }
    do {
        peer = relay_pick(y, &why);
        if (peer == NULL && y->state == RELAY_QUEUED)
            return;
        if (!note_attempt(y, peer)) {
            relay_give_up(y, 500);
            return;
        }
        if (peer == NULL) {
            y->state = RELAY_CONNECT;
            complain(y, why, 0);
            y->faults |= FAULT_ERROR;
            y->attempt->status = 502;
            relay_give_up(y, 502);
            return;
        }
        if (!relay_allowed(y)) {
            relay_fail(y, FAULT_DENIED, "upstream is not allowed", 0);
            return;
        }
        if (y->conf->request_dynamic && !(write_head(y) && open_body(y))) {
            relay_give_up(y, 500);
            return;
        }
    } while (!try_peer(y, peer));
}

/* ---- one that failed ----------------------------------------------------------------------- */

static bool may_ask_again(const struct relay *y, unsigned faults)
{
    const struct relay_conf *c = y->conf;
    uint64_t spent_ms = (now_ns(y) - y->began_ns) / 1000000u;

    if (y->any_sent && !y->refused && !idempotent(y->request))
        faults |= FAULT_NON_IDEMPOTENT;
    if (y->any_sent && y->source == SOURCE_STREAM &&
        !(y->refused && client_body_rewind(y->request)))
        return false;
    if ((c->next & FAULT_OFF) != 0 || (c->next & faults) != faults || y->tries_left <= 1)
        return false;
    return c->next_timeout == 0 || spent_ms < (uint64_t)c->next_timeout;
}

/* A connection that was kept may have been closed by its peer, or said goodbye, while the request
 * was on its way: nobody is to blame, and a fresh one to the same peer is worth it. */
static bool was_stale(const struct relay *y, enum relay_fault fault)
{
    return fault == FAULT_ERROR && y->channel != NULL && channel_reused(y->channel) &&
           (!y->any_received || y->refused) && y->state == RELAY_HEAD;
}

void relay_fail(struct relay *y, enum relay_fault fault, const char *said, int error)
{
    bool stale = was_stale(y, fault), again;
    unsigned status = relay_status_of(fault);

    if (said != NULL)
        complain(y, said, error);
    if (y->attempt->status == 0)
        y->attempt->status = status;
    y->faults |= fault;
    if (stale) {
        y->tries_left++;
        y->pick.tried[y->pick.peer->number / 8] &= (uint8_t) ~(1u << y->pick.peer->number % 8);
    }
    again = may_ask_again(y, fault);
    leave_channel(y, !stale && (fault & (FAULT_403 | FAULT_404 | FAULT_DENIED)) == 0);
    if (!again) {
        relay_give_up(y, status);
        return;
    }
    y->tries_left--;
    relay_ask(y);
}

/* ---- the head of an answer --------------------------------------------------------------- */

static void head_complete(struct relay *y)
{
    enum relay_fault fault = relay_fault_of(y->attempt->status);

    y->attempt->head_ns = now_ns(y);
    if (fault != 0 && may_ask_again(y, fault) && (y->conf->next & fault) != 0) {
        relay_fail(y, fault, NULL, 0);
        return;
    }
    y->state = RELAY_ANSWER;
    y->duplex = y->h2 != NULL && y->request->ops->duplex;
    if (y->source == SOURCE_STREAM && !y->request->client_body->complete && !y->duplex)
        y->deaf = true; /* what the client still sends is thrown away before the answer goes out */
    channel_deadline(y->channel, 0);
    y->waits = false;
    request_resume(y->request);
}

/* What came, and is not read; nothing, if it is a stream's session that knows more. */
static void head_came(struct relay *y)
{
    struct io_buf *b = y->in_first;
    struct slice bytes = { 0 };
    size_t taken = 0;
    enum h1_verdict v;

    if (b != NULL)
        bytes = slice_of((const char *)b->bytes + b->used, b->filled - b->used);
    v = y->protocol->read_head(y, bytes.at, bytes.size, &taken);
    if (b != NULL)
        b->used += (uint32_t)taken;
    switch (v) {
    case H1_MORE:
        relay_drop_input(y);
        channel_receive(y->channel);
        return;
    case H1_BAD:
        relay_fail(y, y->refused ? FAULT_ERROR : FAULT_INVALID,
                   y->why != NULL ? y->why : "upstream sent an invalid header", 0);
        return;
    case H1_DONE:
        if (taken == bytes.size)
            relay_drop_input(y);
        head_complete(y);
        return;
    }
}

/* ---- events ------------------------------------------------------------------------------ */

static void came(struct relay *y)
{
    struct request *r = y->request;

    y->any_received = true;
    if (y->channel != NULL && y->state == RELAY_HEAD)
        head_came(y);
    if (!r->ended || y->alone)
        relay_settle(y);
}

static void on_bytes(void *owner, struct io_buf *b)
{
    struct relay *y = owner;
    struct request *r = y->request;

    request_pin(r); /* the answer may be over, and the request with it, when this returns */
    if (y->h2 == NULL)
        y->attempt->received += b->filled;
    relay_take(y, b);
    came(y);
    (void)request_unpin(r);
}

/* TLS has words of its own for what failed. */
static void fail_of(struct relay *y, const char *said, int error)
{
    const char *why = channel_why(y->channel);

    if (why != NULL)
        relay_fail(y, FAULT_ERROR, why, 0);
    else
        relay_fail(y, FAULT_ERROR, said, error);
}

static void ended(struct relay *y, int error)
{
    y->in_ended = true;
    if (y->state != RELAY_HEAD) {
        channel_deadline(y->channel, 0); /* the client may take its time with what came */
        y->why = error == 0 ? NULL : channel_why(y->channel);
        if (error != 0 && y->why == NULL)
            y->why = "recv() failed";
        relay_settle(y);
        return;
    }
    if (error != 0)
        fail_of(y, "recv() failed", error);
    else
        relay_fail(y, FAULT_ERROR, "upstream prematurely closed connection", 0);
}

static void late(struct relay *y)
{
    if (y->state != RELAY_CONNECT && relay_still_sends(y))
        return;
    if (y->state == RELAY_CONNECT || y->state == RELAY_HEAD) {
        relay_fail(y, FAULT_TIMEOUT, "upstream timed out", ETIMEDOUT);
        return;
    }
    if (y->paused) {
        relay_listen(y);
        return;
    }
    complain(y, "upstream timed out", ETIMEDOUT);
    y->in_ended = true;
    y->why = "";
    relay_settle(y);
}

static void on_event(void *owner, enum channel_event event, int error)
{
    struct relay *y = owner;
    struct request *r = y->request;

    request_pin(r);
    switch (event) {
    case CHANNEL_OPEN:
        if (error == 0)
            connected(y);
        else
            fail_of(y, "connect() failed", error);
        break;
    case CHANNEL_SENT:
        relay_sent(y, error);
        break;
    case CHANNEL_ENDED:
        ended(y, error);
        break;
    case CHANNEL_LATE:
        late(y);
        break;
    case CHANNEL_HEARD:
        came(y);
        break;
    }
    (void)request_unpin(r);
}

/* ---- for handlers ------------------------------------------------------------------------ */

static void at_end(void *relay)
{
    struct relay *y = relay;

    y->waits = false;
    queue_leave(&y->waiter);
    if (relay_go_on(y))
        return;
    y->over = true;
    y->broken = true;
    keeping_end(y);
    relay_drop_body(y);
    relay_file_close(y);
    leave_channel(y, false);
    y->state = RELAY_OVER;
}

static enum relay_source source_of(const struct relay *y)
{
    const struct request *r = y->request;

    if (!y->conf->pass_body || client_body_length(r) == 0 ||
        (r->parent != NULL && r->client_body == NULL))
        return SOURCE_NONE;
    return y->conf->request_buffering || r->client_body != NULL ? SOURCE_READ : SOURCE_STREAM;
}

static bool write_head(struct relay *y)
{
    struct gather g;
    char *first = arena_bytes(&y->request->arena, HEAD_FIRST);

    if (first == NULL)
        return false;
    gather_init(&g, first, HEAD_FIRST, &y->request->arena, REQUEST_HEAD_MAX);
    if (!y->protocol->write_head(y, &g) || g.full)
        return false;
    y->head = gather_get(&g);
    return true;
}

static struct relay *make(struct request *r, const struct relay_conf *conf,
                          const struct relay_protocol *protocol, void *own)
{
    struct relay *y = arena_zalloc(&r->arena, sizeof *y);

    if (y == NULL)
        return NULL;
    y->request = r;
    y->conf = conf;
    y->protocol = protocol;
    y->own = own;
    y->framing = &framing_plain;
    y->began_ns = now_ns(y);
    y->buffering = conf->buffering;
    y->state = RELAY_OVER;
    y->cached = cache_of(r);
    return y;
}

struct relay *relay_begin(struct request *r, const struct relay_conf *conf,
                          const struct relay_protocol *protocol, struct group *group, void *own)
{
    struct relay *y = make(r, conf, protocol, own);

    if (y == NULL || !balance_begin(&y->pick, group, r) || !request_at_end(r, at_end, y))
        return NULL;
    relay_follow_client(y);
    y->source = source_of(y);
    if (!write_head(y))
        return NULL;
    y->tries_left = balance_tries(&y->pick);
    if (conf->next_tries > 0 && conf->next_tries < y->tries_left)
        y->tries_left = (unsigned)conf->next_tries;
    y->state = RELAY_CONNECT;
    r->slots[SLOT_RELAY] = r->slots[SLOT_LAST_RELAY] = y;
    r->leaves_with_client = !conf->ignore_abort;
    return y;
}

enum verdict relay_serve(struct request *r, const struct relay_conf *conf,
                         const struct relay_protocol *protocol, void *own)
{
    struct relay *y = make(r, conf, protocol, own);

    if (y == NULL)
        return request_fail(r, 500);
    r->slots[SLOT_LAST_RELAY] = y;
    return cache_answer(y);
}

struct relay *relay_of(const struct request *r)
{
    return r->slots[SLOT_RELAY];
}
