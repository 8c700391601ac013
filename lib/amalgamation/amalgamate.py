#!/usr/bin/env python3
"""Writes the whole library as one pair of files, sprat.c and sprat.h.

Sources are joined in the order given. A header with an include guard is expanded where it is first
asked for and nowhere else; any other file (an X-macro list) is expanded each time. What one source
file defines with #define is undefined at its end, so that no macro leaks into the next; a macro that
two files define is an error here rather than a surprise in a host's build. sprat.h holds the stable
header, and experimental.h for those who define SPRAT_EXPERIMENTAL.

Only Python's standard library is used.
"""
import argparse
import os
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)')
DEFINE = re.compile(r'^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]*(.*)$')
UNDEF = re.compile(r'^[ \t]*#[ \t]*undef[ \t]+([A-Za-z_]\w*)')
OPEN = re.compile(r'^[ \t]*#[ \t]*if(?:n?def)?\b')
CLOSE = re.compile(r'^[ \t]*#[ \t]*endif\b')
GUARD = re.compile(r'^[ \t]*#[ \t]*ifndef[ \t]+(\w+)[ \t]*\n[ \t]*#[ \t]*define[ \t]+\1[ \t]*\n', re.M)
FEATURES = ('_GNU_SOURCE', '_POSIX_C_SOURCE', '_DEFAULT_SOURCE', '_XOPEN_SOURCE', '_DARWIN_C_SOURCE',
            '_FILE_OFFSET_BITS', 'SPRAT_EXPERIMENTAL')

PREAMBLE = '''
#ifdef __cplusplus
#error "sprat.c is C: compile it as C (cc -std=c11 -c sprat.c) and link it"
#endif

/* One answer everywhere: a product and a sum are rounded each by itself, never fused. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wunused-function" /* inline helpers that a header offers */
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
'''


class Problem(Exception):
    """Something in the sources that cannot be joined."""


