/* h2_response.c - pseudo-fields and fields of a block, judged as the head of an answer. */
#include "wire/h2_response.h"

#include "wire/h2_headers.h"

enum { STATUS_SIZE = 3, LINE_COST = 4 /* ": " and the line's end, as HTTP/1 had them */ };

void h2_response_begin(struct h2_response *b, bool trailers, struct h1_response *answer)
{
    *b = (struct h2_response){ .trailers = trailers, .answer = answer };
    answer->version_minor = 1;
}

static void refuse(struct h2_response *b, const char *why)
{
    if (b->why == NULL)
        b->why = why;
}

static void add_pseudo(struct h2_response *b, struct slice name, struct slice value)
{
    struct h1_response *a = b->answer;
    uint64_t status;

    if (b->trailers)
        refuse(b, "a pseudo-field in trailers");
    else if (b->regular)
        refuse(b, "a pseudo-field behind a field");
    else if (!slice_eq(name, SLICE(":status")))
        refuse(b, "an unknown pseudo-field");
    else if (a->status != 0)
        refuse(b, ":status came twice");
    else if (value.size != STATUS_SIZE || !slice_to_u64(value, 999, &status) || status < 100)
        refuse(b, "the status is no number of three digits");
    else
        a->status = (uint16_t)status;
}

static bool keep(struct h2_response *b, struct slice text, struct slice *ret)
{
    char *into = arena_bytes(b->answer->arena, text.size + 1);

    if (into == NULL) {
        refuse(b, "no memory for the fields");
        return false;
    }
    if (text.size > 0)
        memcpy(into, text.at, text.size);
    *ret = slice_of(into, text.size);
    return true;
}

static void add_field(struct h2_response *b, struct slice name, struct slice value)
{
    enum field_id id = field_from(name);
    unsigned classes;
    const char *why = h2_field_wrong(id, name, value, &classes);

    b->regular = true;
    if (why != NULL)
        refuse(b, why);
    if (b->why != NULL || !keep(b, value, &value) || !keep(b, name, &name))
        return;
    if (!h1_response_add(b->answer, id, name, value))
        refuse(b, b->answer->why);
}

bool h2_response_add(struct h2_response *b, struct slice name, struct slice value)
{
    const struct h1_limits *limits = b->answer->limits;

    b->list_size += (uint32_t)(name.size + value.size + LINE_COST);
    b->lines++;
    if (b->lines > 2 * (uint64_t)limits->fields_max ||
        b->list_size > 2 * (uint64_t)limits->head_max)
        return false;
    if (b->list_size > limits->head_max)
        refuse(b, "the head is too large");
    if (name.size > 0 && name.at[0] == ':')
        add_pseudo(b, name, value);
    else
        add_field(b, name, value);
    return true;
}

/* A body's framing is not the business of trailers. */
static void judge_trailers(struct h2_response *b, bool ended)
{
    const struct h1_response *a = b->answer;

    if (!ended)
        refuse(b, "a second head, or trailers that end nothing");
    if (a->known[FIELD_CONTENT_LENGTH] != NULL)
        refuse(b, "Content-Length in trailers");
}

static void judge_head(struct h2_response *b, bool ended)
{
    struct h1_response *a = b->answer;

    if (a->status == 0)
        refuse(b, "no :status");
    else if (a->status == 101)
        refuse(b, "101 does not exist in HTTP/2");
    else if (a->status < 200 && ended)
        refuse(b, "an interim answer that ends the stream");
    if (b->why != NULL)
        return;
    if (!h1_response_judge(a))
        refuse(b, a->why);
    else if (ended && a->body == H1_BODY_LENGTH && a->length > 0)
        refuse(b, "Content-Length without a body");
}

bool h2_response_end(struct h2_response *b, bool ended)
{
    if (b->trailers)
        judge_trailers(b, ended);
    else
        judge_head(b, ended);
    return b->why == NULL;
}
