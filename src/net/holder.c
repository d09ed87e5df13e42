/* holder.c - finds the inode of a listening socket in /proc/net/tcp, and then the process that
 * has it among its open descriptors. Only asked when a bind has failed. */
#include "net/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    LINE_SIZE = 512,
    INODES_MAX = 64,
    NAME_SIZE = 64,
    PATH_SIZE = 320,
    WORDS = 10,
    STATE_LISTEN = 0x0a
};

enum { WORD_LOCAL = 1, WORD_STATE = 3, WORD_INODE = 9 };

struct search {
    const struct addr *addr;
    uint64_t inodes[INODES_MAX];
    unsigned count;
};

/* The kernel prints each 32-bit word of an address as a number in its own byte order. */
static bool read_address(struct slice hex, struct addr *ret)
{
    *ret = (struct addr){ .family = hex.size == 8 ? AF_INET : AF_INET6 };
    for (size_t i = 0; i * 8 < hex.size && i < 4; i++) {
        uint64_t word;
        uint32_t small;

        if (!slice_hex_to_u64(slice_of(hex.at + i * 8, 8), UINT32_MAX, &word))
            return false;
        small = (uint32_t)word;
        memcpy(ret->ip + 4 * i, &small, sizeof small);
    }
    return hex.size == 8 || hex.size == 32;
}

/* Would a socket bound to `held` keep us from binding `wanted`? */
static bool in_the_way(const struct addr *held, const struct addr *wanted)
{
    if (held->port != wanted->port)
        return false;
    if (addr_is_any(held) || addr_is_any(wanted))
        return true;
    return held->family == wanted->family && addr_eq(held, wanted);
}

static void read_line(struct search *s, struct slice line)
{
    struct slice words[WORDS];
    struct addr held;
    uint64_t port, state, inode;

    for (size_t i = 0; i < WORDS; i++) {
        while (line.size > 0 && line.at[0] == ' ')
            line = slice_skip(line, 1);
        words[i] = slice_cut(&line, ' ');
    }
    struct slice tail = words[WORD_LOCAL], ip = slice_cut(&tail, ':');

    if (!slice_hex_to_u64(words[WORD_STATE], UINT8_MAX, &state) || state != STATE_LISTEN ||
        !read_address(ip, &held) || !slice_hex_to_u64(tail, UINT16_MAX, &port) ||
        !slice_to_u64(words[WORD_INODE], UINT64_MAX, &inode))
        return;
    held.port = (uint16_t)port;
    if (in_the_way(&held, s->addr) && s->count < INODES_MAX)
        s->inodes[s->count++] = inode;
}

static void read_table(struct search *s, const char *path)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        struct slice text = slice_str(line);

        if (text.size > 0 && text.at[text.size - 1] == '\n')
            text.size--;
        read_line(s, text);
    }
    fclose(file);
}

static bool is_wanted(const struct search *s, const char *link)
{
    struct slice text = slice_str(link), head = SLICE("socket:[");
    uint64_t inode;

    if (!slice_starts(text, head) || text.at[text.size - 1] != ']')
        return false;
    text = slice_of(text.at + head.size, text.size - head.size - 1);
    if (!slice_to_u64(text, UINT64_MAX, &inode))
        return false;
    for (unsigned i = 0; i < s->count; i++)
        if (s->inodes[i] == inode)
            return true;
    return false;
}

static bool has_socket(const struct search *s, const char *pid)
{
    char path[PATH_SIZE], link[NAME_SIZE];
    bool found = false;
    struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *dir = opendir(path);

    if (dir == NULL)
        return false;
    while (!found && (entry = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);

        if (n <= 0)
            continue;
        link[n] = '\0';
        found = is_wanted(s, link);
    }
    closedir(dir);
    return found;
}

static void read_name(const char *pid, char name[NAME_SIZE])
{
    char path[PATH_SIZE];
    FILE *file;

    snprintf(name, NAME_SIZE, "a process");
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(name, NAME_SIZE, file) != NULL)
        name[strcspn(name, "\n")] = '\0';
    fclose(file);
}

bool holder_find(const struct addr *addr, char *text, size_t size)
{
    struct search s = { .addr = addr };
    bool found = false;
    struct dirent *entry;

    read_table(&s, "/proc/net/tcp");
    read_table(&s, "/proc/net/tcp6");
    if (s.count == 0)
        return false;
    DIR *dir = opendir("/proc");

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        char name[NAME_SIZE];

        if (!isdigit((unsigned char)entry->d_name[0]) || !has_socket(&s, entry->d_name))
            continue;
        read_name(entry->d_name, name);
        snprintf(text, size, "held by %s (pid %s)", name, entry->d_name);
        found = true;
    }
    if (dir != NULL)
        closedir(dir);
    if (!found)
        snprintf(text, size, "held by another user's process");
    return true;
}
