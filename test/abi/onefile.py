#!/usr/bin/env python3
"""The amalgamation: cc -O2 -std=c11 app.c sprat.c -lpthread -lm, with gcc and clang, and without -std."""
import argparse
import os
import re
import shutil
import sys
import tempfile

import readme
import tap

sys.dont_write_bytecode = True


def build_and_run(compiler, flags, folder, app, work):
    """Builds app.c with sprat.c and runs it."""
    binary = os.path.join(work, 'app')
    return (tap.command([compiler, '-O2', *flags, '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-DSPRAT_ONE_FILE', '-I', folder, '-o', binary,
                         app, os.path.join(folder, 'sprat.c'), '-lpthread', '-lm'])
            or tap.command([binary]))


def readme_program(compiler, root, folder, work):
    """The program of README.md, with the header as README says, builds with its line as it stands there."""
    with open(os.path.join(root, 'README.md'), encoding='utf-8') as file:
        text = file.read()
    program = readme.first_program(text).replace('#include <sprat/experimental.h>', '#include "sprat.h"')
    line = re.search(r'^    cc (.*?) +#.*one file', text, re.M).group(1)
    if '#include "sprat.h"' not in re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S):
        return ['README.md does not say which header belongs to sprat.c']
    place = os.path.join(work, 'readme-' + compiler)
    os.mkdir(place)
    for name in ('sprat.c', 'sprat.h'):
        shutil.copy(os.path.join(folder, name), place)
    with open(os.path.join(place, 'app.c'), 'w', encoding='utf-8') as file:
        file.write(program)
    words = [os.path.join(place, word) if word.endswith('.c') else word for word in line.split()]
    return tap.command([compiler, *words, '-o', os.path.join(place, 'app')])


def not_cpp(compiler, folder, work):
    """A C++ compiler says at once that sprat.c is C."""
    status, text = tap.output([compiler, '-x', 'c++', '-c', '-o', os.path.join(work, 'cpp.o'),
                               os.path.join(folder, 'sprat.c')])
    problems = [] if status else ['sprat.c compiles as C++']
    if 'compile it as C' not in text[:400]:
        problems.append(f'the compiler does not say what to do: {text[:400]}')
    return problems


def fused(compiler, flags, work):
    """Builds sprat.c for a processor that can multiply and add at once, and looks for such instructions:
    with them the bits would depend on how the host compiles."""
    obj = os.path.join(work, 'sprat.o')
    problems = tap.command([compiler, '-O2', '-mfma', '-Wall', '-Werror', *flags, '-c', '-o', obj,
                            os.path.join(work, 'sprat.c')])
    if problems:
        return problems
    text = tap.output(['objdump', '-d', '--no-show-raw-insn', obj])[1]
    found = re.findall(r'^\s*[0-9a-f]+:\s+(vfn?m(?:add|sub)\w+)', text, re.M)
    return [f'{len(found)} fused instructions ({found[0]} …)'] if found else []


def fast_math(compiler, folder, work):
    """A build that may reorder sums is refused, and says why."""
    problems = tap.command([compiler, '-O2', '-ffast-math', '-E', '-o', os.path.join(work, 'fast.i'),
                            os.path.join(folder, 'sprat.c')])
    return [] if 'without -ffast-math' in '\n'.join(problems) else [f'not refused: {problems[:3]}']


def fused_self_test(compiler, work):
    """Without the pragma at the top the same look finds a fused instruction."""
    path = os.path.join(work, 'sprat.c')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('float f(float a, float b, float c) { return a * b + c; }\n')
    return [] if fused(compiler, ['-ffp-contract=fast'], work) else ['a fused instruction goes unseen']


