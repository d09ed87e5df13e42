/* mmdb.c - an address's entry in a database file that may be replaced while it is used. */
#include "handler/mmdb.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

bool mmdb_open(struct mmdb *db, const char *path, const char **why)
{
    int status;

    *db = (struct mmdb){ .path = path };
    if (stat(path, &db->file) != 0) {
        *why = strerror(errno);
        return false;
    }
    status = MMDB_open(path, MMDB_MODE_MMAP, &db->open);
    if (status != MMDB_SUCCESS) {
        *why = MMDB_strerror(status);
        return false;
    }
    db->checked_s = time(NULL);
    pthread_rwlock_init(&db->lock, NULL);
    return true;
}

void mmdb_close(struct mmdb *db)
{
    MMDB_close(&db->open);
    pthread_rwlock_destroy(&db->lock);
}

/* ---- values -------------------------------------------------------------------------------- */

static bool put(struct gather *g, const MMDB_entry_data_s *v)
{
    switch (v->type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
        gather_bytes(g, v->utf8_string, v->data_size);
        return true;
    case MMDB_DATA_TYPE_BYTES:
        gather_bytes(g, (const char *)v->bytes, v->data_size);
        return true;
    case MMDB_DATA_TYPE_DOUBLE:
        gather_printf(g, "%.5f", v->double_value);
        return true;
    case MMDB_DATA_TYPE_FLOAT:
        gather_printf(g, "%.5f", (double)v->float_value);
        return true;
    case MMDB_DATA_TYPE_UINT16:
        gather_u64(g, v->uint16);
        return true;
    case MMDB_DATA_TYPE_UINT32:
        gather_u64(g, v->uint32);
        return true;
    case MMDB_DATA_TYPE_UINT64:
        gather_u64(g, v->uint64);
        return true;
    case MMDB_DATA_TYPE_INT32:
        gather_printf(g, "%d", v->int32);
        return true;
    case MMDB_DATA_TYPE_BOOLEAN:
        gather_byte(g, v->boolean ? '1' : '0');
        return true;
    default:
        return false;
    }
}

/* ::ffff:192.0.2.1 is what it stands for. */
static struct addr unmapped(const struct addr *a)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct addr v4 = { .family = AF_INET };

    if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof mapped) != 0)
        return *a;
    memcpy(v4.ip, a->ip + sizeof mapped, 4);
    return v4;
}

bool mmdb_find(struct mmdb *db, const struct addr *addr, const char *const *path, struct gather *g)
{
    const struct addr plain = unmapped(addr);
    struct sockaddr_storage address;
    MMDB_lookup_result_s found;
    MMDB_entry_data_s value;
    int error = MMDB_SUCCESS;
    bool there;

    if (plain.family != AF_INET && plain.family != AF_INET6)
        return false;
    addr_to_sockaddr(&plain, &address);
    pthread_rwlock_rdlock(&db->lock);
    found = MMDB_lookup_sockaddr(&db->open, (const struct sockaddr *)&address, &error);
    there = error == MMDB_SUCCESS && found.found_entry &&
            MMDB_aget_value(&found.entry, &value, path) == MMDB_SUCCESS && value.has_data &&
            put(g, &value);
    pthread_rwlock_unlock(&db->lock);
    return there;
}

int64_t mmdb_fact(struct mmdb *db, enum mmdb_fact fact)
{
    int64_t value = 0;

    pthread_rwlock_rdlock(&db->lock);
    switch (fact) {
    case MMDB_BUILT:
        value = (int64_t)db->open.metadata.build_epoch;
        break;
    case MMDB_CHECKED:
        value = db->checked_s;
        break;
    case MMDB_CHANGED:
        value = db->file.st_mtim.tv_sec;
        break;
    }
    pthread_rwlock_unlock(&db->lock);
    return value;
}

/* ---- another file -------------------------------------------------------------------------- */

bool mmdb_due(struct mmdb *db, uint64_t now_ms, int64_t interval_ms)
{
    uint64_t due = atomic_load_explicit(&db->due_ms, memory_order_relaxed);

    if (due > now_ms)
        return false;
    /* the first look is one interval behind the first use: the file was opened just now */
    return atomic_compare_exchange_strong(&db->due_ms, &due, now_ms + (uint64_t)interval_ms) &&
           due != 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int mmdb_refresh(struct mmdb *db)
{
    struct stat now;
    MMDB_s fresh, old;
    bool same;

    if (stat(db->path, &now) != 0)
        return -errno;
    pthread_rwlock_wrlock(&db->lock);
    same = same_file(&now, &db->file);
    db->checked_s = time(NULL);
    pthread_rwlock_unlock(&db->lock);
    if (same)
        return 0;
    if (MMDB_open(db->path, MMDB_MODE_MMAP, &fresh) != MMDB_SUCCESS)
        return -EBADMSG;
    pthread_rwlock_wrlock(&db->lock);
    old = db->open;
    db->open = fresh;
    db->file = now;
    pthread_rwlock_unlock(&db->lock);
    MMDB_close(&old);
    return 1;
}
