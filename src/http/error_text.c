/* error_text.c - the page that is sent when nobody wrote a better one: what happened, in one
 * sentence, and who says so. Statuses without a reason phrase are sent without a page. */
#include "http/error_page.h"

#include "http/site.h"
#include "wire/h1_write.h"
#include "wire/uri.h"

enum { PAGE_MAX = 1024 };

static const struct {
    uint16_t status;
    const char *text;
} sentences[] = {
    { 301, "This has moved for good." },
    { 302, "This is somewhere else at the moment." },
    { 303, "The answer is at another address." },
    { 307, "This is somewhere else at the moment." },
    { 308, "This has moved for good." },
    { 400, "The server could not understand this request." },
    { 401, "This needs a name and a password." },
    { 403, "You may not see this." },
    { 404, "There is nothing at this address." },
    { 405, "This cannot be done here." },
    { 408, "The request took too long to arrive." },
    { 410, "This was here once and is gone." },
    { 413, "The request is larger than the server accepts." },
    { 414, "The address is longer than the server accepts." },
    { 415, "The server does not accept content of this type." },
    { 416, "The part that was asked for does not exist." },
    { 429, "Too many requests. Please try again later." },
    { 431, "The header of the request is larger than the server accepts." },
    { 494, "A field of the request's header is longer than the server accepts." },
    { 495, "The certificate that came with this connection is not accepted." },
    { 496, "This needs a certificate, and none came with this connection." },
    { 497, "This was sent in the clear to a port for HTTPS." },
    { 500, "Something went wrong on the server." },
    { 501, "The server does not know how to do this." },
    { 502, "The server behind this one gave no proper answer." },
    { 503, "The server cannot answer right now. Please try again later." },
    { 504, "The server behind this one took too long to answer." },
    { 505, "The server does not speak this version of HTTP." },
    { 507, "There is no room left to store this." },
};

static const char *sentence(unsigned status)
{
    for (size_t i = 0; i < COUNT_OF(sentences); i++)
        if (sentences[i].status == status)
            return sentences[i].text;
    return NULL;
}

/* nginx's own, for error_page alone: clients are shown 400. */
static unsigned shown(unsigned status)
{
    return status >= 494 && status <= 497 ? 400 : status;
}

static void write_page(struct gather *g, unsigned status, int tokens)
{
    struct slice phrase = status_phrase(shown(status));
    const char *text = sentence(status);

    status = shown(status);

    gather_lit(g, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>");
    gather_u64(g, status);
    gather_byte(g, ' ');
    html_escape(g, phrase);
    gather_lit(g, "</title></head>\n<body>\n<h1>");
    gather_u64(g, status);
    gather_byte(g, ' ');
    html_escape(g, phrase);
    gather_lit(g, "</h1>\n");
    if (text != NULL) {
        gather_lit(g, "<p>");
        gather_str(g, text);
        gather_lit(g, "</p>\n");
    }
    gather_lit(g, "<hr><p>weir");
    if (tokens != TOKENS_OFF)
        gather_lit(g, "/" WEIR_VERSION);
    gather_lit(g, "</p>\n</body>\n</html>\n");
}

void error_text_fill(struct request *r)
{
    struct response *a = &r->response;
    struct gather g;

    a->accept_ranges = false;
    a->last_modified = -1;
    a->etag = (struct slice){ 0 };
    a->length = 0;
    const unsigned status = a->status;

    a->status = (uint16_t)shown(status);
    if (a->status == 304 || status_phrase(a->status).size == 0)
        return;
    gather_init(&g, NULL, 0, &r->arena, PAGE_MAX);
    write_page(&g, status, core_conf(r)->server_tokens);
    a->body = g.full ? NULL : body_memory(r, gather_get(&g));
    if (a->body == NULL)
        return;
    a->content_type = SLICE("text/html");
    a->length = (int64_t)g.used;
}
