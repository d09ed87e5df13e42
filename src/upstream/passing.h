/* passing.h - the fields of a request that a server gets: the client's, but for those that concern
 * one connection alone or are set by …_set_header.
 *
 *   struct passing p;
 *   passing_begin(&p, y, conf->fields);
 *   while ((f = passing_next(&p)) != NULL) …write f->name, f->value
 */
#ifndef UPSTREAM_PASSING_H
#define UPSTREAM_PASSING_H

#include "upstream/relay.h"
#include "wire/field.h"

struct conf_load;
struct conf_node;
struct expr;

struct set_field {
    struct slice name;
    enum field_id id;
    struct expr *value;
    struct set_field *next;
};

/* The node's field goes behind the others. False after a complaint. */
bool passing_set(struct conf_load *, const struct conf_node *, struct set_field **first,
                 struct set_field ***end) MUST_USE;

struct passing {
    const struct request *request;
    const struct set_field *sets;
    uint32_t at;
    bool hops, whole;
};

/* Borrows all. */
void passing_begin(struct passing *, const struct relay *, const struct set_field *);
const struct field *passing_next(struct passing *);

/* The client can be sent trailers, it says (TE). */
bool passing_trailers(const struct request *);

#endif
