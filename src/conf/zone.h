/* zone.h - zones that a configuration names: `zone=name:size`, and who uses them.
 *
 * A directive such as limit_req_zone declares a zone, others refer to it by its name, before or
 * behind the declaration. Loading makes no memory: generations that run do that, and take over
 * what the generation before them kept under the same name, so that a reload forgets nothing.
 *
 *   z = zone_declare(load, node, 1, SLICE("one:10m"), "limit_req_zone");
 *   z->about = SLICE("$remote_addr"); z->value_size = sizeof(struct count); z->own = …;
 *   z = zone_refer(load, node, 0, SLICE("one"), "limit_req_zone");
 *   …at run time: zone_enter(z->memory, …)                                    base/zone.h
 */
#ifndef CONF_ZONE_H
#define CONF_ZONE_H

#include "base/zone.h"
#include "conf/load.h"

struct conf_zone {
    struct slice name;
    const char *kind;             /* the directive that declares it; NULL: not yet         */
    int64_t size;                 /* bytes                                                 */
    struct slice about;           /* what its keys are, as written                         */
    const char *about_what;       /* "key", if NULL: what `about` is called                */
    uint32_t value_size;          /* of each state                                         */
    void *own;                    /* the declaring feature's: the key's expression …       */
    const struct conf_node *node; /* where it is declared                                  */
    unsigned arg;
    struct zone *memory; /* while a generation runs; else NULL                    */
    struct conf_zone *next;
};

/* A directive declares the zone that `text` ("name:size") in its argument `arg` describes. NULL
 * after a complaint: the text is no such thing, the size is below ZONE_SIZE_MIN, or another
 * directive declared the name. In the load's arena. */
struct conf_zone *zone_declare(struct conf_load *, const struct conf_node *, unsigned arg,
                               struct slice text, const char *kind) MUST_USE;

/* The same for a zone that may be declared in several places, by the same directive and with the
 * same size (or, after the first, without one). */
struct conf_zone *zone_share(struct conf_load *, const struct conf_node *, unsigned arg,
                             struct slice text, const char *kind) MUST_USE;

/* A directive uses the zone; whether it is declared, and by directives of that kind, is known
 * at the end of the run, which complains. Never NULL. */
struct conf_zone *zone_refer(struct conf_load *, const struct conf_node *, unsigned arg,
                             struct slice name, const char *kind) MUST_USE;

/* Complains about each zone that was already there with the same name, kind and size, but for
 * other keys: states would be mistaken for one another. `before` is the configuration in force,
 * or NULL. */
void zones_compare(struct conf_load *, const struct conf_load *before);

/* Gives every zone its memory: that of the same zone in `before` (NULL: there is none), or new.
 * False: no memory; zones_drop() gives back what was had. */
bool zones_take(struct conf_load *, const struct conf_load *before) MUST_USE;
void zones_drop(struct conf_load *);

#endif
