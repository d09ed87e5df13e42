/* tls_send.c - encrypting what is to be sent, record by record, and sending what was gathered.
 *
 * Records are gathered in one buffer and leave in one send, so a large answer costs a send for
 * every few of them. Small pieces become one record: a head and the body behind it are one.
 */
#include "net/tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

enum {
    GATHER_MAX = 4 * TLS_RECORD_MAX, /* content encrypted ahead of a send              */
    FILE_PIECE = 4 * TLS_RECORD_MAX, /* read of a file at once                         */
    FIRST_RECORD = 4096,             /* after a pause: it is complete the sooner        */
    PAUSE_MS = 1000,
    HELD_MS = 20,
};

static io_done_fn on_sent, on_read;

struct tls_out *tls_gathering(struct tls *t)
{
    if (t->out == NULL)
        t->out = tls_out_take(t->home);
    return t->out;
}

void tls_flush(struct tls *t)
{
    if (t->flying != NULL || t->closing)
        return;
    if (t->out == NULL || t->out->used == 0) {
        if (t->out != NULL)
            tls_out_give(t->home, t->out);
        t->out = NULL;
        if (t->finishing && !t->sending) {
            io_finish(t->io, t->fd);
            t->finishing = false;
        }
        return;
    }
    t->flying = t->out;
    t->out = NULL;
    t->flying_iov = (struct iovec){ t->flying->bytes, t->flying->used };
    io_send(t->io, &t->tx, t->fd, &t->flying_iov, 1, 0, on_sent);
}

static void on_held(struct io *io, struct io_timer *timer)
{
    (void)io;
    tls_flush(container_of(timer, struct tls, soon));
}

void tls_flush_fed(struct tls *t)
{
    if (!t->held || t->sending || t->out == NULL || t->out->used == 0) {
        tls_flush(t);
        return;
    }
    t->held = false;
    io_timer_set(t->io, &t->soon, (uint64_t)HELD_MS * 1000000u, on_held);
}

/* ---- records -------------------------------------------------------------------------------- */

static size_t record_max(struct tls *t)
{
    uint64_t now = io_now_ns(t->io);
    bool pause = now - t->last_ns > (uint64_t)PAUSE_MS * 1000000u;

    t->last_ns = now;
    return pause && t->record_max > FIRST_RECORD ? FIRST_RECORD : t->record_max;
}

/* The content of the next record: at least one byte is left. */
static struct slice next_content(struct tls *t, size_t most)
{
    char *into = t->home->scratch;
    size_t size = 0;

    while (t->iov_at < t->iov_count && size < most) {
        const struct iovec *v = &t->iov[t->iov_at];
        size_t n = v->iov_len - t->iov_done;
        const char *at = (const char *)v->iov_base + t->iov_done;

        if (n > most - size)
            n = most - size;
        t->iov_done += n;
        if (t->iov_done == v->iov_len) {
            t->iov_at++;
            t->iov_done = 0;
        }
        if (size == 0 && (n == most || t->iov_at == t->iov_count))
            return slice_of(at, n); /* no need to copy */
        memcpy(into + size, at, n);
        size += n;
    }
    return slice_of(into, size);
}

static bool encrypt(struct tls *t, struct slice content)
{
    size_t written = 0;
    int result;

    if (content.size == 0)
        return true;
    ERR_clear_error();
    result = t->early ? SSL_write_early_data(t->ssl, content.at, content.size, &written)
                      : SSL_write_ex(t->ssl, content.at, content.size, &written);
    if (result == 1 && written == content.size)
        return true;
    tls_note_error(t, "SSL_write()");
    return false;
}

/* As much as one send should have. False: it failed for good. */
static bool encrypt_more(struct tls *t)
{
    size_t most = record_max(t), done = 0;

    while (t->iov_at < t->iov_count && done < GATHER_MAX) {
        struct slice content = next_content(t, most);

        if (!encrypt(t, content))
            return false;
        done += content.size;
        t->moved += content.size;
        most = t->record_max;
    }
    return true;
}

/* ---- sends ---------------------------------------------------------------------------------- */

