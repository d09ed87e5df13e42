/* relay_fault.c - from what went wrong to a status, and back. */
#include "upstream/relay.h"

unsigned relay_status_of(enum relay_fault fault)
{
    static const struct {
        enum relay_fault fault;
        unsigned status;
    } all[] = {
        { FAULT_TIMEOUT, 504 }, { FAULT_500, 500 }, { FAULT_503, 503 }, { FAULT_504, 504 },
        { FAULT_403, 403 },     { FAULT_404, 404 }, { FAULT_429, 429 }, { FAULT_DENIED, 403 },
    };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].fault == fault)
            return all[i].status;
    return 502;
}

unsigned relay_fault_of(unsigned status)
{
    static const struct {
        unsigned status;
        enum relay_fault fault;
    } all[] = {
        { 500, FAULT_500 }, { 502, FAULT_502 }, { 503, FAULT_503 }, { 504, FAULT_504 },
        { 403, FAULT_403 }, { 404, FAULT_404 }, { 429, FAULT_429 },
    };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].status == status)
            return all[i].fault;
    return 0;
}
