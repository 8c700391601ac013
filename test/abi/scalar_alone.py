#!/usr/bin/env python3
"""The scalar C is the specification, so it stands alone: its objects ask for nothing that a file of a set of instructions
defines, directly or through any other object of the library."""
import argparse
import os
import re
import sys
import tempfile

import tap

SCALAR = re.compile(r'kernel[_/]scalar[_/]')
SETS = re.compile(r'kernel[_/](x86|arm|wasm)[_/]')


def symbols(library):
    """{object: (defined, asked for)} of an archive."""
    status, text = tap.output(['nm', '-A', '-g', library])
    if status:
        raise RuntimeError(text)
    objects = {}
    for line in text.splitlines():
        match = re.match(r'^.*?[:\[]([^:\[\]]+\.o)\]?:\s*(?:[0-9a-f]+)?\s+([A-Za-z])\s+(\S+)$', line)
        if match:
            defined, asked = objects.setdefault(match.group(1), (set(), set()))
            (asked if match.group(2) in 'Uw' else defined).add(match.group(3))
    return objects


def judged(objects):
    """Problems: each way from an object of the scalar C to one of a set."""
    owner = {name: key for key, (defined, _) in objects.items() for name in defined}
    first = sorted(key for key in objects if SCALAR.search(key))
    problems = [] if len(first) >= 3 else [f'{len(first)} objects of the scalar C seen']
    if not any(SETS.search(key) for key in objects):
        problems.append('no object of a set seen')
    for start in first:
        waiting, seen = [(start, start)], {start}
        while waiting:
            key, way = waiting.pop()
            for name in sorted(objects[key][1]):
                other = owner.get(name)
                if other is None or other in seen:
                    continue
                seen.add(other)
                if SETS.search(other):
                    problems.append(f'{way} > {name} of {other}')
                else:
                    waiting.append((other, f'{way} > {name} of {other}'))
    return problems


def self_test(cc):
    """A call of a set's function from the scalar C is seen, also over a third object."""
    texts = {'kernel_scalar_a': 'int middle(void); int a(void); int a(void) { return middle(); }',
             'kernel_scalar_b': 'int b(void); int b(void) { return 1; }',
             'kernel_scalar_c': 'int b(void); int c(void); int c(void) { return b(); }',
             'base_middle': 'int wide(void); int middle(void); int middle(void) { return wide(); }',
             'kernel_x86_wide': 'int b(void); int wide(void); int wide(void) { return b(); }'}
    problems = []
    with tempfile.TemporaryDirectory() as work:
        for name, text in texts.items():
            source = os.path.join(work, name + '.c')
            with open(source, 'w', encoding='utf-8') as file:
                file.write(text + '\n')
            problems += tap.command([*cc, '-c', '-o', os.path.join(work, name + '.o'), source])
        library = os.path.join(work, 'library.a')
        problems += tap.command(['ar', 'rcs', library, *[os.path.join(work, name + '.o') for name in texts]])
        found = judged(symbols(library))
    if found != ['kernel_scalar_a.o > middle of base_middle.o > wide of kernel_x86_wide.o']:
        problems.append(f'seen: {found}')
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--library', required=True, help='libsprat.a')
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()
    return tap.run([('self-test', lambda: self_test(args.cc)),
                    ('the scalar C calls no code of a set', lambda: judged(symbols(args.library)))])


if __name__ == '__main__':
    sys.exit(main())
