/* features.c - THE list: what this server can do, and in which order a request meets it. */
#include "server/features.h"

#include "filter/added.h"
#include "filter/coding.h"
#include "filter/gunzip.h"
#include "filter/recode.h"
#include "filter/replace.h"
#include "filter/slices.h"
#include "handler/auth.h"
#include "handler/auth_desk.h"
#include "handler/client_body.h"
#include "handler/dav.h"
#include "handler/file_cache.h"
#include "handler/limit.h"
#include "handler/small.h"
#include "handler/static.h"
#include "http/access.h"
#include "http/access_log.h"
#include "http/auth_request.h"
#include "http/early_hints.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/http2_conf.h"
#include "http/log_target.h"
#include "http/rewrite.h"
#include "http/site.h"
#include "http/types.h"
#include "http/vars.h"
#include "net/tls_home.h"
#include "proto/ssl.h"
#include "server/main_conf.h"
#include "upstream/api.h"
#include "upstream/cache.h"
#include "upstream/cache_keeper.h"
#include "upstream/channel.h"
#include "upstream/client_status.h"
#include "upstream/discover.h"
#include "upstream/staple.h"
#include "upstream/gateways.h"
#include "upstream/grpc.h"
#include "upstream/health.h"
#include "upstream/proxy.h"
#include "upstream/relay_answer.h"
#include "upstream/resolver.h"

#include <errno.h>
#include <stdlib.h>

/* clang-format off */
const struct feature *const features[] = {
    &feature_main,
    &feature_logs,
    &feature_http_core,
    &feature_ssl,
    &feature_ssl_vars,
    &feature_http2,
    &feature_vars,
    &feature_types,
    &feature_headers,
    &feature_access,
    &feature_auth_basic,
    &feature_map,
    &feature_num_map,
    &feature_geo,
    &feature_geoip2,
    &feature_split_clients,
    &feature_referer,
    &feature_userid,
    &feature_browser,
    &feature_realip,
    &feature_resolver,
    &feature_early_hints,
    &feature_limit_req,
    &feature_limit_conn,
    &feature_rewrite,
    &feature_error_page,
    &feature_access_log,
    &feature_static,
    &feature_file_cache,
    &feature_index,
    &feature_autoindex,
    &feature_try_files,
    &feature_encoding,
    &feature_gzip,
    &feature_packed,
    &feature_brotli,
    &feature_gunzip,
    &feature_sub_filter,
    &feature_charset,
    &feature_empty_gif,
    &feature_respond,
    &feature_stub_status,
    &feature_error_log_status,
    &feature_random_index,
    &feature_flv,
    &feature_zstd,
    &feature_client_body,
    &feature_dav,
    &feature_auth_request,
    &feature_mirror,
    &feature_secure_link,
    &feature_addition,
    &feature_ssi,
    &feature_slice,
    &feature_upstream,
    &feature_relay,
    &feature_cache,
    &feature_proxy,
    &feature_fastcgi,
    &feature_uwsgi,
    &feature_grpc,
    &feature_scgi,
    &feature_memcached,
    &feature_health,
    &feature_status_zone,
    &feature_api,
    NULL,
};
/* clang-format on */

/* A handler that a directive (stub_status, proxy_pass …) gave to the location or, outside of all,
 * the server. */
static enum verdict step_location_content(struct request *r)
{
    const struct location *l = r->location != NULL ? r->location : r->server->root;

    return l->content != NULL ? l->content(r) : NEXT;
}

/* Who meets it: sub-requests, too, or only what a client asked for. */
enum { EVERY, MAIN_ONLY };

static const struct step steps[] = {
    { "ssl-client", step_ssl_client, ssl_client_idle, MAIN_ONLY },
    { "ssl-ocsp", step_client_status, client_status_idle, MAIN_ONLY },
    { "status-zone", step_status_zone, status_zone_idle, MAIN_ONLY },
    { "realip", step_realip, realip_idle, MAIN_ONLY },
    { "server-rewrite", step_server_rewrite, NULL, EVERY },
    { "find-location", step_find_location, NULL, EVERY },
    { "rewrite", step_rewrite, NULL, EVERY },
    { "realip", step_realip, realip_idle, MAIN_ONLY }, /* a location may have its own */
    { "limit-req", step_limit_req, limit_req_idle, MAIN_ONLY },
    { "limit-conn", step_limit_conn, limit_conn_idle, MAIN_ONLY },
    /* the access steps, in nginx's order: http/access.h */
    { "access", step_access, access_idle, MAIN_ONLY },
    { "auth-basic", step_auth_basic, auth_basic_idle, MAIN_ONLY },
    { "auth-request", step_auth_request, auth_request_idle, MAIN_ONLY },
    { "auth-delay", step_auth_delay, auth_delay_idle, MAIN_ONLY },
    { "access-verdict", step_access_verdict, NULL, MAIN_ONLY },
    { "mirror", step_mirror, mirror_idle, MAIN_ONLY },
    { "try-files", step_try_files, try_files_idle, EVERY },
    { "content", step_location_content, NULL, EVERY },
    { "dav", step_dav, dav_idle, EVERY },
    { "random-index", step_random_index, random_index_idle, EVERY },
    { "index", step_index, NULL, EVERY },
    { "autoindex", step_autoindex, autoindex_idle, EVERY },
    { "packed", step_packed, packed_idle, EVERY },
    { "static", step_static, NULL, EVERY },
};

