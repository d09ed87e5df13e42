/* password_test.c - hashes of every kind, files of them, what a client says, and what a desk
 * remembers. The hashes were made by htpasswd(1), openssl-passwd(1) and crypt(3). */
#include "handler/auth_desk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants some of the headers above */
#include <cmocka.h>

static const char sesame[] = "open sesame";

static const struct {
    const char *hash, *password;
    enum password_kind kind;
} good[] = {
    { "{PLAIN}open sesame", sesame, PASSWORD_PLAIN },
    { "{PLAIN}", "", PASSWORD_PLAIN },
    { "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=", sesame, PASSWORD_SHA },
    { "{SSHA}hN5uxFJUEWCPg56kk42tnVCdJ61zYWx0", sesame, PASSWORD_SSHA },
    { "$apr1$BJRDfuT3$tcF9k7SBqNlctfls3.JOx1", sesame, PASSWORD_APR1 },
    { "$apr1$x7Kq$GaMkaXFjVLl1ByVHIuw6z1", sesame, PASSWORD_APR1 },
    { "$apr1$abcdefgh$iIr1R/NwhfCuuLvO5Mqjb.", "a much longer password, of more than sixteen bytes",
      PASSWORD_APR1 },
    { "$apr1$ab$0jmtEbzFwI9Wv.4Vqr.Tw0", "gr\xc3\xbc\xc3\x9f:dich", PASSWORD_APR1 },
    { "$apr1$12345678$sHuPAw7VA9xjRbJz7zKV7/", "", PASSWORD_APR1 },
    { "$2y$05$Ta.zXJAykM4TFfw9cspiHOlyPChiT3g4T2Hp/UQ/HAurexKFcXbtm", sesame, PASSWORD_CRYPT },
    { "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW", sesame, PASSWORD_CRYPT },
    { "$y$j75$saltsaltsalt$/t.p6VFaMssrvW9hjFBIPSCdXaaCzdMD9V8t0nx8fL.", sesame, PASSWORD_CRYPT },
    { "$6$rounds=1000$saltsalt$/IiX/CoEcxCZ9SksEXnbjfCT1LGvD4z5OpJkaFYl/"
      "T37OAwuKZ8I8BixDhruhPLkw6lS7dw/6wQWgQnGo7lLg/",
      sesame, PASSWORD_CRYPT },
    { "$5$rounds=1000$saltsalt$nKsyTQBmKz4GdCft0Sv/FbzLiu0y3wFdEXOzudLQLJ5", sesame,
      PASSWORD_CRYPT },
    { "$1$saltsalt$Yo6tRKYGO/jWyb1etwHDS/", sesame, PASSWORD_CRYPT },
    { "ab/G8gtZdMwak", sesame, PASSWORD_CRYPT },
};

static void every_kind_fits_its_password_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char wrong[128], cut[PASSWORD_HASH_MAX];
        size_t size = strlen(good[i].hash);

        assert_int_equal(password_kind(good[i].hash), good[i].kind);
        if (!password_fits(good[i].hash, good[i].password))
            fail_msg("%s does not fit", good[i].hash);
        snprintf(wrong, sizeof wrong, "x%s", good[i].password);
        if (password_fits(good[i].hash, wrong))
            fail_msg("%s fits \"%s\"", good[i].hash, wrong);
        memcpy(cut, good[i].hash, size + 1);
        cut[size - (cut[size - 1] == '=' ? 2 : 1)] = '\0';
        if (password_fits(cut, good[i].password))
            fail_msg("%s fits, though cut", cut);
    }
}

static void what_is_no_hash_fits_nothing(void **state)
{
    static const char *const bad[] = {
        "",        "*",          "!",          "secret",    "open sesame", "$",       "$apr1$",
        "$apr1$x", "$apr1$x$",   "{SHA}",      "{SHA}====", "{SSHA}abcd",  "{SSHA}*", "$2b$",
        "$9$x$y",  "{MD5}abcde", "$2b$99$abc", "*0",        "*1",          "x",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (password_fits(bad[i], bad[i]) || password_fits(bad[i], "") ||
            password_fits(bad[i], sesame))
            fail_msg("\"%s\" fits", bad[i]);
    }
    assert_int_equal(password_kind("secret"), PASSWORD_UNKNOWN);
    assert_int_equal(password_kind("{MD5}abcde"), PASSWORD_UNKNOWN);
    assert_int_equal(password_kind("*0"), PASSWORD_UNKNOWN);
}

