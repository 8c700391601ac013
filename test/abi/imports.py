#!/usr/bin/env python3
"""What the built library takes and holds: its imports are on the list of imports.txt, its globals are
named sprat_, nothing in it is writable, and it calls itself libsprat.so.0."""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import tap

NEVER = re.compile(
    r'^(socket|connect|bind|listen|accept4?|send\w*|recv\w*|getaddrinfo|gethostby\w+|exec\w+|fork|vfork|posix_spawn\w*|'
    r'system|popen|dlopen|dlsym|printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|fwrite|exit|_exit|_Exit|'
    r'quick_exit|abort|raise|kill|atexit|getenv|secure_getenv|setenv|putenv|setlocale|localeconv|newlocale|uselocale|'
    r'signal|sigaction|rand|srand|random|srandom|drand48|time|gettimeofday|localtime\w*|strto\w+|ato[a-z]+|\w*scanf|'
    r'exp[f2]?|log(2|10)?f?|powf?|sinf?|cosf?|tanhf?|__assert_fail|__tls_get_addr)$')


def run(*arguments):
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout


def allowed(text):
    """({name: reason}, problems) of the list."""
    names, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        name, _, reason = line.partition(' ')
        if not reason.strip():
            problems.append(f'imports.txt:{number}: {name} has no reason')
        if NEVER.match(name):
            problems.append(f'imports.txt:{number}: {name} is never allowed')
        names[name] = reason.strip()
    return names, problems


def undefined(path, dynamic):
    """Names that a shared library, or an archive as a whole, does not define itself."""
    flags = ['-D'] if dynamic else []
    text = run('nm', *flags, path)
    wanted, had = set(), set()
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in ('U', 'w', 'v'):
            wanted.add(words[1].split('@')[0])
        elif len(words) == 3:
            had.add(words[2].split('@')[0])
    return wanted - had


def not_allowed(path, dynamic, names):
    return [f'{os.path.basename(path)} imports {name}' for name in sorted(undefined(path, dynamic) - set(names))]


def writable(text):
    """Objects in writable sections, from objdump -t. Tables with addresses lie in .data.rel.ro, which
    the loader makes read-only."""
    found = []
    for line in text.splitlines():
        match = re.match(r'^[0-9a-f]{8,}\s(.{7})\s(\S+)\s+([0-9a-f]+)\s+(?:\.\w+\s+)?(\S+)$', line)
        if not match:
            continue
        flags, section, size, name = match.groups()
        if 'd' in flags or section.startswith('.data.rel.ro'):
            continue
        if section == '*COM*' or re.match(r'\.(data|bss|tdata|tbss|ldata|lbss)\b', section):
            found.append(f'{name}: {int(size, 16)} bytes in {section}')
    return found


def globals_of(archive):
    """Global names that an archive defines."""
    names = set()
    for line in run('nm', '-g', '--defined-only', archive).splitlines():
        words = line.split()
        if len(words) == 3:
            names.add(words[2])
    return names


def self_test(cc):
    """Builds an object that breaks each rule and sees that each is caught."""
    with tempfile.TemporaryDirectory() as folder:
        source, obj, lib = (os.path.join(folder, name) for name in ('bad.c', 'bad.o', 'libbad.a'))
        with open(source, 'w', encoding='utf-8') as file:
            file.write('#include <stdlib.h>\nint zero; static int counter = 1; _Thread_local int mine;\n'
                       'const char *const names[] = {"a", "b"};\n'
                       'char *leak(void) { counter += zero + mine; return counter ? getenv("X") : 0; }\n')
        subprocess.run([*cc, '-c', '-fPIC', '-o', obj, source], check=True)
        subprocess.run(['ar', 'rcs', lib, obj], check=True)
        problems = []
        if 'getenv' not in undefined(lib, False):
            problems.append('an import goes unseen')
        found = ' '.join(writable(run('objdump', '-t', lib)))
        for name in ('zero', 'counter', 'mine'):
            if f'{name}:' not in found:
                problems.append(f'the writable {name} goes unseen: {found}')
        if 'names' in found:
            problems.append('a constant table is taken for writable')
        if 'leak' not in globals_of(lib):
            problems.append('a global goes unseen')
        if len(allowed('getenv because\nmalloc\n')[1]) != 2:
            problems.append('a bad list is accepted')
        return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--shared', required=True)
    parser.add_argument('--static', required=True)
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, 'imports.txt'), encoding='utf-8') as file:
        names, problems = allowed(file.read())

    def soname():
        found = re.findall(r'\(SONAME\).*\[(.*)\]', run('readelf', '-dW', args.shared))
        return [] if found == ['libsprat.so.0'] else [f'soname {found}, expected libsprat.so.0']

    def needed():
        found = set(re.findall(r'\(NEEDED\).*\[(.*)\]', run('readelf', '-dW', args.shared)))
        extra = found - {'libc.so.6', 'libm.so.6', 'libpthread.so.0', 'ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1'}
        return [f'needs {name}' for name in sorted(extra)]

    return tap.run([
        ('self-test', lambda: self_test(args.cc)),
        ('the list has a reason for each name and none of the forbidden', lambda: problems),
        ('imports of the shared library', lambda: not_allowed(args.shared, True, names)),
        ('imports of the static library', lambda: not_allowed(args.static, False, names)),
        ('no writable globals', lambda: writable(run('objdump', '-t', args.static))),
        ('every global is named sprat_', lambda: [name for name in sorted(globals_of(args.static))
                                                  if not name.startswith('sprat_')]),
        ('soname', soname),
        ('needs libc and nothing else', needed),
    ])


if __name__ == '__main__':
    sys.exit(main())
