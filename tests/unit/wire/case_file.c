/* case_file.c - a line at a time; what a line is, its first byte says. */
#include "unit/wire/case_file.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 16, INPUT_MAX = 4 << 20, NESTING_MAX = 4 };

static bool read_file(struct arena *arena, const char *path, struct slice *ret)
{
    char *text = arena_must(arena, FILE_MAX);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    *ret = slice_of(text, fread(text, 1, FILE_MAX, file));
    fclose(file);
    return ret->size > 0 && ret->size < FILE_MAX;
}

static bool expand_escape(struct gather *g, struct slice *s)
{
    static const struct {
        char letter, byte;
    } SIMPLE[] = { { 'r', '\r' }, { 'n', '\n' }, { 't', '\t' }, { '\\', '\\' } };
    if (s->size < 2)
        return false;
    for (size_t i = 0; i < COUNT_OF(SIMPLE); i++)
        if (s->at[1] == SIMPLE[i].letter) {
            gather_byte(g, SIMPLE[i].byte);
            *s = slice_skip(*s, 2);
            return true;
        }
    uint64_t value;
    if (s->size < 4 || s->at[1] != 'x' || !slice_hex_to_u64(slice_of(s->at + 2, 2), 255, &value))
        return false;
    gather_byte(g, (char)value);
    *s = slice_skip(*s, 4);
    return true;
}

/* Appends s with its escapes and repetitions carried out, up to ">>" or the end. */
static bool expand(struct gather *g, struct slice *s, int depth)
{
    while (s->size > 0 && !slice_starts(*s, SLICE(">>"))) {
        if (s->at[0] == '\\') {
            if (!expand_escape(g, s))
                return false;
        } else if (slice_starts(*s, SLICE("<<"))) {
            uint64_t times;
            *s = slice_skip(*s, 2);
            if (depth == NESTING_MAX || !slice_to_u64(slice_cut(s, '*'), INPUT_MAX, &times))
                return false;
            size_t begin = g->used;
            if (!expand(g, s, depth + 1) || !slice_starts(*s, SLICE(">>")))
                return false;
            *s = slice_skip(*s, 2);
            size_t size = g->used - begin;
            for (uint64_t i = 1; i < times && gather_room(g, size); i++)
                gather_bytes(g, g->at + begin, size);
        } else {
            gather_byte(g, s->at[0]);
            *s = slice_skip(*s, 1);
        }
    }
    return !g->full && (depth > 0 || s->size == 0);
}

static bool option_number(struct outcome_options *o, struct slice name, struct slice value)
{
    const struct {
        const char *name;
        uint32_t *into;
    } NUMBERS[] = {
        { "line_max", &o->limits.line_max },     { "head_max", &o->limits.head_max },
        { "fields_max", &o->limits.fields_max }, { "first_size", &o->limits.first_size },
        { "trailer_max", &o->trailer_max },
    };
    uint64_t number;
    if (slice_eq(name, SLICE("tag"))) {
        o->tag = value;
        return true;
    }
    if (!slice_to_u64(value, UINT64_MAX, &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(NUMBERS); i++)
        if (slice_eq(name, slice_str(NUMBERS[i].name))) {
            *NUMBERS[i].into = (uint32_t)number;
            return true;
        }
    if (slice_eq(name, SLICE("size")))
        o->size = number;
    else if (slice_eq(name, SLICE("now")))
        o->now = (int64_t)number;
    else
        return false;
    return true;
}

static bool option_read(struct outcome_options *o, struct slice option)
{
    struct slice name = option;
    struct slice value = slice_skip(name, slice_find(name, '='));
    if (value.size > 0)
        return option_number(o, slice_head(option, option.size - value.size), slice_skip(value, 1));
    if (slice_eq(name, SLICE("bare_lf")))
        o->limits.allow_bare_lf = true;
    else if (slice_eq(name, SLICE("underscores")))
        o->limits.underscores = true;
    else if (slice_eq(name, SLICE("keep_invalid")))
        o->limits.ignore_invalid = false;
    else if (slice_eq(name, SLICE("keep_slashes")))
        o->keep_slashes = true;
    else if (slice_eq(name, SLICE("weak")))
        o->weak = true;
    else
        return false;
    return true;
}

static bool kind_line(struct wire_case *c, struct slice line)
{
    c->run = outcome_from(slice_cut(&line, ' '));
    while (line.size > 0)
        if (!option_read(&c->options, slice_cut(&line, ' ')))
            return false;
    return c->run != NULL;
}

bool case_read(struct wire_case *c, struct arena *arena, const char *path, const char **why)
{
    struct slice text;
    struct gather input;
    *c = (struct wire_case){ .name = path, .options = OUTCOME_DEFAULTS };
    gather_init(&input, NULL, 0, arena, INPUT_MAX);
    *why = "cannot be read, or is too long";
    if (!read_file(arena, path, &text))
        return false;
    while (text.size > 0) {
        struct slice line = slice_cut(&text, '\n');
        struct slice content = slice_skip(line, line.size < 2 ? line.size : 2);
        *why = "a line is not understood";
        if (line.size == 0 || line.at[0] == '#')
            continue;
        if (line.at[0] == '<' && !expand(&input, &content, 0))
            return false;
        if (line.at[0] == '>' && c->want_count < CASE_WANTS_MAX)
            c->wants[c->want_count++] = content;
        if (line.at[0] != '<' && line.at[0] != '>' && !kind_line(c, line))
            return false;
    }
    c->input = gather_get(&input);
    *why = "a kind or an expectation is missing";
    return c->run != NULL && c->want_count > 0;
}
