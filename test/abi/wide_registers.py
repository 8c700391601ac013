#!/usr/bin/env python3
"""No instruction beyond the oldest x86-64 stands outside the functions that are marked for a set of
instructions: those whose names end in the set's name. Else the library would end its host's life on
an old processor. What is looked for is the register or the encoding of AVX and AVX-512; the
instructions of SSE4.1 use old registers, so only their mnemonics tell."""
import argparse
import os
import re
import sys
import tempfile

import tap

MARKED = re.compile(r'_(sse41|avx2|avxvnni|avx512|avx512vnni)(\.\w+)*$')
WIDE = re.compile(r'%[yz]mm\d|%xmm(1[6-9]|2\d|3[01])\b|%k[0-7]\b')
# v... is AVX but for those of virtual machines and segments; then SSE3, SSSE3, SSE4.1 and SSE4.2.
NEWER = re.compile(r'^(v(?!err|erw|mcall|mload|mmcall|mptr|mrun|msave|mx|mread|mwrite|mclear|mlaunch|mresume)\w+|'
                   r'addsub(ps|pd)|h(add|sub)(ps|pd)|lddqu|mov(ddup|shdup|sldup)|'
                   r'ph(add|sub)(w|d|sw)|pabs[bwd]|psign[bwd]|pshufb|palignr|pmaddubsw|pmulhrsw|'
                   r'p?blend\w+|round[ps][sd]|dpp[sd]|mpsadbw|phminposuw|ptest|pmulld|pmuldq|packusdw|pmov[sz]x\w+|'
                   r'p(min|max)(sb|sd|uw|ud)|pcmpeqq|pcmpgtq|insertps|extractps|pinsr[bdq]|pextr[bdq]|movntdqa|'
                   r'pcmp[ei]str[im]|crc32\w*|popcnt\w*|lzcnt\w*|tzcnt\w*|andn|bextr|bls\w+|pdep|pext|'
                   r'[rs](or|ar|hl|hr)x|mulx)$')


def outside(text):
    """{function: first such instruction} of objdump -d's text, unmarked functions only; and how many
    marked functions use wide registers."""
    found, marked, function = {}, set(), ''
    for line in text.splitlines():
        head = re.match(r'^[0-9a-f]+ <(.*)>:$', line)
        if head:
            function = head.group(1)
            continue
        code = re.match(r'^\s+[0-9a-f]+:\s+(?:(?:rep\w*|lock|bnd|notrack|data16|cs)\s+)*(\S+)(.*)$', line)
        if not code:
            continue
        operands = code.group(2).split('<')[0]
        if not (WIDE.search(operands) or NEWER.match(code.group(1))):
            continue
        if MARKED.search(function):
            marked.add(function)
        else:
            found.setdefault(function, code.group(1) + operands)
    return found, len(marked)


def disassembly(path):
    status, text = tap.output(['objdump', '-d', '--no-show-raw-insn', path])
    if status:
        raise RuntimeError(text)
    return text


def self_test(cc):
    """A function with each kind of instruction is seen where it is unmarked and accepted where it is marked."""
    kinds = {'avx2': '__m256 *p = q; *p = _mm256_add_ps(*p, *p);',
             'avx512f': '__m512 *p = q; *p = _mm512_mul_ps(*p, *p);',
             'avx512vl': '__m128 *p = q; *p = _mm_maskz_add_ps(5, *p, *p);',
             'sse4.1': '__m128i *p = q; *p = _mm_mullo_epi32(*p, *p);',
             'ssse3': '__m128i *p = q; *p = _mm_shuffle_epi8(*p, *p);',
             'avx': '*(float *)q *= 3.0f;',
             'popcnt': '*(unsigned *)q = (unsigned)__builtin_popcount(*(unsigned *)q);'}
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        source, obj = os.path.join(folder, 'bad.c'), os.path.join(folder, 'bad.o')
        with open(source, 'w', encoding='utf-8') as file:
            file.write('#include <immintrin.h>\nvoid plain(float *q);\nvoid plain(float *q) { *q *= 3.0f; }\n')
            for target, body in kinds.items():
                plain = target.replace('.', '')
                for name in (f'bad_{plain}_x', f'good_{plain}_avx2'):
                    file.write(f'__attribute__((target("{target}"))) void {name}(void *q);\n'
                               f'void {name}(void *q) {{ {body} }}\n')
        problems += tap.command([*cc, '-O2', '-c', '-o', obj, source])
        if problems:
            return problems
        found, marked = outside(disassembly(obj))
    if sorted(found) != sorted(f'bad_{target.replace(".", "")}_x' for target in kinds):
        problems.append(f'seen: {found}')
    if marked != len(kinds):
        problems.append(f'{marked} marked functions, expected {len(kinds)}')
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--library', required=True)
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()

    def library():
        found, marked = outside(disassembly(args.library))
        problems = [f'{name}: {code}' for name, code in sorted(found.items())]
        return problems + ([] if marked >= 10 else [f'only {marked} marked functions seen: are the symbols stripped?'])

    return tap.run([('self-test', lambda: self_test(args.cc)),
                    ('wide registers and newer instructions stand in marked functions only', library)])


if __name__ == '__main__':
    sys.exit(main())
