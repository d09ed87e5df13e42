/* resolver_files.c - /etc/hosts (hosts(5)) and /etc/resolv.conf (resolv.conf(5)): read again when
 * they have changed.
 */
#include "net/resolver_private.h"

#include "base/block.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, DOTS = 1, DOTS_MAX = 15, DNS_PORT = 53 };

static const char hosts_path[] = "/etc/hosts", conf_path[] = "/etc/resolv.conf";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; size 0: none is left. */
static struct slice next_word(struct slice *line)
{
    struct slice word;
    size_t n = 0;

    while (line->size > 0 && is_blank(line->at[0]))
        *line = slice_skip(*line, 1);
    while (n < line->size && !is_blank(line->at[n]))
        n++;
    word = slice_head(*line, n);
    *line = slice_skip(*line, n);
    return word;
}

/* The text in new memory, if it is another than at the stamp. False: as before. */
static bool read_changed(const char *path, struct stamp *stamp, char **ret, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st = { 0 };
    struct stamp now;
    ssize_t n;

    *ret = NULL;
    *ret_size = 0;
    if (fd >= 0 && fstat(fd, &st) != 0)
        st = (struct stat){ 0 };
    now = (struct stamp){ st.st_mtim.tv_sec, st.st_mtim.tv_nsec, fd >= 0 ? st.st_size : -1 };
    if (memcmp(&now, stamp, sizeof now) == 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    *stamp = now;
    if (fd < 0)
        return true;
    *ret = st.st_size > 0 && st.st_size <= FILE_MAX ? block_alloc((size_t)st.st_size) : NULL;
    n = *ret != NULL ? pread(fd, *ret, (size_t)st.st_size, 0) : 0;
    *ret_size = n > 0 ? (size_t)n : 0;
    close(fd);
    return true;
}

/* ---- hosts --------------------------------------------------------------------------------- */

static bool line_names(struct slice line, struct slice name)
{
    for (;;) {
        struct slice word = next_word(&line);

        if (word.size == 0)
            return false;
        if (slice_eq_nocase(word, name))
            return true;
    }
}

int system_files_host(struct system_files *f, struct slice name, int family,
                      struct addr into[RESOLVER_FOUND_MAX])
{
    struct slice rest;
    int count = -1;
    size_t size;
    char *text;

    if (read_changed(hosts_path, &f->hosts_stamp, &text, &size)) {
        block_free(f->hosts);
        f->hosts = text;
        f->hosts_size = size;
    }
    rest = slice_of(f->hosts, f->hosts_size);
    while (rest.size > 0) {
        struct slice line = slice_cut(&rest, '\n');
        struct slice address, body = slice_head(line, slice_find(line, '#'));
        struct addr a;

        address = next_word(&body);
        if (address.size == 0 || !line_names(body, name))
            continue;
        if (count < 0)
            count = 0;
        if (addr_parse_ip(address, &a) && a.family == family && count < RESOLVER_FOUND_MAX)
            into[count++] = a;
    }
    return count;
}

/* ---- resolv.conf --------------------------------------------------------------------------- */

static void read_server(struct system_files *f, struct slice line)
{
    struct addr a;

    if (f->server_count == DNS_SERVERS_MAX || !addr_parse_ip(next_word(&line), &a))
        return;
    a.port = DNS_PORT;
    f->servers[f->server_count++] = a;
}

static void read_search(struct system_files *f, struct slice line)
{
    f->search_count = 0; /* the last such line counts */
    for (;;) {
        struct slice word = next_word(&line);
        struct dns_name *n = &f->search[f->search_count];

        if (word.size == 0 || f->search_count == RESOLVER_SEARCH_MAX)
            return;
        if (slice_ends(word, SLICE(".")))
            word.size--;
        if (word.size == 0 || word.size > DNS_NAME_MAX)
            continue;
        n->size = (uint8_t)word.size;
        memcpy(n->text, word.at, word.size);
        f->search_count++;
    }
}

static void read_options(struct system_files *f, struct slice line)
{
    for (;;) {
        struct slice word = next_word(&line);
        uint64_t n;

        if (word.size == 0)
            return;
        if (slice_starts(word, SLICE("ndots:")) && slice_to_u64(slice_skip(word, 6), 1000, &n))
            f->dots = n > DOTS_MAX ? DOTS_MAX : (unsigned)n;
    }
}

static const struct {
    const char *word;
    void (*read)(struct system_files *, struct slice line);
} conf_lines[] = {
    { "nameserver", read_server },
    { "search", read_search },
    { "domain", read_search },
    { "options", read_options },
};

void system_files_look(struct system_files *f)
{
    struct slice rest;
    size_t size;
    char *text;

    if (!read_changed(conf_path, &f->conf_stamp, &text, &size))
        return;
    f->server_count = f->search_count = 0;
    f->dots = DOTS;
    rest = slice_of(text, size);
    while (rest.size > 0) {
        struct slice line = slice_cut(&rest, '\n'), word = next_word(&line);

        for (size_t i = 0; i < COUNT_OF(conf_lines); i++)
            if (slice_eq(word, slice_str(conf_lines[i].word)))
                conf_lines[i].read(f, line);
    }
    block_free(text);
    if (f->server_count == 0)
        read_server(f, SLICE("127.0.0.1"));
}

void system_files_done(struct system_files *f)
{
    block_free(f->hosts);
}
