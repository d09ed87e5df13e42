/* coding.c - Accept-Encoding. */
#include "wire/coding.h"

#include "wire/field.h"

static const struct slice names[CODING_COUNT] = {
    [CODING_BR] = { "br", 2 },
    [CODING_ZSTD] = { "zstd", 4 },
    [CODING_GZIP] = { "gzip", 4 },
    [CODING_IDENTITY] = { "identity", 8 },
};

struct slice coding_name(enum coding coding)
{
    return names[coding];
}

void coding_accept_init(struct coding_accept *a)
{
    for (size_t i = 0; i < CODING_COUNT; i++)
        a->named[i] = -1;
    a->others = -1;
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); -1: it is none. */
static int qvalue(struct slice s)
{
    static const int16_t worth[] = { 100, 10, 1 };
    int weight;

    if (s.size == 0 || s.size > 5 || (s.at[0] != '0' && s.at[0] != '1') ||
        (s.size > 1 && s.at[1] != '.'))
        return -1;
    weight = (s.at[0] - '0') * CODING_WEIGHT_MAX;
    for (size_t i = 2; i < s.size; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return -1;
        weight += (s.at[i] - '0') * worth[i - 2];
    }
    return weight <= CODING_WEIGHT_MAX ? weight : -1;
}

/* What stands behind a coding's name: nothing, or ";q=…". */
static int weight_of(struct slice parameters)
{
    struct slice name;

    parameters = slice_trim(parameters);
    if (parameters.size == 0)
        return CODING_WEIGHT_MAX;
    name = slice_cut(&parameters, '=');
    return slice_eq_nocase(slice_trim(name), SLICE("q")) ? qvalue(slice_trim(parameters)) : -1;
}

static int16_t *place_of(struct coding_accept *a, struct slice name)
{
    if (slice_eq(name, SLICE("*")))
        return &a->others;
    if (slice_eq_nocase(name, SLICE("x-gzip")))
        return &a->named[CODING_GZIP];
    for (size_t i = 0; i < CODING_COUNT; i++)
        if (slice_eq_nocase(name, names[i]))
            return &a->named[i];
    return NULL;
}

void coding_accept_read(struct coding_accept *a, struct slice value)
{
    struct slice member;

    while (field_list_next(&value, &member)) {
        struct slice name = slice_trim(slice_cut(&member, ';'));
        int16_t *place = place_of(a, name);
        int weight = weight_of(member);

        if (place != NULL && *place < 0 && weight >= 0)
            *place = (int16_t)weight;
    }
}

int coding_weight(const struct coding_accept *a, enum coding coding)
{
    if (a->named[coding] >= 0)
        return a->named[coding];
    if (coding == CODING_IDENTITY)
        return a->others == 0 ? 0 : 1;
    return a->others > 0 ? a->others : 0;
}

enum coding coding_best(const struct coding_accept *a, unsigned offered)
{
    enum coding best = CODING_IDENTITY;
    int most = a->named[CODING_IDENTITY] > 0 ? a->named[CODING_IDENTITY] - 1 : 0;

    for (unsigned i = 0; i < CODING_IDENTITY; i++) {
        int weight = coding_weight(a, (enum coding)i);

        if ((offered & 1u << i) == 0 || weight <= most)
            continue;
        best = (enum coding)i;
        most = weight;
    }
    return best;
}
