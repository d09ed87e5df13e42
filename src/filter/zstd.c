/* zstd.c - answers compressed with Zstandard (RFC 8878). */
#include "conf/expr.h"
#include "filter/coding.h"

#include <zstd.h>

struct zstd_conf {
    struct coding_conf coding;
};

static uint32_t zstd_index;

/* Clients need not have memory for more than 8 MiB (RFC 9659); levels from 20 on would want it. */
enum { WINDOW_BITS_MAX = 23, LEVEL_OF_LARGE_WINDOWS = 20 };

static bool prepare(void *packer, const struct coding_conf *c, int64_t length)
{
    ZSTD_CCtx *z = packer;

    if (ZSTD_isError(ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, (int)c->level)))
        return false;
    if (c->level >= LEVEL_OF_LARGE_WINDOWS &&
        ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, WINDOW_BITS_MAX)))
        return false;
    return length < 0 || !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(z, (unsigned long long)length));
}

static void close_packer(void *packer)
{
    ZSTD_freeCCtx(packer);
}

static void *open_packer(const struct coding_conf *c, int64_t length)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();

    if (z == NULL || prepare(z, c, length))
        return z;
    close_packer(z);
    return NULL;
}

static enum transform_status run(void *packer, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    static const ZSTD_EndDirective how[] = { [TRANSFORM_FEED] = ZSTD_e_continue,
                                             [TRANSFORM_FLUSH] = ZSTD_e_flush,
                                             [TRANSFORM_END] = ZSTD_e_end };
    ZSTD_inBuffer from = { in->at, in->size, 0 };
    ZSTD_outBuffer to = { out->at, out->left, 0 };
    bool more;

    do {
        size_t left = ZSTD_compressStream2(packer, &to, &from, how[op]);

        if (ZSTD_isError(left))
            return TRANSFORM_FAILED;
        more = from.pos < from.size || (op != TRANSFORM_FEED && left > 0);
    } while (more && to.pos < to.size);
    *in = slice_skip(*in, from.pos);
    out->at += to.pos;
    out->left -= to.pos;
    return more ? TRANSFORM_FULL : TRANSFORM_DONE;
}

static size_t size_of(const void *packer)
{
    return ZSTD_sizeof_CCtx(packer);
}

static const struct transform_ops zstd_ops = { "zstd", run, NULL };

const struct coder coder_zstd = {
    .coding = CODING_ZSTD,
    .feature = &feature_zstd,
    .ops = &zstd_ops,
    .open = open_packer,
    .close = close_packer,
    .again = prepare,
    .size = size_of,
};

/* ---- directives ------------------------------------------------------------------------------ */

static bool refuse_dictionary(struct conf_load *load, const struct conf_node *node, void *conf,
                              const struct directive *row)
{
    (void)conf;
    (void)row;
    conf_complain(load, CONF_EMERG, node, CONF_AT_NAME, "weir compresses without dictionaries");
    conf_hint(load, "help: take this line out; clients that know no dictionary are served as well");
    return false;
}

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct zstd_conf, coding.member)

static const struct directive rows[] = {
    { "zstd", HSL | CTX_IF_LOCATION, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Compresses answers with Zstandard for clients that accept it.",
      .example = "zstd on;" },
    { "zstd_comp_level", HSL, 1, 1, CONF_NUMBER, AT(level), "1", .min = 1, .max = 22,
      .syntax = "level",
      .help = "How hard Zstandard tries: 1 is fast, 22 is small and takes much memory.",
      .example = "zstd_comp_level 3;" },
    { "zstd_min_length", HSL, 1, 1, CONF_SIZE, AT(min_length), "20", .syntax = "length",
      .help = "Answers that are known to be shorter are not compressed.",
      .example = "zstd_min_length 256;" },
    { "zstd_types", HSL, 1, ARGS_MANY, CONF_CUSTOM, AT(types), "text/html", .set = media_set_types,
      .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that are compressed beside text/html; * means all.",
      .example = "zstd_types text/css application/javascript;" },
    { "zstd_buffers", HSL, 2, 2, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "number size",
      .help = "Accepted; weir sizes its buffers itself.", .example = "zstd_buffers 16 8k;" },
    { "zstd_dict_file", CTX_HTTP, 1, 1, CONF_CUSTOM, .set = refuse_dictionary, .syntax = "file",
      .help = "Refused: weir compresses without dictionaries.",
      .example = "zstd_dict_file /etc/weir/dictionary;" },
};

static const struct variable vars[] = {
    { "zstd_ratio", coding_ratio, CODING_ZSTD, false,
      "How many times smaller Zstandard made the answer: 3.25", NULL },
};

const struct feature feature_zstd = {
    .name = "zstd",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct zstd_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "Answers compressed with Zstandard while they are sent.",
    .index = &zstd_index,
};
