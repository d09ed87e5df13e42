/* privileges.c - from root to nobody, in the order that cannot be undone. */
#include "server/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NAME_SIZE = 256, PER_CONNECTION = 2 /* a file or an upstream */, SPARE = 128 };

#define DEFAULT_USER "nobody"

uint64_t privileges_descriptors(void)
{
    struct rlimit now;

    return getrlimit(RLIMIT_NOFILE, &now) == 0 ? now.rlim_cur : 0;
}

void privileges_raise_descriptors(uint64_t wanted)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur >= wanted)
        return;
    now.rlim_cur = wanted < now.rlim_max ? wanted : now.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &now);
}

static bool failed(const char *call, char *text, size_t size)
{
    snprintf(text, size, "%s failed (%d: %s)", call, errno, strerror(errno));
    return false;
}

static bool set_limits(const struct main_conf *main, uint64_t connections, char *text, size_t size)
{
    struct rlimit files = { (rlim_t)main->rlimit_nofile, (rlim_t)main->rlimit_nofile };
    struct rlimit core = { (rlim_t)main->rlimit_core, (rlim_t)main->rlimit_core };

    if (main->rlimit_nofile == 0)
        privileges_raise_descriptors(connections * PER_CONNECTION + SPARE);
    else if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return failed("setrlimit(RLIMIT_NOFILE)", text, size);
    if (main->rlimit_core != 0 && setrlimit(RLIMIT_CORE, &core) != 0)
        return failed("setrlimit(RLIMIT_CORE)", text, size);
    if (main->priority != 0 && setpriority(PRIO_PROCESS, 0, (int)main->priority) != 0)
        return failed("setpriority()", text, size);
    return true;
}

static void to_text(struct slice s, char into[NAME_SIZE])
{
    snprintf(into, NAME_SIZE, "%.*s", SLICE_FMT(s));
}

uid_t privileges_user(const struct main_conf *main)
{
    char user[NAME_SIZE] = DEFAULT_USER;

    if (main->user.size > 0)
        to_text(main->user, user);
    const struct passwd *pw = getpwnam(user);

    return pw != NULL ? pw->pw_uid : geteuid();
}

static bool change_user(const struct main_conf *main, char *text, size_t size)
{
    char user[NAME_SIZE] = DEFAULT_USER, group[NAME_SIZE] = "";

    if (main->user.size > 0)
        to_text(main->user, user);
    to_text(main->group, group);
    errno = 0;
    struct passwd *pw = getpwnam(user);

    if (pw == NULL)
        return failed("getpwnam()", text, size);
    uid_t uid = pw->pw_uid;
    gid_t gid = pw->pw_gid;

    if (group[0] != '\0') {
        struct group *gr = getgrnam(group);

        if (gr == NULL)
            return failed("getgrnam()", text, size);
        gid = gr->gr_gid;
    }
    if (initgroups(user, gid) != 0)
        return failed("initgroups()", text, size);
    if (setresgid(gid, gid, gid) != 0)
        return failed("setresgid()", text, size);
    if (setresuid(uid, uid, uid) != 0)
        return failed("setresuid()", text, size);
    if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
        return failed("becoming another user", text, size);
    return true;
}

/* Only what `env` names, and the time zone, stays. */
static void clean_environment(const struct main_conf *main)
{
    const char *zone = getenv("TZ"), *no_uring = getenv("WEIR_NO_IO_URING");
    char *kept_zone = zone != NULL ? strdup(zone) : NULL;
    char *kept_uring = no_uring != NULL ? strdup(no_uring) : NULL;
    char **values = NULL;
    size_t count = 0, i = 0;

    for (const struct env_wish *e = main->env; e != NULL; e = e->next)
        count++;
    values = calloc(count + 1, sizeof *values);
    CHECK(values != NULL);
    for (const struct env_wish *e = main->env; e != NULL; e = e->next, i++) {
        const char *value = e->value != NULL ? e->value : getenv(e->name);

        values[i] = value != NULL ? strdup(value) : NULL;
    }
    clearenv();
    if (kept_zone != NULL)
        (void)setenv("TZ", kept_zone, 1);
    if (kept_uring != NULL)
        (void)setenv("WEIR_NO_IO_URING", kept_uring, 1);
    i = 0;
    for (const struct env_wish *e = main->env; e != NULL; e = e->next, i++) {
        if (values[i] != NULL)
            (void)setenv(e->name, values[i], 1);
        free(values[i]);
    }
    free(values);
    free(kept_zone);
    free(kept_uring);
}

bool privileges_drop(const struct main_conf *main, uint64_t connections, char *text, size_t size)
{
    char directory[4096];

    if (!set_limits(main, connections, text, size))
        return false;
    if (geteuid() == 0 && !change_user(main, text, size))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("prctl(PR_SET_NO_NEW_PRIVS)", text, size);
    /* Changing the user made us undumpable; a core was asked for. */
    if (main->rlimit_core != 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        return failed("prctl(PR_SET_DUMPABLE)", text, size);
    if (main->directory.size > 0) {
        snprintf(directory, sizeof directory, "%.*s", SLICE_FMT(main->directory));
        if (chdir(directory) != 0)
            return failed("chdir(working_directory)", text, size);
    }
    clean_environment(main);
    return true;
}
