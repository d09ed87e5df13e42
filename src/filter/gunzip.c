/* gunzip.c - compressed answers unpacked for clients that do not accept gzip. */
#include "filter/gunzip.h"

#include "conf/load.h"
#include "http/encoding.h"
#include "http/error_page.h"

#include <stdlib.h>
#include <zlib.h>

struct gunzip_conf {
    bool on;
};

static uint32_t gunzip_index;

enum { GZIP_WINDOW = 15 + 16 };

struct unpacker {
    z_stream z;
    struct request *request;
    bool ended; /* at the end of a member, where the file may end, or another begin */
};

/* However much comes out, no more than the room of one pull is held. */
static enum transform_status run(void *state, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    struct unpacker *u = state;
    int code = Z_OK;

    u->z.next_out = (Bytef *)out->at;
    u->z.avail_out = (uInt)out->left;
    u->z.next_in = (Bytef *)(uintptr_t)in->at;
    u->z.avail_in = (uInt)in->size;
    do {
        if (u->ended && u->z.avail_in > 0) {
            code = inflateReset(&u->z);
            u->ended = false;
        }
        if (code == Z_OK && !u->ended)
            code = inflate(&u->z, Z_SYNC_FLUSH);
        u->ended |= code == Z_STREAM_END;
    } while (code == Z_STREAM_END && u->z.avail_in > 0 && u->z.avail_out > 0);
    *in = slice_skip(*in, in->size - u->z.avail_in);
    out->at += out->left - u->z.avail_out;
    out->left = u->z.avail_out;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        request_log(u->request, LOG_ERROR, 0, "gunzip: the compressed answer is broken (%s)",
                    u->z.msg != NULL ? u->z.msg : "no memory");
        return TRANSFORM_FAILED;
    }
    if (out->left == 0)
        return TRANSFORM_FULL;
    if (op == TRANSFORM_END && !u->ended) {
        request_log(u->request, LOG_ERROR, 0, "gunzip: the compressed answer ends too early");
        return TRANSFORM_FAILED;
    }
    return TRANSFORM_DONE;
}

static void done(void *state)
{
    struct unpacker *u = state;

    inflateEnd(&u->z);
    free(u);
}

static const struct transform_ops gunzip_ops = { "gunzip", run, done };

static bool unpack(struct request *r)
{
    struct unpacker *u;

    if (r->response.body == NULL || r->head.method == METHOD_HEAD) {
        r->response.length = -1;
        r->response.accept_ranges = false;
        return true;
    }
    u = calloc(1, sizeof *u);
    if (u == NULL)
        return false;
    u->request = r;
    if (inflateInit2(&u->z, GZIP_WINDOW) != Z_OK) {
        free(u);
        return false;
    }
    return transform_wrap(r, &gunzip_ops, u);
}

bool gunzip_idle(const struct scope *scope)
{
    const struct gunzip_conf *c = scope_conf(scope, &feature_gunzip);

    return !c->on;
}

void filter_gunzip(struct request *r)
{
    const struct gunzip_conf *c = request_conf(r, &feature_gunzip);
    struct header *h = c->on ? response_find(r, SLICE("Content-Encoding")) : NULL;
    bool ok;

    if (h == NULL || !slice_eq_nocase(h->value, coding_name(CODING_GZIP)) ||
        r->response.status == 206 || r->response.status == 304 || r->response.body == NULL)
        return;
    ok = encoding_vary(r);
    if (encoding_choose(r, 1u << CODING_GZIP) != CODING_GZIP) {
        h->value = (struct slice){ 0 };
        ok = ok && encoding_weaken_etag(r) && unpack(r);
    }
    if (!ok) {
        request_fail(r, 500);
        error_text_fill(r);
    }
}

/* ---- directives ------------------------------------------------------------------------------ */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)

static const struct directive rows[] = {
    { "gunzip", HSL, 1, 1, CONF_FLAG, offsetof(struct gunzip_conf, on), "off", .syntax = "on | off",
      .help = "Unpacks answers that are compressed with gzip for clients that do not accept it.",
      .example = "gunzip on;" },
    { "gunzip_buffers", HSL, 2, 2, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "number size",
      .help = "Accepted; weir sizes its buffers itself.", .example = "gunzip_buffers 16 8k;" },
};

const struct feature feature_gunzip = {
    .name = "gunzip",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct gunzip_conf),
    .about = "Compressed answers, of gzip_static always or of another server, unpacked for clients "
             "that cannot. Where gzip may be used for a client, gzip_proxied and its like say.",
    .index = &gunzip_index,
};
