/* media.h - sets of media types, as gzip_types, sub_filter_types and charset_types name them.
 *
 *   struct x_conf { struct media_set *types; };
 *   { "x_types", …, CONF_CUSTOM, offsetof(struct x_conf, types), "text/html",
 *     .set = media_set_types, .size = sizeof(struct media_set *), … }
 *   if (media_in(c->types, r->response.content_type)) ...
 */
#ifndef HTTP_MEDIA_H
#define HTTP_MEDIA_H

#include "conf/load.h"

struct media_set;

/* Fills the struct media_set * at the row's offset: the types named, and text/html always; "*"
 * stands for every type. Complains about what is no media type. */
conf_set_fn media_set_types;

/* Is the type (parameters are not looked at, nor is case) in the set? An answer without a type
 * is in no set, not even in "*". */
bool media_in(const struct media_set *, struct slice content_type);

#endif
