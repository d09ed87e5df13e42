/* reasons.c - the table of close reasons, made from the list in reasons.h. */
#include "http/reasons.h"

const struct reason close_reasons[CLOSE_REASON_COUNT] = {
#define X(name, fault, text) [CLOSE_##name] = { #name, text, fault },
    CLOSE_REASONS(X)
#undef X
};
