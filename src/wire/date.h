/* date.h - dates of HTTP and of logs. Pure: the time is an argument (seconds since 1970). */
#ifndef WIRE_DATE_H
#define WIRE_DATE_H

#include "base/slice.h"

enum { DATE_HTTP_SIZE = 29, DATE_LOG_SIZE = 26, DATE_ISO_SIZE = 25 };

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7); writes DATE_HTTP_SIZE bytes, no NUL. */
void date_http(int64_t unix_sec, char into[DATE_HTTP_SIZE]);
/* "06/Nov/1994:08:49:37 +0000" in the zone `offset_min` minutes east of UTC. */
void date_log(int64_t unix_sec, int offset_min, char into[DATE_LOG_SIZE]);
/* "1994-11-06T08:49:37+00:00" */
void date_iso(int64_t unix_sec, int offset_min, char into[DATE_ISO_SIZE]);

/* All three forms of RFC 9110 §5.6.7; false if it is none. now_sec resolves two-digit years. */
bool date_parse(struct slice, int64_t now_sec, int64_t *ret_unix_sec) MUST_USE;

#endif
