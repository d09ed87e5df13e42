/* regex.c - PCRE2: compiled with its JIT, matched with limits and without allocating. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "conf/regex.h"

#include "conf/load_private.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* A match that takes more steps, nests deeper, or needs more memory is given up. Patterns of
 * real configurations stay far below; what does not is an attack or a mistake. */
enum { MATCH_STEPS_MAX = 500000, MATCH_DEPTH_MAX = 20000, MATCH_KIB_MAX = 8192 };

struct regex {
    pcre2_code *code;
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    struct slice pattern;
    struct slice *names;
    unsigned *numbers, *places;
    unsigned name_count;
    struct regex *next; /* of the same load                               */
};

/* ---- memory -------------------------------------------------------------------------- */

/* A match block is wanted for the time of one match: here is room for the one of this thread. */
static _Thread_local struct {
    _Alignas(max_align_t) char bytes[1024];
    bool taken;
} room;

static void *take_room(size_t size, void *unused)
{
    (void)unused;
    if (room.taken || size > sizeof room.bytes)
        return malloc(size);
    room.taken = true;
    return room.bytes;
}

static void give_room(void *at, void *unused)
{
    (void)unused;
    if (at == room.bytes)
        room.taken = false;
    else
        free(at);
}

/* ---- compiling ----------------------------------------------------------------------- */

static bool read_names(struct conf_load *load, struct regex *re)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &table);
    re->name_count = count;
    re->names = arena_must(load->arena, (count + 1) * sizeof *re->names);
    re->numbers = arena_must(load->arena, (count + 1) * sizeof *re->numbers);
    re->places = arena_must(load->arena, (count + 1) * sizeof *re->places);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = table + (size_t)i * size;
        re->numbers[i] = (unsigned)entry[0] << 8 | entry[1];
        re->names[i] = arena_copy(load->arena, slice_str((const char *)entry + 2));
        for (size_t k = 0; k < re->names[i].size; k++)
            ((char *)(uintptr_t)re->names[i].at)[k] =
                (char)byte_lower((unsigned char)re->names[i].at[k]);
        if (re->names[i].at == NULL)
            return false;
    }
    return true;
}

static bool declare_names(struct conf_load *load, const struct conf_node *node, unsigned arg,
                          const struct regex *re)
{
    for (unsigned i = 0; i < re->name_count; i++) {
        if (variable_declare_capture(load, re->names[i], &re->places[i]))
            continue;
        conf_complain(load, CONF_EMERG, node, (int)arg,
                      "the group \"%.*s\" cannot have the name of a variable",
                      SLICE_FMT(re->names[i]));
        return false;
    }
    return true;
}

static bool set_limits(struct regex *re)
{
    room.taken = true; /* the allocators themselves need lasting memory */
    re->memory = pcre2_general_context_create(take_room, give_room, NULL);
    room.taken = false;
    re->limits = pcre2_match_context_create(NULL);
    if (re->memory == NULL || re->limits == NULL)
        return false;
    pcre2_set_match_limit(re->limits, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(re->limits, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(re->limits, MATCH_KIB_MAX);
    return true;
}

static size_t offset_in_arg(const struct conf_node *node, unsigned arg, struct slice text)
{
    struct slice whole = conf_arg(node, arg);
    uintptr_t begin = (uintptr_t)whole.at, at = (uintptr_t)text.at;
    return at >= begin && at - begin <= whole.size ? at - begin : 0;
}

static struct regex *refuse(struct conf_load *load, const struct conf_node *node, unsigned arg,
                            struct slice pattern, int error, size_t offset)
{
    char text[256];
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text) < 0)
        snprintf(text, sizeof text, "error %d", error);
    if ((int)arg == CONF_AT_NAME) {
        conf_complain(load, CONF_EMERG, node, CONF_AT_NAME,
                      "the regular expression is wrong at byte %zu: %s", offset + 1, text);
        return NULL;
    }
    conf_complain_inside(load, CONF_EMERG, node, arg, offset_in_arg(node, arg, pattern) + offset,
                         "the regular expression is wrong here: %s", text);
    return NULL;
}

/* `$` matches at the very end only, and `.` matches every byte: a line feed that was sent as
 * %0a slips past no location. */
