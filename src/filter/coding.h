/* coding.h - compressed answers: one filter, and a row of functions for each coding.
 *
 * filter_coding picks the best coding that is switched on and that the client accepts, and wraps
 * the body. A coder is what makes the bytes; its configuration begins with struct coding_conf.
 */
#ifndef FILTER_CODING_H
#define FILTER_CODING_H

#include "filter/transform.h"
#include "http/media.h"
#include "http/pipeline.h"
#include "wire/coding.h"

/* Compressors that a loop keeps for later: so many of each coding, and none that is larger. */
enum { CODERS_KEPT = 8, CODERS_KEPT_BYTES = 2 * 1024 * 1024 };

struct coding_conf {
    bool on;
    int64_t level, min_length;
    int64_t window; /* bytes; 0: the coder's own choice */
    struct media_set *types;
};

struct coder {
    enum coding coding;
    const struct feature *feature; /* its struct begins with a struct coding_conf    */
    const struct transform_ops *ops;
    /* A compressor for an answer of that length (-1: not known). NULL: no memory. */
    void *(*open)(const struct coding_conf *, int64_t length);
    void (*close)(void *);
    /* Makes one ready that was used before; false: it cannot. NULL: none of them can. */
    bool (*again)(void *, const struct coding_conf *, int64_t length);
    size_t (*size)(const void *); /* its memory; NULL: always below CODERS_KEPT_BYTES */
};

/* Compressors that nobody uses now. All zero at first. */
struct coders {
    void *kept[CODING_COUNT][CODERS_KEPT];
    unsigned count[CODING_COUNT];
};

filter_fn filter_coding;
idle_fn coding_idle;

/* Closes what is kept. */
void coders_done(struct coders *);

/* $gzip_ratio and its like: row->arg is the enum coding. */
struct variable_use;
bool coding_ratio(void *subject, const struct variable_use *, struct gather *);

extern const struct feature feature_gzip, feature_brotli, feature_zstd;
extern const struct coder coder_gzip, coder_brotli, coder_zstd;

#endif