def strip_comments(text):
    """The text with comments blanked and lines kept, strings respected."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        return re.sub(r'[^\n]', ' ', found) if found[0] == '/' else found

    return pattern.sub(blank, text)


class Joiner:
    """Expands files into one text and remembers what has been expanded and defined."""

    def __init__(self, root):
        self.root = root
        self.seen = set()        # guarded headers already expanded
        self.system = set()      # system headers already included unconditionally
        self.features = {}       # feature macro -> value
        self.header_macros = {}  # macro -> header that defines it
        self.files = []          # every file read, for the depfile
        self.out = []

    def read(self, path):
        self.files.append(path)
        with open(path, encoding='utf-8') as file:
            return file.read()

    def resolve(self, name, asker):
        """The path of a quoted include: beside the asker or under lib/. None for a public header."""
        for folder in (os.path.dirname(asker), os.path.join(self.root, 'lib')):
            path = os.path.normpath(os.path.join(folder, name))
            if os.path.isfile(path):
                return path
        raise Problem(f'{self.label(asker)}: no file "{name}"')

    def label(self, path):
        return os.path.relpath(path, self.root)

    def source(self, path):
        """Joins one .c file."""
        live = {}
        self.out.append(f'\n/* ---- {self.label(path)} ---- */\n')
        self.expand(path, live, 0, [])
        self.out.extend(f'#undef {name}\n' for name in live)

    def expand(self, path, live, depth, trail):
        """Appends a file. live: macros the source file has defined so far, with the definer."""
        if path in trail:
            raise Problem(f'{self.label(path)}: includes itself')
        text = self.read(path)
        code = strip_comments(text)
        guard = GUARD.search(code) if path.endswith('.h') else None
        if path.endswith('.h') and not guard:
            raise Problem(f'{self.label(path)}: a header without an include guard')
        if guard:
            if path in self.seen:
                return
            if depth > 0:
                raise Problem(f'{self.label(path)}: a guarded header included under a condition')
            self.seen.add(path)
        base = depth - (1 if guard else 0)
        for line, bare in zip(text.splitlines(True), code.splitlines(True)):
            if OPEN.match(bare):
                base += 1
            elif CLOSE.match(bare):
                base -= 1
            # Blanking keeps a comment's lines, so an include inside one is not seen; the name
            # itself is read from the whole line, where strings are intact.
            if INCLUDE.match(bare):
                self.include(line, path, live, base, trail)
                continue
            define = DEFINE.match(bare)
            if define and self.define(define, path, live, guard, base):
                continue
            undef = UNDEF.match(bare)
            if undef:
                live.pop(undef.group(1), None)
                self.header_macros.pop(undef.group(1), None)
            self.out.append(line)
        if not text.endswith('\n'):
            self.out.append('\n')

    def include(self, line, path, live, depth, trail):
        quoted, system = INCLUDE.match(line).groups()
        if quoted in ('sprat.h', 'sprat/sprat.h', 'sprat/experimental.h') or (
                system and system.startswith('sprat/')):
            return
        if quoted:
            self.expand(self.resolve(quoted, path), live, depth, trail + [path])
        elif depth > 0 or system not in self.system:
            if depth == 0:
                self.system.add(system)
            self.out.append(line)

    def define(self, match, path, live, guard, depth):
        """Records a definition. True if it is a feature macro, which goes to the top instead."""
        name, value = match.group(1), match.group(2).strip()
        if name in FEATURES:
            if self.features.setdefault(name, value) != value:
                raise Problem(f'{self.label(path)}: {name} is {value} here and {self.features[name]} before')
            return True
        if guard and name == guard.group(1):
            return False
        before = self.header_macros.get(name) or live.get(name)
        if before and (before != path or depth == 0):
            raise Problem(f'{self.label(path)}: {name} is already defined by {self.label(before)}')
        if guard:
            self.header_macros[name] = path
        else:
            live[name] = path
        return False


def comment_of(text):
    return '/*\n' + ''.join(f' * {line}'.rstrip() + '\n' for line in text.rstrip().splitlines()) + ' */\n'


def public_header(root, licence, read):
    stable = read(os.path.join(root, 'include/sprat/sprat.h'))
    experimental = read(os.path.join(root, 'include/sprat/experimental.h'))
    inner = ''.join(line for line in experimental.splitlines(True)
                    if not re.match(r'#include "sprat\.h"', line))
    return (comment_of(licence) + stable + '\n#ifdef SPRAT_EXPERIMENTAL\n' + inner +
            '#endif /* SPRAT_EXPERIMENTAL */\n')


def amalgamate(root, version, sources):
    """The texts of sprat.c and sprat.h, and the files they were made of."""
    joiner = Joiner(root)
    licence = joiner.read(os.path.join(root, 'LICENSE'))
    header = public_header(root, licence, joiner.read)
    for path in sources:
        joiner.source(os.path.abspath(path))
    joiner.features.setdefault('SPRAT_EXPERIMENTAL', '')
    head = comment_of(f'sprat {version} in one file. Made from the project\'s sources; change those, not this.\n'
                      'Build: cc -O2 -std=c11 app.c sprat.c -lpthread -lm\n\n' + licence)
    features = ''.join(f'#ifndef {name}\n#define {name} {value}'.rstrip() + '\n#endif\n'
                       for name, value in sorted(joiner.features.items()))
    return head + features + PREAMBLE + '\n#include "sprat.h"\n' + ''.join(joiner.out), header, joiner.files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--depfile')
    parser.add_argument('--output', nargs=2, required=True, metavar=('SPRAT_C', 'SPRAT_H'))
    parser.add_argument('--sources', nargs='*', required=True)
    args = parser.parse_args()
    try:
        texts = amalgamate(os.path.abspath(args.root), args.version, args.sources)
    except Problem as problem:
        print(f'amalgamate: {problem}', file=sys.stderr)
        return 1
    for path, text in zip(args.output, texts):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    if args.depfile:
        with open(args.depfile, 'w', encoding='utf-8') as file:
            files = ' '.join(name.replace(' ', '\\ ') for name in sorted(set(texts[2])))
            file.write(f'{args.output[0]}: {files}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
