/* file_policy.h - what the configuration says about opening files: disable_symlinks and
 * open_file_cache. */
#ifndef HANDLER_FILE_POLICY_H
#define HANDLER_FILE_POLICY_H

#include "handler/file_open.h"
#include "http/request.h"

/* open_file_cache max=… inactive=…, or off. */
struct file_trust {
    bool on;
    int64_t max, inactive_ms;
};

struct file_policy {
    int symlinks;      /* SYMLINKS_UNSAID, or what was said                             */
    struct expr *from; /* the part of a path whose links are not looked at, or NULL     */
    struct file_trust trust;
    int64_t valid_ms, min_uses;
    bool errors;
};
enum { SYMLINKS_UNSAID, SYMLINKS_OFF, SYMLINKS_ON, SYMLINKS_IF_NOT_OWNER };

extern const struct feature feature_file_cache;

/* path and below as map_path() gives them; both are borrowed. False: memory ran out. */
bool file_place_of(struct request *, const struct file_policy *, struct slice path,
                   struct slice below, struct file_place *ret) MUST_USE;

#endif
