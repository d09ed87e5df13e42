/* auth_basic.c - a name and a password, asked for by the browser and looked up in a file. */
#include "conf/load.h"
#include "handler/auth.h"
#include "handler/auth_desk.h"
#include "handler/file_cache.h"
#include "http/access.h"
#include "http/log_target.h"
#include "http/site.h"

#include <errno.h>
#include <stdio.h>

enum { NOTICES_MAX = 10 /* about the lines of one file */ };

struct user_file {
    struct expr *path;
    struct slice dir; /* what relative paths are below of */
};

struct auth_conf {
    struct expr *realm;
    const struct user_file *file; /* NULL: none, nothing is asked */
};

static uint32_t auth_index;

static bool is_off(const struct expr *realm)
{
    struct slice text;

    return expr_constant(realm, &text) && slice_eq(text, SLICE("off"));
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* The realm stands between the quotes as it is; what could end the field becomes a blank. */
static enum verdict refuse(struct request *r, struct slice realm)
{
    struct slice text = arena_printf(&r->arena, "Basic realm=\"%.*s\"", SLICE_FMT(realm));
    char *into = text.at != NULL ? arena_bytes(&r->arena, text.size) : NULL;

    if (into == NULL)
        return request_fail(r, 500);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];

        into[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    return access_challenge(r, slice_of(into, text.size)) ? access_refuse(r, 401)
                                                          : request_fail(r, 500);
}

static enum verdict refuse_for_file(struct request *r, const struct auth_check *k)
{
    bool missing = k->found == -ENOENT;

    request_log(r, missing ? LOG_ERROR : LOG_CRIT, -k->found,
                "the password file \"%s\" cannot be read", k->path);
    return missing ? access_refuse(r, 403) : request_fail(r, 500);
}

static enum verdict judge(struct request *r, const struct auth_check *k, struct slice realm)
{
    if (k->found < 0)
        return refuse_for_file(r, k);
    if (k->found == 0)
        request_log(r, LOG_ERROR, 0, "user \"%s\" was not found in \"%s\"", k->said.user.at,
                    k->path);
    else if (!k->known)
        request_log(r, LOG_ERROR, 0, "the hash of user \"%s\" in %s:%u is of no known kind",
                    k->said.user.at, k->path, k->line);
    else if (!k->fits)
        request_log(r, LOG_ERROR, 0, "user \"%s\": password mismatch", k->said.user.at);
    return k->fits ? access_grant(r) : refuse(r, realm);
}

/* ---- the step -------------------------------------------------------------------------------- */

/* The file's path with a NUL behind; NULL: it has a NUL, or memory ran out. */
static const char *find_path(struct request *r, const struct user_file *file)
{
    struct slice path;

    if (!expr_eval(file->path, r, &r->arena, EXPR_MAX, &path) || slice_find(path, '\0') < path.size)
        return NULL;
    if (path.size > 0 && path.at[0] == '/')
        return arena_copy(&r->arena, path).at;
    return arena_printf(&r->arena, "%.*s%.*s", SLICE_FMT(file->dir), SLICE_FMT(path)).at;
}

static enum verdict ask(struct request *r, const struct auth_conf *c, struct slice realm)
{
    struct auth_check *k = arena_zalloc(&r->arena, sizeof *k);

    if (k == NULL)
        return request_fail(r, 500);
    if (!basic_read(request_field(r, FIELD_AUTHORIZATION), &k->said)) {
        request_log(r, LOG_INFO, 0, "no user/password was provided for basic authentication");
        return refuse(r, realm);
    }
    k->request = r;
    k->path = find_path(r, c->file);
    if (k->path == NULL || !auth_desk_ask(k))
        return request_fail(r, 500);
    r->slots[SLOT_AUTH] = k;
    return WAIT;
}

bool auth_basic_idle(const struct scope *scope)
{
    const struct auth_conf *c = scope_conf(scope, &feature_auth_basic);

    return c->file == NULL || is_off(c->realm);
}

enum verdict step_auth_basic(struct request *r)
{
    const struct auth_conf *c = request_conf(r, &feature_auth_basic);
    const struct auth_check *k = r->slots[SLOT_AUTH];
    struct slice realm;

    if (access_settled(r) || c->file == NULL)
        return NEXT;
    if (!expr_eval(c->realm, r, &r->arena, EXPR_MAX, &realm))
        return request_fail(r, 500);
    if (slice_eq(realm, SLICE("off")))
        return NEXT;
    if (k == NULL)
        return ask(r, c, realm);
    r->slots[SLOT_AUTH] = NULL;
    return judge(r, k, realm);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* NULL: the line is as it should be. */
static const char *fault_of(struct slice line)
{
    struct slice user, hash;
    char text[PASSWORD_HASH_MAX];

    switch (password_read_line(line, &user, &hash)) {
    case LINE_EMPTY:
        return NULL;
    case LINE_BAD:
        return "is not a name, a colon and a hash";
    case LINE_ENTRY:
        break;
    }
    if (hash.size >= sizeof text || line.size >= PASSWORD_LINE_MAX)
        return "is too long";
    memcpy(text, hash.at, hash.size);
    text[hash.size] = '\0';
    return password_kind(text) == PASSWORD_UNKNOWN ? "has a hash of no known kind" : NULL;
}

/* Bad lines lock out nobody but their users: worth a word, no more. */
static void look_at_lines(struct conf_load *load, const struct conf_node *node, const char *path)
{
    struct slice rest;
    int error = conf_read(load, path, &rest);
    unsigned faults = 0;

    if (error != 0) {
        conf_complain(load, CONF_NOTICE, node, 0, "\"%s\" cannot be read: %s", path,
                      strerror(-error));
        conf_hint(load, "note: it is looked for again at each request; without it the answer is "
                        "403");
        return;
    }
    for (unsigned nth = 1; rest.size > 0 && faults < NOTICES_MAX; nth++) {
        const char *fault = fault_of(slice_cut(&rest, '\n'));

        if (fault == NULL)
            continue;
        faults++;
        conf_complain(load, CONF_NOTICE, node, 0, "%s:%u %s", path, nth, fault);
        conf_hint(load, "expected: name:hash, the hash by htpasswd or openssl passwd");
    }
}

static bool set_user_file(struct conf_load *load, const struct conf_node *node, void *own,
                          const struct directive *row)
{
    struct auth_conf *c = own;
    struct user_file *file = arena_must(conf_arena(load), sizeof *file);
    struct slice path;

    (void)row;
    *file = (struct user_file){ expr_compile(load, node, 0), slice_str(conf_dir(load)) };
    if (file->path == NULL)
        return false;
    c->file = file;
    if (expr_constant(file->path, &path)) {
        bool absolute = path.size > 0 && path.at[0] == '/';

        path =
            arena_printf(conf_arena(load), "%s%.*s", absolute ? "" : file->dir.at, SLICE_FMT(path));
        CHECK(path.at != NULL);
        look_at_lines(load, node, path.at);
    }
    return true;
}

/* nginx asks nothing then, and so do we; but hardly anybody means it. */
static bool auth_merge(struct conf_load *load, struct scope *scope, const void *parent, void *own)
{
    const struct auth_conf *c = own;
    bool leaf = (scope->context & (CTX_LOCATION | CTX_LIMIT_EXCEPT)) != 0 ||
                (scope->context == CTX_SERVER && scope->children == NULL);

    (void)parent;
    if (leaf && c->file == NULL && !is_off(c->realm)) {
        conf_complain(load, CONF_WARN, scope->node, CONF_AT_NAME,
                      "auth_basic protects nothing here: there is no auth_basic_user_file");
        conf_hint(load, "expected: auth_basic_user_file here or around, or auth_basic off");
    }
    return true;
}

#define WHERE (CTX_ANY_HTTP | CTX_LIMIT_EXCEPT)

static const struct directive rows[] = {
    { "auth_basic", WHERE, 1, 1, CONF_EXPR, offsetof(struct auth_conf, realm), "off",
      .syntax = "string | off",
      .help = "Asks for a name and a password; the text (it may have variables) tells the client "
              "for what. off: nothing is asked.",
      .example = "auth_basic \"closed site\";" },
    { "auth_basic_user_file", WHERE, 1, 1, CONF_CUSTOM, offsetof(struct auth_conf, file),
      .set = set_user_file, .size = sizeof(const struct user_file *), .syntax = "file",
      .help = "Who may come in: name:hash a line, # before a comment. Hashes are those of crypt(5) "
              "(bcrypt, yescrypt, SHA-512 …), $apr1$, {SHA}, {SSHA} and {PLAIN}. Read again for "
              "each request; without it the answer is 403. Relative to the configuration's "
              "directory; variables may stand in it.",
      .example = "auth_basic_user_file htpasswd;" },
};

const struct feature feature_auth_basic = {
    .name = "auth_basic",
    .rows = rows,
    .row_count = COUNT_OF(rows),
    .size = sizeof(struct auth_conf),
    .merge = auth_merge,
    .about = "Lets clients in by name and password (HTTP basic authentication).",
    .index = &auth_index,
};
