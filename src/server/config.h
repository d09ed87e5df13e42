/* config.h - one loaded configuration: its files, its tree, its site. Not yet running.
 *
 *   struct config *c = config_create(registry, prefix, conf_path, globals, error_log);
 *   config_read(c);                          from c->source
 *   config_report(c, …);
 *   if (config_good(c)) …
 *   config_destroy(c);
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/log.h"
#include "http/log_target.h"
#include "http/site.h"
#include "server/main_conf.h"
#include "server/options.h"
#include "server/source.h"

/* What a configuration is read from, besides its files. Copied. */
struct config_place {
    const char *prefix, *conf_path, *globals; /* globals may be NULL */
};

struct config {
    struct source source;
    struct arena arena;
    struct config_place place;
    struct conf_load *load;
    struct scope *root; /* NULL when reading failed                               */
    struct site *site;
    const struct main_conf *main, *events;
    struct log_targets *logs;
    bool runs;        /* … as a server: it has what is not written in the files   */
    struct slice map; /* the bundle it came in; at NULL: from files            */
};

/* `disk`: files may be read. */
struct config *config_create(const struct registry *, const struct config_place *, bool disk);
/* Before it is read: it will run, so it has an admin socket. */
void config_to_run(struct config *);
void config_read(struct config *);
bool config_good(const struct config *);
void config_destroy(struct config *);

/* Every complaint, on stderr, in nginx's order of severity names; errors only if `quiet`. */
void config_print(const struct config *, bool quiet);
/* The same into a log, and as text into g (errors only; may be NULL). */
void config_log(const struct config *, const struct log *, struct gather *g);

#endif
