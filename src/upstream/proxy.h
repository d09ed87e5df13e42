/* proxy.h - proxy_pass: requests passed on to HTTP servers.
 *
 * proxy.c reads the directives, proxy_target.c finds out whom a request goes to, proxy_request.c
 * writes what is sent to them (proxy_greeting.c what stands before it), proxy_answer.c reads what
 * they say, proxy_rewrite.c changes their redirects and cookies.
 */
#ifndef UPSTREAM_PROXY_H
#define UPSTREAM_PROXY_H

#include "http/site.h"
#include "upstream/destination.h"
#include "upstream/passing.h"
#include "upstream/relay.h"
#include "wire/field.h"
#include "wire/h1_response.h"

struct regex;

/* Where proxy_pass leads. */
struct target {
    const struct conf_node *node;
    struct expr *url; /* when it has variables; else NULL, and what follows is known          */
    struct group *group;
    struct slice host; /* $proxy_host: with its port if that was written               */
    bool tls, has_uri;
    struct slice uri;    /* from its "/" on                                              */
    struct slice prefix; /* of the request's path, which uri replaces                    */
    const struct scope *http;
};

/* proxy_redirect, proxy_cookie_domain, proxy_cookie_path: one replacement. */
struct change {
    struct regex *regex; /* or … */
    struct expr *from;   /* … a prefix, or all of it                                     */
    struct expr *to;
    struct change *next;
};

struct cookie_flags {
    struct regex *regex; /* of names; or … */
    struct slice name;
    unsigned on, off; /* enum cookie_flag                                                */
    struct slice same_site;
    struct cookie_flags *next;
};

struct changes {
    bool off, standard; /* standard: proxy_redirect default                              */
    struct change *first, **end;
};

enum { HTTP_10, HTTP_11, HTTP_2 };

struct proxy_conf {
    struct relay_conf relay; /* first: see relay_conf.h                                  */
    struct target *target;   /* NULL: no proxy_pass here                                 */
    struct set_field *fields, **fields_end;
    bool sets_host, sets_connection;
    struct changes redirect, cookie_domain, cookie_path;
    struct cookie_flags *cookie_flags, **cookie_flags_end;
    int version;  /* enum above                                              */
    int greeting; /* the version of the PROXY header that servers get; 0: none */
    struct expr *method, *body;
    bool pass_trailers;
    struct h1_limits limits; /* of answers                                               */
};

extern const struct feature feature_proxy;

/* What one request needs of it. */
struct proxied {
    const struct proxy_conf *conf;
    const struct target *target;
    struct finding finding;
    struct slice host; /* $proxy_host                                       */
    bool tls, has_uri;
    struct slice uri; /* of a URL with variables: what is sent as it is    */
    bool upgrade;     /* the request asks for another protocol             */
    unsigned interims;
    struct h1_response answer;
    struct gather trailers; /* of the answer, as they came                      */
    struct header *passed;  /* … and those of them that the client gets         */
};

static inline const struct proxy_conf *proxy_conf(const struct request *r)
{
    return request_conf(r, &feature_proxy);
}

/* proxy_target.c: what is known without looking a name up: host, uri, and the group or the
 * address. False: what was made of variables is no URL, which is logged. */
bool proxy_plan(struct request *, struct proxied *) MUST_USE;
/* NEXT: the group is known; WAIT: a name is looked up; DONE: it failed. */
enum verdict proxy_find_target(struct request *, struct proxied *);
/* "http://host:port/uri" cut up; false: it is no such URL, *why says it. */
struct proxy_url {
    struct slice host, uri;
    bool tls, has_uri;
};
bool proxy_split_url(struct slice url, struct proxy_url *, const char **why) MUST_USE;
static inline uint16_t proxy_port(bool tls)
{
    return tls ? 443 : 80;
}

/* proxy_request.c: the path as the client sent it, or as it was changed; as proxy_pass says. The
 * method; false: it is none. */
void proxy_write_own_uri(const struct request *, struct gather *);
void proxy_write_uri(const struct request *, const struct proxied *, struct gather *);
bool proxy_method(struct request *, const struct proxied *, bool as_get,
                  struct slice *ret) MUST_USE;
/* proxy_request.c: the request line; false: it cannot be written. All of the head. */
bool proxy_write_line(struct request *, const struct proxied *, struct gather *) MUST_USE;
bool proxy_write_head(struct relay *, struct gather *);
/* What goes instead of the client's body, and whether HEAD is asked as GET. False: no memory. */
bool proxy_choose_body(struct relay *) MUST_USE;

/* proxy_greeting.c: y->greeting. False: no memory. */
bool proxy_write_greeting(struct relay *, const struct proxy_conf *) MUST_USE;

/* proxy_answer.c */
extern const struct relay_protocol proxy_http;

/* proxy_h2.c */
extern const struct relay_protocol proxy_http2;

/* proxy_rewrite.c: the value with the first change that fits; unchanged if none does, and *changed
 * says so. at == NULL: no memory. */
struct slice proxy_change_redirect(struct request *, const struct proxied *, struct slice value,
                                   bool *changed);
struct slice proxy_change_cookie(struct request *, const struct proxied *, struct slice value);
conf_set_fn proxy_set_redirect, proxy_set_cookie_domain, proxy_set_cookie_path,
    proxy_set_cookie_flags;

#endif
