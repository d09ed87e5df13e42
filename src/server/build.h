/* build.h - what the build decided: version, and where things are when nobody says otherwise. */
#ifndef SERVER_BUILD_H
#define SERVER_BUILD_H

#ifndef WEIR_VERSION
#define WEIR_VERSION "0.0.0"
#endif
#ifndef WEIR_PREFIX
#define WEIR_PREFIX "/etc/weir"
#endif
#ifndef WEIR_CONF_PATH
#define WEIR_CONF_PATH "weir.conf"
#endif
#ifndef WEIR_PID_PATH
#define WEIR_PID_PATH "/run/weir.pid"
#endif
#ifndef WEIR_ERROR_LOG_PATH
#define WEIR_ERROR_LOG_PATH "/var/log/weir/error.log"
#endif
#ifndef WEIR_HTTP_LOG_PATH
#define WEIR_HTTP_LOG_PATH "/var/log/weir/access.log"
#endif

#endif
