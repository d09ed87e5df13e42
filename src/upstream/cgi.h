/* cgi.h - what FastCGI, SCGI and uwsgi have of CGI (RFC 3875): parameters in, an answer's head that
 * begins with fields out.
 */
#ifndef UPSTREAM_CGI_H
#define UPSTREAM_CGI_H

#include "http/site.h"
#include "upstream/destination.h"
#include "upstream/relay.h"
#include "wire/h1_response.h"

struct cgi_param {
    struct slice name;
    struct expr *value;
    bool if_not_empty;
    struct cgi_param *next;
};

/* Begins the struct of such a feature. */
struct cgi_conf {
    struct relay_conf relay; /* first: see relay_conf.h                                  */
    struct cgi_target *target;
    struct cgi_param *params, **end;
    struct h1_limits limits; /* of answers */
};

struct cgi_target {
    const struct conf_node *node;
    const struct scope *http;
    bool tls;
    struct expr *text;    /* when it has variables                                        */
    struct slice address; /* else this                                                    */
    struct group *group;
};

/* What one request needs. */
struct cgi_exchange {
    const struct cgi_conf *conf;
    struct finding finding;
    struct h1_response answer;
    char last;       /* the byte before: fields may end in a line feed alone              */
    bool head_begun; /* its first bytes told whether it has a status line                 */
    char first[8];
    uint8_t first_used;
};

/* ---- directives ---------------------------------------------------------------------------- */

conf_set_fn cgi_set_param;

/* For set functions of …_pass: the node's first argument without its first `skip` bytes. False
 * after a complaint. */
bool cgi_set_target(struct conf_load *, const struct conf_node *, struct cgi_conf *, size_t skip,
                    content_fn *answer) MUST_USE;

/* For merge(): port 0 is none, it must be said. prefix: "fastcgi_" … */
bool cgi_merge(struct conf_load *, struct scope *, const char *prefix,
               const struct cgi_conf *parent, struct cgi_conf *);

/* ---- a request ----------------------------------------------------------------------------- */

/* A location's content: reads the body if it is to be read first, finds the peer, asks it. `size`
 * is that of what the protocol keeps of a request, which begins with a struct cgi_exchange. */
enum verdict cgi_content(struct request *, const struct feature *, const struct relay_protocol *,
                         size_t size);

/* Gives every parameter: those of …_param, then HTTP_… for the request's fields. False: no
 * memory. */
bool cgi_each_param(struct relay *, void (*put)(void *arg, struct slice name, struct slice value),
                    void *arg) MUST_USE;

/* Another answer begins. */
void cgi_begin(struct relay *);

/* Reads the head from content bytes: fields, or an HTTP status line and fields. As read_head(). */
enum h1_verdict cgi_read_head(struct relay *, const char *at, size_t size, size_t *taken);

/* relay_protocol.answer */
enum verdict cgi_answer(struct relay *);

/* For protocols whose answers are a head and bytes up to the end of the connection. */
bool cgi_begin_plain(struct relay *);
enum h1_verdict cgi_read_body(struct relay *, const char *at, size_t size, size_t *taken,
                              struct slice *piece);
enum h1_verdict cgi_read_end(struct relay *);
bool cgi_never_keep(const struct relay *);

#endif
