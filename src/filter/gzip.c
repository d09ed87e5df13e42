/* gzip.c - answers compressed with gzip (RFC 1952). */
#include "conf/expr.h"
#include "filter/coding.h"

#include <stdlib.h>
#include <zlib.h>

struct gzip_conf {
    struct coding_conf coding;
};

static uint32_t gzip_index;

/* A window of 32 KiB with a gzip head and sum; memory as zlib has it by default. */
enum { WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8 };

struct packer {
    z_stream z;
    int level;
};

static void *open_packer(const struct coding_conf *c, int64_t length)
{
    struct packer *p = calloc(1, sizeof *p);

    (void)length;
    if (p == NULL)
        return NULL;
    p->level = (int)c->level;
    if (deflateInit2(&p->z, p->level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) ==
        Z_OK)
        return p;
    free(p);
    return NULL;
}

static void close_packer(void *packer)
{
    struct packer *p = packer;

    deflateEnd(&p->z);
    free(p);
}

/* Nothing was fed after the reset, so that another level costs nothing. */
static bool again(void *packer, const struct coding_conf *c, int64_t length)
{
    struct packer *p = packer;

    (void)length;
    if (deflateReset(&p->z) != Z_OK)
        return false;
    if (p->level != (int)c->level &&
        deflateParams(&p->z, (int)c->level, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    p->level = (int)c->level;
    return true;
}

static enum transform_status run(void *packer, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    static const int how[] = {
        [TRANSFORM_FEED] = Z_NO_FLUSH, [TRANSFORM_FLUSH] = Z_SYNC_FLUSH, [TRANSFORM_END] = Z_FINISH
    };
    struct packer *p = packer;
    int code;

    p->z.next_in = (Bytef *)(uintptr_t)in->at;
    p->z.avail_in = (uInt)in->size;
    p->z.next_out = (Bytef *)out->at;
    p->z.avail_out = (uInt)out->left;
    code = deflate(&p->z, how[op]);
    *in = slice_skip(*in, in->size - p->z.avail_in);
    out->at += out->left - p->z.avail_out;
    out->left = p->z.avail_out;
    /* Z_BUF_ERROR: there was nothing to take and nothing to give */
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return TRANSFORM_FAILED;
    if (op == TRANSFORM_END)
        return code == Z_STREAM_END ? TRANSFORM_DONE : TRANSFORM_FULL;
    return out->left == 0 ? TRANSFORM_FULL : TRANSFORM_DONE;
}

static const struct transform_ops gzip_ops = { "gzip", run, NULL };

const struct coder coder_gzip = {
    .coding = CODING_GZIP,
    .feature = &feature_gzip,
    .ops = &gzip_ops,
    .open = open_packer,
    .close = close_packer,
    .again = again,
};

/* ---- directives ------------------------------------------------------------------------------ */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct gzip_conf, coding.member)

static const struct directive rows[] = {
    { "gzip", HSL | CTX_IF_LOCATION, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Compresses answers with gzip for clients that accept it.", .example = "gzip on;" },
    { "gzip_comp_level", HSL, 1, 1, CONF_NUMBER, AT(level), "1", .min = 1, .max = 9,
      .syntax = "level", .help = "How hard gzip tries: 1 is fast, 9 is small.",
      .example = "gzip_comp_level 5;" },
    { "gzip_min_length", HSL, 1, 1, CONF_SIZE, AT(min_length), "20", .syntax = "length",
      .help = "Answers that are known to be shorter are not compressed.",
      .example = "gzip_min_length 256;" },
    { "gzip_types", HSL, 1, ARGS_MANY, CONF_CUSTOM, AT(types), "text/html", .set = media_set_types,
      .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that are compressed beside text/html; * means all.",
      .example = "gzip_types text/css application/javascript;" },
    { "gzip_buffers", HSL, 2, 2, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "number size",
      .help = "Accepted; weir sizes its buffers itself.", .example = "gzip_buffers 16 8k;" },
};

static const struct variable vars[] = {
    { "gzip_ratio", coding_ratio, CODING_GZIP, false,
      "How many times smaller gzip made the answer: 3.25", NULL },
};

const struct feature feature_gzip = {
    .name = "gzip",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct gzip_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "Answers compressed with gzip while they are sent.",
    .index = &gzip_index,
};
