/* userid.c - a cookie that names a client: read, given to those that have none, and logged.
 *
 * A name is four words: the service or the server's address, the time, the process, a count. */
#include "base/clock.h"
#include "conf/expr.h"
#include "http/pipeline.h"
#include "http/site.h"
#include "http/vars_rows.h"
#include "wire/basic.h"
#include "wire/date.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { WORDS = 4, TEXT_SIZE = 24, MARK_AT = 22, COOKIE_MAX = 4096 };
enum { USERID_OFF, USERID_LOG, USERID_V1, USERID_ON };
enum { EXPIRES_OFF = 0, EXPIRES_MAX = -1 };

#define LAST_DATE "Thu, 31-Dec-37 23:55:55 GMT"

struct userid_conf {
    int mode;
    struct slice name, domain, path, p3p;
    int64_t expires; /* seconds, EXPIRES_OFF or EXPIRES_MAX */
    struct slice flags;
    char mark;       /* '\0': off                           */
    int64_t service; /* -1: the server's address            */
};

/* Of one request. */
struct userid {
    bool has_got, has_set;
    char mark; /* the first padding byte of what the client sent */
    uint32_t got[WORDS], set[WORDS];
    struct slice reset; /* $uid_reset */
};

static uint32_t userid_index;

static struct userid *state_of(struct request *r)
{
    r = request_main(r);
    if (r->slots[SLOT_USERID] == NULL)
        r->slots[SLOT_USERID] = arena_zalloc(&r->arena, sizeof(struct userid));
    return r->slots[SLOT_USERID];
}

/* ---- what the client sent -------------------------------------------------------- */

static void read_cookie(struct request *r, const struct userid_conf *conf, struct userid *u)
{
    struct variable_use use = { .rest = conf->name };
    char room[COOKIE_MAX];
    struct gather g;
    struct slice text;

    gather_init(&g, room, sizeof room, NULL, 0);
    if (u->has_got || !get_cookie(r, &use, &g))
        return;
    text = gather_get(&g);
    if (text.size < MARK_AT ||
        base64_decode(slice_head(text, MARK_AT), (char *)u->got, sizeof u->got) != sizeof u->got) {
        request_log(r, LOG_ERROR, 0, "client sent invalid userid cookie \"%.*s\"",
                    SLICE_FMT(slice_head(text, 64)));
        return;
    }
    u->mark = text.size > MARK_AT ? text.at[MARK_AT] : '\0';
    u->has_got = true;
}

/* ---- what it is given ---------------------------------------------------------------- */

static uint32_t address_word(struct request *r)
{
    struct addr here;
    uint32_t word = 0;

    r->ops->local(r, &here);
    if (here.family == AF_INET)
        memcpy(&word, here.ip, sizeof word);
    else if (here.family == AF_INET6)
        memcpy(&word, here.ip + 12, sizeof word);
    return word;
}

static void make(struct request *r, const struct userid_conf *conf, struct userid *u)
{
    static _Atomic uint32_t count = 1;
    bool v1 = conf->mode == USERID_V1;
    uint32_t nth = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed), now;

    loop_now_ns(r->loop, r->io);
    now = (uint32_t)((uint64_t)loop_wall_ns(r->loop) / NS_PER_SEC);
    u->set[0] = conf->service >= 0 ? htonl((uint32_t)conf->service) : v1 ? 0 : address_word(r);
    u->set[1] = v1 ? now : htonl(now);
    u->set[2] = v1 ? (uint32_t)getpid() : htonl((uint32_t)getpid());
    u->set[3] = v1 ? nth : htonl(0x03030302u + (nth << 8));
    u->has_set = true;
}

static bool says_reset(struct request *r, struct userid *u)
{
    if (u->reset.size == 0 || slice_eq(u->reset, SLICE("0")))
        return false;
    if (slice_eq(u->reset, SLICE("log")) && u->has_got)
        request_log(r, LOG_NOTICE, 0, "userid cookie \"%08X%08X%08X%08X\" was reset", u->got[0],
                    u->got[1], u->got[2], u->got[3]);
    return true;
}

static void put_text(struct gather *g, const uint32_t words[WORDS], char mark)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char bytes[WORDS * sizeof *words + 2] = { 0 };

    memcpy(bytes, words, WORDS * sizeof *words);
    for (size_t i = 0; i < WORDS * sizeof *words; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        size_t left = WORDS * sizeof *words - i;

        gather_byte(g, digits[three >> 18]);
        gather_byte(g, digits[three >> 12 & 63]);
        gather_byte(g, left > 1 ? digits[three >> 6 & 63] : mark != '\0' ? mark : '=');
        gather_byte(g, left > 2 ? digits[three & 63] : '=');
    }
}

