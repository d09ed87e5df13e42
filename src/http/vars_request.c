/* vars_request.c - variables about what was asked: line, path, arguments, fields, cookies. */
#include "http/vars_rows.h"

#include "http/client_body.h"
#include "http/site.h"
#include "wire/basic.h"

#include <sys/random.h>

/* ---- path and arguments ---------------------------------------------------------------- */

bool get_is_args(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->args.size > 0)
        gather_byte(g, '?');
    return true;
}

/* As it was sent, without the scheme and host of an absolute target. */
bool get_request_uri(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->head.path.size == 0)
        return false;
    gather_slice(g, r->head.path);
    if (r->head.args.at != NULL) {
        gather_byte(g, '?');
        gather_slice(g, r->head.args);
    }
    return true;
}

/* The first argument of that name that has a "=", not decoded. */
bool get_arg(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;
    struct slice left = r->args;

    while (left.size > 0) {
        struct slice one = slice_cut(&left, '&'), name = slice_head(one, slice_find(one, '='));

        if (name.size == one.size || !slice_eq_nocase(name, use->rest))
            continue;
        gather_slice(g, slice_skip(one, name.size + 1));
        return true;
    }
    return false;
}

/* ---- names ------------------------------------------------------------------------------- */

static struct slice first_name(const struct request *r)
{
    struct slice name = { 0 };

    if (r->server != NULL && r->server->names != NULL)
        name = r->server->names->text;
    return name.size > 0 && name.at[0] == '.' ? slice_skip(name, 1) : name;
}

bool get_server_name(void *subject, const struct variable_use *use, struct gather *g)
{
    (void)use;
    gather_slice(g, first_name(subject));
    return true;
}

bool get_host(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    gather_slice(g, r->host.size > 0 ? r->host : first_name(r));
    return true;
}

bool get_request_port(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->host_port != 0)
        gather_u64(g, r->host_port);
    return true;
}

bool get_is_request_port(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->host_port != 0)
        gather_byte(g, ':');
    return true;
}

bool get_protocol(void *subject, const struct variable_use *use, struct gather *g)
{
    static const char http1[] = "HTTP/1.1";
    const struct request *r = request_main(subject);

    (void)use;
    if (strcmp(r->ops->name, http1) == 0 && r->head.version_minor == 0)
        gather_lit(g, "HTTP/1.0");
    else
        gather_str(g, r->ops->name);
    return true;
}

/* ---- fields ------------------------------------------------------------------------------ */

void join_value(struct joiner *j, struct slice value)
{
    if (j->any)
        gather_slice(j->into, j->between);
    gather_slice(j->into, value);
    j->any = true;
}

bool field_named(struct slice field, struct slice rest)
{
    if (field.size != rest.size)
        return false;
    for (size_t i = 0; i < field.size; i++) {
        unsigned char c = byte_lower((unsigned char)field.at[i]);

        if ((c == '-' ? '_' : c) != (unsigned char)rest.at[i])
            return false;
    }
    return true;
}

bool get_http_field(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct h1_head *head = &((const struct request *)subject)->head;
    struct joiner j = { g, SLICE(", "), false };

    for (const struct field *f = head->fields; f < head->fields + head->field_count; f++)
        if (field_named(f->name, use->rest))
            join_value(&j, f->value);
    return j.any;
}

/* The same for the names that the head's parser has found: row->arg is the enum field_id. */
bool get_http_known(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct h1_head *head = &((const struct request *)subject)->head;
    enum field_id id = (enum field_id)use->number;
    struct joiner j = { g, id == FIELD_COOKIE ? SLICE("; ") : SLICE(", "), false };

    if (head->known[id] == NULL)
        return false;
    for (const struct field *f = head->known[id]; f < head->fields + head->field_count; f++)
        if (f->id == id)
            join_value(&j, f->value);
    return true;
}

static bool cookie_in(struct slice value, struct slice name, struct slice *ret)
{
    while (value.size > 0) {
        struct slice one = slice_trim(slice_cut(&value, ';'));
        size_t equals = slice_find(one, '=');

        if (equals == one.size || !slice_eq_nocase(slice_head(one, equals), name))
            continue;
        *ret = slice_skip(one, equals + 1);
        return true;
    }
    return false;
}

