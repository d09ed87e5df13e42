/* lex_test.c - the lexer: words, quotes, escapes, places; what is no token. */
#include "conf/lex.h"
#include "conf_test.h"

struct lexed {
    struct arena arena;
    char text[1024]; /* tokens, "|" between them                              */
    struct lex_fault faults[8];
    unsigned fault_count;
    struct token tokens[32];
    unsigned count;
};

static void note_fault(void *arg, const struct lex_fault *fault)
{
    struct lexed *l = arg;
    if (l->fault_count < COUNT_OF(l->faults))
        l->faults[l->fault_count++] = *fault;
}

static void lex_all(struct lexed *l, struct slice text)
{
    struct lexer lexer;
    struct token t;
    struct gather g;
    *l = (struct lexed){ 0 };
    arena_init(&l->arena, NULL, 0, 4096, SIZE_MAX);
    gather_init(&g, l->text, sizeof l->text - 1, NULL, 0);
    lex_init(&lexer, text, &l->arena, note_fault, l);
    for (lex_next(&lexer, &t); t.kind != TOKEN_END; lex_next(&lexer, &t)) {
        static const char marks[] = {
            [TOKEN_SEMICOLON] = ';', [TOKEN_OPEN] = '{', [TOKEN_CLOSE] = '}'
        };
        if (l->count > 0)
            gather_byte(&g, '|');
        if (t.kind == TOKEN_WORD)
            gather_slice(&g, t.text);
        else
            gather_byte(&g, marks[t.kind]);
        if (l->count < COUNT_OF(l->tokens))
            l->tokens[l->count++] = t;
    }
    l->text[g.used] = '\0';
    arena_done(&l->arena);
}

