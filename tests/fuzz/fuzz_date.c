/* fuzz_date.c - any bytes as a date: what is accepted is a time that, written again, reads the
 * same; and any second between the years 0 and 9999 survives being written and read.
 */
#include "wire/date.h"

#include <stdlib.h>

#define YEAR_0_SEC INT64_C(-62167219200)
#define YEAR_9999_SEC INT64_C(253402300799)

static void try_second(int64_t sec)
{
    char text[DATE_HTTP_SIZE], other[DATE_LOG_SIZE + DATE_ISO_SIZE];
    int64_t again;
    date_http(sec, text);
    CHECK(date_parse(slice_of(text, sizeof text), 0, &again) && again == sec);
    date_log(sec, (int)(sec % 840), other);
    date_iso(sec, (int)(sec % 840), other + DATE_LOG_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int64_t now = 0, sec;
    memcpy(&now, bytes, size < sizeof now ? size : sizeof now);
    uint64_t span = (uint64_t)(YEAR_9999_SEC - YEAR_0_SEC) + 1;
    try_second((int64_t)((uint64_t)now % span) + YEAR_0_SEC);
    char *copy = malloc(size + (size == 0));
    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    if (date_parse(slice_of(copy, size), now, &sec))
        CHECK(sec >= YEAR_0_SEC - 86400 && sec <= YEAR_9999_SEC + 86400 * 366);
    free(copy);
    return 0;
}
