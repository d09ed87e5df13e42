/* added.h - answers that are made of several: what addition puts around them, what SSI puts in. */
#ifndef FILTER_ADDED_H
#define FILTER_ADDED_H

#include "http/pipeline.h"

extern const struct feature feature_addition, feature_ssi;

filter_fn filter_addition, filter_ssi;
idle_fn addition_idle, ssi_idle;

#endif
