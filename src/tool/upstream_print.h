/* upstream_print.h - what the API says of upstreams, as tables for people. */
#ifndef TOOL_UPSTREAM_PRINT_H
#define TOOL_UPSTREAM_PRINT_H

#include <jansson.h>

void upstream_print_list(const json_t *upstreams);
void upstream_print_peers(const json_t *upstream);
void upstream_print_servers(const json_t *servers);
void upstream_print_server(const json_t *server);

#endif
