#!/usr/bin/env python3
"""The same bits in WebAssembly: the one-file sprat.c and the tests that need no threads and no mapped files, by clang as
zig brings it (PyPI: ziglang), run by Node. No flag names an instruction set."""
import argparse
import glob
import os
import shutil
import sys
import tempfile

import tap

ZIG = ['zig', 'cc', '-target', 'wasm32-wasi', '-std=c11', '-O2', '-DSPRAT_TEST_BUILD']
UNIT = ['alloc', 'config', 'cpu', 'sampler', 'stops', 'tokenizer']


def compiled(root, library, sources, binary):
    """Problems of building a program from sources of the tests."""
    return tap.command([*ZIG, *(f'-I{os.path.join(root, folder)}' for folder in
                        ('include', 'lib', 'test', 'test/cross', 'test/kernel')),
                        f'-DSPRAT_TEST_GOLDEN="{root}/test/golden"', '-o', binary,
                        *(os.path.join(root, 'test', source) for source in sources), library, '-lm'])


def ran(root, binary, arguments, least):
    """Problems of a run: its failures, or that it checked less than least, a word of a line that must be there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith('SPRAT_TEST_')}
    status, text = tap.output(['node', '--no-warnings', os.path.join(root, 'test/cross/wasi_run.mjs'), binary, *arguments],
                              env=clean)
    lines = text.splitlines()
    if status == 0 and any(line.startswith('ok') and least in line for line in lines):
        return []
    return [f'exit {status}'] + [line for line in lines if not line.startswith('ok')][:20]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--folder', required=True, help='where sprat.c was made')
    args = parser.parse_args()
    missing = [name for name in ('zig', 'node') if not shutil.which(name)]
    if missing:
        def skip():
            raise tap.Skip(f'{" and ".join(missing)} not installed')
        return tap.run([('wasm', skip)])

    golden, vectors = (os.path.join(args.root, 'test', path) for path in ('golden', 'kernel/quant_vectors.txt'))
    checks = sorted(os.path.relpath(path, os.path.join(args.root, 'test'))
                    for path in glob.glob(os.path.join(args.root, 'test/kernel/check*.c')))
    programs = [('logit_hashes', ['golden/logit_hashes.c'], ['--few', '--no-real', '--threads', '1', golden], ' wasm'),
                ('checkkernel', checks, [], ' wasm matmul_i8_q4_k'),
                *((name, [f'kernel/test_{name}.c'], [vectors], '') for name in ('dequant', 'unpack')),
                *((name, [f'kernel/test_{name}.c'], [], '') for name in ('vector', 'i8')),
                *((name, [f'unit/test_{name}.c'], [], '') for name in UNIT)]
    with tempfile.TemporaryDirectory() as work:
        library = os.path.join(work, 'sprat.o')

        def one(name, sources, arguments, least):
            binary = os.path.join(work, name + '.wasm')
            return compiled(args.root, library, sources, binary) or ran(args.root, binary, arguments, least)

        cases = [('sprat.c', lambda: tap.command([*ZIG, '-Werror', '-Wall', '-Wextra', '-I',
                                                  os.path.join(args.root, 'include'), '-c', '-o', library,
                                                  os.path.join(args.folder, 'sprat.c')]))]
        cases += [(program[0], lambda p=program: one(*p)) for program in programs]
        return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
