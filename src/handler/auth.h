/* auth.h - access steps that ask for a password, and the delay of their refusals. */
#ifndef HANDLER_AUTH_H
#define HANDLER_AUTH_H

#include "http/pipeline.h"

extern const struct feature feature_auth_basic;

/* RFC 7617. Refuses with 401 and a challenge, or 403 where there is no password file. */
step_fn step_auth_basic;
idle_fn auth_basic_idle;

/* Holds back what the steps before it refuse with 401, for as long as auth_delay says. */
step_fn step_auth_delay;
idle_fn auth_delay_idle;

#endif
