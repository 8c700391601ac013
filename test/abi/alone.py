#!/usr/bin/env python3
"""Each public header compiles alone as C99, C11 and C++17, free of warnings, with every compiler there is."""
import argparse
import os
import shutil
import sys
import tempfile

import tap

FLAGS = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-Werror', '-fsyntax-only']
COMPILERS = [('gcc', '.c', ('c99', 'c11')), ('g++', '.cpp', ('c++17',)),
             ('clang', '.c', ('c99', 'c11')), ('clang++', '.cpp', ('c++17',))]


def compile_text(compiler, standard, suffix, include, text):
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, 'alone' + suffix)
        with open(source, 'w', encoding='utf-8') as file:
            file.write(text)
        return tap.command([compiler, f'-std={standard}', *FLAGS, '-I', include, source])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    args = parser.parse_args()
    include = os.path.join(args.root, 'include')
    cases = []
    for compiler, suffix, standards in COMPILERS:
        if not shutil.which(compiler):
            continue
        for standard in standards:
            for header in ('sprat.h', 'experimental.h'):
                text = f'#define SPRAT_EXPERIMENTAL\n#include <sprat/{header}>\nint alone;\n'
                cases.append((f'{header} {compiler} {standard}', lambda a=(compiler, standard, suffix, include, text):
                              compile_text(*a)))
        bad = '#include <sprat/sprat.h>\nint f(void) { int unused; return sprat_version(1); }\n'
        cases.append((f'self-test {compiler}', lambda a=(compiler, standards[0], suffix, include, bad):
                      [] if compile_text(*a) else ['a wrong call compiles']))
        guard = '#include <sprat/experimental.h>\nint alone;\n'
        cases.append((f'experimental.h asks for SPRAT_EXPERIMENTAL, {compiler}',
                      lambda a=(compiler, standards[0], suffix, include, guard):
                      [] if compile_text(*a) else ['it compiles without']))
    if not cases:
        cases.append(('a compiler', lambda: ['neither gcc nor clang is installed']))
    return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
