/* dav.h - PUT, DELETE, MKCOL, COPY and MOVE (RFC 9110 §9.3, RFC 4918 §9). */
#ifndef HANDLER_DAV_H
#define HANDLER_DAV_H

#include "http/pipeline.h"

extern const struct feature feature_dav;
step_fn step_dav;
idle_fn dav_idle;

#endif
