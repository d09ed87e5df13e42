/* side.c - connections that are only there. */
#include "bench/side.h"

#include "bench/load.h"
#include "bench/protocol.h"

#include <errno.h>

static void side_lost(struct side *s, int error)
{
    if (s->line.state == LINE_OPEN)
        s->line.load->now.side_lost++;
    else
        load_error(s->line.load, error == -EPROTO ? BENCH_TLS : BENCH_CONNECT, 1);
    line_close(&s->line);
}

static void on_side_open(struct line *line, int error)
{
    struct side *s = container_of(line, struct side, line);

    s->sent = 0;
    if (error < 0)
        side_lost(s, error);
}

static void on_side_bytes(struct line *line, const struct io_buf *list, int result)
{
    (void)list;
    if (result <= 0)
        side_lost(container_of(line, struct side, line), result);
}

static void on_side_sent(struct line *line, int error)
{
    if (error < 0)
        side_lost(container_of(line, struct side, line), error);
}

static void on_side_closed(struct line *line)
{
    (void)line; /* a later tick opens it again */
}

static const struct line_ops line_ops = {
    .open = on_side_open,
    .bytes = on_side_bytes,
    .sent = on_side_sent,
    .closed = on_side_closed,
};

void side_init(struct side *s, struct load *load, bool trickles)
{
    *s = (struct side){ .trickles = trickles };
    line_init(&s->line, load, &line_ops);
}

void side_tick(struct side *s)
{
    struct slice request = s->line.load->plan->request;

    if (s->line.state == LINE_CLOSED) {
        if (line_open(&s->line) < 0)
            load_error(s->line.load, BENCH_CONNECT, 1);
    } else if (s->line.state == LINE_OPEN && s->trickles && !line_sending(&s->line)) {
        if (s->sent == request.size && !s->line.load->plan->protocol->streams)
            s->sent = 0; /* in HTTP/2 a connection begins only once */
        if (s->sent == request.size)
            return;
        s->iov = (struct iovec){ (void *)(uintptr_t)(request.at + s->sent++), 1 };
        line_send(&s->line, &s->iov);
    }
}

void side_stop(struct side *s)
{
    line_close(&s->line);
}

void side_done(struct side *s)
{
    line_done(&s->line);
}
