/* clock.h - the two clocks. Deadlines use the monotonic one; dates and ages the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

enum { NS_PER_MS = 1000000, NS_PER_SEC = 1000000000 };

uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_wall_ns(void);  /* CLOCK_REALTIME, since 1970 */

#endif
