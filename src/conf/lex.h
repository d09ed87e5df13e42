/* lex.h - cuts a configuration file into words, `;`, `{` and `}`.
 *
 *   struct lexer l;
 *   lex_init(&l, file->text, arena, fault, arg);
 *   struct token t;
 *   do lex_next(&l, &t); while (t.kind != TOKEN_END);
 *
 * The grammar is nginx's, byte for byte: quotes count only where a word begins; a backslash
 * takes the byte behind it along, and only \" \' \\ \t \r \n are undone; the brace of ${name}
 * opens no block. What cannot be a token is told to fault(), and the lexer goes on behind it.
 * Without an arena nothing is undone and nothing allocated: enough for counting braces.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include "base/arena.h"

/* TOKEN_COMMENT comes only if the lexer's `comments` was set. */
enum token_kind { TOKEN_WORD, TOKEN_SEMICOLON, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_END, TOKEN_COMMENT };

/* A place in a file: 1-based, columns in bytes. */
struct lex_place {
    uint32_t line, column;
};

struct token {
    enum token_kind kind;
    struct slice text;         /* TOKEN_WORD: without quotes, escapes undone            */
    struct slice source;       /* as written; a block of Lua is with its `{`            */
    struct lex_place from, to; /* its first byte; just behind its last                  */
    uint32_t indent;           /* width of the white space its line begins with         */
    bool first;                /* nothing stands before it on its line                  */
    bool quoted;
};

enum lex_fault_kind {
    FAULT_QUOTE,        /* opened at the place and not closed                    */
    FAULT_BEHIND_QUOTE, /* a byte that cannot follow a closing quote             */
    FAULT_BYTE,         /* a control byte: this is no text                       */
};

struct lex_fault {
    enum lex_fault_kind kind;
    struct lex_place place;
    unsigned char byte;
};

typedef void lex_fault_fn(void *arg, const struct lex_fault *);

struct lexer {
    const char *at, *end;
    const char *line_begin;
    uint32_t line, indent;
    struct arena *arena;
    lex_fault_fn *fault;
    void *arg;
    bool fresh_line;      /* no token on this line yet                             */
    bool fresh_statement; /* the next word is a directive's name                   */
    bool lua;             /* that name was …_by_lua_block: its block is no nginx   */
    bool stopped;
    bool comments; /* they are tokens: set it after lex_init()              */
};

/* Borrows text; words without escapes borrow from it too. arena and fault may be NULL. */
void lex_init(struct lexer *, struct slice text, struct arena *, lex_fault_fn *fault, void *arg);
void lex_next(struct lexer *, struct token *ret);

/* Goes on behind the next `byte` of this line, if it has one. */
void lex_skip_past(struct lexer *, char byte);

/* Gives up the rest of the text: only TOKEN_END follows. */
void lex_stop(struct lexer *);

/* Where, in the source, the byte stands that became text[offset] of the word that begins at
 * source.at. Returns an index into source, which begins with the word as written. */
size_t lex_source_offset(struct slice source, size_t offset);

/* How many bytes the word takes that source begins with, quotes included. */
size_t lex_word_size(struct slice source);

#endif
