/* features.c - THE list: what this server can do, and in which order a request meets it. */
#include "server/features.h"

#include "filter/coding.h"
#include "filter/gunzip.h"
#include "filter/recode.h"
#include "filter/replace.h"
#include "handler/client_body.h"
#include "handler/dav.h"
#include "handler/file_cache.h"
#include "handler/limit.h"
#include "handler/small.h"
#include "handler/static.h"
#include "http/access.h"
#include "http/access_log.h"
#include "http/encoding.h"
#include "http/error_page.h"
#include "http/log_target.h"
#include "http/rewrite.h"
#include "http/site.h"
#include "http/types.h"
#include "http/vars.h"
#include "server/main_conf.h"

#include <errno.h>
#include <stdlib.h>

/* clang-format off */
const struct feature *const features[] = {
    &feature_main,
    &feature_logs,
    &feature_http_core,
    &feature_vars,
    &feature_types,
    &feature_headers,
    &feature_access,
    &feature_map,
    &feature_realip,
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
    &feature_stub_status,
    &feature_random_index,
    &feature_zstd,
    &feature_client_body,
    &feature_dav,
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

static const struct step steps[] = {
    { "realip", step_realip, realip_idle },
    { "server-rewrite", step_server_rewrite, NULL },
    { "find-location", step_find_location, NULL },
    { "rewrite", step_rewrite, NULL },
    { "realip", step_realip, realip_idle }, /* a location may have its own */
    { "limit-req", step_limit_req, limit_req_idle },
    { "limit-conn", step_limit_conn, limit_conn_idle },
    { "access", step_access, NULL },
    { "try-files", step_try_files, try_files_idle },
    { "content", step_location_content, NULL },
    { "dav", step_dav, dav_idle },
    { "random-index", step_random_index, random_index_idle },
    { "index", step_index, NULL },
    { "autoindex", step_autoindex, autoindex_idle },
    { "packed", step_packed, packed_idle },
    { "static", step_static, NULL },
};

/* error-status is the first: it gives an error page the status it stands for. */
static const struct filter filters[] = {
    { "error-status", filter_error_status, NULL },
    { "conditional", filter_conditional, NULL },
    { "headers", filter_headers, NULL },
    { "gunzip", filter_gunzip, gunzip_idle },
    { "sub", filter_sub, sub_idle },
    { "charset", filter_charset, charset_idle },
    { "coding", filter_coding, coding_idle },
    { "range", filter_range, NULL },
    { "redirect", filter_redirect, NULL },
};

enum { SERVER_REWRITE_STEP = 1, FIND_LOCATION_STEP = 2 };

const struct pipeline pipeline = {
    .steps = steps,
    .step_count = COUNT_OF(steps),
    .reroute_step = SERVER_REWRITE_STEP,
    .relocate_step = FIND_LOCATION_STEP,
    .filters = filters,
    .filter_count = COUNT_OF(filters),
    .look = file_look,
    .log = access_log_request,
};

int features_loop_open(struct loop *loop)
{
    CHECK(steps[SERVER_REWRITE_STEP].run == step_server_rewrite);
    CHECK(steps[FIND_LOCATION_STEP].run == step_find_location);
    loop->files = calloc(1, sizeof *loop->files);
    if (loop->files == NULL)
        return -ENOMEM;
    file_cache_init(loop->files);
    loop->coders = calloc(1, sizeof *loop->coders);
    return loop->coders != NULL ? 0 : -ENOMEM;
}

void features_loop_close(struct loop *loop)
{
    if (loop->coders != NULL)
        coders_done(loop->coders);
    free(loop->coders);
    loop->coders = NULL;
    if (loop->files == NULL)
        return;
    file_cache_done(loop->files);
    free(loop->files);
    loop->files = NULL;
}
