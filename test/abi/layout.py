#!/usr/bin/env python3
"""Sizes and offsets of every public struct and the value of every constant, compared with layout.txt.

The C program that prints them is written from the headers, so that nothing can be forgotten; with
--emit it is printed instead (bindings can build it), with --update layout.txt is written anew. A
changed or lost line of a released struct breaks hosts: only additions at the end are allowed
(doc/abi.md).
"""
import argparse
import os
import sys
import tempfile

import headers
import tap


def program(root):
    stable, experimental = headers.read(root, 'sprat.h'), headers.read(root, 'experimental.h')
    lines = ['#define SPRAT_EXPERIMENTAL', '#include <sprat/experimental.h>', '#include <stdio.h>', '',
             'int main(void)', '{']
    for mark, text in (('', stable), ('experimental ', experimental)):
        for struct, fields in headers.structs(text):
            lines.append(f'    printf("{mark}struct {struct} %zu\\n", sizeof({struct}));')
            lines += [f'    printf("{mark}field {struct}.{field} %zu %zu\\n", offsetof({struct}, {field}), '
                      f'sizeof((({struct} *)0)->{field}));' for field in fields]
        lines += [f'    printf("{mark}constant {name} %lld\\n", (long long){name});'
                  for name in headers.constants(text)]
    return '\n'.join(lines + ['    return 0;', '}', ''])


def printed(root, cc):
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, 'layout.c'), os.path.join(folder, 'layout')
        with open(source, 'w', encoding='utf-8') as file:
            file.write(program(root))
        for arguments in ([*cc, '-std=c11', '-I', os.path.join(root, 'include'), '-o', binary, source], [binary]):
            status, text = tap.output(arguments)
            if status != 0:
                raise RuntimeError(f'{" ".join(arguments)}: exit {status}\n{text}')
    return text


def differences(stored, found):
    old, new = stored.splitlines(), found.splitlines()
    return ([f'stored, no longer so: {line}' for line in old if line not in new] +
            [f'new, not stored: {line}' for line in new if line not in old] +
            (['the order differs'] if sorted(old) == sorted(new) and old != new else []))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--cc', nargs='+', default=['cc'])
    parser.add_argument('--emit', action='store_true')
    parser.add_argument('--update', action='store_true')
    args = parser.parse_args()
    path = os.path.join(args.root, 'test', 'abi', 'layout.txt')
    if args.emit:
        print(program(args.root), end='')
        return 0
    if args.update:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(printed(args.root, args.cc))
        return 0
    with open(path, encoding='utf-8') as file:
        stored = file.read()

    def self_test():
        same, moved = 'field a.x 0 8\n', 'field a.x 8 8\n'
        fields = headers.structs('typedef struct s {\n int a, b[3]; /* c; */\n int (*f)(int x);\n} s;')
        return (([] if len(differences(same, moved)) == 2 and not differences(same, same)
                 else ['a moved field goes unseen']) +
                ([] if fields == [('s', ['a', 'b', 'f'])] else [f'a struct is misread: {fields}']))

    return tap.run([('self-test', self_test),
                    ('layout == layout.txt', lambda: differences(stored, printed(args.root, args.cc)))])


if __name__ == '__main__':
    sys.exit(main())