static void put_expires(struct request *r, struct gather *g, int64_t expires)
{
    char date[DATE_HTTP_SIZE];

    if (expires == EXPIRES_OFF)
        return;
    gather_lit(g, "; expires=");
    if (expires == EXPIRES_MAX) {
        gather_lit(g, LAST_DATE);
        return;
    }
    date_http(loop_wall_ns(r->loop) / NS_PER_SEC + expires, date);
    gather_bytes(g, date, sizeof date);
}

static bool send_cookie(struct request *r, const struct userid_conf *conf, const struct userid *u)
{
    struct gather g;

    gather_init(&g, NULL, 0, &r->arena, COOKIE_MAX);
    gather_slice(&g, conf->name);
    gather_byte(&g, '=');
    put_text(&g, u->has_set ? u->set : u->got, conf->mark);
    put_expires(r, &g, conf->expires);
    if (conf->domain.size > 0) {
        gather_lit(&g, "; domain=");
        gather_slice(&g, conf->domain);
    }
    gather_lit(&g, "; path=");
    gather_slice(&g, conf->path);
    gather_slice(&g, conf->flags);
    return !g.full && response_add(r, SLICE("Set-Cookie"), gather_get(&g)) &&
           (conf->p3p.size == 0 || response_add(r, SLICE("P3P"), conf->p3p));
}

bool userid_idle(const struct scope *scope)
{
    const struct userid_conf *conf = scope_conf(scope, &feature_userid);

    return conf->mode == USERID_OFF;
}

void filter_userid(struct request *r)
{
    const struct userid_conf *conf = request_conf(r, &feature_userid);
    struct userid *u = conf->mode != USERID_OFF ? state_of(r) : NULL;
    bool fresh;

    if (u == NULL)
        return;
    read_cookie(r, conf, u);
    if (conf->mode == USERID_LOG)
        return;
    fresh = says_reset(r, u) || !u->has_got;
    if (!fresh && (conf->mark == '\0' || u->mark == conf->mark))
        return;
    if (fresh && !u->has_set)
        make(r, conf, u);
    if (!send_cookie(r, conf, u))
        request_fail(r, 500);
}

/* ---- variables -------------------------------------------------------------------------- */

static bool put_words(const struct userid_conf *conf, const uint32_t words[WORDS], struct gather *g)
{
    gather_slice(g, conf->name);
    gather_printf(g, "=%08X%08X%08X%08X", words[0], words[1], words[2], words[3]);
    return true;
}

static bool get_got(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct userid_conf *conf = request_conf(r, &feature_userid);
    struct userid *u = conf->mode != USERID_OFF ? state_of(r) : NULL;

    (void)use;
    if (u == NULL)
        return false;
    read_cookie(r, conf, u);
    return u->has_got && put_words(conf, u->got, g);
}

static bool get_set(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct userid *u = request_main(r)->slots[SLOT_USERID];

    (void)use;
    return u != NULL && u->has_set && put_words(request_conf(r, &feature_userid), u->set, g);
}

static bool get_reset(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct userid *u = request_main(subject)->slots[SLOT_USERID];

    (void)use;
    if (u != NULL)
        gather_slice(g, u->reset);
    return u != NULL && u->reset.at != NULL;
}

static bool set_reset(void *subject, const struct variable *row, struct slice value)
{
    struct userid *u = state_of(subject);

    (void)row;
    if (u != NULL)
        u->reset = value;
    return u != NULL;
}

static const struct variable vars[] = {
    { "uid_got", get_got, .help = "The name of the cookie, and whom the client says it is." },
    { "uid_set", get_set, .help = "The name of the cookie, and what the client was given." },
    { "uid_reset", get_reset, .set = set_reset,
      .help =
          "Set to anything but 0, it makes a new identifier; \"log\" says so in the error log." },
};

/* ---- directives ---------------------------------------------------------------------------- */

static bool refuse(struct conf_load *load, const struct conf_node *node, int arg,
                   const char *expected)
{
    conf_complain(load, CONF_EMERG, node, arg, "\"%.*s\" cannot be said here",
                  SLICE_FMT(conf_arg(node, (unsigned)arg)));
    conf_hint(load, "expected: %s", expected);
    return false;
}

/* "none" is no text. */
static bool set_text(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct slice *text = (struct slice *)(void *)((char *)own + row->offset);

    (void)load;
    *text = conf_arg(node, 0);
    if (slice_eq(*text, SLICE("none")))
        *text = SLICE("");
    return true;
}

static bool set_expires(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct userid_conf *conf = own;
    struct slice text = conf_arg(node, 0);
    int64_t ms;

    (void)row;
    if (slice_eq(text, SLICE("off")))
        conf->expires = EXPIRES_OFF;
    else if (slice_eq(text, SLICE("max")))
        conf->expires = EXPIRES_MAX;
    else if (conf_parse_msec(text, &ms) && ms >= 1000)
        conf->expires = ms / 1000;
    else
        return refuse(load, node, 0, "a time, max or off");
    return true;
}