static void the_slow_ones_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(password_is_slow(good[i].kind), good[i].hash[0] != '{');
    assert_false(password_is_slow(PASSWORD_UNKNOWN));
}

/* ---- files ------------------------------------------------------------------------------- */

static void lines_are_read(void **state)
{
    static const struct {
        const char *line, *user, *hash;
        enum password_line kind;
    } table[] = {
        { "ann:hash", "ann", "hash", LINE_ENTRY },
        { "ann:hash\r\n", "ann", "hash", LINE_ENTRY },
        { "ann:hash:a comment", "ann", "hash", LINE_ENTRY },
        { " ann : hash ", " ann ", " hash ", LINE_ENTRY },
        { "", "", "", LINE_EMPTY },
        { "\r\n", "", "", LINE_EMPTY },
        { "# ann:hash", "", "", LINE_EMPTY },
        { "ann", "", "", LINE_BAD },
        { ":hash", "", "", LINE_BAD },
        { "ann:", "", "", LINE_BAD },
        { "ann::comment", "", "", LINE_BAD },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice user, hash;

        assert_int_equal(password_read_line(slice_str(table[i].line), &user, &hash), table[i].kind);
        if (table[i].kind != LINE_ENTRY)
            continue;
        assert_true(slice_eq(user, slice_str(table[i].user)));
        assert_true(slice_eq(hash, slice_str(table[i].hash)));
    }
}

