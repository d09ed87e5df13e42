/* brotli.c - answers compressed with Brotli (RFC 7932). */
#include "conf/expr.h"
#include "filter/coding.h"

#include <brotli/encode.h>

struct brotli_conf {
    struct coding_conf coding;
};

static uint32_t brotli_index;

/* The smallest window that is at least as wanted, and no larger than a short answer needs. */
static uint32_t window_bits(const struct coding_conf *c, int64_t length)
{
    int64_t wanted = length >= 0 && length < c->window ? length : c->window;
    uint32_t bits = BROTLI_MIN_WINDOW_BITS;

    while (bits < BROTLI_MAX_WINDOW_BITS && (INT64_C(1) << bits) < wanted)
        bits++;
    return bits;
}

static void *open_packer(const struct coding_conf *c, int64_t length)
{
    BrotliEncoderState *b = BrotliEncoderCreateInstance(NULL, NULL, NULL);

    if (b == NULL)
        return NULL;
    BrotliEncoderSetParameter(b, BROTLI_PARAM_QUALITY, (uint32_t)c->level);
    BrotliEncoderSetParameter(b, BROTLI_PARAM_LGWIN, window_bits(c, length));
    if (length > 0 && length < UINT32_MAX)
        BrotliEncoderSetParameter(b, BROTLI_PARAM_SIZE_HINT, (uint32_t)length);
    return b;
}

static void close_packer(void *packer)
{
    BrotliEncoderDestroyInstance(packer);
}

static enum transform_status run(void *packer, enum transform_op op, struct slice *in,
                                 struct transform_room *out)
{
    static const BrotliEncoderOperation how[] = { [TRANSFORM_FEED] = BROTLI_OPERATION_PROCESS,
                                                  [TRANSFORM_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                  [TRANSFORM_END] = BROTLI_OPERATION_FINISH };
    BrotliEncoderState *b = packer;
    const uint8_t *from = (const uint8_t *)in->at;
    uint8_t *to = (uint8_t *)out->at;
    size_t in_left = in->size;

    do {
        if (!BrotliEncoderCompressStream(b, how[op], &in_left, &from, &out->left, &to, NULL))
            return TRANSFORM_FAILED;
    } while (out->left > 0 && (in_left > 0 || BrotliEncoderHasMoreOutput(b)));
    *in = slice_skip(*in, in->size - in_left);
    out->at = (char *)to;
    if (op == TRANSFORM_END)
        return BrotliEncoderIsFinished(b) ? TRANSFORM_DONE : TRANSFORM_FULL;
    return in_left > 0 || BrotliEncoderHasMoreOutput(b) ? TRANSFORM_FULL : TRANSFORM_DONE;
}

static const struct transform_ops brotli_ops = { "brotli", run, NULL };

/* The library cannot make an encoder new again: each is for one answer. */
const struct coder coder_brotli = {
    .coding = CODING_BR,
    .feature = &feature_brotli,
    .ops = &brotli_ops,
    .open = open_packer,
    .close = close_packer,
};

/* ---- directives ------------------------------------------------------------------------------ */

#define HSL (CTX_HTTP | CTX_SERVER | CTX_LOCATION)
#define AT(member) offsetof(struct brotli_conf, coding.member)

static const struct directive rows[] = {
    { "brotli", HSL | CTX_IF_LOCATION, 1, 1, CONF_FLAG, AT(on), "off", .syntax = "on | off",
      .help = "Compresses answers with Brotli for clients that accept it (\"br\").",
      .example = "brotli on;" },
    { "brotli_comp_level", HSL, 1, 1, CONF_NUMBER, AT(level), "6", .min = 0, .max = 11,
      .syntax = "level", .help = "How hard Brotli tries: 0 is fast, 11 is small.",
      .example = "brotli_comp_level 4;" },
    { "brotli_min_length", HSL, 1, 1, CONF_SIZE, AT(min_length), "20", .syntax = "length",
      .help = "Answers that are known to be shorter are not compressed.",
      .example = "brotli_min_length 256;" },
    { "brotli_types", HSL, 1, ARGS_MANY, CONF_CUSTOM, AT(types), "text/html",
      .set = media_set_types, .size = sizeof(struct media_set *), .syntax = "mime-type …",
      .help = "The types of answers that are compressed beside text/html; * means all.",
      .example = "brotli_types text/css application/javascript;" },
    { "brotli_window", HSL, 1, 1, CONF_SIZE, AT(window), "512k", .min = 1024,
      .max = 16 * 1024 * 1024, .syntax = "size",
      .help = "How far back Brotli looks, rounded up to a power of two.",
      .example = "brotli_window 1m;" },
    { "brotli_buffers", HSL, 2, 2, CONF_CUSTOM, .set = conf_set_ignored, .syntax = "number size",
      .help = "Accepted; weir sizes its buffers itself.", .example = "brotli_buffers 16 8k;" },
};

static const struct variable vars[] = {
    { "brotli_ratio", coding_ratio, CODING_BR, false,
      "How many times smaller Brotli made the answer: 3.25", NULL },
};

const struct feature feature_brotli = {
    .name = "brotli",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct brotli_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .about = "Answers compressed with Brotli while they are sent. A client that likes several "
             "codings alike gets br before zstd before gzip.",
    .index = &brotli_index,
};
