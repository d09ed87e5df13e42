/* proxy.h - `weir proxy`: a reverse proxy, without a configuration file.
 *
 *   weir proxy 8080 127.0.0.1:3000
 *   weir proxy 0.0.0.0:80 10.0.0.1:8080 10.0.0.2:8080 --balance least_conn --health /health
 *   weir proxy 8080 3000 --print-config       the equivalent weir.conf, to grow from
 */
#ifndef TOOL_PROXY_H
#define TOOL_PROXY_H

#include "tool/serve.h"

/* argv[0] is "proxy". As tool_serve(). */
int tool_proxy(struct serve_wish *, int argc, char **argv);

#endif
