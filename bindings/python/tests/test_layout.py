#!/usr/bin/env python3
"""The binding's structs, prototypes, statuses and constants against what a C compiler makes of the headers."""
import argparse
import ctypes
import os
import re
import sys

sys.dont_write_bytecode = True

import headers
import layout
import tap

import sprat

parser = argparse.ArgumentParser()
parser.add_argument('--root', required=True)
parser.add_argument('--cc', nargs='+', default=['cc'])
args = parser.parse_args()
TEXTS = [headers.read(args.root, name) for name in ('sprat.h', 'experimental.h')]
PRINTED = [line.replace('experimental ', '', 1).split()
           for line in layout.printed(args.root, args.cc).splitlines()]
# The binding leaves memory to the C library.
NOT_BOUND = {'sprat_allocator'}


def structs():
    sizes = {words[1]: int(words[2]) for words in PRINTED if words[0] == 'struct'}
    fields = {words[1]: (int(words[2]), int(words[3])) for words in PRINTED if words[0] == 'field'}
    problems, seen = [], 0
    for name, size in sizes.items():
        struct = getattr(sprat, name, None)
        if struct is None:
            problems += [] if name in NOT_BOUND else [f'{name} is not bound']
            continue
        if ctypes.sizeof(struct) != size:
            problems.append(f'{name}: {ctypes.sizeof(struct)} bytes, {size} in C')
        found = {f'{name}.{field}': (getattr(struct, field).offset, getattr(struct, field).size)
                 for field, *_ in struct._fields_}
        expected = {field: place for field, place in fields.items() if field.split('.')[0] == name}
        problems += [f'{field}: {found.get(field)}, {expected.get(field)} in C'
                     for field in sorted({*found, *expected}) if found.get(field) != expected.get(field)]
        seen += len(found)
    return problems + ([] if seen > 100 else [f'{seen} fields were compared'])


def statuses():
    listed = {name: int(value) for name, value in
              re.findall(r'\bX\(\s*(\w+)\s*,\s*(-?\d+)\s*,', headers.strip_comments(TEXTS[0]))}
    problems = [] if listed == sprat.STATUSES and len(listed) > 20 else [
        f'{name}: {sprat.STATUSES.get(name)}, {listed.get(name)} in the header'
        for name in sorted({*listed, *sprat.STATUSES}) if listed.get(name) != sprat.STATUSES.get(name)]
    return problems + [f'{name} is {sprat.SpratError(value).name} in the library'
                       for name, value in sprat.STATUSES.items() if sprat.SpratError(value).name != name]


def constants():
    values = {words[1]: int(words[2]) for words in PRINTED if words[0] == 'constant'}

    def named(prefix):
        return {name[len(prefix):].lower(): value for name, value in values.items() if name.startswith(prefix)}

    def turned(table):
        return {name: number for number, name in table.items()}

    bound = {
        'text kinds': (sprat._TEXT_KINDS, named('SPRAT_TEXT_')),
        'events': (turned(sprat._EVENTS), named('SPRAT_EVENT_')),
        'reasons': (turned(sprat._REASONS), named('SPRAT_DONE_')),
        'ends of calls': (turned(sprat._CALL_ENDS), named('SPRAT_CALL_')),
        'token types': (turned(sprat._TOKEN_TYPES), named('SPRAT_TOKEN_')),
        'numerics': ({name or 'default': n for name, n in sprat._NUMERICS.items()}, named('SPRAT_NUMERICS_')),
        'kv': ({name or 'default': n for name, n in sprat._KV_TYPES.items()}, named('SPRAT_KV_')),
        'thinking': ({'default': sprat._THINKING[None], 'on': sprat._THINKING[True], 'off': sprat._THINKING[False]},
                     named('SPRAT_THINKING_')),
        'meta': ({name[6:].lower(): getattr(sprat, name) for name in dir(sprat) if name.startswith('_META_')},
                 named('SPRAT_META_')),
        'tokenize': ({'bos': sprat._TOKENIZE_BOS}, named('SPRAT_TOKENIZE_')),
        'detokenize': ({'special': sprat._DETOKENIZE_SPECIAL, 'start': sprat._DETOKENIZE_START},
                       named('SPRAT_DETOKENIZE_')),
        'sources': ({'path': sprat._SOURCE_PATH, 'fd': sprat._SOURCE_FD, 'memory': sprat._SOURCE_MEMORY},
                    {name: n for name, n in named('SPRAT_SOURCE_').items() if name != 'callback'}),
    }
    return [f'{name}: {found}, {expected} in C' for name, (found, expected) in bound.items() if found != expected]


def prototypes():
    """Every public function but sprat_init is bound, with as many arguments as C gives it."""
    declared = {}
    for text in TEXTS:
        for name, arguments in re.findall(r'SPRAT_API\s+[^;{}]*?\b(sprat_\w+)\s*\(([^;]*)\)\s*;', headers.code(text)):
            declared[name] = 0 if arguments.strip() == 'void' else arguments.count(',') + 1
    declared.pop('sprat_init')
    bound = {name: len(arguments) for name, (_, arguments) in sprat._PROTOTYPES.items()}
    return [f'{name}: {bound.get(name)} arguments, {declared.get(name)} in C'
            for name in sorted({*declared, *bound}) if declared.get(name) != bound.get(name)] + (
                [] if len(declared) > 40 else [f'{len(declared)} functions were found'])


sys.exit(tap.run([('structs', structs), ('statuses', statuses), ('constants', constants), ('prototypes', prototypes)]))
