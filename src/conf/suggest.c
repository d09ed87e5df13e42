/* suggest.c - edit distance, bounded: optimal string alignment. */
#include "conf/suggest.h"

#include "conf/load.h"

void suggest_init(struct suggestion *s, struct slice word)
{
    *s = (struct suggestion){ .word = word,
                              .distance = word.size < 3    ? 1
                                          : word.size < 5  ? 2
                                          : word.size < 10 ? 3
                                                           : 4 };
    if (word.size > SUGGEST_SIZE_MAX)
        s->distance = 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Fills now, the row of the table that belongs to a[i-1], from the two rows before it. Gives
 * the least number in it: the final distance cannot be lower. */
static unsigned fill_row(struct slice a, struct slice b, size_t i, unsigned *now,
                         const unsigned *last, const unsigned *before)
{
    unsigned lowest = now[0] = (unsigned)i;
    for (size_t j = 1; j <= b.size; j++) {
        unsigned cost = a.at[i - 1] != b.at[j - 1];
        now[j] = least(last[j - 1] + cost, least(last[j], now[j - 1]) + 1);
        if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1])
            now[j] = least(now[j], before[j - 2] + 1);
        lowest = least(lowest, now[j]);
    }
    return lowest;
}

/* The distance of a and b if it is below bound, else bound or more. */
static unsigned distance(struct slice a, struct slice b, unsigned bound)
{
    unsigned rows[3][SUGGEST_SIZE_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.size; i++)
        if (fill_row(a, b, i, rows[i % 3], rows[(i - 1) % 3], rows[(i + 1) % 3]) >= bound)
            return bound;
    return rows[a.size % 3][b.size];
}

void suggest_consider(struct suggestion *s, const char *name)
{
    struct slice n = slice_str(name);
    size_t gap = n.size > s->word.size ? n.size - s->word.size : s->word.size - n.size;
    if (gap >= s->distance || n.size > SUGGEST_SIZE_MAX)
        return;
    unsigned d = slice_eq_nocase(s->word, n) ? 1 : distance(s->word, n, s->distance);
    if (d < s->distance) {
        s->distance = d;
        s->best = name;
    }
}

const char *conf_nearest(struct slice word, const char *const *candidates, size_t count)
{
    struct suggestion s;
    suggest_init(&s, word);
    for (size_t i = 0; i < count; i++)
        if (candidates[i] != NULL)
            suggest_consider(&s, candidates[i]);
    return s.best;
}
