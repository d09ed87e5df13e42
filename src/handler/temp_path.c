/* temp_path.c - where temporary files go, as directives say it. */
#include "handler/temp_path.h"

static bool read_levels(struct conf_load *load, const struct conf_node *node,
                        uint8_t levels[TEMP_LEVELS])
{
    for (unsigned i = 1; i < node->arg_count; i++) {
        struct slice text = conf_arg(node, i);

        if (text.size != 1 || text.at[0] < '1' || text.at[0] > '3') {
            conf_complain(load, CONF_EMERG, node, (int)i, "\"%.*s\" is not a level of directories",
                          SLICE_FMT(text));
            conf_hint(load, "expected: how many digits name a directory: 1, 2 or 3");
            return false;
        }
        levels[i - 1] = (uint8_t)(text.at[0] - '0');
    }
    return true;
}

bool temp_path_read(struct conf_load *load, const struct conf_node *node, struct slice *path,
                    uint8_t levels[TEMP_LEVELS])
{
    struct slice said = conf_arg(node, 0);

    if (said.size == 0) {
        conf_complain(load, CONF_EMERG, node, 0, "the path is empty");
        return false;
    }
    *path = arena_printf(conf_arena(load), "%s%.*s", said.at[0] == '/' ? "" : conf_prefix(load),
                         SLICE_FMT(said));
    return path->at != NULL && read_levels(load, node, levels);
}