struct regex *regex_compile(struct conf_load *load, const struct conf_node *node, unsigned arg,
                            struct slice pattern, unsigned flags)
{
    int error = 0;
    size_t offset = 0;
    uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL;
    struct regex *re = arena_must(load->arena, sizeof *re);
    if ((flags & REGEX_NOCASE) != 0)
        options |= PCRE2_CASELESS;
    re->pattern = pattern;
    re->code = pcre2_compile((PCRE2_SPTR)(pattern.size > 0 ? pattern.at : ""), pattern.size,
                             options, &error, &offset, NULL);
    if (re->code == NULL)
        return refuse(load, node, arg, pattern, error, offset);
    re->next = load->regexes;
    load->regexes = re;
    /* Without the JIT (it may be forbidden by the kernel's policy) matching is only slower. */
    (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    if (!set_limits(re) || !read_names(load, re)) {
        conf_complain(load, CONF_EMERG, node, (int)arg, "out of memory");
        return NULL;
    }
    return declare_names(load, node, arg, re) ? re : NULL;
}

void regex_free_all(struct regex *head)
{
    for (struct regex *re = head; re != NULL; re = re->next) {
        pcre2_match_context_free(re->limits);
        pcre2_general_context_free(re->memory);
        pcre2_code_free(re->code);
    }
}

struct regex *conf_regexes(struct conf_load *load)
{
    return load->regexes;
}

/* ---- matching ------------------------------------------------------------------------ */

/* `found` as pcre2_match() returns it: groups behind it were not written (0: all were). */
static void fill_captures(const pcre2_match_data *match, int found, struct slice subject,
                          struct slice *captures, unsigned max)
{
    const size_t *ends = pcre2_get_ovector_pointer((pcre2_match_data *)(uintptr_t)match);
    unsigned count =
        found > 0 ? (unsigned)found : pcre2_get_ovector_count((pcre2_match_data *)(uintptr_t)match);
    for (unsigned i = 0; i < max; i++) {
        captures[i] = (struct slice){ 0 };
        if (i < count && ends[2 * i] != PCRE2_UNSET && ends[2 * i] <= ends[2 * i + 1])
            captures[i] = slice_of(subject.at + ends[2 * i], ends[2 * i + 1] - ends[2 * i]);
    }
}

/* The JIT has a small stack of its own; what needs more is done again by the interpreter. */
static int match_once(const struct regex *re, struct slice subject, pcre2_match_data *match)
{
    int found =
        pcre2_match(re->code, (PCRE2_SPTR)subject.at, subject.size, 0, 0, match, re->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(re->code, (PCRE2_SPTR)subject.at, subject.size, 0, PCRE2_NO_JIT, match,
                            re->limits);
    return found;
}

enum regex_verdict regex_match(const struct regex *re, struct slice subject, struct slice *captures,
                               unsigned max)
{
    pcre2_match_data *match = pcre2_match_data_create(CAPTURES_MAX, re->memory);
    if (match == NULL)
        return REGEX_LIMIT;
    if (subject.at == NULL)
        subject = SLICE("");
    int found = match_once(re, subject, match);
    if (found >= 0)
        fill_captures(match, found, subject, captures, max);
    pcre2_match_data_free(match);
    if (found == PCRE2_ERROR_NOMATCH)
        return REGEX_NO;
    return found >= 0 ? REGEX_YES : REGEX_LIMIT;
}

static void tell_names(const pcre2_code *code, const struct slice *captures, unsigned max,
                       void (*named)(void *arg, struct slice name, struct slice value), void *arg)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = table + (size_t)i * size;
        unsigned number = (unsigned)entry[0] << 8 | entry[1];
        if (number < max)
            named(arg, slice_str((const char *)entry + 2), captures[number]);
    }
}

bool regex_match_once(struct slice pattern, struct slice subject, struct slice *captures,
                      unsigned max, enum regex_verdict *ret,
                      void (*named)(void *arg, struct slice name, struct slice value), void *arg)
{
    int error = 0;
    size_t offset = 0;
    struct regex re = { .pattern = pattern };
    re.code = pcre2_compile((PCRE2_SPTR)(pattern.size > 0 ? pattern.at : ""), pattern.size,
                            PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL, &error, &offset, NULL);
    if (re.code == NULL)
        return false;
    *ret = set_limits(&re) ? regex_match(&re, subject, captures, max) : REGEX_LIMIT;
    if (*ret == REGEX_YES && named != NULL)
        tell_names(re.code, captures, max, named, arg);
    regex_free_all(&re);
    return true;
}

/* ---- asking -------------------------------------------------------------------------- */

unsigned regex_name_count(const struct regex *re)
{
    return re->name_count;
}

struct slice regex_name(const struct regex *re, unsigned i, unsigned *ret_number)
{
    CHECK(i < re->name_count);
    if (ret_number != NULL)
        *ret_number = re->numbers[i];
    return re->names[i];
}

void regex_keep_named(const struct regex *re, const struct slice *captures, struct slice *values)
{
    for (unsigned i = 0; i < re->name_count; i++) {
        struct slice value = { 0 };
        if (re->numbers[i] < CAPTURES_MAX)
            value = captures[re->numbers[i]];
        values[re->places[i]] = value.at != NULL ? value : SLICE("");
    }
}

struct slice regex_pattern(const struct regex *re)
{
    return re->pattern;
}