/* error-status is the first: it gives an error page the status it stands for. */
static const struct filter filters[] = {
    { "error-status", filter_error_status, NULL, EVERY },
    { "slice", filter_slice, slice_idle, EVERY },
    { "carried", filter_carried, NULL, EVERY },
    { "challenge", filter_challenge, NULL, MAIN_ONLY },
    { "conditional", filter_conditional, NULL, MAIN_ONLY },
    { "headers", filter_headers, NULL, MAIN_ONLY },
    { "userid", filter_userid, userid_idle, MAIN_ONLY },
    { "gunzip", filter_gunzip, gunzip_idle, EVERY },
    { "sub", filter_sub, sub_idle, EVERY },
    { "charset", filter_charset, charset_idle, EVERY },
    { "ssi", filter_ssi, ssi_idle, EVERY },
    { "addition", filter_addition, addition_idle, MAIN_ONLY },
    { "coding", filter_coding, coding_idle, MAIN_ONLY },
    { "range", filter_range, NULL, MAIN_ONLY },
    { "redirect", filter_redirect, NULL, MAIN_ONLY },
};

enum { SERVER_REWRITE_STEP = 4, FIND_LOCATION_STEP = 5, CONTENT_STEP = 17 };

const struct pipeline pipeline = {
    .steps = steps,
    .step_count = COUNT_OF(steps),
    .reroute_step = SERVER_REWRITE_STEP,
    .relocate_step = FIND_LOCATION_STEP,
    .content_step = CONTENT_STEP,
    .filters = filters,
    .filter_count = COUNT_OF(filters),
    .look = file_look,
    .log = access_log_request,
};

int features_loop_open(struct loop *loop)
{
    CHECK(steps[SERVER_REWRITE_STEP].run == step_server_rewrite);
    CHECK(steps[FIND_LOCATION_STEP].run == step_find_location);
    CHECK(steps[CONTENT_STEP].run == step_location_content);
    loop->files = calloc(1, sizeof *loop->files);
    if (loop->files == NULL)
        return -ENOMEM;
    file_cache_init(loop->files);
    loop->coders = calloc(1, sizeof *loop->coders);
    if (loop->coders == NULL)
        return -ENOMEM;
    loop->channels = channels_create();
    if (loop->channels == NULL)
        return -ENOMEM;
    loop->resolver = resolver_create(loop->io);
    if (loop->resolver == NULL)
        return -ENOMEM;
    loop->auth = calloc(1, sizeof *loop->auth);
    return loop->auth != NULL ? auth_desk_init(loop->auth) : -ENOMEM;
}

/* The first loop checks and asks for all. */
void features_loop_use(struct loop *loop, struct site *from, struct site *to)
{
    if (loop->index != 0)
        return;
    health_follow(loop, from, to);
    discover_follow(loop, from, to);
    cache_keepers_follow(loop, from, to);
    ssl_ends_follow(loop, from, to);
    staple_follow(loop, from, to);
}

bool features_loop_leave(struct loop *loop)
{
    features_loop_use(loop, loop->site, NULL);
    channels_leave(loop->channels);
    if (loop->conn_count == 0)
        resolver_leave(loop->resolver);
    return channels_gone(loop->channels) && resolver_gone(loop->resolver) &&
           cache_keepers_gone(loop) && staple_gone(loop);
}

void features_loop_close(struct loop *loop)
{
    staple_done(loop);
    if (loop->channels != NULL)
        channels_destroy(loop->channels);
    loop->channels = NULL;
    if (loop->tls != NULL) /* behind all that is of its library */
        tls_home_drop(loop->tls);
    loop->tls = NULL;
    if (loop->resolver != NULL)
        resolver_destroy(loop->resolver);
    loop->resolver = NULL;
    if (loop->coders != NULL)
        coders_done(loop->coders);
    free(loop->coders);
    loop->coders = NULL;
    if (loop->auth != NULL)
        auth_desk_done(loop->auth);
    free(loop->auth);
    loop->auth = NULL;
    if (loop->files == NULL)
        return;
    file_cache_done(loop->files);
    free(loop->files);
    loop->files = NULL;
}
