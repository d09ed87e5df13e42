/* gunzip.h - compressed answers unpacked for clients that do not accept gzip. */
#ifndef FILTER_GUNZIP_H
#define FILTER_GUNZIP_H

#include "filter/transform.h"
#include "http/pipeline.h"

extern const struct feature feature_gunzip;
filter_fn filter_gunzip;
idle_fn gunzip_idle;

#endif
