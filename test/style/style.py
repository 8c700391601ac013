#!/usr/bin/env python3
"""The house rules a machine can see, one result per rule. Each rule is first shown a small sample that
breaks it and must catch it, so a rule that sees nothing fails.

A rule takes {path: text} of the files it looks at, paths relative to the root, and gives problems.
"""
import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True

import tap

# A folder of lib/ may include itself and those before it.
RANKS = ['base', 'os', 'thread', 'tensor', 'kernel', 'format', 'tokenizer', 'cache', 'model', 'sample', 'chat',
         'engine', 'api']
TEXT_SUFFIXES = ('.c', '.h', '.def', '.inc', '.cpp', '.py', '.sh', '.md', '.build', '.txt', '.map', '.in', '.toml',
                 '.json', '.yml')
BANNED = {
    'strtol': 'parse with checked arithmetic', 'strtoul': '', 'strtoll': '', 'strtoull': '', 'strtod': '',
    'strtof': '', 'strtold': '', 'atoi': '', 'atol': '', 'atoll': '', 'atof': '', 'sscanf': '', 'scanf': '',
    'fscanf': '', 'gets': '', 'strcpy': 'copy with a length', 'strcat': '', 'strncpy': '', 'strncat': '',
    'sprintf': 'write with a length', 'vsprintf': '', 'printf': 'the library never prints', 'fprintf': '',
    'vprintf': '', 'vfprintf': '', 'puts': '', 'fputs': '', 'putchar': '', 'perror': '', 'exit': 'never ends the host',
    '_exit': '', 'abort': '', 'assert': 'SPRAT_ASSERT, for our own bugs', 'raise': '', 'atexit': '',
    'alloca': 'bounded stack', 'getenv': 'the host passes options', 'secure_getenv': '', 'setenv': '',
    'setlocale': 'never the locale', 'localeconv': '', 'system': 'no other programs', 'popen': '', 'fork': '',
    'execv': '', 'execve': '', 'dlopen': '', 'dlsym': '', 'socket': 'no connection', 'connect': '', 'signal': '',
    'sigaction': '', 'rand': 'randomness is f(seed, position)', 'srand': '', 'random': '', 'time': 'monotonic clock',
    'gettimeofday': '', 'localtime': '', 'gmtime': '', 'setjmp': '', 'longjmp': '',
    'exp': 'libm differs by system; use our own', 'expf': '', 'log': '', 'logf': '', 'pow': '', 'powf': '', 'sin': '',
    'sinf': '', 'cos': '', 'cosf': '', 'tanh': '', 'tanhf': '', 'fma': '', 'fmaf': '', 'exp2': '', 'exp2f': '',
}
# Where the allocator's own source of memory is: the only door to the C library's.
ALLOCATORS = ('malloc', 'calloc', 'realloc', 'aligned_alloc', 'posix_memalign', 'strdup', 'strndup', 'free')
ALLOCATOR_FILE = 'lib/base/alloc.c'
TEST_BUILD = re.compile(r'#ifdef SPRAT_TEST_BUILD\n.*?#(?:else|endif)', re.S)
COMMON_NAMES = {'meson.build', 'README.md', '__init__.py', '.gitignore', 'FORMAT.txt', 'case.json', 'pyproject.toml',
                'go.mod', 'model.gguf', 'logits.f32'}


