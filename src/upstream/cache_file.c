/* cache_file.c - heads of files, written and read. */
#include "upstream/cache_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The version is part of the mark: what another version wrote is no file of ours. */
static const char mark[] = "weir\rc\n\1";

/* Where the numbers stand. */
enum {
    AT_MARK = 0,
    AT_CHECKSUM = 8,
    AT_HEAD_SIZE = 16,
    AT_FIELDS = 20,
    AT_KEY_SIZE = 24,
    AT_VARY_SIZE = 28,
    AT_ETAG_SIZE = 32,
    AT_MODIFIED_SIZE = 36,
    AT_BODY_SIZE = 40,
    AT_STORED = 48,
    AT_FRESH = 56,
    AT_UPDATE = 64,
    AT_ERROR = 72,
    AT_LAST_MODIFIED = 80,
    AT_STATUS = 88,
    AT_FLAGS = 90,
    AT_VARIANT = 96,
    AT_EPOCH = 112,
    FIELD_SIZES = 8 /* before each field: of its name and its value */
};

static void put(char *at, uint64_t n, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (char)(n >> 8 * i);
}

static uint64_t get(const char *at, unsigned size)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < size; i++)
        n |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return n;
}

/* ---- writing ------------------------------------------------------------------------------- */

size_t cache_head_size(const struct cache_head *h)
{
    size_t size = CACHE_FIXED_SIZE + h->key.size + h->vary.size + h->etag.size + h->modified.size;

    for (uint32_t i = 0; i < h->field_count && size <= CACHE_HEAD_MAX; i++)
        size += FIELD_SIZES + h->fields[i].name.size + h->fields[i].value.size;
    return size <= CACHE_HEAD_MAX && h->field_count <= CACHE_FIELDS_MAX ? size : 0;
}

static char *put_text(char *at, struct slice text)
{
    if (text.size > 0)
        memcpy(at, text.at, text.size);
    return at + text.size;
}

/* Over all that is behind the checksum itself. */
static uint64_t checksum(const char *head, size_t size)
{
    return XXH3_64bits(head + AT_HEAD_SIZE, size - AT_HEAD_SIZE);
}

void cache_head_write(const struct cache_head *h, char *into)
{
    size_t size = cache_head_size(h);
    char *at = into + CACHE_FIXED_SIZE;

    memset(into, 0, CACHE_FIXED_SIZE);
    memcpy(into + AT_MARK, mark, 8);
    put(into + AT_HEAD_SIZE, size, 4);
    put(into + AT_FIELDS, h->field_count, 4);
    put(into + AT_KEY_SIZE, h->key.size, 4);
    put(into + AT_VARY_SIZE, h->vary.size, 4);
    put(into + AT_ETAG_SIZE, h->etag.size, 4);
    put(into + AT_MODIFIED_SIZE, h->modified.size, 4);
    put(into + AT_BODY_SIZE, h->body_size, 8);
    put(into + AT_STORED, (uint64_t)h->stored, 8);
    put(into + AT_FRESH, (uint64_t)h->fresh_until, 8);
    put(into + AT_UPDATE, (uint64_t)h->update_until, 8);
    put(into + AT_ERROR, (uint64_t)h->error_until, 8);
    put(into + AT_LAST_MODIFIED, (uint64_t)h->last_modified, 8);
    put(into + AT_STATUS, h->status, 2);
    put(into + AT_FLAGS, h->flags, 2);
    put(into + AT_EPOCH, h->epoch, 8);
    memcpy(into + AT_VARIANT, h->variant, CACHE_VARIANT_SIZE);
    at = put_text(at, h->key);
    at = put_text(at, h->vary);
    at = put_text(at, h->etag);
    at = put_text(at, h->modified);
    for (uint32_t i = 0; i < h->field_count; i++) {
        put(at, h->fields[i].name.size, 4);
        put(at + 4, h->fields[i].value.size, 4);
        at = put_text(at + FIELD_SIZES, h->fields[i].name);
        at = put_text(at, h->fields[i].value);
    }
    CHECK(at == into + size);
    put(into + AT_CHECKSUM, checksum(into, size), 8);
}

/* ---- reading ------------------------------------------------------------------------------- */

size_t cache_head_peek(const char bytes[CACHE_FIXED_SIZE])
{
    size_t size = (size_t)get(bytes + AT_HEAD_SIZE, 4);

    return memcmp(bytes, mark, 8) == 0 && size >= CACHE_FIXED_SIZE && size <= CACHE_HEAD_MAX ? size
                                                                                             : 0;
}

static bool cut_text(struct slice *rest, uint64_t size, struct slice *ret)
{
    if (size > rest->size)
        return false;
    *ret = slice_head(*rest, (size_t)size);
    *rest = slice_skip(*rest, (size_t)size);
    return true;
}

/* What must not be in a field is in none: it would go to a client. */
static bool cut_field(struct slice *rest, struct field *f)
{
    uint64_t name, value;

    if (rest->size < FIELD_SIZES)
        return false;
    name = get(rest->at, 4);
    value = get(rest->at + 4, 4);
    *rest = slice_skip(*rest, FIELD_SIZES);
    if (!cut_text(rest, name, &f->name) || !cut_text(rest, value, &f->value) ||
        !field_name_ok(f->name) || !field_value_ok(f->value))
        return false;
    f->id = field_from(f->name);
    return true;
}

static bool cut_fields(struct slice *rest, uint32_t count, struct arena *arena,
                       struct cache_head *ret)
{
    struct field *fields;

    if (count > CACHE_FIELDS_MAX)
        return false;
    fields = arena_alloc(arena, (count + 1) * sizeof *fields);
    if (fields == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!cut_field(rest, &fields[i]))
            return false;
    ret->fields = fields;
    ret->field_count = count;
    return rest->size == 0;
}

bool cache_head_read(struct slice bytes, struct arena *arena, struct cache_head *ret)
{
    const char *at = bytes.at;
    struct slice rest;

    if (bytes.size < CACHE_FIXED_SIZE || cache_head_peek(at) != bytes.size ||
        get(at + AT_CHECKSUM, 8) != checksum(at, bytes.size))
        return false;
    rest = slice_skip(bytes, CACHE_FIXED_SIZE);
    *ret = (struct cache_head){
        .body_size = get(at + AT_BODY_SIZE, 8),
        .stored = (int64_t)get(at + AT_STORED, 8),
        .fresh_until = (int64_t)get(at + AT_FRESH, 8),
        .update_until = (int64_t)get(at + AT_UPDATE, 8),
        .error_until = (int64_t)get(at + AT_ERROR, 8),
        .last_modified = (int64_t)get(at + AT_LAST_MODIFIED, 8),
        .status = (uint16_t)get(at + AT_STATUS, 2),
        .flags = (uint16_t)get(at + AT_FLAGS, 2),
        .epoch = get(at + AT_EPOCH, 8),
    };
    memcpy(ret->variant, at + AT_VARIANT, CACHE_VARIANT_SIZE);
    return ret->status >= 200 && ret->status <= 599 && ret->body_size <= INT64_MAX &&
           cut_text(&rest, get(at + AT_KEY_SIZE, 4), &ret->key) &&
           cut_text(&rest, get(at + AT_VARY_SIZE, 4), &ret->vary) &&
           cut_text(&rest, get(at + AT_ETAG_SIZE, 4), &ret->etag) &&
           cut_text(&rest, get(at + AT_MODIFIED_SIZE, 4), &ret->modified) &&
           cut_fields(&rest, (uint32_t)get(at + AT_FIELDS, 4), arena, ret);
}
