#!/usr/bin/env python3
"""Writes iq_grids.c from iq_grids.txt, after checking each grid's FNV-1a sum. Run it in this folder after a change of
the text; test/kernel/test_dequant.c checks the same sums over the compiled tables."""
import pathlib
import re

HERE = pathlib.Path(__file__).parent
HEAD = '''/* Made by iq_grids.py from iq_grids.txt: change those. The values are the code books of ggml
 * (ggml-common.h, Copyright (c) 2023-2026 The ggml authors, MIT licence, whose terms are those of
 * LICENSE). Invariant: the grids are those files were quantised with; a changed digit is a wrong
 * model. */
#include "kernel/scalar/iq_grids.h"
'''


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def main():
    parts = [HEAD]
    for section in re.split(r'^(?=grid )', (HERE / 'iq_grids.txt').read_text(), flags=re.M)[1:]:
        first, *rows = section.strip().split('\n')
        name, fields = first.split()[1], dict(f.split('=') for f in first.split()[2:])
        packed = [int(word, 16) for row in rows for word in row.split()]
        bits, elements = int(fields['bits']), int(fields['elements'])
        values = [int(v) for v in fields['map'].split(',')]
        spread = bytes(values[v >> bits * j & (1 << bits) - 1] & 255 for v in packed for j in range(elements))
        if len(packed) != int(fields['entries']) or fnv(spread) != int(fields['fnv'], 16):
            raise SystemExit(f'{name}: {len(packed)} entries, sum {fnv(spread):016x}: not as the text says')
        lines = [', '.join(f'0x{v:04x}' for v in packed[i:i + 12]) + ',' for i in range(0, len(packed), 12)]
        parts.append('const uint16_t sprat__grid_%s[%d] = {\n    %s\n};\n'
                     % (name.removesuffix('_grid'), len(packed), '\n    '.join(lines)))
    (HERE / 'iq_grids.c').write_text('\n'.join(parts))


main()
