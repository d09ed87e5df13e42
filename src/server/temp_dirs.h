/* temp_dirs.h - the directories that bodies are written to: made by the master, because the worker
 * has no right to. */
#ifndef SERVER_TEMP_DIRS_H
#define SERVER_TEMP_DIRS_H

#include "server/config.h"

/* Makes every client_body_temp_path, proxy_temp_path, proxy_cache_path … of the configuration
 * (mkdir(2), mode 0700) and, when we are root, gives it to the user that the worker becomes. One
 * that was not asked for by name and cannot be made is passed over. False: text (a sentence, at
 * most size bytes) says why. */
bool temp_dirs_make(const struct config *, char *text, size_t size) MUST_USE;

#endif