static void words_and_marks(void **state)
{
    static const struct {
        const char *source, *tokens;
    } cases[] = {
        { "", "" },
        { "a;", "a|;" },
        { " a\tb\r\nc;", "a|b|c|;" },
        { "a{b;}", "a|{|b|;|}" },
        { "a b{c;}d;", "a|b|{|c|;|}|d|;" },
        { "# c; {\na;#d\n", "a|;" },
        { "a#b;", "a#b|;" },
        { "a}b;", "a}b|;" },
        { "a\"b\"c;", "a\"b\"c|;" },
        { "\"a b\" 'c;d' ;", "a b|c;d|;" },
        { "'a''b';", "a|b|;" },
        { "\"\";", "|;" },
        { "\"a'b\" 'a\"b';", "a'b|a\"b|;" },
        { "\"a\nb\";", "a\nb|;" },
        { "a ${b}c;", "a|${b}c|;" },
        { "a $b{c;}", "a|$b|{|c|;|}" },
        { "a ~ b${;", "a|~|b${|;" },
        { "if ($a = \"b\"){", "if|($a|=|b|)|{" },
        { "if ($a = 'b') {", "if|($a|=|b|)|{" },
        { "\"a\";b;", "a|;|b|;" },
        { "\"a\"{", "a|{" },
        { "\xef\xbb\xbf"
          "a;",
          "a|;" },
        { "\xc3\xa4 \xff;", "\xc3\xa4|\xff|;" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lexed l;
        lex_all(&l, slice_str(cases[i].source));
        assert_string_equal(l.text, cases[i].tokens);
        assert_int_equal(l.fault_count, strstr(cases[i].source, "''b") != NULL);
    }
}

static void escapes_as_nginx_has_them(void **state)
{
    static const struct {
        const char *source, *tokens;
    } cases[] = {
        { "\"\\\"\\'\\\\\";", "\"'\\|;" },
        { "\"\\t\\r\\n\";", "\t\r\n|;" },
        { "\"\\a\\.\\d\\$\\{\";", "\\a\\.\\d\\$\\{|;" },
        { "\\t\\\"a;", "\t\"a|;" },
        { "a\\ b;", "a\\ b|;" },
        { "a\\;b;", "a\\;b|;" },
        { "a\\{b;", "a\\{b|;" },
        { "\\.php$ {", "\\.php$|{" },
        { "\\\\.;", "\\.|;" },
        { "a\\", "a\\" },
        { "'\\'a';", "'a|;" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lexed l;
        lex_all(&l, slice_str(cases[i].source));
        assert_string_equal(l.text, cases[i].tokens);
        assert_int_equal(l.fault_count, 0);
    }
}

static void places(void **state)
{
    struct lexed l;
    (void)state;
    lex_all(&l, SLICE("a b;\n\t 'c\nd' e;\n"));
    assert_int_equal(l.count, 6);
    assert_int_equal(l.tokens[1].from.line, 1);
    assert_int_equal(l.tokens[1].from.column, 3);
    assert_int_equal(l.tokens[1].to.column, 4);
    assert_true(l.tokens[0].first && !l.tokens[1].first);
    assert_int_equal(l.tokens[3].from.line, 2);
    assert_int_equal(l.tokens[3].from.column, 3);
    assert_int_equal(l.tokens[3].indent, 9);
    assert_true(l.tokens[3].first && l.tokens[3].quoted);
    assert_int_equal(l.tokens[3].to.line, 3);
    assert_int_equal(l.tokens[3].to.column, 3);
    assert_int_equal(l.tokens[4].from.line, 3);
    assert_false(l.tokens[4].first);
}

static void faults(void **state)
{
    static const struct {
        const char *source, *tokens;
        enum lex_fault_kind kind;
        unsigned line, column;
    } cases[] = {
        { "a \"b;\nc d;", "a|b|;|c|d|;", FAULT_QUOTE, 1, 3 },
        { "a 'b {\nc \"d\";", "a|b|{|c|d|;", FAULT_QUOTE, 1, 3 },
        { "a \"b\nc \"d\";", "a|b|c|d|;", FAULT_QUOTE, 1, 3 },
        { "a \"b;\nc \"d\" e;", "a|b|;|c|d|e|;", FAULT_QUOTE, 1, 3 },
        { "a \"\\", "a|\\", FAULT_QUOTE, 1, 3 },
        { "a \"b\"c;", "a|b|c|;", FAULT_BEHIND_QUOTE, 1, 6 },
        { "a b\x01;", "a|b\x01|;", FAULT_BYTE, 1, 4 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct lexed l;
        lex_all(&l, slice_str(cases[i].source));
        assert_string_equal(l.text, cases[i].tokens);
        assert_int_equal(l.fault_count, 1);
        assert_int_equal(l.faults[0].kind, cases[i].kind);
        assert_int_equal(l.faults[0].place.line, cases[i].line);
        assert_int_equal(l.faults[0].place.column, cases[i].column);
    }
}

static void blocks_of_lua_are_passed_over(void **state)
{
    static const char *const sources[] = {
        "a_by_lua_block { x = { 1, \"}\", '}' } -- }\n y = [[ } ]] z = [=[ }]] ]=] --[[ } ]] } b;",
        "a_by_lua_block {} b;",
        "a_by_lua_block{ s = \"\\\"}\" } b;",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct lexed l;
        lex_all(&l, slice_str(sources[i]));
        assert_string_equal(l.text, "a_by_lua_block|{|}|b|;");
    }
}

static void comments_and_sources(void **state)
{
    static const char text[] = "# a\nb 'c\\'';#d }\n x_by_lua_block { # } -- }\n }";
    static const struct {
        enum token_kind kind;
        const char *source;
    } wanted[] = {
        { TOKEN_COMMENT, "# a" }, { TOKEN_WORD, "b" },       { TOKEN_WORD, "'c\\''" },
        { TOKEN_SEMICOLON, ";" }, { TOKEN_COMMENT, "#d }" }, { TOKEN_WORD, "x_by_lua_block" },
        { TOKEN_OPEN, "{ # " },   { TOKEN_CLOSE, "}" },
    };
    struct lexer lexer;
    struct token t;
    (void)state;
    lex_init(&lexer, slice_str(text), NULL, NULL, NULL);
    lexer.comments = true;
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        lex_next(&lexer, &t);
        assert_int_equal(t.kind, wanted[i].kind);
        assert_true(slice_eq(t.source, slice_str(wanted[i].source)));
    }
}

static void ways_back_to_the_source(void **state)
{
    (void)state;
    assert_int_equal(lex_source_offset(SLICE("abc"), 2), 2);
    assert_int_equal(lex_source_offset(SLICE("\"a\\\"bc\""), 2), 4);
    assert_int_equal(lex_source_offset(SLICE("a\\.b"), 2), 2);
    assert_int_equal(lex_source_offset(SLICE("ab"), 9), 2);
    assert_int_equal(lex_word_size(SLICE("abc;d")), 3);
    assert_int_equal(lex_word_size(SLICE("\"a;b\" c")), 5);
    assert_int_equal(lex_word_size(SLICE("}")), 1);
    assert_int_equal(lex_word_size(SLICE("")), 0);
    assert_int_equal(lex_word_size(SLICE("\xef\xbb\xbf")), 3); /* a mark inside a file */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_marks),
        cmocka_unit_test(escapes_as_nginx_has_them),
        cmocka_unit_test(places),
        cmocka_unit_test(faults),
        cmocka_unit_test(blocks_of_lua_are_passed_over),
        cmocka_unit_test(comments_and_sources),
        cmocka_unit_test(ways_back_to_the_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
