#!/usr/bin/env python3
"""No illegal instruction and the same bits on processors older than this one: qemu-user with the oldest x86-64 and with
the first of each set of instructions that it knows. Each must first end a program that uses what it lacks."""
import argparse
import os
import shutil
import sys
import tempfile

import tap

# Name for qemu, the best set it has, and an instruction that must end a program there: (target, C statement).
SSSE3 = ('ssse3', '__m128i x = _mm_loadu_si128(q); _mm_storeu_si128(q, _mm_shuffle_epi8(x, x));')
AVX2 = ('avx2', '__m256i x = _mm256_loadu_si256(q); _mm256_storeu_si256(q, _mm256_mullo_epi32(x, x));')
AVX512 = ('avx512f', '__m512i x = _mm512_loadu_si512(q); _mm512_storeu_si512(q, _mm512_mullo_epi32(x, x));')
CPUS = [('qemu64,-pni,-cx16,-lahf-lm,-svm', 'scalar', SSSE3),
        ('Penryn', 'sse41', AVX2),
        ('Haswell', 'avx2', AVX512)]


def emulated(cpu, command):
    return ['qemu-x86_64', '-cpu', cpu, *command]


def ends_what_it_lacks(cpu, instruction, cc, work):
    """The emulator must not be kinder than the processor."""
    source, binary = os.path.join(work, 'newer.c'), os.path.join(work, 'newer')
    with open(source, 'w', encoding='utf-8') as file:
        file.write('#include <immintrin.h>\nstatic char bytes[64];\n'
                   f'__attribute__((target("{instruction[0]}"), noinline)) static void newer(void *q) '
                   f'{{ {instruction[1]} }}\nint main(void) {{ newer(bytes); return bytes[0]; }}\n')
    problems = tap.command([*cc, '-O1', '-o', binary, source])
    status = 0 if problems else tap.output(emulated(cpu, [binary]))[0]
    return problems or ([] if status else [f'{cpu} runs {instruction[0]}: what it says of sprat proves nothing'])


def tested(name, cpu, command):
    """Runs a program that prints TAP: more than one result."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith('SPRAT_TEST_')}
    status, text = tap.output(emulated(cpu, command), env=clean)
    lines = [line for line in text.splitlines() if 'warning: TCG' not in line]
    if status == 0 and sum(line.startswith('ok') for line in lines) > 1:
        return []
    return [f'{name}: exit {status}'] + [line for line in lines if not line.startswith('ok')][:20]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--golden', required=True)
    parser.add_argument('--hashes', required=True, help='logit_hashes')
    parser.add_argument('--checkkernel', required=True)
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()
    if not shutil.which('qemu-x86_64'):
        return tap.run([('qemu-x86_64', lambda: ['it is not installed; Debian: qemu-user'])])
    cases = []
    with tempfile.TemporaryDirectory() as work:
        for cpu, best, instruction in CPUS:
            name = cpu.split(',')[0]
            cases.append((f'{name} lacks {instruction[0]}', lambda c=cpu, i=instruction:
                          ends_what_it_lacks(c, i, args.cc, work)))
            cases.append((f'{name} gives the stored bits', lambda c=cpu, b=best: tested(
                'logit_hashes', c, [args.hashes, '--few', '--no-real', '--threads', '2', '--part', '4', '--set', b, args.golden])))
            if best != 'scalar':
                cases.append((f'{name} equals the scalar C', lambda c=cpu, b=best: tested(
                    'checkkernel', c, [args.checkkernel, '--unguarded', '--set', b])))
        return tap.run(cases)


if __name__ == '__main__':
    sys.exit(main())
