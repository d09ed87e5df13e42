/* proxy_h2_servers.h - one connection of a server of HTTP/2 and its streams: proxy_h2_rules.c reads
 * what weir sends, and holds it against RFC 9113; proxy_h2_answers.c says what the streams answer;
 * proxy_h2_dooms.c what else happens to the connection.
 *
 * What a server will have said is known by the byte: when a connection ends early, each stream's
 * fate follows from how much of the output went before.
 */
#ifndef TESTS_SIM_PROXY_H2_SERVERS_H
#define TESTS_SIM_PROXY_H2_SERVERS_H

#include "proxy_sim.h"
#include "wire/h2_frame.h"
#include "wire/hpack_read.h"

#include <nghttp2/nghttp2.h>

enum {
    IN_ROOM = 160 * 1024,
    OUT_ROOM = 512 * 1024,
    OUT_FULL = 128 * 1024, /* nothing more is put behind so much …                  */
    OUT_MORE = 4000,       /* … and no answers behind so much, but for a burst of them */
    INTERIMS_MOST = 16,
    UNACKED_MOST = 4,
    SETTINGS_HERE = 8,
    MS = 1000000,
};

/* How an answer goes. The calm ones are all that a calm server does. */
enum manner {
    BY_LENGTH,
    NO_LENGTH,
    EMPTY,
    WITH_INTERIMS,
    WITH_TRAILERS,
    SLOW,
    EARLY,
    EARLY_AND_DEAF,
    ENDS_ALONE,
    CALM_MANNERS,
    REFUSED = CALM_MANNERS,
    RESET_AT_ONCE,
    WRONG_HEAD,
    HUGE_HEAD,
    MANY_FIELDS,
    INTERIMS_FOR_EVER,
    INTERIM_AT_END,
    LENGTH_WITHOUT_BODY,
    NO_ANSWER,
    SHORT_BODY,
    LONG_BODY,
    RESET_IN_BODY,
    RESET_FOR_END,
    BAD_TRAILERS,
    STALLS_IN_BODY,
    MANNERS,
};

/* What stands behind the content. */
enum ending { END_WITH_LAST, END_ALONE, END_TRAILERS, END_BAD_TRAILERS, END_RESET, END_NEVER };

struct stream {
    struct trip *trip;
    unsigned attempt; /* of its trip: whose fate is another's by now, if it is not the last */
    enum manner manner;
    enum ending ending;
    uint32_t code; /* of a reset */
    unsigned interims;
    bool early, headless, has_length, counted;
    /* weir's half */
    bool up_ended, up_reset;
    size_t up_at;
    int64_t up_window; /* what may come */
    /* the server's half */
    bool head_said, over, reset;
    size_t down_at, down_left;
    int64_t window; /* what may be sent */
    uint64_t wait_until;
    unsigned pauses;
    uint64_t head_end, content_end, end; /* where, in all that is sent; 0: not said yet */
};

/* What was sent and is to be acknowledged. */
struct unacked {
    bool ping;
    uint8_t payload[8];
    uint32_t settings[SETTINGS_HERE];
    bool has[SETTINGS_HERE];
    uint64_t out_end; /* where it ends, in all that is sent                  */
    uint64_t sent_ns; /* when that was; 0: not yet                           */
    bool goodbye;     /* behind a GOAWAY: weir knows of that, once it answers */
};

enum doom {
    CUT_BY_FIN,
    CUT_BY_RESET,
    FREEZES,
    FALLS_SILENT, /* reads all the same */
    DEAF_FOR_A_WHILE,
    RAVES,
    GOES_AWAY,
    GOES_AWAY_SLOWLY,
    CLOSES_IDLE,
    DOOMS,
    NO_DOOM = DOOMS,
};

struct conn {
    struct sim_peer *end; /* NULL: free */
    uint8_t *in, *out;
    size_t in_size, out_size, out_done;
    uint64_t out_before; /* bytes of all that was sent that are in `out` no more */
    nghttp2_hd_deflater *encoder;
    struct hpack_reader *decoder;
    struct stream *streams; /* stream 2 * i + 1 is the i-th */
    unsigned stream_count, stream_room;
    unsigned answered_most; /* streams below it were answered, in part: no GOAWAY disowns them */

    /* weir's half */
    bool preface_seen, settings_seen, knows_goodbye;
    uint32_t block_stream; /* that goes on in CONTINUATION; 0: none */
    bool block_ends;
    uint8_t *block;
    size_t block_size;
    int64_t up_window;
    uint32_t frame_most, streams_most, first_up_window; /* as acknowledged */

    /* the server's half */
    bool greeted;
    uint64_t greet_at;
    int64_t window;
    uint32_t first_window;
    struct unacked unacked[UNACKED_MOST];
    unsigned unacked_count, noise_left;
    bool generous; /* windows open widely */

    enum doom doom;
    uint64_t doom_at, deaf_until;
    uint64_t goodbye_ns; /* since then it should be closed */
    bool frozen, silent, raved, away, blurs;
    uint32_t last_id; /* of GOAWAY */
};

static inline bool stream_is_closed(const struct stream *s)
{
    return s->reset || s->up_reset || (s->over && s->up_ended);
}

static inline uint64_t conn_said(const struct conn *c)
{
    return c->out_before + c->out_size;
}

static inline uint64_t conn_written(const struct conn *c)
{
    return c->out_before + c->out_done;
}

/* The trip is still this stream's, as far as the server can know. */
static inline bool stream_is_last(const struct stream *s)
{
    return s->trip->attempt == s->attempt;
}

/* proxy_h2_servers.c */
void conn_put(struct conn *, enum h2_type, unsigned flags, uint32_t stream, const void *payload,
              size_t size);
void conn_put_u32(struct conn *, enum h2_type, uint32_t stream, uint32_t n);
bool conn_is_idle(const struct conn *); /* no stream is open */
void conn_ping(struct io *, struct conn *, bool goodbye);

/* proxy_h2_rules.c: all frames that have come. */
void conn_reads(struct io *, struct conn *);

/* proxy_h2_answers.c: chooses how it goes; says some more. */
void stream_begins(struct io *, struct stream *);
void conn_answers(struct io *, struct conn *);

/* proxy_h2_dooms.c. True: the connection is over, and its end is closed. */
bool conn_meets_doom(struct io *, struct conn *);
void conn_choose_doom(struct io *, struct conn *);
/* No byte of the output behind this one is ever heard. */
void conn_lost_from(struct conn *, uint64_t at);
/* Nobody will know what became of its trips. */
void conn_blurs(struct conn *);

#endif