static void read_file(struct tls *t)
{
    if (t->error != 0)
        return;
    uint32_t size = t->file_left < FILE_PIECE ? t->file_left : FILE_PIECE;

    if (t->file_bytes == NULL)
        t->file_bytes = tls_out_take(t->home);
    if (t->file_bytes == NULL) {
        t->error = -ENOMEM;
        return;
    }
    io_read(t->io, &t->side, t->file, t->file_bytes->bytes, size, t->file_offset, on_read);
}

static void answer(struct tls *t)
{
    int error = t->error;

    if (t->file_bytes != NULL)
        tls_out_give(t->home, t->file_bytes);
    t->file_bytes = NULL;
    t->sending = false;
    t->iov_at = t->iov_count = 0;
    t->file_left = 0;
    if (t->finishing)
        tls_flush(t);
    t->ops->sent(t->owner, error);
}

/* What was gathered has left, or nothing was: goes on, or is done. Only from completions. */
static void go_on(struct tls *t)
{
    if (t->error == 0 && t->sending && t->iov_at < t->iov_count && !encrypt_more(t))
        t->error = -EPIPE;
    if (t->error == 0)
        tls_flush(t);
    if (t->error == 0 && (t->flying != NULL || io_busy(&t->side)))
        return;
    if (t->error == 0 && t->sending && t->file_left > 0) {
        read_file(t);
        if (t->error == 0)
            return;
    }
    if (t->sending && !io_busy(&t->side))
        answer(t);
}

static void on_sent(struct io *io, struct io_op *op, struct io_result r)
{
    struct tls *t = container_of(op, struct tls, tx);

    (void)io;
    OBJ(t, TLS_MAGIC);
    tls_out_give(t->home, t->flying);
    t->flying = NULL;
    if (r.res < 0 && t->error == 0)
        t->error = r.res;
    if (!t->closing && !t->working)
        go_on(t);
}

static void on_read(struct io *io, struct io_op *op, struct io_result r)
{
    struct tls *t = container_of(op, struct tls, side);

    (void)io;
    OBJ(t, TLS_MAGIC);
    if (t->closing) {
        t->ops->ready(t->owner);
        return;
    }
    if (r.res <= 0) {
        t->error = t->error != 0 ? t->error : r.res == 0 ? -ENODATA : r.res;
    } else {
        t->file_iov = (struct iovec){ t->file_bytes->bytes, (size_t)r.res };
        t->iov = &t->file_iov;
        t->iov_count = 1;
        t->iov_at = 0;
        t->iov_done = 0;
        t->file_offset += (uint64_t)r.res;
        t->file_left -= (uint32_t)r.res;
    }
    go_on(t);
}

static void on_soon(struct io *io, struct io_timer *timer)
{
    (void)io;
    go_on(container_of(timer, struct tls, soon));
}

void tls_send(struct tls *t, const struct iovec *iov, int count)
{
    OBJ(t, TLS_MAGIC);
    CHECK(!t->sending && count <= IO_IOV_MAX);
    t->sending = true;
    t->iov = iov;
    t->iov_count = count;
    t->iov_at = 0;
    t->iov_done = 0;
    if (t->error == 0 && !encrypt_more(t))
        t->error = -EPIPE;
    tls_flush(t);
    if (t->flying == NULL) /* it failed, or was empty */
        io_timer_set(t->io, &t->soon, 0, on_soon);
}

void tls_send_file(struct tls *t, int file, uint64_t offset, uint32_t size)
{
    OBJ(t, TLS_MAGIC);
    CHECK(!t->sending);
    t->sending = true;
    t->file = file;
    t->file_offset = offset;
    t->file_left = size;
    t->iov_count = t->iov_at = 0;
    read_file(t);
    if (t->error != 0)
        io_timer_set(t->io, &t->soon, 0, on_soon);
}

bool tls_sending(const struct tls *t)
{
    return t->sending;
}

uint64_t tls_moved(const struct tls *t)
{
    return t->moved;
}

void tls_finish(struct tls *t)
{
    OBJ(t, TLS_MAGIC);
    if (t->phase == PHASE_OPEN) {
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
    }
    t->finishing = true;
    tls_flush(t);
}
