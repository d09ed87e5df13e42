/* ssi_read.h - a page with commands becomes a list of parts: texts, and the answers of
 * sub-requests.
 *
 * Reading runs ahead within one piece of the page: what it includes is asked for at once, and the
 * parts are given out in their order afterwards (ssi.c).
 */
#ifndef FILTER_SSI_READ_H
#define FILTER_SSI_READ_H

#include "filter/ssi_page.h"
#include "filter/ssi_scan.h"

enum ssi_part_kind {
    SSI_PART_TEXT,
    SSI_PART_CHILD,   /* a sub-request's answer                              */
    SSI_PART_CAPTURE, /* … which becomes the value of a variable             */
};

struct ssi_part {
    enum ssi_part_kind kind;
    bool any;              /* of the child's bytes were given out                  */
    struct slice text;     /* TEXT: lent by the piece of the page, or in the reader's arena   */
    struct request *child; /* NULL: it has ended                                  */
    void *owner;           /* the reader's                                        */
    struct slice variable; /* CAPTURE                                             */
    struct gather value;   /* CAPTURE                                             */
    struct slice stub;     /* commands to be read instead of an answer that fails or is empty */
    struct ssi_part *next;
};

/* One level of if … endif. */
struct ssi_condition {
    bool dead;   /* it stands in a branch that is left out                */
    bool active; /* the branch now read is put out                        */
    bool taken;  /* some branch was                                       */
    bool last;   /* else was seen                                         */
};

enum { SSI_AHEAD_MAX = 16 };

struct ssi_reader {
    struct request *request;
    struct ssi_page *page;
    struct arena *arena; /* of parts and texts                                  */
    const struct subrequest_ops *child_ops; /* their arg is the part              */
    void *owner;
    struct ssi_part **end; /* where parts are put                                 */
    bool silent;           /* errors leave no text                                */
    bool paused;           /* what follows may depend on the parts read so far    */
    bool failed;           /* no memory                                           */
    unsigned ahead;        /* sub-requests made since the parts were all given out */
    size_t value_max;      /* of one parameter                                    */
    unsigned depth;
    struct ssi_condition conditions[SSI_CONDITIONS_MAX];
    bool in_block;
    struct slice block_name;
    struct gather block;
    struct ssi_scan scan;
};

/* Reads until *in is empty or reader->paused; adds parts. */
void ssi_read(struct ssi_reader *, struct slice *in);

/* The page has ended. */
void ssi_read_end(struct ssi_reader *);

/* Puts the text of errors (if they are not silent) at reader->end, and logs why. */
void ssi_error(struct ssi_reader *, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
