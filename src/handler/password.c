/* password.c - hashes of passwords by libcrypt and OpenSSL, and the files they stand in. */
#include "handler/password.h"

#include "wire/basic.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MD5_SIZE = 16,
    SHA1_SIZE = 20,
    SALT_MAX = 64,     /* of {SSHA}                                     */
    APR1_SALT_MAX = 8, /* what is behind does not count                 */
    APR1_TEXT_SIZE = 22,
    APR1_ROUNDS = 1000,
    DES_SIZE = 13, /* of a DES hash: it has no mark in front        */
};

/* ---- comparing without telling by the time it takes ------------------------------------------ */

static bool same(struct slice a, struct slice b)
{
    return a.size == b.size && CRYPTO_memcmp(a.at, b.at, a.size) == 0;
}

/* ---- {PLAIN}, {SHA}, {SSHA} ------------------------------------------------------------------ */

static bool plain_fits(const char *hash, const char *password)
{
    return same(slice_str(hash), slice_str(password));
}

/* Is `kept` the SHA-1 of password and salt, with the salt behind it? */
static bool sha1_fits(struct slice kept, const char *password)
{
    struct slice salt = slice_skip(kept, SHA1_SIZE);
    unsigned char found[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    bool made = m != NULL && EVP_DigestInit_ex(m, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(m, password, strlen(password)) == 1 &&
                EVP_DigestUpdate(m, salt.at, salt.size) == 1 &&
                EVP_DigestFinal_ex(m, found, NULL) == 1;

    EVP_MD_CTX_free(m);
    return made && same(slice_head(kept, SHA1_SIZE), slice_of((char *)found, SHA1_SIZE));
}

static bool sha_fits(const char *hash, const char *password)
{
    char kept[SHA1_SIZE];

    return base64_decode(slice_str(hash), kept, sizeof kept) == SHA1_SIZE &&
           sha1_fits(slice_of(kept, SHA1_SIZE), password);
}

static bool ssha_fits(const char *hash, const char *password)
{
    char kept[SHA1_SIZE + SALT_MAX];
    int size = base64_decode(slice_str(hash), kept, sizeof kept);

    return size >= SHA1_SIZE && sha1_fits(slice_of(kept, (size_t)size), password);
}

/* ---- $apr1$ ---------------------------------------------------------------------------------
 * Apache's variant of the MD5 crypt of FreeBSD (crypt(5): md5crypt), with a mark of its own; see
 * "Password Formats" in the documentation of Apache httpd. */

/* What goes into one digest. `ok` stays false once something failed. */
struct digest {
    EVP_MD *md5;
    EVP_MD_CTX *state;
    bool ok;
};

static void digest_begin(struct digest *d)
{
    d->ok = d->ok && EVP_DigestInit_ex(d->state, d->md5, NULL) == 1;
}

static void digest_add(struct digest *d, struct slice bytes)
{
    d->ok = d->ok && EVP_DigestUpdate(d->state, bytes.at, bytes.size) == 1;
}

static void digest_end(struct digest *d, unsigned char into[MD5_SIZE])
{
    d->ok = d->ok && EVP_DigestFinal_ex(d->state, into, NULL) == 1;
}

static void apr1_first(struct digest *d, struct slice password, struct slice salt,
                       unsigned char found[MD5_SIZE])
{
    struct slice bytes = slice_of((char *)found, MD5_SIZE);

    digest_begin(d);
    digest_add(d, password);
    digest_add(d, salt);
    digest_add(d, password);
    digest_end(d, found);
    digest_begin(d);
    digest_add(d, password);
    digest_add(d, SLICE("$apr1$"));
    digest_add(d, salt);
    for (size_t left = password.size; left > 0; left -= slice_head(bytes, left).size)
        digest_add(d, slice_head(bytes, left));
    for (size_t bit = password.size; bit > 0; bit >>= 1)
        digest_add(d, bit & 1 ? slice_of("", 1) : slice_head(password, 1));
    digest_end(d, found);
}

static void apr1_round(struct digest *d, unsigned nth, struct slice password, struct slice salt,
                       unsigned char found[MD5_SIZE])
{
    struct slice bytes = slice_of((char *)found, MD5_SIZE);

    digest_begin(d);
    digest_add(d, nth & 1 ? password : bytes);
    if (nth % 3 != 0)
        digest_add(d, salt);
    if (nth % 7 != 0)
        digest_add(d, password);
    digest_add(d, nth & 1 ? bytes : password);
    digest_end(d, found);
}

/* Six bits a character, the lowest first, of three bytes that stand apart. */
static void apr1_print(const unsigned char b[MD5_SIZE], char into[APR1_TEXT_SIZE])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[][3] = {
        { 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 }, { 4, 10, 5 }
    };
    size_t at = 0;

    for (size_t i = 0; i < COUNT_OF(order); i++) {
        uint32_t bits =
            (uint32_t)b[order[i][0]] << 16 | (uint32_t)b[order[i][1]] << 8 | b[order[i][2]];

        for (unsigned n = 0; n < 4; n++, bits >>= 6)
            into[at++] = digits[bits & 63];
    }
    into[at++] = digits[b[11] & 63];
    into[at] = digits[b[11] >> 6];
}

static bool apr1_fits(const char *hash, const char *password)
{
    struct slice kept = slice_str(hash), typed = slice_str(password);
    struct slice salt = slice_head(slice_cut(&kept, '$'), APR1_SALT_MAX);
    struct digest d = { EVP_MD_fetch(NULL, "MD5", NULL), EVP_MD_CTX_new(), true };
    unsigned char found[MD5_SIZE];
    char text[APR1_TEXT_SIZE];

    d.ok = d.md5 != NULL && d.state != NULL;
    apr1_first(&d, typed, salt, found);
    for (unsigned nth = 0; nth < APR1_ROUNDS && d.ok; nth++)
        apr1_round(&d, nth, typed, salt, found);
    EVP_MD_CTX_free(d.state);
    EVP_MD_free(d.md5);
    if (!d.ok)
        return false;
    apr1_print(found, text);
    return same(kept, slice_of(text, sizeof text));
}

/* ---- crypt(3) -------------------------------------------------------------------------------- */

static bool crypt_fits(const char *hash, const char *password)
{
    void *space = NULL;
    int size = 0;
    const char *found = crypt_ra(password, hash, &space, &size);
    bool fits = found != NULL && found[0] != '*' && same(slice_str(found), slice_str(hash));

    if (space != NULL)
        OPENSSL_cleanse(space, (size_t)size);
    free(space);
    return fits;
}

/* Any text begins like a DES hash, but few are as long. */
static bool crypt_knows(const char *hash)
{
    int verdict = crypt_checksalt(hash);

    if (verdict == CRYPT_SALT_INVALID || verdict == CRYPT_SALT_METHOD_DISABLED)
        return false;
    return hash[0] == '$' || hash[0] == '_' || strlen(hash) == DES_SIZE;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static const struct {
    struct slice mark; /* which the function does not see */
    bool (*fits)(const char *hash, const char *password);
    bool slow;
} kinds[] = {
    [PASSWORD_PLAIN] = { SLICE("{PLAIN}"), plain_fits, false },
    [PASSWORD_SHA] = { SLICE("{SHA}"), sha_fits, false },
    [PASSWORD_SSHA] = { SLICE("{SSHA}"), ssha_fits, false },
    [PASSWORD_APR1] = { SLICE("$apr1$"), apr1_fits, true },
    [PASSWORD_CRYPT] = { SLICE(""), crypt_fits, true },
};

enum password_kind password_kind(const char *hash)
{
    for (unsigned k = PASSWORD_PLAIN; k < PASSWORD_CRYPT; k++)
        if (slice_starts(slice_str(hash), kinds[k].mark))
            return (enum password_kind)k;
    return crypt_knows(hash) ? PASSWORD_CRYPT : PASSWORD_UNKNOWN;
}

bool password_is_slow(enum password_kind kind)
{
    return kinds[kind].slow;
}

bool password_fits(const char *hash, const char *password)
{
    enum password_kind kind = password_kind(hash);

    return kind != PASSWORD_UNKNOWN && kinds[kind].fits(hash + kinds[kind].mark.size, password);
}

/* ---- files ----------------------------------------------------------------------------------- */

enum password_line password_read_line(struct slice line, struct slice *ret_user,
                                      struct slice *ret_hash)
{
    while (line.size > 0 && (line.at[line.size - 1] == '\n' || line.at[line.size - 1] == '\r'))
        line.size--;
    if (line.size == 0 || line.at[0] == '#')
        return LINE_EMPTY;
    if (slice_find(line, ':') == line.size)
        return LINE_BAD;
    *ret_user = slice_cut(&line, ':');
    *ret_hash = slice_cut(&line, ':');
    return ret_user->size > 0 && ret_hash->size > 0 ? LINE_ENTRY : LINE_BAD;
}

/* The next line, cut at PASSWORD_LINE_MAX. */
static bool next_line(FILE *file, char line[PASSWORD_LINE_MAX])
{
    int c = 0;

    if (fgets(line, PASSWORD_LINE_MAX, file) == NULL)
        return false;
    if (strlen(line) == PASSWORD_LINE_MAX - 1 && line[PASSWORD_LINE_MAX - 2] != '\n')
        while (c != '\n' && c != EOF)
            c = getc_unlocked(file);
    return true;
}

static int search(FILE *file, struct slice user, char into[PASSWORD_HASH_MAX], unsigned *ret_line)
{
    char line[PASSWORD_LINE_MAX];
    struct slice name, hash;

    for (*ret_line = 1; next_line(file, line); ++*ret_line) {
        if (password_read_line(slice_str(line), &name, &hash) != LINE_ENTRY ||
            !slice_eq(name, user))
            continue;
        if (hash.size >= PASSWORD_HASH_MAX)
            hash.size = 0;
        memcpy(into, hash.at, hash.size);
        into[hash.size] = '\0';
        return 1;
    }
    return ferror(file) ? -EIO : 0;
}

/* Pipes and devices would be waited for. */
static int open_regular(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY), error = 0;
    struct stat s;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &s) != 0)
        error = -errno;
    else if (!S_ISREG(s.st_mode))
        error = S_ISDIR(s.st_mode) ? -EISDIR : -EINVAL;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int password_find(const char *path, struct slice user, char into[PASSWORD_HASH_MAX],
                  unsigned *ret_line)
{
    int fd = open_regular(path), found;
    FILE *file;

    if (fd < 0)
        return fd;
    file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return -ENOMEM;
    }
    found = search(file, user, into, ret_line);
    fclose(file);
    return found;
}
