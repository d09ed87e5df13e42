/* case_seeds.c - writes the inputs of the corpus as seeds for the fuzz targets.
 *
 *   case_seeds DIRECTORY OUT        OUT/head, OUT/chunked, … get a file for each case
 */
#include "unit/wire/case_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SEED_MAX = 4096 }; /* longer inputs only slow a fuzzer down */

/* Which target reads a kind of case, and the knobs that it expects in front. */
static const struct target {
    const char *kind, *folder;
    struct slice knobs;
} TARGETS[] = {
    { "head", "head", { "\0\x10\x20\x05", 4 } },
    { "stream", "head", { "\0\x10\x20\x05", 4 } },
    { "chunked", "chunked", { "\0\x40\x04\x05", 4 } },
    { "path", "uri", { "", 0 } },
    { "authority", "authority", { "", 0 } },
    { "range", "range", { "\x0a\0\0\0\0\0\0\0", 8 } },
    { "etags", "range", { "\x0a\0\0\0\0\0\0\0", 8 } },
    { "date", "date", { "", 0 } },
    { "proxy", "proxy", { "", 0 } },
};

static const struct target *target_of(const struct wire_case *c)
{
    for (size_t i = 0; i < COUNT_OF(TARGETS); i++)
        if (outcome_from(slice_str(TARGETS[i].kind)) == c->run)
            return &TARGETS[i];
    return NULL;
}

static bool write_seed(const char *out, const char *name, const struct wire_case *c)
{
    char path[1024];
    const struct target *target = target_of(c);
    if (target == NULL)
        return false;
    snprintf(path, sizeof path, "%s/%s", out, target->folder);
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return false;
    snprintf(path, sizeof path, "%s/%s/%s", out, target->folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    size_t written = fwrite(target->knobs.at, 1, target->knobs.size, file) +
                     fwrite(c->input.at, 1, c->input.size, file);
    return fclose(file) == 0 && written == target->knobs.size + c->input.size;
}

static bool seed_from(const char *directory, const char *name, const char *out)
{
    char path[1024];
    const char *why;
    struct arena arena;
    struct wire_case c;
    arena_init(&arena, NULL, 0, 1 << 16, SIZE_MAX);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    bool ok = case_read(&c, &arena, path, &why);
    if (ok && c.input.size <= SEED_MAX)
        ok = write_seed(out, name, &c);
    if (!ok)
        fprintf(stderr, "%s: not read or not written\n", path);
    arena_done(&arena);
    return ok;
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 3 ? opendir(argv[1]) : NULL;
    bool ok = directory != NULL && (mkdir(argv[2], 0777) == 0 || errno == EEXIST);
    if (!ok)
        fprintf(stderr, "usage: case_seeds DIRECTORY OUT\n");
    for (struct dirent *entry; ok && (entry = readdir(directory)) != NULL;)
        if (slice_ends(slice_str(entry->d_name), SLICE(".case")))
            ok = seed_from(argv[1], entry->d_name, argv[2]);
    if (directory != NULL)
        closedir(directory);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
