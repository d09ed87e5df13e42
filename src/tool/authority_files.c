/* authority_files.c - keeps keys from others, and half-written files from everybody. */
#include "tool/authority_files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAY(...) (snprintf(why, AUTHORITY_WHY, __VA_ARGS__), false)

static bool make_dirs(char *path, char why[AUTHORITY_WHY])
{
    for (char *at = path + 1; at != NULL && *at != '\0';) {
        char *slash = strchr(at, '/');

        if (slash != NULL)
            *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return SAY("%.200s cannot be made: %s", path, strerror(errno));
        if (slash != NULL)
            *slash = '/';
        at = slash != NULL ? slash + 1 : NULL;
    }
    return true;
}

bool authority_place(char *dir, size_t size, char why[AUTHORITY_WHY])
{
    const char *shared = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    const struct passwd *user;
    int n;

    if (shared != NULL && shared[0] == '/') { /* others are to be ignored */
        n = snprintf(dir, size, "%s/weir", shared);
    } else {
        if (home == NULL || home[0] != '/') {
            user = getpwuid(geteuid());
            home = user != NULL ? user->pw_dir : NULL;
        }
        if (home == NULL || home[0] != '/')
            return SAY("there is no home directory for a local authority; set XDG_DATA_HOME");
        n = snprintf(dir, size, "%s/.local/share/weir", home);
    }
    if (n < 0 || (size_t)n >= size)
        return SAY("the path of the home directory is too long");
    return make_dirs(dir, why);
}

int authority_lock(const char *dir, char why[AUTHORITY_WHY])
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof path, "%s/lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    snprintf(why, AUTHORITY_WHY, "%.200s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- writing ---- */

/* Beside its name first. */
static bool put(const char *path, BIO *text, mode_t mode, char why[AUTHORITY_WHY])
{
    char beside[PATH_MAX];
    char *at;
    long size = BIO_get_mem_data(text, &at);
    int n = snprintf(beside, sizeof beside, "%s.new.%d", path, (int)getpid());
    int fd;
    bool ok;

    if (n < 0 || (size_t)n >= sizeof beside)
        return SAY("the path is too long: %.200s", path);
    (void)unlink(beside);
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    ok = fd >= 0 && write(fd, at, (size_t)size) == size && fsync(fd) == 0;
    if (ok)
        ok = rename(beside, path) == 0;
    if (!ok) {
        snprintf(why, AUTHORITY_WHY, "%.200s cannot be written: %s", path, strerror(errno));
        (void)unlink(beside);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

bool write_key(const char *path, EVP_PKEY *key, char why[AUTHORITY_WHY])
{
    BIO *text = BIO_new(BIO_s_secmem());
    bool ok =
        text != NULL && PEM_write_bio_PKCS8PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1;

    ok = ok ? put(path, text, 0600, why) : SAY("no memory");
    BIO_free(text);
    return ok;
}

bool write_certificate(const char *path, X509 *x, char why[AUTHORITY_WHY])
{
    BIO *text = BIO_new(BIO_s_mem());
    bool ok = text != NULL && PEM_write_bio_X509(text, x) == 1;

    ok = ok ? put(path, text, 0644, why) : SAY("no memory");
    BIO_free(text);
    return ok;
}

/* ---- reading ---- */

static FILE *open_file(const char *path, bool secret, char why[AUTHORITY_WHY])
{
    FILE *f = fopen(path, "re");
    struct stat st;

    if (f == NULL) {
        snprintf(why, AUTHORITY_WHY, "%.200s: %s", path, strerror(errno));
        return NULL;
    }
    if (!secret || (fstat(fileno(f), &st) == 0 && (st.st_mode & 077) == 0))
        return f;
    snprintf(why, AUTHORITY_WHY,
             "%.200s can be read by others (mode %03o): make it 600, or remove it and the "
             "certificate to make new ones",
             path, (unsigned)(st.st_mode & 0777));
    fclose(f);
    return NULL;
}

bool read_key(const char *path, EVP_PKEY **ret, char why[AUTHORITY_WHY])
{
    FILE *f = open_file(path, true, why);

    if (f == NULL)
        return false;
    *ret = PEM_read_PrivateKey(f, NULL, NULL, (void *)(uintptr_t) "");
    fclose(f);
    return *ret != NULL || SAY("%.200s is not a private key in PEM", path);
}

bool read_certificate(const char *path, X509 **ret, char why[AUTHORITY_WHY])
{
    FILE *f = open_file(path, false, why);

    if (f == NULL)
        return false;
    *ret = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    return *ret != NULL || SAY("%.200s is not a certificate in PEM", path);
}
