/* upstream_print.c - tables whose columns are as wide as they must be. */
#include "tool/upstream_print.h"

#include "base/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_SIZE = 128, COLUMNS_MAX = 10 };

struct table {
    const char *const *names;
    unsigned columns;
    char (*cells)[CELL_SIZE]; /* row by row */
    unsigned rows;
};

static char (*add_row(struct table *t))[CELL_SIZE]
{
    t->cells = realloc(t->cells, (t->rows + 1) * t->columns * sizeof *t->cells);
    CHECK(t->cells != NULL);
    return t->cells + (size_t)t->rows++ * t->columns;
}

/* A number is at the right of its column. */
static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static void print_row(const struct table *t, const int *widths,
                      const char *(*at)(const void *, unsigned), const void *row)
{
    for (unsigned i = 0; i < t->columns; i++) {
        const char *text = at(row, i);
        bool right = t->rows > 0 && is_number(t->cells[i]);

        if (i + 1 == t->columns && !right)
            printf("%s", text);
        else
            printf(right ? "%*s%s" : "%-*s%s", widths[i], text, i + 1 < t->columns ? "  " : "");
    }
    putchar('\n');
}

static const char *cell_at(const void *row, unsigned i)
{
    return ((const char(*)[CELL_SIZE])row)[i];
}

static const char *name_at(const void *row, unsigned i)
{
    return ((const char *const *)row)[i];
}

static void print_table(struct table *t)
{
    int widths[COLUMNS_MAX];

    for (unsigned i = 0; i < t->columns; i++) {
        widths[i] = (int)strlen(t->names[i]);
        for (unsigned r = 0; r < t->rows; r++) {
            int width = (int)strlen(t->cells[r * t->columns + i]);

            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    print_row(t, widths, name_at, t->names);
    for (unsigned r = 0; r < t->rows; r++)
        print_row(t, widths, cell_at, t->cells + (size_t)r * t->columns);
    free(t->cells);
}

static void put_text(char cell[CELL_SIZE], const json_t *of, const char *name)
{
    const char *text = json_string_value(json_object_get(of, name));

    snprintf(cell, CELL_SIZE, "%s", text != NULL && text[0] != '\0' ? text : "-");
}

static void put_number(char cell[CELL_SIZE], const json_t *of, const char *name)
{
    const json_t *v = json_object_get(of, name);

    if (json_is_integer(v))
        snprintf(cell, CELL_SIZE, "%lld", (long long)json_integer_value(v));
    else
        snprintf(cell, CELL_SIZE, "-");
}

/* ---- tables --------------------------------------------------------------------------------- */

void upstream_print_list(const json_t *upstreams)
{
    static const char *const names[] = { "UPSTREAM", "SERVERS", "UP",  "ACTIVE",
                                         "REQUESTS", "FAILS",   "ZONE" };
    struct table t = { .names = names, .columns = COUNT_OF(names) };
    const char *name;
    json_t *u;

    json_object_foreach((json_t *)(uintptr_t)upstreams, name, u)
    {
        char(*row)[CELL_SIZE] = add_row(&t);
        const json_t *peers = json_object_get(u, "peers");
        long long sums[] = { 0, 0, 0 };
        static const char *const summed[] = { "active", "requests", "fails" };
        unsigned well = 0;
        size_t i;
        json_t *p;

        json_array_foreach(peers, i, p)
        {
            well += strcmp(json_string_value(json_object_get(p, "state")), "up") == 0;
            for (size_t k = 0; k < COUNT_OF(sums); k++)
                sums[k] += json_integer_value(json_object_get(p, summed[k]));
        }
        snprintf(row[0], CELL_SIZE, "%s", name);
        snprintf(row[1], CELL_SIZE, "%zu", json_array_size(peers));
        snprintf(row[2], CELL_SIZE, "%u", well);
        for (size_t k = 0; k < COUNT_OF(sums); k++)
            snprintf(row[3 + k], CELL_SIZE, "%lld", sums[k]);
        put_text(row[6], u, "zone");
    }
    print_table(&t);
}

void upstream_print_peers(const json_t *upstream)
{
    static const char *const names[] = { "ID",       "SERVER", "STATE",   "WEIGHT", "ACTIVE",
                                         "REQUESTS", "FAILS",  "TIME/MS", "BACKUP" };
    struct table t = { .names = names, .columns = COUNT_OF(names) };
    size_t i;
    json_t *p;

    json_array_foreach(json_object_get(upstream, "peers"), i, p)
    {
        char(*row)[CELL_SIZE] = add_row(&t);

        put_number(row[0], p, "id");
        put_text(row[1], p, "server");
        put_text(row[2], p, "state");
        put_number(row[3], p, "weight");
        put_number(row[4], p, "active");
        put_number(row[5], p, "requests");
        put_number(row[6], p, "fails");
        put_number(row[7], p, "response_time");
        snprintf(row[8], CELL_SIZE, "%s",
                 json_is_true(json_object_get(p, "backup")) ? "backup" : "");
    }
    print_table(&t);
}

void upstream_print_servers(const json_t *servers)
{
    static const char *const names[] = { "ID", "SERVER", "WEIGHT", "BACKUP", "DOWN", "DRAIN" };
    static const char *const flags[] = { "backup", "down", "drain" };
    struct table t = { .names = names, .columns = COUNT_OF(names) };
    size_t i;
    json_t *s;

    json_array_foreach(servers, i, s)
    {
        char(*row)[CELL_SIZE] = add_row(&t);

        put_number(row[0], s, "id");
        put_text(row[1], s, "server");
        put_number(row[2], s, "weight");
        for (size_t k = 0; k < COUNT_OF(flags); k++)
            snprintf(row[3 + k], CELL_SIZE, "%s",
                     json_is_true(json_object_get(s, flags[k])) ? "yes" : "no");
    }
    print_table(&t);
}

void upstream_print_server(const json_t *server)
{
    json_t *one = json_pack("[O]", server);

    upstream_print_servers(one);
    json_decref(one);
}
