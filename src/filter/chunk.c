/* chunk.c - ranges of files as bytes. */
#include "filter/chunk.h"

#include "http/encoding.h"

#include <errno.h>
#include <unistd.h>

bool chunk_read(struct request *r, const struct chunk *k, char *room)
{
    size_t have = 0;

    while (have < k->size) {
        ssize_t n = pread(k->file, room + have, k->size - have, (off_t)(k->offset + have));

        if (n <= 0) {
            request_log(r, n < 0 ? LOG_CRIT : LOG_ALERT, n < 0 ? errno : 0,
                        n < 0 ? "pread() of a file to be sent failed"
                              : "the file became shorter while it was sent");
            return false;
        }
        have += (size_t)n;
    }
    return true;
}

bool chunk_head_changed(struct request *r, bool keep_date)
{
    if (keep_date)
        return encoding_weaken_etag(r);
    r->response.last_modified = -1;
    r->response.last_modified_text = r->response.etag = (struct slice){ 0 };
    return true;
}