def blank(text):
    """The C text without comments and the insides of literals, lines kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def replace(match):
        found = match.group(0)
        if found[0] == '/':
            return re.sub(r'[^\n]', ' ', found)
        return found[0] + ' ' * (len(found) - 2) + found[-1]

    return pattern.sub(replace, text)


def at(path, text, position, words):
    return f'{path}:{text.count(chr(10), 0, position) + 1}: {words}'


def each(files, pattern, words):
    """A problem for each place where the pattern matches."""
    return [at(path, text, match.start(), words) for path, text in files.items() for match in pattern.finditer(text)]


def tabs(files):
    return each(files, re.compile(r'\t'), 'a tab')


def trailing_space(files):
    return each(files, re.compile(r'[ \r]+$', re.M), 'space at the end of the line')


def last_line(files):
    return [f'{path}: the last line has no end' if not text.endswith('\n') else f'{path}: empty lines at the end'
            for path, text in files.items() if text.strip() and (not text.endswith('\n') or text.endswith('\n\n'))]


def invisible(files):
    """Characters that show nothing or turn the direction of what is shown."""
    return each(files, re.compile('[\x00-\x08\x0b-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-'
                                  '\u200f\u2028-\u202f\u205f-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff0-\uffff'
                                  '\U000e0000-\U000e0fff]'), 'an invisible character')


def columns(files):
    return [f'{path}:{number}: {len(line)} columns' for path, text in files.items()
            for number, line in enumerate(text.splitlines(), 1) if len(line) > 100]


def banned(files):
    problems = []
    pattern = re.compile(r'(?<![\w.>])(' + '|'.join(map(re.escape, BANNED)) + r')\s*\(')
    for path, text in files.items():
        text = TEST_BUILD.sub(lambda match: '\n' * match.group(0).count('\n'), text)
        code = blank(text)
        problems += [at(path, code, match.start(), f'{match.group(1)} is banned') for match in pattern.finditer(code)]
    return problems


def allocators(files):
    pattern = re.compile(r'(?<![\w.>])(' + '|'.join(ALLOCATORS) + r')\s*\(')
    return [problem for path, text in files.items() if path != ALLOCATOR_FILE
            for problem in each({path: blank(text)}, pattern, 'memory not through base/alloc')]


def float_formats(files):
    """Formats of floating-point numbers depend on the locale: none in the library's texts."""
    problems = []
    for path, text in files.items():
        for match in re.finditer(r'"(?:\\.|[^"\\\n])*"', text):
            if re.search(r'(?<!%)(?:%%)*%[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*)?)?[lL]?[fFeEgGaA]', match.group(0)):
                problems.append(at(path, text, match.start(), f'a floating-point format: {match.group(0)}'))
    return problems


def extensions(files):
    """Compiler extensions belong to os/ and kernel/; a few files say why they need one."""
    problems = []
    for path, text in files.items():
        if path.split('/')[1] in ('os', 'kernel') or path in ('lib/base/alloc.c', 'lib/base/status.h'):
            continue
        problems += each({path: blank(text)}, re.compile(r'(?<!\w)__(?:attribute|asm|builtin_\w+|thread|typeof)\w*|\btypeof\b'),
                         'a compiler extension outside os/ and kernel/')
    return problems


def systems(files):
    """What differs by system stands in os/ alone."""
    return [problem for path, text in files.items() if path.split('/')[1] != 'os'
            for problem in each({path: blank(text)}, re.compile(
                r'\b(?:_WIN32|__linux__|__APPLE__|__ANDROID__|__FreeBSD__|_GNU_SOURCE|_POSIX_C_SOURCE)\b'),
                'an #ifdef on the system outside os/')]


def include_order(files):
    problems = []
    for path, text in files.items():
        folder = path.split('/')[1]
        if folder not in RANKS:
            problems.append(f'{path}: the folder has no rank')
            continue
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', text, re.M):
            other = match.group(1).split('/')[0] if '/' in match.group(1) else folder
            if other not in RANKS:
                problems.append(at(path, text, match.start(), f'"{match.group(1)}" is in no folder of lib/'))
            elif RANKS.index(other) > RANKS.index(folder):
                problems.append(at(path, text, match.start(), f'{folder}/ may not include {other}/'))
    return problems


def ranks_in_build(files):
    """The order of folders in lib/meson.build is the same."""
    listed = re.search(r'foreach folder : \[(.*?)\]', files.get('lib/meson.build', ''), re.S)
    found = re.findall(r"'(\w+)'", listed.group(1)) if listed else []
    return [] if found == RANKS else [f'lib/meson.build has {found}']


def unique_names(files):
    seen, problems = {}, []
    for path in files:
        name = os.path.basename(path)
        if name in COMMON_NAMES or not name.endswith(('.c', '.h', '.cpp', '.py', '.def', '.inc')):
            continue
        if name in seen:
            problems.append(f'{path}: {seen[name]} has the same name')
        seen[name] = path
    return problems


def prefixes(files):
    """Functions of lib/ that are not static begin with sprat_. (nm sees the rest: test/abi/imports.py.)"""
    problems = []
    pattern = re.compile(r'^(?!static\b|typedef\b|extern\b|return\b|else\b|struct \w+ \{|#)[A-Za-z_][\w \t\*]*?'
                         r'\b(\w+)\s*\([^;{}]*\)\s*\n\{', re.M)
    for path, text in files.items():
        code = blank(text)
        problems += [at(path, code, match.start(), f'{match.group(1)} is global and not named sprat_')
                     for match in pattern.finditer(code) if not match.group(1).startswith('sprat_')]
    return problems


