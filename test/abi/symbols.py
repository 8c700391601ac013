#!/usr/bin/env python3
"""The exported symbols: map == headers == library == the table of doc/abi.md, and fewer than 60."""
import argparse
import os
import re
import subprocess
import sys

import headers
import tap

LIMIT = 60


def read_map(text):
    """{node: {symbol, ...}} of a version script."""
    text = re.sub(r'#[^\n]*|/\*.*?\*/', '', text, flags=re.S)
    nodes = {}
    for name, body in re.findall(r'([\w.]+)\s*\{(.*?)\}', text, re.S):
        body = re.sub(r'local\s*:.*', '', body, flags=re.S).replace('global:', '')
        nodes[name] = {symbol.strip() for symbol in body.split(';') if symbol.strip()}
    return nodes


def exported(library):
    """{node: {symbol, ...}} of a shared library's defined dynamic symbols."""
    text = subprocess.run(['nm', '-D', '--defined-only', '--with-symbol-versions', library],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    nodes = {}
    for line in text.splitlines():
        kind, symbol = line.split()[1:3]
        if kind == 'A':
            continue  # a version node itself
        name, _, node = symbol.partition('@')
        nodes.setdefault(node.lstrip('@'), set()).add(name)
    return nodes


def table(text):
    """{node: {symbol, ...}} of the symbols-since table of doc/abi.md."""
    nodes = {}
    for symbol, since in re.findall(r'^\|\s*`(sprat_\w+)`\s*\|\s*(\S+)\s*\|', text, re.M):
        node = 'SPRAT_EXPERIMENTAL' if since == 'experimental' else f'SPRAT_{since}'
        nodes.setdefault(node, set()).add(symbol)
    return nodes


def compare(left_name, left, right_name, right):
    problems = []
    for node in sorted(set(left) | set(right)):
        a, b = left.get(node, set()), right.get(node, set())
        problems += [f'{name} ({node}): in {left_name}, not in {right_name}' for name in sorted(a - b)]
        problems += [f'{name} ({node}): in {right_name}, not in {left_name}' for name in sorted(b - a)]
    return problems


def since(text, default):
    """{node: {symbol, ...}} of a header, by the @since of the comment above each function."""
    nodes = {}
    for comment, names in headers.comments(text):
        match = re.search(r'@since\s+(?:\*\s*)?(\d+\.\d+)', comment)
        node = f'SPRAT_{match.group(1)}' if match and not default else default or 'none'
        nodes.setdefault(node, set()).update(names)
    return nodes


def self_test():
    good = 'A_1 { global: x; y; local: *; }; B { z; } A_1;'
    if read_map(good) != {'A_1': {'x', 'y'}, 'B': {'z'}}:
        return ['a map is misread']
    if len(compare('a', {'N': {'x'}}, 'b', {'N': {'y'}})) != 2 or compare('a', {'N': {'x'}}, 'b', {'N': {'x'}}):
        return ['a difference goes unseen']
    if table('| `sprat_a` | 0.1 |\n| `sprat_b` | experimental |\n') != {
            'SPRAT_0.1': {'sprat_a'}, 'SPRAT_EXPERIMENTAL': {'sprat_b'}}:
        return ['a table is misread']
    return []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--library', required=True)
    args = parser.parse_args()

    stable, experimental = headers.read(args.root, 'sprat.h'), headers.read(args.root, 'experimental.h')
    declared = since(stable, None)
    for node, names in since(experimental, 'SPRAT_EXPERIMENTAL').items():
        declared.setdefault(node, set()).update(names)
    with open(os.path.join(args.root, 'lib', 'sprat.map'), encoding='utf-8') as file:
        listed = read_map(file.read())
    with open(os.path.join(args.root, 'doc', 'abi.md'), encoding='utf-8') as file:
        documented = table(file.read())

    def count():
        n = len(headers.functions(stable) + headers.functions(experimental))
        return [] if 0 < n < LIMIT else [f'{n} functions; the limit is {LIMIT}']

    return tap.run([
        ('self-test', self_test),
        ('map == headers', lambda: compare('the map', listed, 'the headers', declared)),
        ('map == library', lambda: compare('the map', listed, 'the library', exported(args.library))),
        ('map == doc/abi.md', lambda: compare('the map', listed, 'doc/abi.md', documented)),
        (f'fewer than {LIMIT} functions', count),
    ])


if __name__ == '__main__':
    sys.exit(main())
