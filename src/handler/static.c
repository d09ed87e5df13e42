/* static.c - the last step of the content phase: the file that the URI means. */
#include "handler/static.h"

#include "conf/load.h"
#include "handler/file_body.h"
#include "http/map_path.h"
#include "http/site.h"
#include "http/types.h"
#include "wire/uri.h"

struct static_conf {
    bool sendfile;
    int64_t max_chunk;
};

static uint32_t static_index;

/* "/dir" means "/dir/": relative links in its pages need the slash. */
static enum verdict add_slash(struct request *r)
{
    struct slice path = r->uri;
    struct gather g;

    /* never "//name", which a browser takes for another host */
    while (path.size > 1 && path.at[1] == '/')
        path = slice_skip(path, 1);
    gather_init(&g, NULL, 0, &r->arena, path.size * 3 + r->args.size + 16);
    uri_encode_path(&g, path);
    gather_byte(&g, '/');
    if (r->args.size > 0) {
        gather_byte(&g, '?');
        gather_slice(&g, r->args);
    }
    return g.full ? request_fail(r, 500) : request_redirect_out(r, 301, gather_get(&g));
}

struct body *static_body(struct request *r, struct file *f)
{
    const struct static_conf *c = request_conf(r, &feature_static);

    return file_body(r, f, c->sendfile, (size_t)c->max_chunk);
}

static struct body *body_of(struct request *r, struct file *f)
{
    if (f->content != NULL)
        return body_memory(r, slice_of(f->content, (size_t)f->size));
    return static_body(r, f);
}

enum verdict static_answer(struct request *r, struct file *f)
{
    struct response *a = &r->response;

    if (!request_at_end(r, file_close, f))
        return request_fail(r, 500);
    a->status = 200;
    a->content_type = types_of(r);
    a->length = (int64_t)f->size;
    a->last_modified = f->mtime_sec;
    a->last_modified_text = f->modified;
    if (core_conf(r)->etag)
        a->etag = f->etag;
    a->accept_ranges = true;
    a->final = r->error_status == 0;
    if (f->size == 0)
        return DONE;
    a->body = body_of(r, f);
    return a->body != NULL ? DONE : request_fail(r, 500);
}

static enum verdict refuse_method(struct request *r)
{
    request_fail(r, 405);
    if (!response_add(r, SLICE("Allow"), SLICE("GET, HEAD")))
        return request_fail(r, 500);
    return DONE;
}

/* A directory that no index and no listing stands for. */
static enum verdict forbidden(struct request *r, struct slice path)
{
    request_log(r, LOG_ERROR, 0, "directory index of \"%.*s\" is forbidden", SLICE_FMT(path));
    return request_fail(r, 403);
}

/* GET, HEAD and POST learn whether the file is there; POST is refused only then. */
static bool may_ask(const struct request *r)
{
    return r->head.method == METHOD_GET || r->head.method == METHOD_HEAD ||
           r->head.method == METHOD_POST;
}

enum verdict step_static(struct request *r)
{
    bool slash = r->uri.size > 0 && r->uri.at[r->uri.size - 1] == '/', directory;
    struct slice path, below;
    struct file *f;
    int error;

    if (!may_ask(r))
        return refuse_method(r);
    if (!map_path(r, r->uri, &path, &below))
        return request_fail(r, 404);
    switch (file_open(r, path, below, &f, &error)) {
    case FILE_WAIT:
        return WAIT;
    case FILE_FAILED:
        file_log(r, path, error);
        return request_fail(r, file_status(error));
    case FILE_OPEN:
        break;
    }
    directory = f->directory;
    if (!directory && !slash && r->head.method != METHOD_POST)
        return static_answer(r, f);
    file_close(f);
    if (directory)
        return slash ? forbidden(r, path) : add_slash(r);
    return slash ? request_fail(r, 404) : refuse_method(r); /* "/file.txt/", POST */
}

/* ---- directives ------------------------------------------------------------------------ */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define HINT(name, most, form, text, use)                                                       \
    {                                                                                           \
        name, HSL, 1, most, CONF_CUSTOM, .set = conf_set_ignored, .syntax = form, .help = text, \
                                         .example = use                                         \
    }

static const struct directive rows[] = {
    { "sendfile", HSL | CTX_IF_LOCATION, 1, 1, CONF_FLAG, offsetof(struct static_conf, sendfile),
      "on", .syntax = "on | off",
      .help = "Sends files that are not small with sendfile(2), straight from the page cache. off "
              "reads them in pieces: for file systems where sendfile does not work.",
      .example = "sendfile off;" },
    { "sendfile_max_chunk", HSL, 1, 1, CONF_SIZE, offsetof(struct static_conf, max_chunk), "2m",
      .syntax = "size",
      .help = "The most that one sendfile(2) call may send; 0, and all above 1m, means 1m.",
      .example = "sendfile_max_chunk 512k;" },
    HINT("directio", 1, "size | off", "Accepted; weir reads through the page cache.",
         "directio 4m;"),
    HINT("directio_alignment", 1, "size", "Accepted; it has no meaning without directio.",
         "directio_alignment 4k;"),
    HINT("aio", 1, "on | off | threads[=pool]",
         "Accepted; weir never waits for a disk: helper threads do, always.", "aio threads;"),
    HINT("aio_write", 1, "on | off", "Accepted; weir never waits for a disk.", "aio_write on;"),
    HINT("read_ahead", 1, "size", "Accepted; the kernel decides how far it reads ahead.",
         "read_ahead 128k;"),
    HINT("output_buffers", 2, "number size", "Accepted; weir sizes its buffers itself.",
         "output_buffers 2 32k;"),
    HINT("postpone_output", 1, "size", "Accepted; head and first bytes always leave together.",
         "postpone_output 1460;"),
    HINT("send_lowat", 1, "size", "Accepted; it has no meaning on Linux.", "send_lowat 0;"),
    HINT("subrequest_output_buffer_size", 1, "size", "Accepted; bodies are pulled, not stored.",
         "subrequest_output_buffer_size 8k;"),
};

const struct feature feature_static = {
    .name = "static",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct static_conf),
    .about = "Files as answers to GET and HEAD.",
    .index = &static_index,
};
