#!/usr/bin/env python3
"""Makes src/conf/known_*.c: names of nginx directives and variables.

  tools/known_directives.py DIRECTIVES.tsv VARIABLES.tsv [THIRD-PARTY.tsv] OUT_DIR

DIRECTIVES.tsv has the columns module, directive, syntax, default, contexts, …; VARIABLES.tsv
module and $variable; THIRD-PARTY.tsv directive, … All begin with a line of headings.
"""
import pathlib
import re
import sys

WIDTH = 98
# What the words for contexts mean by the kind of module they stand for.
CONTEXTS = {
    'http': {'main': 0, 'events': 1, 'http': 2, 'server': 3, 'location': 4, 'limit_except': 5,
             'if': (6, 7), 'if in location': 7, 'upstream': 8},
    'stream': {'main': 0, 'stream': 13, 'server': 14, 'upstream': 17},
    'mail': {'main': 0, 'mail': 15, 'server': 18},
    'core': {'main': 0, 'events': 1, 'http': 2, 'mail': 15, 'stream': 13, 'server': 3,
             'location': 4},
    'mgmt': {'mgmt': 19, 'main': 0},
}
PREFIXES = {'arg_name': 'arg_', 'cookie_name': 'cookie_', 'http_name': 'http_',
            'sent_http_name': 'sent_http_', 'sent_trailer_name': 'sent_trailer_',
            'upstream_cookie_name': 'upstream_cookie_', 'upstream_http_name': 'upstream_http_',
            'upstream_trailer_name': 'upstream_trailer_', 'jwt_header_name': 'jwt_header_',
            'jwt_claim_name': 'jwt_claim_', 'oidc_claim_name': 'oidc_claim_',
            'proxy_protocol_tlv_name': 'proxy_protocol_tlv_'}
THIRD_PARTY = 'a module of others'


def rows(path):
    lines = pathlib.Path(path).read_text(encoding='utf8').splitlines()[1:]
    return [line.split('\t') for line in lines if line]


def context_bits(module, words):
    found = re.match(r'ngx_(\w+?)_', module)
    table = CONTEXTS.get(found[1] if found else 'http', CONTEXTS['http'])
    bits = 0
    for word in words.split(','):
        places = table.get(word.strip(), ())
        for place in places if isinstance(places, tuple) else (places,):
            bits |= 1 << place
    return bits


def packed(items):
    line = '   '
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            yield line
            line = '   '
        line += f' {item},'
    yield line


def directives_file(directives, third_party):
    found = {}
    for module, name, *rest in directives:
        if re.fullmatch(r'\w+', name) and name != 'include':
            bits = context_bits(module, rest[2])
            found[name, module] = found.get((name, module), 0) | bits
    names = {name for name, _ in found}
    for name, *_ in third_party:
        if name not in names:
            found[name, THIRD_PARTY] = context_bits('', 'main,http,server,location,if')
    modules = sorted({module for _, module in found})
    yield '/* known_directives.c - made by tools/known_directives.py; see known.h. */'
    yield '/* clang-format off */'
    yield '#include "conf/known.h"'
    yield ''
    yield 'const char *const known_modules[] = {'
    yield from packed(f'"{module}"' for module in modules)
    yield '};'
    yield ''
    yield 'const struct known_directive known_directives[] = {'
    yield from packed(f'{{ "{name}", {modules.index(module)}, {bits:#x} }}'
                      for (name, module), bits in sorted(found.items()))
    yield '};'
    yield ''
    yield ('const size_t known_directive_count = '
           'sizeof known_directives / sizeof known_directives[0];')


def variables_file(variables):
    names = {name.strip('$,') for _, name in variables}
    names = {PREFIXES.get(name, name) for name in names if re.fullmatch(r'\w+', name)}
    yield '/* known_variables.c - made by tools/known_directives.py; see known.h. */'
    yield '/* clang-format off */'
    yield '#include "conf/known.h"'
    yield ''
    yield 'const char *const known_variables[] = {'
    yield from packed(f'"{name}"' for name in sorted(names))
    yield '};'
    yield ''
    yield ('const size_t known_variable_count = '
           'sizeof known_variables / sizeof known_variables[0];')


def main(args):
    if not 3 <= len(args) <= 4:
        sys.exit(__doc__)
    third_party = rows(args[2]) if len(args) == 4 else []
    out = pathlib.Path(args[-1])
    texts = {'known_directives.c': directives_file(rows(args[0]), third_party),
             'known_variables.c': variables_file(rows(args[1]))}
    for name, lines in texts.items():
        (out / name).write_text('\n'.join(lines) + '\n')


if __name__ == '__main__':
    main(sys.argv[1:])
