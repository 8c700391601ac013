#!/usr/bin/env python3
"""No instruction beyond the oldest x86-64 stands outside the functions that are marked for a set of
instructions: those whose names end in the set's name. Else the library would end its host's life on
an old processor. What is looked for is the register or the encoding of AVX and AVX-512; the
instructions of SSE4.1 use old registers, so only their mnemonics tell. And a marked function has no
instruction beyond its own set."""
import argparse
import os
import re
import sys
import tempfile

import tap

MARKED = re.compile(r'_(sse41|avx2|avxvnni|avx512|avx512vnni)(\.\w+)*$')
WIDE = re.compile(r'%[yz]mm\d|%xmm(1[6-9]|2\d|3[01])\b|%k[0-7]\b')
# v... is AVX but for those of virtual machines and segments; then SSE3, SSSE3, SSE4.1 and SSE4.2.
AVX = r'v(?!err|erw|mcall|mload|mmcall|mptr|mrun|msave|mx|mread|mwrite|mclear|mlaunch|mresume)\w+'
NEWER = re.compile(r'^(' + AVX + '|'
                   r'addsub(ps|pd)|h(add|sub)(ps|pd)|lddqu|mov(ddup|shdup|sldup)|'
                   r'ph(add|sub)(w|d|sw)|pabs[bwd]|psign[bwd]|pshufb|palignr|pmaddubsw|pmulhrsw|'
                   r'p?blend\w+|round[ps][sd]|dpp[sd]|mpsadbw|phminposuw|ptest|pmulld|pmuldq|packusdw|pmov[sz]x\w+|'
                   r'p(min|max)(sb|sd|uw|ud)|pcmpeqq|pcmpgtq|insertps|extractps|pinsr[bdq]|pextr[bdq]|movntdqa|'
                   r'pcmp[ei]str[im]|crc32\w*|popcnt\w*|lzcnt\w*|tzcnt\w*|andn|bextr|bls\w+|pdep|pext|'
                   r'[rs](or|ar|hl|hr)x|mulx)$')
# What is beyond a set: registers, mnemonics. AVX2 here is AVX2 with F16C, without FMA and BMI; AVX-512 is F, BW, DQ and VL.
EVEX = re.compile(r'%zmm\d|%[xy]mm(1[6-9]|2\d|3[01])\b|%k[0-7]\b|\{1to\d')
EVEX_ONLY = (r'vpro[lr]\w+|vpternlog\w+|vpsra[vw]?q|vpabsq|vpmullq|vp(min|max)[su]q|vperm[it]2\w+|vpermw|v(compress|expand)p\w+|'
             r'vp(compress|expand)[dq]|vpmovu?s?(wb|db|dw|qb|qd|qw)|valign[dq]|v(rndscale|range|reduce|fixupimm|getexp|getmant|'
             r'scalef)\w+|vcvt\w*u(dq|qq|si)\w*|vcvtu(dq|qq|si)\w+|v(broadcast|extract|insert|shuf)[if](32|64)x\d|vp(and|andn|or|'
             r'xor)[dq]|vmovdq[au](8|16|32|64)|vps(ll|ra|rl)vw|vpts?estn?m\w+|vdbpsadbw|vpconflict\w+|vplzcnt\w+')
SSE42 = r'pcmpgtq|pcmp[ei]str[im]|crc32\w*|popcnt\w*'
BMI = r'lzcnt\w*|andn|bextr|bls\w+|pdep|pext|[rs](or|ar|hl|hr)x|mulx'
VNNI = r'vpdp\w+'
FMA = r'vfn?m(add|sub)\w+'
LATER = (r'vpermb|vpermi2b|vpermt2b|vpmultishiftqb|vpmadd52\w+|vpopcnt\w+|vpshufbitqmb|vpsh[lr]dv?[wdq]|vp(compress|expand)[bw]|'
         r'vgf2p8\w+|vdpbf16ps|vcvtne\w+|v(?!cvtps2ph$)\w+[ps]h|vp2intersect\w+|vpclmul\w+|vaes\w+|vexp2\w+|vr(cp|sqrt)28\w+')
BEYOND = {'sse41': (WIDE, AVX + '|' + SSE42 + '|' + BMI),
          'avx2': (EVEX, '|'.join([VNNI, FMA, BMI, LATER, EVEX_ONLY])),
          'avxvnni': (EVEX, '|'.join([FMA, BMI, LATER, EVEX_ONLY])),
          'avx512': (None, '|'.join([VNNI, BMI, LATER])),
          'avx512vnni': (None, '|'.join([BMI, LATER]))}
BEYOND = {name: (registers, re.compile(f'^({mnemonics})$')) for name, (registers, mnemonics) in BEYOND.items()}


