/* encoding.h - may this client be given a compressed answer? The rules that answers compressed
 * on the fly and files compressed beforehand have in common. */
#ifndef HTTP_ENCODING_H
#define HTTP_ENCODING_H

#include "http/request.h"
#include "wire/coding.h"

extern const struct feature feature_encoding;

/* The best for the client of the codings in `offered` (bits 1 << coding); CODING_IDENTITY: none,
 * by Accept-Encoding, gzip_http_version, gzip_proxied or gzip_disable. */
enum coding encoding_choose(struct request *, unsigned offered);

/* Is gzip_vary on? */
bool encoding_varies(struct request *);

/* The answer depends on Accept-Encoding: says so once, where gzip_vary is on. False: no memory. */
bool encoding_vary(struct request *) MUST_USE;

/* The answer of r is in that coding from now on: adds Content-Encoding. False: no memory. */
bool encoding_set(struct request *, enum coding) MUST_USE;

/* The strong entity tag of r, if it has one, becomes a weak one (RFC 9110 §8.8.1): the bytes are
 * not those it was made for. False: no memory. */
bool encoding_weaken_etag(struct request *) MUST_USE;

#endif
