/* secure_link.c - links that carry a signature: $secure_link says whether it fits, and whether the
 * time it was made for is over. */
#include "base/clock.h"
#include "conf/expr.h"
#include "conf/load.h"
#include "handler/small.h"
#include "http/site.h"
#include "wire/basic.h"

#include <openssl/evp.h>

enum { MD5_SIZE = 16, SIGNATURE_MAX = 24, TEXT_MAX = 16 * 1024 };

struct secure_link_conf {
    struct expr *link, *text; /* secure_link, secure_link_md5 */
    struct slice secret;
    bool secret_said;
};

static uint32_t secure_link_index;

static bool md5(struct slice a, struct slice b, unsigned char into[MD5_SIZE])
{
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    bool made = m != NULL && EVP_DigestInit_ex(m, EVP_md5(), NULL) == 1 &&
                EVP_DigestUpdate(m, a.at, a.size) == 1 && EVP_DigestUpdate(m, b.at, b.size) == 1 &&
                EVP_DigestFinal_ex(m, into, NULL) == 1;

    EVP_MD_CTX_free(m);
    return made;
}

/* Takes as long wherever the first difference is. */
static bool same(const unsigned char a[MD5_SIZE], const unsigned char b[MD5_SIZE])
{
    unsigned difference = 0;

    for (size_t i = 0; i < MD5_SIZE; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

/* ---- secure_link and secure_link_md5 ----------------------------------------------------- */

/* base64url, without padding: 22 characters. */
static bool read_signature(struct slice text, unsigned char into[MD5_SIZE])
{
    char copy[SIGNATURE_MAX];

    if (text.size == 0 || text.size > sizeof copy)
        return false;
    for (size_t i = 0; i < text.size; i++)
        copy[i] = text.at[i] == '-' ? '+' : text.at[i] == '_' ? '/' : text.at[i];
    return base64_decode(slice_of(copy, text.size), (char *)into, MD5_SIZE) == MD5_SIZE;
}

/* "signature" or "signature,seconds". False: there is none. */
static bool parts(struct request *r, const struct secure_link_conf *c, struct slice *signature,
                  struct slice *expires)
{
    struct slice said;
    size_t comma;

    if (c->link == NULL || !expr_eval(c->link, r, &r->arena, TEXT_MAX, &said))
        return false;
    comma = slice_find(said, ',');
    *signature = slice_head(said, comma);
    *expires = comma < said.size ? slice_skip(said, comma + 1) : (struct slice){ 0 };
    return true;
}

static bool get_signed(struct request *r, const struct secure_link_conf *c, struct gather *g)
{
    unsigned char said[MD5_SIZE], made[MD5_SIZE];
    struct slice signature, expires, text;
    uint64_t until = 0;

    if (!parts(r, c, &signature, &expires) || c->text == NULL)
        return false;
    if (expires.at != NULL && (!slice_to_u64(expires, INT64_MAX, &until) || until == 0))
        return false;
    if (!read_signature(signature, said) || !expr_eval(c->text, r, &r->arena, TEXT_MAX, &text) ||
        !md5(text, SLICE(""), made) || !same(said, made))
        return false;
    loop_now_ns(r->loop, r->io);
    gather_byte(g, until != 0 && until < (uint64_t)loop_wall_ns(r->loop) / NS_PER_SEC ? '0' : '1');
    return true;
}

/* ---- secure_link_secret ------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)byte_lower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct slice text, unsigned char into[MD5_SIZE])
{
    if (text.size != 2 * MD5_SIZE)
        return false;
    for (size_t i = 0; i < MD5_SIZE; i++) {
        int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        into[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* What stands before the next slash; *rest: behind it. */
static struct slice cut_segment(struct slice *rest)
{
    struct slice segment = slice_head(*rest, slice_find(*rest, '/'));

    *rest = slice_skip(*rest, segment.size + (segment.size < rest->size));
    return segment;
}

/* "/prefix/md5 of link and secret/link". */
static bool get_with_secret(const struct request *r, const struct secure_link_conf *c,
                            struct gather *g)
{
    unsigned char said[MD5_SIZE], made[MD5_SIZE];
    struct slice rest = r->uri, hash;

    cut_segment(&rest); /* the empty one before the first slash */
    cut_segment(&rest);
    hash = cut_segment(&rest);
    if (rest.size == 0 || !read_hex(hash, said) || !md5(rest, c->secret, made) || !same(said, made))
        return false;
    gather_slice(g, rest);
    return true;
}

/* ---- variables --------------------------------------------------------------------------- */

static bool get_link(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    const struct secure_link_conf *c = request_conf(r, &feature_secure_link);

    (void)use;
    return c->secret_said ? get_with_secret(r, c, g) : get_signed(r, c, g);
}

static bool get_expires(void *subject, const struct variable_use *use, struct gather *g)
{
    struct request *r = subject;
    struct slice signature, expires;

    (void)use;
    if (!parts(r, request_conf(r, &feature_secure_link), &signature, &expires))
        return false;
    gather_slice(g, expires);
    return expires.at != NULL;
}

static const struct variable vars[] = {
    { "secure_link", get_link,
      .help = "1 if the signature fits, 0 if its time is over, else nothing; with "
              "secure_link_secret the link behind the signature." },
    { "secure_link_expires", get_expires, .help = "When the link ends: seconds since 1970." },
};

/* ---- directives --------------------------------------------------------------------------- */

static bool set_secret(struct conf_load *load, const struct conf_node *node, void *own,
                       const struct directive *row)
{
    struct secure_link_conf *c = own;

    (void)load;
    (void)row;
    c->secret = conf_arg(node, 0);
    c->secret_said = true;
    return true;
}

static bool merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct secure_link_conf *outer = parent;
    struct secure_link_conf *c = own;

    if (c->secret_said && c->link != NULL &&
        !scope_is_set(scope, &feature_secure_link, "secure_link"))
        c->link = NULL;
    if (c->secret_said && c->link != NULL) {
        conf_complain(load, CONF_EMERG, scope->node, CONF_AT_NAME,
                      "secure_link and secure_link_secret exclude each other here");
        return false;
    }
    if (!c->secret_said && outer != NULL && c->link == outer->link) {
        c->secret = outer->secret;
        c->secret_said = outer->secret_said;
    }
    return true;
}

#define AT(member) offsetof(struct secure_link_conf, member)

static const struct directive rows[] = {
    { "secure_link", CTX_ANY_HTTP, 1, 1, CONF_EXPR, AT(link), NULL, .syntax = "expression",
      .help = "Where the signature of a link is (an MD5 in base64url) and, behind a comma, until "
              "when it holds.",
      .example = "secure_link $arg_md5,$arg_expires;" },
    { "secure_link_md5", CTX_ANY_HTTP, 1, 1, CONF_EXPR, AT(text), NULL, .syntax = "expression",
      .help = "The text that is signed; it should hold a secret.",
      .example = "secure_link_md5 \"$secure_link_expires$uri$remote_addr secret\";" },
    { "secure_link_secret", CTX_LOCATION, 1, 1, CONF_CUSTOM, .set = set_secret, .syntax = "word",
      .help =
          "Links of the form /prefix/hash/link, where hash is the MD5 of link and this word, in "
          "hexadecimal digits.",
      .example = "secure_link_secret enigma;" },
};

const struct feature feature_secure_link = {
    .name = "secure_link",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct secure_link_conf),
    .vars = vars,
    .var_count = COUNT_OF(vars),
    .merge = merge,
    .about = "Links that carry a signature and may end at a given time.",
    .index = &secure_link_index,
};