static bool set_mark(struct conf_load *load, const struct conf_node *node, void *own,
                     const struct directive *row)
{
    struct userid_conf *conf = own;
    struct slice text = conf_arg(node, 0);
    unsigned char c = text.size == 1 ? byte_lower((unsigned char)text.at[0]) : '\0';

    (void)row;
    conf->mark = '\0';
    if (slice_eq(text, SLICE("off")))
        return true;
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '='))
        return refuse(load, node, 0, "a letter, a digit, = or off");
    conf->mark = text.at[0];
    return true;
}

static bool set_flags(struct conf_load *load, const struct conf_node *node, void *own,
                      const struct directive *row)
{
    static const struct {
        const char *word, *text;
    } flags[] = {
        { "off", "" },
        { "secure", "; secure" },
        { "httponly", "; httponly" },
        { "samesite=strict", "; samesite=strict" },
        { "samesite=lax", "; samesite=lax" },
        { "samesite=none", "; samesite=none" },
    };
    struct userid_conf *conf = own;
    struct gather g;

    (void)row;
    gather_init(&g, NULL, 0, conf_arena(load), 1024);
    for (unsigned i = 0; i < node->arg_count; i++) {
        size_t f = 0;

        while (f < COUNT_OF(flags) && !slice_eq(conf_arg(node, i), slice_str(flags[f].word)))
            f++;
        if (f == COUNT_OF(flags))
            return refuse(load, node, (int)i,
                          "off, secure, httponly, samesite=strict, samesite=lax, samesite=none");
        gather_str(&g, flags[f].text);
    }
    conf->flags = gather_get(&g);
    return true;
}

static bool set_service(struct conf_load *load, const struct conf_node *node, void *own,
                        const struct directive *row)
{
    struct userid_conf *conf = own;
    uint64_t number;

    (void)row;
    if (!slice_to_u64(conf_arg(node, 0), UINT32_MAX, &number))
        return refuse(load, node, 0, "a number below 4294967296");
    conf->service = (int64_t)number;
    return true;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    struct userid_conf *conf = own;

    (void)load;
    if (parent == NULL && !scope_is_set(scope, &feature_userid, "userid_service"))
        conf->service = -1;
    return true;
}

static const struct conf_word modes[] = { { "off", USERID_OFF },
                                          { "log", USERID_LOG },
                                          { "v1", USERID_V1 },
                                          { "on", USERID_ON },
                                          { NULL, 0 } };

#define AT(member) offsetof(struct userid_conf, member)
#define TEXT .set = set_text, .size = sizeof(struct slice)

static const struct directive rows[] = {
    { "userid", CTX_ANY_HTTP, 1, 1, CONF_ENUM, AT(mode), "off", .words = modes,
      .syntax = "on | v1 | log | off",
      .help =
          "Names clients by a cookie: gives one to those that have none (on, v1), or only reads "
          "it (log).",
      .example = "userid on;" },
    { "userid_name", CTX_ANY_HTTP, 1, 1, CONF_STRING, AT(name), "uid", .syntax = "name",
      .help = "The name of the cookie." },
    { "userid_domain", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(domain), NULL, TEXT,
      .syntax = "name | none", .help = "The domain of the cookie." },
    { "userid_path", CTX_ANY_HTTP, 1, 1, CONF_STRING, AT(path), "/", .syntax = "path",
      .help = "The path of the cookie." },
    { "userid_p3p", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(p3p), NULL, TEXT, .syntax = "string | none",
      .help = "A field P3P sent with the cookie." },
    { "userid_expires", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(expires), "off", .set = set_expires,
      .size = sizeof(int64_t), .syntax = "time | max | off",
      .help = "How long the browser keeps the cookie; off: until it is closed." },
    { "userid_flags", CTX_ANY_HTTP, 1, 3, CONF_CUSTOM, AT(flags), NULL, .set = set_flags,
      .size = sizeof(struct slice), .syntax = "off | flag …",
      .help = "What browsers may do with the cookie: secure, httponly, samesite=strict, "
              "samesite=lax, samesite=none." },
    { "userid_mark", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(mark), "off", .set = set_mark,
      .size = sizeof(char), .syntax = "letter | digit | = | off",
      .help =
          "Sends cookies again that do not have this mark, so that their lifetime can change." },
    { "userid_service", CTX_ANY_HTTP, 1, 1, CONF_CUSTOM, AT(service), NULL, .set = set_service,
      .size = sizeof(int64_t), .syntax = "number",
      .help = "Tells servers apart in the identifiers; without it, their addresses do." },
};

const struct feature feature_userid = {
    .name = "userid",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct userid_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Clients named by a cookie.",
    .index = &userid_index,
};
