/* cache_conf.h - the directives about answers that are kept: proxy_cache, proxy_store and their
 * kin, the same for FastCGI, uwsgi and SCGI.
 *
 * They are part of what relays have in common (relay_conf.h): a feature takes them by
 *
 *      CACHE_ROWS("proxy_", "$scheme$proxy_host$request_uri"),       or NULL: no key by default
 */
#ifndef UPSTREAM_CACHE_CONF_H
#define UPSTREAM_CACHE_CONF_H

#include "conf/expr.h"
#include "conf/zone.h"
#include "http/request.h"

/* …_cache_path: one cache, of one generation. */
struct cache_place {
    struct conf_zone *zone;
    const char *path; /* absolute, without a slash at its end                        */
    uint8_t levels[3];
    int64_t inactive_ms, max_size, min_free; /* max_size, min_free 0: no bound            */
    /* How much is done in one go, and how long the pauses are: of who removes files, who reads what
     * is there at the start, who purges. */
    struct cache_pace {
        int64_t files, sleep_ms, threshold_ms;
    } manager, loader, purger;
    struct cache_place *next;
};

/* …_cache_valid */
struct cache_valid {
    unsigned status; /* 0: any */
    int64_t sec;
    struct cache_valid *next;
};

/* Strings of which one that is neither empty nor "0" is enough. */
struct cache_tests {
    struct expr *text;
    struct cache_tests *next;
};

enum { STALE_UPDATING = 1 << 28, STALE_OFF = 1 << 29 }; /* besides enum relay_fault */

struct cache_conf {
    struct expr *zone_name;     /* of …_cache, if it has variables                            */
    struct conf_zone *zone;     /* else; NULL: off                                            */
    struct cache_place *places; /* of http{}: all there are                              */
    struct expr *key;
    struct cache_tests *bypass, *no_cache, *purge;
    struct cache_valid *valid;
    unsigned use_stale; /* enum relay_fault, STALE_…                                    */
    unsigned methods;   /* 1 << enum http_method                                        */
    int64_t lock_age_ms, lock_timeout_ms, min_uses;
    int64_t range_offset; /* -1: any                                                      */
    bool lock, background_update, revalidate, convert_head;

    struct expr *store; /* NULL: off                                                    */
    bool store_here;    /* … on: where the request's path leads                         */
    unsigned store_mode, store_directory_mode;
};

conf_set_fn cache_set_cache, cache_set_path, cache_set_key, cache_set_bypass, cache_set_no_cache,
    cache_set_purge, cache_set_valid, cache_set_stale, cache_set_methods, cache_set_store,
    cache_set_store_access;

/* For merge(): the settings must go together. False after a complaint. */
bool cache_merge(struct conf_load *, const struct scope *, const char *prefix,
                 const struct cache_conf *) MUST_USE;

/* The cache of that request's scope; NULL: none, or the name that was made does not exist, which
 * is logged. */
const struct cache_place *cache_place_of(struct request *, const struct cache_conf *);

/* One of the strings is neither empty nor "0". */
bool cache_any(struct request *, const struct cache_tests *);

/* How long an answer of that status is kept, by …_cache_valid: seconds, -1: not said.
 * *ret_exact: it is named there. */
int64_t cache_valid_of(const struct cache_conf *, unsigned status, bool *ret_exact);

/* clang-format off */
#define CACHE_OWN(name, least, most, setter, member, value, form, words) \
    RELAY_OWN(name, least, most, setter, cache.member, value, form, words)
#define CACHE_LIST(name, setter, member, form, words) \
    { name, RELAY_WHERE, 1, ARGS_MANY, CONF_CUSTOM, RELAY_AT(cache.member), NULL, \
      .set = setter, .size = sizeof(void *), .repeats = true, .syntax = form, .help = words }

