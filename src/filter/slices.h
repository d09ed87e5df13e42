/* slices.h - one large answer, asked for in pieces of one size: slice and $slice_range. */
#ifndef FILTER_SLICES_H
#define FILTER_SLICES_H

#include "http/pipeline.h"

extern const struct feature feature_slice;

filter_fn filter_slice;
idle_fn slice_idle;

#endif
