/* map_path.h - from a URI to a path in the file system: root, alias, and what lies below. */
#ifndef HTTP_MAP_PATH_H
#define HTTP_MAP_PATH_H

#include "http/request.h"

/* What root or alias says for this request, variables evaluated, absolute, without a final
 * slash (but "/"). Cached in the request. size 0: it could not be evaluated, or a variable
 * brought a ".." in. */
struct slice map_root(struct request *);

/* The file that `uri` means: root[0..] and what is below it, without a slash at its beginning.
 * For an alias whose location name is not ended by '/', the rest of the uri must be empty or
 * begin with '/': otherwise false (the file does not exist). An alias of a regular expression is
 * the whole path; its root ends before its first variable. The path is written as one string
 * "root/below", NUL-terminated; *ret_below points into it. */
bool map_path(struct request *, struct slice uri, struct slice *ret_path, struct slice *ret_below);

/* The root of a path made by map_path(). */
struct slice map_root_part(struct slice path, struct slice below);

/* $request_filename. */
void map_filename(struct request *, struct gather *);

#endif