#define CACHE_ROWS(P, key_by_default) \
    { P "cache_path", CTX_HTTP, 2, ARGS_MANY, CONF_CUSTOM, RELAY_AT(cache.places), \
      .set = cache_set_path, .size = sizeof(struct cache_place *), .repeats = true, \
      .syntax = "path [levels=levels] [use_temp_path=on|off] keys_zone=name:size " \
                "[inactive=time] [max_size=size] [min_free=size] [manager_files=number] " \
                "[manager_sleep=time] [manager_threshold=time] [loader_files=number] " \
                "[loader_sleep=time] [loader_threshold=time] [purger=on|off] " \
                "[purger_files=number] [purger_sleep=time] [purger_threshold=time]", \
      .help = "A directory in which answers are kept, each in a file whose name is the MD5 of " \
              "its key, and the memory in which weir knows of them: about 10,000 keys a " \
              "megabyte. What nobody asked for in the time of inactive is removed, and what was " \
              "not asked for the longest where max_size is passed or less than min_free is left.", \
      .example = P "cache_path /var/cache/weir levels=1:2 keys_zone=one:10m inactive=1h " \
                 "max_size=1g;" }, \
    { P "cache", RELAY_WHERE, 1, 1, CONF_CUSTOM, RELAY_AT(cache.zone_name), "off", \
      .set = cache_set_cache, \
      .size = offsetof(struct cache_conf, places) - offsetof(struct cache_conf, zone_name), \
      .syntax = "zone | off", \
      .help = "Keeps answers in the cache of this zone, and gives them again without a server. " \
              "Variables may stand in the name.", \
      .example = P "cache one; " P "cache_valid 200 10m;" }, \
    CACHE_OWN(P "cache_key", 1, 1, cache_set_key, key, key_by_default, "string", \
              "What tells one answer from another."), \
    CACHE_LIST(P "cache_bypass", cache_set_bypass, bypass, "string …", \
               "A server is asked, and the cache is not, if one of the strings is neither empty " \
               "nor \"0\". Its answer is kept."), \
    CACHE_LIST(P "no_cache", cache_set_no_cache, no_cache, "string …", \
               "An answer is not kept if one of the strings is neither empty nor \"0\"."), \
    CACHE_LIST(P "cache_purge", cache_set_purge, purge, "string …", \
               "A request is one to remove what is kept under its key if one of the strings is " \
               "neither empty nor \"0\": 204 if there was something, 404 if not. A key that ends " \
               "in \"*\" stands for all that begin so."), \
    CACHE_LIST(P "cache_valid", cache_set_valid, valid, "[code …] time", \
               "How long answers with these codes (200, 301, 302 if none is named; any: all) " \
               "stay fresh, if they do not say it themselves: X-Accel-Expires counts before " \
               "Cache-Control, that before Expires, that before this."), \
    CACHE_OWN(P "cache_use_stale", 1, ARGS_MANY, cache_set_stale, use_stale, "off", \
              "error | timeout | invalid_header | updating | http_500 | http_502 | http_503 | " \
              "http_504 | http_403 | http_404 | http_429 | off …", \
              "When an answer that is not fresh any more is given all the same: the server " \
              "failed so, or somebody is asking it already."), \
    CACHE_OWN(P "cache_methods", 1, ARGS_MANY, cache_set_methods, methods, "GET HEAD", \
              "GET | HEAD | POST …", \
              "The methods whose answers are kept; GET and HEAD always are."), \
    RELAY_TIME(P "cache_lock_age", cache.lock_age_ms, "5s", \
               "When the request that asks for an answer that is missing has taken that long, " \
               "one more asks."), \
    RELAY_TIME(P "cache_lock_timeout", cache.lock_timeout_ms, "5s", \
               "How long a request waits for another one's answer; then it asks itself, and what " \
               "it gets is not kept."), \
    { P "cache_min_uses", RELAY_WHERE, 1, 1, CONF_NUMBER, RELAY_AT(cache.min_uses), "1", \
      .min = 1, .max = INT32_MAX, .syntax = "number", \
      .help = "Answers are kept from that many requests for them on." }, \
    { P "cache_max_range_offset", RELAY_WHERE, 1, 1, CONF_SIZE, RELAY_AT(cache.range_offset), \
      "1048576m", .min = 0, .max = INT64_C(1) << 40, .syntax = "number", \
      .help = "A range that begins behind this is asked of a server as it is, and not kept; else " \
              "the whole is asked for." }, \
    RELAY_FLAG(P "cache_lock", cache.lock, "off", \
               "Of several requests for an answer that is missing, one asks, and the others wait " \
               "for it."), \
    RELAY_FLAG(P "cache_background_update", cache.background_update, "off", \
               "A request of weir's own fetches what is stale, while the client gets it as it " \
               "is. Needs " P "cache_use_stale updating, or stale-while-revalidate."), \
    RELAY_FLAG(P "cache_revalidate", cache.revalidate, "off", \
               "Asks for what is stale with If-Modified-Since and If-None-Match."), \
    { P "store", RELAY_WHERE, 1, 1, CONF_CUSTOM, RELAY_AT(cache.store), "off", \
      .set = cache_set_store, \
      .size = offsetof(struct cache_conf, store_mode) - offsetof(struct cache_conf, store), \
      .syntax = "on | off | string", \
      .help = "Saves answers 200 as files: where root or alias leads, or under this name. A file " \
              "appears when it is whole.", \
      .example = P "store /var/www$uri;" }, \
    { P "store_access", RELAY_WHERE, 1, 3, CONF_CUSTOM, RELAY_AT(cache.store_mode), "user:rw", \
      .set = cache_set_store_access, .size = 2 * sizeof(unsigned), \
      .syntax = "users:permissions …", \
      .help = "Who may do what with files and directories that are saved.", \
      .example = P "store_access user:rw group:rw all:r;" }
/* clang-format on */

#endif