def joiner_cases(module):
    """The script's own rules, each broken once."""
    def join(files, sources):
        with tempfile.TemporaryDirectory() as root:
            for name, text in {'LICENSE': 'L\n', 'include/sprat/sprat.h': '\n', 'include/sprat/experimental.h': '\n',
                               **files}.items():
                os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                with open(os.path.join(root, name), 'w', encoding='utf-8') as file:
                    file.write(text)
            return module.amalgamate(root, '0', [os.path.join(root, name) for name in sources])[0]

    def refused(files, sources, words):
        try:
            join(files, sources)
        except module.Problem as problem:
            return [] if words in str(problem) else [f'refused for another reason: {problem}']
        return ['accepted']

    def rules():
        header = '#ifndef H\n#define H\nint h;\n#define TOP 1\n#endif\n'
        text = join({'lib/a/a.h': header, 'lib/a/list.def': 'ROW(x)\n',
                     'lib/a/a.c': '#define _GNU_SOURCE\n#include "a/a.h"\n#define ROW(n) int n##1;\n'
                                  '#include "list.def"\n',
                     'lib/a/b.c': '#include "a/a.h"\n#define ROW(n) int n##2;\n#include "list.def"\n#undef ROW\n'},
                    ['lib/a/a.c', 'lib/a/b.c'])
        problems = []
        if text.count('int h;') != 1:
            problems.append('a guarded header does not stand there once')
        if text.count('ROW(x)') != 2:
            problems.append('a list does not stand there each time')
        if text.count('#undef ROW') != 2:
            problems.append('a macro is not undefined once per file')
        if text.find('#define _GNU_SOURCE') > text.find('#include "sprat.h"') or text.count('define _GNU_SOURCE') != 1:
            problems.append('a feature macro is not at the top')
        return problems

    guarded = '#ifndef H\n#define H\n#define TOP 1\n#endif\n'
    return [
        ('what is joined how', rules),
        ('a macro of a header and a file is refused', lambda: refused(
            {'lib/a/a.h': guarded, 'lib/a/a.c': '#include "a.h"\n#define TOP 2\n'}, ['lib/a/a.c'], 'already defined')),
        ('a header without a guard is refused', lambda: refused(
            {'lib/a/a.h': 'int x;\n', 'lib/a/a.c': '#include "a.h"\n'}, ['lib/a/a.c'], 'without an include guard')),
        ('a header under a condition is refused', lambda: refused(
            {'lib/a/a.h': guarded, 'lib/a/a.c': '#if X\n#include "a.h"\n#endif\n'}, ['lib/a/a.c'], 'condition')),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--folder', required=True, help='where sprat.c and sprat.h were made')
    args = parser.parse_args()
    sys.path.insert(0, os.path.join(args.root, 'lib', 'amalgamation'))
    import amalgamate

    app = os.path.join(args.root, 'test', 'abi', 'app.c')
    cases = joiner_cases(amalgamate)
    with tempfile.TemporaryDirectory() as work:
        compilers = [name for name in ('gcc', 'clang') if shutil.which(name)]
        if not compilers:
            cases.append(('a compiler', lambda: ['neither gcc nor clang is installed']))
        for compiler in compilers:
            cases.append((f'{compiler} -ffast-math is refused', lambda c=compiler: fast_math(c, args.folder, work)))
            cases.append((f'{compiler} -std=c11', lambda c=compiler: build_and_run(c, ['-std=c11'], args.folder, app, work)))
            cases.append((f'{compiler} README.md', lambda c=compiler: readme_program(c, args.root, args.folder, work)))
            cases.append((f'{compiler} -x c++', lambda c=compiler: not_cpp(c, args.folder, work)))
            if os.uname().machine == 'x86_64':
                cases.append((f'{compiler} self-test of the next', lambda c=compiler: fused_self_test(c, work)))
                cases.append((f'{compiler} without -std fuses nothing, even where it may', lambda c=compiler: (
                    shutil.copy(os.path.join(args.folder, 'sprat.c'), work) and
                    shutil.copy(os.path.join(args.folder, 'sprat.h'), work) and fused(c, [], work))))
            else:
                cases.append((compiler, lambda c=compiler: build_and_run(c, [], args.folder, app, work)))
        return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
