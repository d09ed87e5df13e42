/* client_body.c - reads request bodies whole: a buffer, then a temporary file that a helper thread
 * writes while the client waits in its receive window. */
#include "handler/client_body_private.h"

#include "conf/load.h"
#include "handler/temp_path.h"
#include "io/io.h"
#include "http/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint32_t client_body_index;

/* ---- on a helper thread --------------------------------------------------------------- */

static int32_t write_out(struct io_op *op)
{
    struct reading *b = container_of(op, struct reading, op);

    if (b->body.file < 0) {
        if (b->name == NULL)
            b->name = calloc(1, TEMP_NAME_SIZE);
        if (b->name == NULL)
            return -ENOMEM;
        int fd = temp_file_open(&b->place, b->name, TEMP_NAME_SIZE);

        if (fd < 0)
            return fd;
        b->body.file = fd;
    }
    return temp_file_write(b->body.file, b->buffer, b->used, b->written);
}

static int32_t remove_file(struct io_op *op)
{
    struct reading *b = container_of(op, struct reading, op);

    close(b->body.file); /* a large file without a name takes its time */
    if (b->name[0] != '\0' && (b->in_file_only != IN_FILE_ON || !b->body.complete))
        (void)unlink(b->name);
    return 0;
}

/* ---- the end of the request ----------------------------------------------------------- */

static void removed(struct io *io, struct io_op *op, struct io_result result)
{
    struct reading *b = container_of(op, struct reading, op);
    struct request *r = b->request;

    (void)io;
    (void)result;
    free(b->name);
    free(b->buffer);
    free(b);
    request_unpin(r);
}

/* The request has ended and nothing of it is in flight. */
static void drop(struct reading *b)
{
    struct request *r = b->request;

    r->client_body = NULL;
    if (b->body.file < 0) {
        free(b->name);
        free(b->buffer);
        free(b);
        return;
    }
    request_pin(r);
    io_work(r->io, &b->op, remove_file, removed);
}

static void release(struct reading *b)
{
    if (--b->users == 0)
        drop(b);
}

static void at_end(void *reading)
{
    struct reading *b = reading;

    if (!b->flying)
        release(b);
}

static void child_at_end(void *request)
{
    struct request *child = request;
    struct reading *b = reading_of(child);

    child->client_body = NULL;
    release(b);
}

bool client_body_share(struct request *child, struct request *parent)
{
    CHECK(parent->client_body->complete);
    child->client_body = parent->client_body;
    reading_of(parent)->users++;
    return request_at_end(child, child_at_end, child);
}

void *client_body_hold(struct request *r)
{
    struct reading *b = reading_of(r);

    b->users++;
    request_pin(b->request);
    return b;
}

void client_body_let_go(void *held)
{
    struct reading *b = held;
    struct request *r = b->request;

    release(b);
    (void)request_unpin(r);
}

struct reading *client_body_begin(struct request *r, size_t room)
{
    const struct client_body_conf *conf = request_conf(r, &feature_client_body);
    struct reading *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    b->request = r;
    b->users = 1;
    b->body.file = -1;
    b->most = (size_t)conf->buffer_size;
    b->in_file_only = conf->in_file_only;
    b->place = (struct temp_place){ .directory = conf->temp_path.at,
                                    .named = conf->in_file_only != IN_FILE_OFF };
    memcpy(b->place.levels, conf->levels, sizeof conf->levels);
    b->buffer = room > 0 ? calloc(1, room) : NULL;
    r->client_body = &b->body;
    if (room > 0 && b->buffer == NULL) {
        drop(b);
        return NULL;
    }
    return request_at_end(r, at_end, b) ? b : NULL;
}

/* ---- the sink -------------------------------------------------------------------------- */

static void go_on(struct reading *b)
{
    if (!b->waiting)
        return;
    b->waiting = false;
    request_resume(b->request);
}

static void complete(struct reading *b)
{
    b->body.complete = true;
    b->body.name = b->name != NULL ? slice_str(b->name) : (struct slice){ 0 };
    if (b->body.file < 0)
        b->body.memory = slice_of(b->buffer, b->used);
    go_on(b);
}

static void write_failed(struct reading *b, int error)
{
    request_log(b->request, LOG_CRIT, error, "a request body cannot be written below \"%s\"",
                b->place.directory);
    b->status = error == EFBIG ? 413 : 500;
    go_on(b);
}

static void written(struct io *io, struct io_op *op, struct io_result result)
{
    struct reading *b = container_of(op, struct reading, op);
    struct request *r = b->request;

    (void)io;
    b->flying = false;
    if (r->ended) {
        release(b);
        request_unpin(r);
        return;
    }
    request_unpin(r);
    if (result.res < 0) {
        write_failed(b, -result.res);
        return;
    }
    b->written += b->used;
    b->used = 0;
    if (b->ended)
        complete(b);
    else
        r->ops->read_body(r);
}