/* A file in a directory of its own; what is in it is the caller's to write. */
static FILE *begin_file(char path[64])
{
    int fd;
    FILE *f;

    strcpy(path, "/tmp/weir-password-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    return f;
}

static void the_first_line_of_a_user_counts(void **state)
{
    char path[64], hash[PASSWORD_HASH_MAX];
    FILE *f = begin_file(path);
    unsigned line;

    (void)state;
    fputs("# people\n\nann:one\nanne:two\nann:three\nbob:four:a comment\r\nno colon\n:five\n", f);
    fputs("long:", f);
    for (int i = 0; i < 3 * PASSWORD_LINE_MAX; i++)
        fputc(i % 7 == 0 ? ':' : 'x', f);
    fputs("\nwide:", f);
    for (int i = 0; i < PASSWORD_HASH_MAX; i++)
        fputc('y', f);
    fputs("\nlast:six", f); /* without a line end */
    fclose(f);
    assert_int_equal(password_find(path, SLICE("ann"), hash, &line), 1);
    assert_string_equal(hash, "one");
    assert_int_equal(line, 3);
    assert_int_equal(password_find(path, SLICE("anne"), hash, &line), 1);
    assert_string_equal(hash, "two");
    assert_int_equal(password_find(path, SLICE("bob"), hash, &line), 1);
    assert_string_equal(hash, "four");
    assert_int_equal(password_find(path, SLICE("wide"), hash, &line), 1);
    assert_string_equal(hash, "");
    assert_int_equal(line, 10);
    assert_int_equal(password_find(path, SLICE("last"), hash, &line), 1);
    assert_string_equal(hash, "six");
    assert_int_equal(line, 11);
    assert_int_equal(password_find(path, SLICE("an"), hash, &line), 0);
    assert_int_equal(password_find(path, SLICE(""), hash, &line), 0);
    assert_int_equal(password_find(path, SLICE("no colon"), hash, &line), 0);
    assert_int_equal(password_find(path, SLICE("# people"), hash, &line), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(password_find(path, SLICE("ann"), hash, &line), -ENOENT);
    assert_int_equal(password_find("/", SLICE("ann"), hash, &line), -EISDIR);
    assert_int_equal(password_find("/dev/zero", SLICE("ann"), hash, &line), -EINVAL);
}

/* ---- what a client says ------------------------------------------------------------------ */

static void authorization_is_read(void **state)
{
    static const struct {
        const char *value, *user, *password; /* user NULL: refused */
    } table[] = {
        { "Basic YWxpY2U6c2VjcmV0", "alice", "secret" },
        { "bAsIc   YWxpY2U6c2VjcmV0  ", "alice", "secret" },
        { "Basic YTo=", "a", "" },
        { "Basic YTo", "a", "" },
        { "Basic YTpiOmM=", "a", "b:c" },
        { "Basic w7w6w58=", "\xc3\xbc", "\xc3\x9f" },
        { "", NULL, NULL },
        { "Basic", NULL, NULL },
        { "Basic ", NULL, NULL },
        { "Basic YWxpY2U=", NULL, NULL },          /* no colon  */
        { "Basic OnNlY3JldA==", NULL, NULL },      /* no user   */
        { "Basic YTpiAGM=", NULL, NULL },          /* a NUL     */
        { "Basic YWxpY2U6c2VjcmV0*", NULL, NULL }, /* no base64 */
        { "Basic YWxpY2U6c2VjcmV0A", NULL, NULL },
        { "Basic YWxp Y2U6c2VjcmV0", NULL, NULL },
        { "Bearer YWxpY2U6c2VjcmV0", NULL, NULL },
        { "BasicYWxpY2U6c2VjcmV0", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct basic_words said;
        bool read = basic_read(slice_str(table[i].value), &said);

        if (read != (table[i].user != NULL))
            fail_msg("\"%s\"", table[i].value);
        if (!read)
            continue;
        assert_string_equal(said.user.at, table[i].user);
        assert_string_equal(said.password.at, table[i].password);
        assert_int_equal(said.user.size, strlen(table[i].user));
        assert_int_equal(said.password.size, strlen(table[i].password));
    }
}

/* "a:" and As behind it: 4 digits are 3 bytes. */
static void long_words_are_refused(void **state)
{
    static char value[4096];
    struct basic_words said;
    size_t most = BASIC_MAX / 3 * 3; /* bytes in whole groups of digits */

    (void)state;
    strcpy(value, "Basic YTpB");
    for (size_t bytes = 3; bytes < most; bytes += 3)
        strcat(value, "QUFB");
    assert_true(basic_read(slice_str(value), &said));
    assert_int_equal(said.password.size, most - 2);
    strcat(value, "QUFB");
    assert_false(basic_read(slice_str(value), &said));
}

/* ---- what a desk remembers ---------------------------------------------------------------- */

static void fill(struct auth_check *k, const char *basic, const char *hash)
{
    assert_true(basic_read(slice_str(basic), &k->said));
    strcpy(k->hash, hash);
}

static void a_desk_remembers_for_a_while(void **state)
{
    static struct auth_desk d, other;
    static struct auth_check k, bob, wrong, changed;
    uint64_t life = (uint64_t)AUTH_REMEMBERED_MS * 1000000u, now = 5;

    (void)state;
    fill(&k, "Basic YWxpY2U6c2VjcmV0", good[9].hash);
    fill(&bob, "Basic Ym9iOnNlY3JldA==", good[9].hash);
    fill(&wrong, "Basic YWxpY2U6c2VjcmU=", good[9].hash);
    fill(&changed, "Basic YWxpY2U6c2VjcmV0", good[10].hash);
    assert_int_equal(auth_desk_init(&d), 0);
    assert_int_equal(auth_desk_init(&other), 0);
    assert_false(auth_desk_remembers(&d, &k, now));
    auth_desk_remember(&d, &k, now);
    assert_true(auth_desk_remembers(&d, &k, now));
    assert_true(auth_desk_remembers(&d, &k, now + life - 1));
    assert_false(auth_desk_remembers(&d, &k, now + life));
    assert_false(auth_desk_remembers(&d, &bob, now));
    assert_false(auth_desk_remembers(&d, &wrong, now));
    assert_false(auth_desk_remembers(&d, &changed, now));
    memcpy(other.remembered, d.remembered, sizeof d.remembered); /* with another key */
    assert_false(auth_desk_remembers(&other, &k, now));
    auth_desk_done(&d);
    auth_desk_done(&other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_fits_its_password_alone),
        cmocka_unit_test(what_is_no_hash_fits_nothing),
        cmocka_unit_test(the_slow_ones_are_known),
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(the_first_line_of_a_user_counts),
        cmocka_unit_test(authorization_is_read),
        cmocka_unit_test(long_words_are_refused),
        cmocka_unit_test(a_desk_remembers_for_a_while),
    };

    return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
