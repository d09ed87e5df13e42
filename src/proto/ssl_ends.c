/* ssl_ends.c - ssl_certificate_warn: certificates that end soon are told of before they do. */
#include "base/clock.h"
#include "http/log_target.h"
#include "net/cert_facts.h"
#include "proto/ssl.h"

#include <stdio.h>
#include <time.h>

enum { DAY_S = 86400, TEXT_SIZE = 64 };

bool ssl_set_warn(struct conf_load *load, const struct conf_node *node, void *conf,
                  const struct directive *row)
{
    struct ssl_warn *w = &((struct ssl_conf *)conf)->warn;
    struct slice every = conf_option(node, 1, "every", NULL);

    (void)row;
    *w = (struct ssl_warn){ .before_s = -1, .every_s = DAY_S };
    if (node->arg_count == 1 && slice_eq(conf_arg(node, 0), SLICE("off")))
        return true;
    if (conf_parse_sec(conf_arg(node, 0), &w->before_s) &&
        (node->arg_count == 1 ||
         (every.at != NULL && conf_parse_sec(every, &w->every_s) && w->every_s > 0)))
        return true;
    conf_complain(load, CONF_EMERG, node, (int)node->arg_count - 1,
                  "\"%.*s\" does not say when to warn",
                  SLICE_FMT(conf_arg(node, node->arg_count - 1)));
    conf_hint(load, "expected: off, or a time such as 14d, and every=1d behind it");
    return false;
}

/* "expires on 2030-01-31, in 3 days"; false: that is far away. */
static bool says(const struct ssl_file *f, const struct ssl_warn *w, char text[TEXT_SIZE])
{
    int64_t now = (int64_t)time(NULL), left = cert_days_left(f->ends_s, now);
    char day[11];

    if (f->ends_s == 0 || f->ends_s == INT64_MAX || w->before_s < 0 ||
        f->ends_s - now > w->before_s)
        return false;
    cert_day(f->ends_s, day);
    if (f->ends_s < now)
        snprintf(text, TEXT_SIZE, "expired on %s", day);
    else
        snprintf(text, TEXT_SIZE, "expires on %s, in %lld day%s", day, (long long)left,
                 left == 1 ? "" : "s");
    return true;
}

void ssl_ends_complain(struct conf_load *load, const struct ssl_conf *conf)
{
    char text[TEXT_SIZE];

    for (const struct ssl_file *f = conf->certificates; f != NULL; f = f->next)
        if (says(f, &conf->warn, text))
            conf_complain(load, CONF_WARN, f->node, 0, "the certificate %s", text);
}

/* ---- while it runs ------------------------------------------------------------------------- */

static io_fire_fn on_due;

static const struct ssl_conf *conf_of_site(const struct site *site)
{
    return site != NULL && site->http != NULL ? scope_conf(site->http, &feature_ssl) : NULL;
}

static void look(const struct server *s)
{
    const struct ssl_conf *conf = ssl_conf_of(s);
    char text[TEXT_SIZE];

    if (conf->domain == NULL)
        return;
    for (const struct ssl_file *f = conf->certificates; f != NULL; f = f->next)
        if (says(f, &conf->warn, text))
            log_write(log_of_scope(s->scope), LOG_WARN, 0, "certificate \"%.*s\" %s",
                      SLICE_FMT(slice_starts(f->path, SLICE("data:")) ? SLICE("data:") : f->path),
                      text);
}

static void set_timer(struct ssl_ends *e)
{
    const struct ssl_conf *conf = conf_of_site(e->site);

    io_timer_set(e->loop->io, &e->timer, (uint64_t)conf->warn.every_s * NS_PER_SEC, on_due);
}

static void on_due(struct io *io, struct io_timer *timer)
{
    struct ssl_ends *e = container_of(timer, struct ssl_ends, timer);

    (void)io;
    for (const struct server *s = e->site->servers; s != NULL; s = s->next)
        look(s);
    set_timer(e);
}

void ssl_ends_follow(struct loop *loop, struct site *from, struct site *to)
{
    const struct ssl_conf *before = conf_of_site(from), *now = conf_of_site(to);

    if (before != NULL && before->ends->loop != NULL) {
        io_timer_stop(loop->io, &before->ends->timer);
        before->ends->loop = NULL;
    }
    if (now == NULL)
        return;
    *now->ends = (struct ssl_ends){ .loop = loop, .site = to };
    set_timer(now->ends);
}