static void spill(struct reading *b)
{
    b->flying = true;
    request_pin(b->request);
    io_work(b->request->io, &b->op, write_out, written);
}

static bool take_bytes(struct request *r, struct slice piece)
{
    struct reading *b = reading_of(r);

    memcpy(b->buffer + b->used, piece.at, piece.size);
    b->used += piece.size;
    b->body.size += piece.size;
    if (b->used <= b->most)
        return true;
    spill(b);
    return false;
}

static void take_end(struct request *r, unsigned status)
{
    struct reading *b = reading_of(r);

    b->ended = true;
    b->status = status;
    if (status != 0)
        go_on(b);
    else if (b->used > 0 && (b->body.file >= 0 || b->place.named))
        spill(b);
    else
        complete(b);
}

static const struct body_sink whole = { take_bytes, take_end, NULL };

/* ---- for handlers ------------------------------------------------------------------------ */

int64_t client_body_length(const struct request *r)
{
    if (r->client_body != NULL && r->client_body->complete)
        return (int64_t)r->client_body->size;
    if (r->head.chunked)
        return -1;
    return r->head.has_length ? (int64_t)r->head.length : 0;
}

static enum verdict start(struct request *r)
{
    const struct client_body_conf *conf = request_conf(r, &feature_client_body);
    int64_t length = client_body_length(r);
    size_t room = (size_t)conf->buffer_size + CLIENT_BODY_PIECE_MAX;
    struct reading *b;

    if (length >= 0 && length <= conf->buffer_size)
        room = (size_t)length;
    b = client_body_begin(r, room);
    if (b == NULL)
        return request_fail(r, 500);
    if (length == 0) {
        complete(b);
        return NEXT;
    }
    b->waiting = true;
    r->sink = &whole;
    r->ops->read_body(r);
    return WAIT;
}

enum verdict client_body_read(struct request *r)
{
    if (r->client_body == NULL)
        return start(r);
    const struct reading *b = reading_of(r);

    if (b->status != 0)
        return request_fail(r, b->status);
    CHECK(b->body.complete);
    return NEXT;
}

struct body *client_body_open(struct request *r)
{
    const struct client_body *b = r->client_body;

    if (b == NULL || !b->complete || reading_of(r)->stream != NULL)
        return NULL;
    return b->file < 0 ? body_memory(r, b->memory) : body_file(r, b->file, 0, b->size);
}

unsigned client_body_status(const struct request *r)
{
    return r->client_body != NULL ? reading_of(r)->status : 0;
}

/* ---- directives -------------------------------------------------------------------------- */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct client_body_conf, member)

static bool set_temp_path(struct conf_load *load, const struct conf_node *node, void *conf,
                          const struct directive *row)
{
    struct client_body_conf *c = conf;

    (void)row;
    c->temp_path_said = true;
    return temp_path_read(load, node, &c->temp_path, c->levels);
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *conf)
{
    const struct client_body_conf *outer = parent;
    struct client_body_conf *c = conf;

    (void)scope;
    if (c->temp_path_said)
        return true;
    if (outer == NULL) {
        c->temp_path = arena_printf(conf_arena(load), "%sclient_body_temp", conf_prefix(load));
        return c->temp_path.at != NULL;
    }
    c->temp_path = outer->temp_path;
    c->temp_path_said = outer->temp_path_said;
    memcpy(c->levels, outer->levels, sizeof c->levels);
    return true;
}

static const struct conf_word in_file_words[] = {
    { "off", IN_FILE_OFF }, { "on", IN_FILE_ON }, { "clean", IN_FILE_CLEAN }, { NULL, 0 }
};

static const struct directive rows[] = {
    { "client_body_buffer_size", HSL, 1, 1, CONF_SIZE, AT(buffer_size), "16k", .min = 1,
      .max = 1 << 30, .syntax = "size",
      .help = "How much of a request body is kept in memory; what exceeds it goes to a file.",
      .example = "client_body_buffer_size 128k;" },
    { "client_body_temp_path", HSL, 1, 4, CONF_CUSTOM, .set = set_temp_path,
      .fallback = "client_body_temp", .syntax = "path [level [level [level]]]",
      .help = "The directory for request bodies that do not stay in memory.",
      .example = "client_body_temp_path /var/spool/weir 1 2;" },
    { "client_body_in_file_only", HSL, 1, 1, CONF_ENUM, AT(in_file_only), "off",
      .words = in_file_words, .syntax = "on | clean | off",
      .help =
          "Puts each request body that is read into a file with a name; \"on\" leaves it there.",
      .example = "client_body_in_file_only clean;" },
    { "client_body_in_single_buffer", HSL, 1, 1, CONF_FLAG, AT(single_buffer), "off",
      .syntax = "on | off", .help = "Keeps a request body in one piece; weir always does." },
};

const struct feature feature_client_body = {
    .name = "client-body",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct client_body_conf),
    .merge = merge,
    .about = "Where request bodies are kept while they are read.",
    .index = &client_body_index,
};