def marks(files):
    pattern = re.compile(r'\b(?:TO' r'DO|FIX' r'ME|XX' r'X)\b')
    return each(files, pattern, 'work left lying')


def heads(files):
    """Every source of the library begins by saying what it owns (a feature macro may come first)."""
    return [f'{path}: no comment at the head' for path, text in files.items()
            if not re.match(r'(?:#define _\w+[^\n]*\n)*\s*/\*', text)]


def lengths(files):
    """Files under 1000 lines; tables made by a script are exempt."""
    return [f'{path}: {text.count(chr(10))} lines' for path, text in files.items()
            if text.count('\n') >= 1000 and not re.search(r'(?i)(generated|made|written) by', text[:1000])]


def functions(files):
    """Functions under 60 lines: from the brace in the first column to the one that ends it."""
    problems = []
    for path, text in files.items():
        code = blank(text)
        for match in re.finditer(r'^[A-Za-z_][^;{}=]*\)\s*\n\{\n(.*?)^\}', code, re.M | re.S):
            n = match.group(1).count('\n')
            if n >= 60:
                problems.append(at(path, code, match.start(), f'a function of {n} lines'))
    return problems


def licence(files):
    return [] if files.get('LICENSE', '').startswith('MIT License') else ['LICENSE is missing or another one']


def header_comments(files):
    """In sprat.h each function's comment names its thread, its release, and only statuses there are."""
    text = files.get('include/sprat/sprat.h', '')
    statuses = set(re.findall(r'\bX\((\w+), -?\d+,', text))
    problems, n_functions = [], 0
    for match in re.finditer(r'(?:/\*((?:[^*]|\*(?!/))*)\*/\n)?((?:SPRAT_API\b[^;]*;\n)+)', text):
        comment = re.sub(r'\s*\n\s*\*\s*', ' ', match.group(1) or '')
        names = re.findall(r'\b(sprat_\w+)\s*\(', match.group(2))
        n_functions += len(names)
        lacks = [word for word in ('thread', '@since') if word not in comment]
        problems += [f'{names[0]}: the comment does not say "{word}"' for word in lacks]
        told = set(re.findall(r'\b[A-Z]{2,}(?:_[A-Z]+)*\b', comment)) & statuses
        returns = 'SPRAT_API sprat_status ' in match.group(2)
        refers = re.search(r'\bsprat_\w+|Every status', comment)
        if returns and not told and not refers:
            problems.append(f'{names[0]}: the comment names no status')
        unknown = {word for word in re.findall(r'\b[A-Z]+(?:_[A-Z]+)+\b', comment)
                   if word not in statuses and not word.startswith('SPRAT_')}
        problems += [f'{names[0]}: there is no status {word}' for word in sorted(unknown)]
    if n_functions != len(re.findall(r'^SPRAT_API ', text, re.M)):
        problems.append('a declaration was not understood')
    return problems


def library(path):
    return path.startswith('lib/') and path.endswith(('.c', '.h', '.def', '.inc'))


def c_file(path):
    return path.endswith(('.c', '.h', '.cpp')) and path.startswith(('lib/', 'include/', 'test/', 'examples/'))


def ours(path):
    """Text written by hand: not the data of tests, whose bytes are facts."""
    return (path.endswith(TEXT_SUFFIXES) or path in ('LICENSE', 'CHANGELOG', '.ci/run')) and not path.startswith(
        ('test/golden/', 'test/data/', 'test/fuzz/corpus/'))


BAD_H = ('#define SPRAT_STATUS_LIST(X) X(OK, 0, "") X(IO, -1, "")\n/* Does. INVALID. Any thread. @since 0.1 */\n'
         'SPRAT_API void a(void);\n\n')
