/* hpack_read.c - nghttp2's decoder, in weir's words. */
#include "wire/hpack_read.h"

#include <nghttp2/nghttp2.h>

/* A reader is the decoder itself. */
static nghttp2_hd_inflater *of(struct hpack_reader *r)
{
    return (nghttp2_hd_inflater *)(void *)r;
}

struct hpack_reader *hpack_reader_create(void)
{
    nghttp2_hd_inflater *made;

    return nghttp2_hd_inflate_new(&made) == 0 ? (struct hpack_reader *)(void *)made : NULL;
}

void hpack_reader_destroy(struct hpack_reader *r)
{
    nghttp2_hd_inflate_del(of(r));
}

enum hpack_verdict hpack_read(struct hpack_reader *r, struct slice in, bool last, hpack_add_fn *add,
                              void *arg)
{
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t taken =
            nghttp2_hd_inflate_hd2(of(r), &field, &flags, (const uint8_t *)in.at, in.size, last);

        if (taken < 0)
            return HPACK_BROKEN;
        in = slice_skip(in, (size_t)taken);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) &&
            !add(arg, slice_of((const char *)field.name, field.namelen),
                 slice_of((const char *)field.value, field.valuelen)))
            return HPACK_STOPPED;
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            nghttp2_hd_inflate_end_headers(of(r));
            return HPACK_FINE;
        }
        if (in.size == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT))
            return last ? HPACK_SHORT : HPACK_FINE;
    }
}