bool get_cookie(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct h1_head *head = &((const struct request *)subject)->head;
    struct slice value;

    if (head->known[FIELD_COOKIE] == NULL)
        return false;
    for (const struct field *f = head->known[FIELD_COOKIE]; f < head->fields + head->field_count;
         f++) {
        if (f->id == FIELD_COOKIE && cookie_in(f->value, use->rest, &value)) {
            gather_slice(g, value);
            return true;
        }
    }
    return false;
}

/* ---- $remote_user -------------------------------------------------------------------------- */

bool get_remote_user(void *subject, const struct variable_use *use, struct gather *g)
{
    struct basic_words words;

    (void)use;
    if (!basic_read(request_field(subject, FIELD_AUTHORIZATION), &words))
        return false;
    gather_slice(g, words.user);
    return true;
}

/* ---- others ---------------------------------------------------------------------------------- */

enum { REQUEST_ID_BYTES = 16 };

/* Made once, for a request and its sub-requests. */
static struct slice request_id(struct request *r)
{
    unsigned char random[REQUEST_ID_BYTES];
    char *text;

    while (r->parent != NULL)
        r = r->parent;
    if (r->id.size > 0)
        return r->id;
    text = arena_bytes(&r->arena, sizeof random * 2);
    if (text == NULL || getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return (struct slice){ 0 };
    hex_write(text, random, sizeof random);
    r->id = slice_of(text, sizeof random * 2);
    return r->id;
}

bool get_request_id(void *subject, const struct variable_use *use, struct gather *g)
{
    struct slice id = request_id(request_main(subject));

    (void)use;
    gather_slice(g, id);
    return id.size > 0;
}

/* What limit_rate says; a rate made of $limit_rate itself has no value, and limits nothing. */
bool get_limit_rate(void *subject, const struct variable_use *use, struct gather *g)
{
    uint64_t after;

    (void)use;
    gather_u64(g, request_rate(subject, &after));
    return true;
}

bool set_args(void *subject, const struct variable *row, struct slice value)
{
    (void)row;
    ((struct request *)subject)->args = value;
    return true;
}

bool set_limit_rate(void *subject, const struct variable *row, struct slice value)
{
    struct request *r = subject;
    int64_t rate;

    (void)row;
    if (!conf_parse_size(value, &rate))
        return false;
    r->rate = (uint64_t)rate;
    r->rate_set = true;
    return true;
}

/* ---- captures -------------------------------------------------------------------------------- */

static bool gather_capture(struct gather *g, struct slice value)
{
    gather_slice(g, value);
    return value.at != NULL;
}

/* $1: of the regular expression that matched last, the server's name being matched before any
 * location. $name of a (?<name>…): of the last match that had such a group. */
bool get_capture(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    if (use->number >= CAPTURES_MAX)
        return r->values != NULL && gather_capture(g, r->values[use->number - CAPTURES_MAX]);
    if (r->captures_of != NULL)
        return gather_capture(g, r->captures[use->number]);
    return r->server_captures_of != NULL && gather_capture(g, r->server_captures[use->number]);
}

/* ---- the body --------------------------------------------------------------------------- */

/* The whole of it, or nothing: as soon as some of it went to a file it is not here. */
bool get_request_body(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct client_body *b = ((const struct request *)subject)->client_body;

    (void)use;
    if (b == NULL || !b->complete || b->memory.size == 0)
        return false;
    gather_slice(g, b->memory);
    return true;
}

bool get_request_body_file(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct client_body *b = ((const struct request *)subject)->client_body;

    (void)use;
    if (b == NULL || b->name.size == 0)
        return false;
    gather_slice(g, b->name);
    return true;
}

bool get_content_length(void *subject, const struct variable_use *use, struct gather *g)
{
    const struct request *r = subject;

    (void)use;
    if (r->head.known[FIELD_CONTENT_LENGTH] != NULL) {
        gather_slice(g, request_field(r, FIELD_CONTENT_LENGTH));
        return true;
    }
    if (r->client_body == NULL || !r->client_body->complete || !r->head.chunked)
        return false;
    gather_u64(g, r->client_body->size);
    return true;
}