def is_beyond(name, code, operands):
    """Whether an instruction is beyond the set of that name."""
    registers, mnemonics = BEYOND[name]
    return bool((registers and registers.search(operands)) or mnemonics.match(code))


def outside(text):
    """{function: first instruction that may not stand there} of objdump -d's text; and how many
    marked functions use more than the oldest x86-64."""
    found, marked, function = {}, set(), ''
    for line in text.splitlines():
        head = re.match(r'^[0-9a-f]+ <(.*)>:$', line)
        if head:
            function = head.group(1)
            continue
        code = re.match(r'^\s+[0-9a-f]+:\s+(?:(?:rep\w*|lock|bnd|notrack|data16|cs|\{e?vex\d?\})\s+)*(\S+)(.*)$', line)
        if not code:
            continue
        operands = code.group(2).split('<')[0]
        if not (WIDE.search(operands) or NEWER.match(code.group(1))):
            continue
        name = MARKED.search(function)
        if name:
            marked.add(function)
        if not name or is_beyond(name.group(1), code.group(1), operands):
            found.setdefault(function, code.group(1) + operands)
    return found, len(marked)


def disassembly(path):
    status, text = tap.output(['objdump', '-d', '--no-show-raw-insn', path])
    if status:
        raise RuntimeError(text)
    return text


def self_test(cc):
    """A function with each kind of instruction is seen where it is unmarked or marked for a set that lacks it, and
    accepted where its set has it."""
    kinds = {'avx2': ('__m256 *p = q; *p = _mm256_add_ps(*p, *p);', 'sse41', 'avx2'),
             'avx512f': ('__m512 *p = q; *p = _mm512_mul_ps(*p, *p);', 'avx2', 'avx512'),
             'avx512vl': ('__m128i *p = q; *p = _mm_rol_epi32(*p, 5);', 'avxvnni', 'avx512vnni'),
             'sse4.1': ('__m128i *p = q; *p = _mm_mullo_epi32(*p, *p);', '', 'sse41'),
             'sse4.2': ('__m128i *p = q; *p = _mm_cmpgt_epi64(*p, p[1]);', 'sse41', 'avx2'),
             'ssse3': ('__m128i *p = q; *p = _mm_shuffle_epi8(*p, *p);', '', 'sse41'),
             'avx': ('*(float *)q *= 3.0f;', 'sse41', 'avx2'),
             'f16c': ('__m128i *p = q; *(__m128 *)q = _mm_cvtph_ps(*p);', 'sse41', 'avx2'),
             'fma': ('__m128 *p = q; *p = _mm_fmadd_ps(*p, *p, *p);', 'avx2', 'avx512'),
             'avxvnni': ('__m128i *p = q; *p = _mm_dpbusd_avx_epi32(*p, *p, *p);', 'avx2', 'avxvnni'),
             'avx512vnni': ('__m512i *p = q; *p = _mm512_dpbusd_epi32(*p, *p, *p);', 'avx512', 'avx512vnni'),
             'avx512vbmi': ('__m512i *p = q; *p = _mm512_permutexvar_epi8(*p, *p);', 'avx512vnni', ''),
             'popcnt': ('*(unsigned *)q = (unsigned)__builtin_popcount(*(unsigned *)q);', 'sse41', 'avx2')}
    problems, bad, good = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        source, obj = os.path.join(folder, 'bad.c'), os.path.join(folder, 'bad.o')
        with open(source, 'w', encoding='utf-8') as file:
            file.write('#include <immintrin.h>\nvoid plain(float *q);\nvoid plain(float *q) { *q *= 3.0f; }\n')
            for target, (body, lacks, has) in kinds.items():
                plain = target.replace('.', '')
                names = [f'bad_{plain}_x'] + ([f'bad_{plain}_{lacks}'] if lacks else [])
                bad += names
                good += bool(has)
                for name in names + ([f'good_{plain}_{has}'] if has else []):
                    file.write(f'__attribute__((target("{target}"))) void {name}(void *q);\n'
                               f'void {name}(void *q) {{ {body} }}\n')
        problems += tap.command([*cc, '-O2', '-c', '-o', obj, source])
        if problems:
            return problems
        found, marked = outside(disassembly(obj))
    if sorted(found) != sorted(bad):
        problems.append(f'seen: {sorted(found)}, not {sorted(bad)}')
    n_marked = good + sum(not name.endswith('_x') for name in bad)
    if marked != n_marked:
        problems.append(f'{marked} marked functions, expected {n_marked}')
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
                    ('newer instructions stand in functions marked for a set that has them', library)])


if __name__ == '__main__':
    sys.exit(main())