# name, rule, files it looks at, samples: each must give at least one problem
RULES = [
    ('no tabs', tabs, ours, [{'a.c': 'int\tx;\n'}]),
    ('no space at line ends', trailing_space, ours, [{'a.c': 'int x; \n'}, {'a.c': 'int x;\r\n'}]),
    ('files end with one line end', last_line, ours, [{'a.c': 'int x;'}, {'a.c': 'int x;\n\n'}]),
    ('no invisible characters', invisible, ours,
     [{'a.c': f'int x; /* {mark} */\n'} for mark in '\u202e\u200b\ufeff\u2066\x1b\u00ad']),
    ('100 columns', columns, c_file, [{'a.c': 'x' * 101 + '\n'}]),
    ('no banned function', banned, library,
     [{'lib/base/a.c': f'int f(void)\n{{\n    return {name} (x);\n}}\n'} for name in ('atoi', 'printf', 'exit', 'log')]),
    ('all memory through base/alloc', allocators, library, [{'lib/base/a.c': 'x = malloc(3);\n'}]),
    ('no floating-point format', float_formats, library,
     [{'lib/base/a.c': f'f("x {fmt}");\n'} for fmt in ('%g', '%.3f', '%-8.*e', '100%% %lf')]),
    ('no extension outside os/ and kernel/', extensions, library, [{'lib/base/a.c': 'int x __attribute__((used));\n'}]),
    ('no system outside os/', systems, library, [{'lib/base/a.c': '#ifdef _WIN32\n'}]),
    ('include order', include_order, library,
     [{'lib/base/a.c': '#include "os/b.h"\n'}, {'lib/zoo/a.c': '\n'}, {'lib/api/a.c': '#include "zoo/z.h"\n'}]),
    ('the same order in lib/meson.build', ranks_in_build, lambda path: path == 'lib/meson.build',
     [{}, {'lib/meson.build': "foreach folder : ['os', 'base']\n"}]),
    ('file names are unique', unique_names, lambda path: True, [{'lib/a/x.c': '', 'lib/b/x.c': ''}]),
    ('globals are named sprat_', prefixes, lambda path: library(path) and path.endswith('.c'),
     [{'lib/base/a.c': 'int helper(int x)\n{\n    return x;\n}\n'}]),
    ('nothing left lying', marks, ours, [{'a.c': '/* FIX' 'ME */\n'}, {'a.py': '# TO' 'DO later\n'}]),
    ('every source has a head', heads, lambda path: library(path) and path.endswith(('.c', '.h')),
     [{'lib/base/a.c': '#include <stdio.h>\n/* late */\n'}]),
    ('files under 1000 lines', lengths, c_file, [{'a.c': 'int x;\n' * 1000}]),
    ('functions under 60 lines', functions, library,
     [{'lib/base/a.c': 'int sprat__f(void)\n{\n' + '    x();\n' * 60 + '}\n'}]),
    ('LICENSE', licence, lambda path: path == 'LICENSE', [{}]),
    ('comments of sprat.h', header_comments, lambda path: path == 'include/sprat/sprat.h',
     [{'include/sprat/sprat.h': BAD_H + '/* Does. Any thread. */\nSPRAT_API void sprat_b(void);\n'},
      {'include/sprat/sprat.h': BAD_H + '/* Does. @since 0.1 */\nSPRAT_API void sprat_b(void);\n'},
      {'include/sprat/sprat.h': BAD_H + '/* NO_SUCH. Any thread. @since 0.1 */\nSPRAT_API void sprat_b(void);\n'},
      {'include/sprat/sprat.h': BAD_H + 'SPRAT_API void sprat_b(void);\n'},
      {'include/sprat/sprat.h': BAD_H + '/* Any thread. @since 0.1 */\nSPRAT_API sprat_status sprat_b(void);\n'}]),
]


def tracked(root):
    """{path: text} of the tree: what git knows, or all of it where there is no git (a release's archive)."""
    try:
        listing = subprocess.run(['git', '-c', f'safe.directory={root}', '-C', root, 'ls-files', '-co',
                                  '--exclude-standard', '-z'],
                                 check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        paths = [path for path in listing.split('\0') if path]
    except (OSError, subprocess.CalledProcessError):
        paths = [os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root)
                 for name in names if not os.path.relpath(folder, root).startswith(('build', '.git'))]
    files = {}
    for path in sorted(paths):
        full = os.path.join(root, path)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        if path.endswith(TEXT_SUFFIXES) or os.path.basename(path) in ('LICENSE', 'CHANGELOG', 'run'):
            with open(full, encoding='utf-8', errors='replace', newline='') as file:
                files[path] = file.read()
        else:
            files[path] = ''
    return files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    args = parser.parse_args()
    files = tracked(args.root)

    def check(rule, chosen, samples):
        problems = [f'self-test: sample {number} goes unseen' for number, sample in enumerate(samples, 1)
                    if not rule(sample)]
        return problems + rule({path: text for path, text in files.items() if chosen(path)})

    cases = [(name, lambda a=(rule, chosen, samples): check(*a)) for name, rule, chosen, samples in RULES]
    cases.append(('the tree was read', lambda: [] if len(files) > 40 else [f'{len(files)} files only']))
    return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
