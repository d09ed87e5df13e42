/* run.c - runs the cases of a folder: configuration files, and what is complained about.
 *
 *   conf_corpus FOLDER              every *.case in it, every file below FOLDER/samples
 *   conf_corpus --print FILE.case   the complaints of one
 *
 * A sample is a configuration as people write them: nothing may be complained about its grammar
 * (what the directives mean is not looked at). The environment variable WEIR_CONF_SAMPLES may
 * name one more folder of them.
 *
 * A case is a text with lines that begin with "--- ": what follows "--- NAME" is the file NAME
 * (the first is weir.conf), what follows "--- complaints" is the exact report. Before the first
 * such line stands what the case shows. */
#include "fixture.h"

#include "conf/load_private.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

struct text {
    char *at;
    size_t size;
};

static struct text read_whole(const char *path)
{
    struct text t = { 0 };
    FILE *in = fopen(path, "rb");
    CHECK(in != NULL && fseek(in, 0, SEEK_END) == 0);
    t.size = (size_t)ftell(in);
    t.at = malloc(t.size + 1);
    CHECK(t.at != NULL && fseek(in, 0, SEEK_SET) == 0);
    CHECK(fread(t.at, 1, t.size, in) == t.size);
    fclose(in);
    return t;
}

/* Cuts the next section off: its name, and its lines. False at the end. */
static bool next_section(struct slice *rest, struct slice *ret_name, struct slice *ret_text)
{
    if (!slice_starts(*rest, SLICE("--- ")))
        return false;
    *rest = slice_skip(*rest, 4);
    *ret_name = slice_cut(rest, '\n');
    size_t end = slice_search(*rest, SLICE("\n--- "));
    end += end < rest->size;
    *ret_text = slice_head(*rest, end);
    *rest = slice_skip(*rest, end);
    return true;
}

/* Loads the files of the case. Gives what was complained about, and what should have been. */
static const char *run(struct fixture *f, struct slice text, struct slice *ret_expected)
{
    size_t begin = slice_search(text, SLICE("\n--- "));
    struct slice rest = slice_skip(text, begin < text.size ? begin + 1 : begin), name, lines;
    *ret_expected = SLICE("(the case has no section \"complaints\")");
    while (next_section(&rest, &name, &lines)) {
        if (slice_eq(name, SLICE("complaints")))
            *ret_expected = lines;
        else
            fixture_bytes(f, arena_copy(&f->arena, name).at, lines);
    }
    fixture_load(f);
    return fixture_report(f);
}

static bool check(const char *path, bool print)
{
    struct text text = read_whole(path);
    struct fixture f;
    struct slice expected;
    fixture_open(&f);
    const char *got = run(&f, slice_of(text.at, text.size), &expected);
    bool same = slice_eq(expected, slice_str(got));
    if (print)
        printf("%s", got);
    else if (!same)
        printf("%s: expected\n%.*s\ngot\n%s\n", path, SLICE_FMT(expected), got);
    fixture_close(&f);
    free(text.at);
    return same;
}

/* ---- samples ----------------------------------------------------------------------------- */

static unsigned sample_count, sample_bad;

/* Includes of samples name files that are elsewhere: each is empty. */
static int read_nothing(struct conf_source *source, const char *path, struct slice *ret)
{
    (void)source;
    (void)path;
    *ret = SLICE("");
    return 0;
}

static int check_sample(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    if (type != FTW_F)
        return 0;
    struct text text = read_whole(path);
    struct fixture f;
    fixture_open(&f);
    f.source.read = read_nothing;
    parse_text(f.load, path, slice_of(text.at, text.size), CTX_MAIN, NULL);
    sample_count++;
    if (conf_load_errors(f.load) > 0) {
        sample_bad++;
        printf("%s", fixture_report(&f));
    }
    fixture_close(&f);
    free(text.at);
    return 0;
}

static void check_samples(const char *folder)
{
    if (folder != NULL && nftw(folder, check_sample, 16, FTW_PHYS) != 0)
        printf("%s cannot be read\n", folder);
}

/* ---- cases ------------------------------------------------------------------------------- */

static bool check_cases(const char *folder)
{
    struct dirent **entries;
    unsigned bad = 0, all = 0;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (slice_ends(slice_str(path), SLICE(".case"))) {
            all++;
            bad += !check(path, false);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    printf("%u of %u cases as expected\n", all - bad, all);
    return bad == 0 && all > 0;
}

int main(int argc, char **argv)
{
    char samples[4096];
    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return check(argv[2], true) ? 0 : 1;
    if (argc != 2) {
        fprintf(stderr, "usage: conf_corpus FOLDER | --print FILE.case\n");
        return 2;
    }
    bool ok = check_cases(argv[1]);
    snprintf(samples, sizeof samples, "%s/samples", argv[1]);
    check_samples(samples);
    check_samples(getenv("WEIR_CONF_SAMPLES"));
    printf("%u of %u samples read\n", sample_count - sample_bad, sample_count);
    return ok && sample_bad == 0 && sample_count > 0 ? 0 : 1;
}
