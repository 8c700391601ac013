#!/usr/bin/env python3
"""Measures sprat beside other engines on the same model file, with the same threads, in the same minutes.

    test/tool/compare-peers.sh --model FILE --sprat build/gcc/examples/sprat/sprat --llama PATH/llama-bench \\
        --ik PATH/llama-bench --openvino 'VENV/bin/python test/tool/openvino_bench.py FOLDER'

Whoever wants the figures builds the other engines; this script only takes the paths of their programs. A program may be
a command with options of its own, quoted as for the shell. Each round measures every engine once per workload, in turn
(A B C, A B C, ...), so that a machine that slows down for a minute slows all of them. Printed per workload and engine:
the median of the rounds, the least and the most; the share of what the machine can do; and how many times faster sprat
is, as the median of the ratios of each round, with the least and the most.

The limit comes from the probes that "sprat bench" runs beside its own measurement, round by round: memory read speed
for decoding, products of 8-bit integers for prefill. So a share means something only for workloads sprat ran too.

Without --sprat the others are measured alone. Invariant: a figure is never carried from one round into another.
"""
import argparse
import json
import shlex
import statistics
import subprocess
import sys

PREFILL, DECODE, DEEP = 'prefill', 'decode', 'deep'
WORKS = (PREFILL, DECODE, DEEP)


class Problem(Exception):
    """What the user reads, in one line."""


class Engine:
    """One program: the command line for a workload, and the speed found in what it prints."""

    def __init__(self, name, command, settings):
        self.name, self.command, self.settings = name, shlex.split(command), settings

    def tokens(self, work):
        """(what, tokens, depth) of a workload."""
        s = self.settings
        return {PREFILL: (PREFILL, s.prefill, 0), DECODE: (DECODE, s.decode, 0), DEEP: (DECODE, s.decode, s.depth)}[work]

    def whole(self, work):
        return self.command + self.arguments(work)

    def arguments(self, work):
        raise NotImplementedError

    def parse(self, printed, work):
        raise NotImplementedError

    def measure(self, work):
        """{'tok_s': speed, and for sprat what its probes found}."""
        command = self.whole(work)
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, errors='replace', check=False, timeout=self.settings.timeout)
        except (OSError, subprocess.TimeoutExpired) as reason:
            raise Problem(f'{self.name}: {reason}') from reason
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or ['it says nothing'])[-1]
            raise Problem(f'{self.name}: {shlex.join(command)}: exit {result.returncode}: {said}')
        try:
            found = self.parse(json.loads(result.stdout), work)
        except (ValueError, KeyError, TypeError, AttributeError) as reason:
            raise Problem(f'{self.name}: {shlex.join(command)}: what it printed is not understood: {reason!r}') from reason
        if not found or not found['tok_s'] > 0:
            raise Problem(f'{self.name}: {shlex.join(command)}: no figure for {" ".join(map(str, self.tokens(work)))}')
        return found


class Sprat(Engine):
    def whole(self, work):
        return [self.command[0], *self.arguments(work), *self.command[1:]]

    def arguments(self, work):
        s = self.settings
        what, tokens, depth = self.tokens(work)
        cpu = ['--cpu', s.cpu] if s.cpu else []
        counts = {PREFILL: 0, DECODE: 0, what: tokens}
        return ['bench', s.model, '--json', '--threads', str(s.threads), *cpu, '--prefill', str(counts[PREFILL]),
                '--decode', str(counts[DECODE]), '--depth', str(depth), '--repeats', str(s.repeat)]

    def parse(self, printed, work):
        machine = printed['machine']
        for run in printed['runs']:
            if (run['what'], run['tokens'], run['depth']) == self.tokens(work) and run['threads'] == self.settings.threads:
                return {'tok_s': run['tok_s'], 'share': run['share'], 'cpu': run['cpu'],
                        'read_gbs': machine['read_gbs'], 'int8_tops': machine['int8_tops']}
        return None


class LlamaBench(Engine):
    """llama-bench of llama.cpp, and whatever prints the same: a list of tests with the speed of each repetition."""

    def arguments(self, work):
        s = self.settings
        what, tokens, depth = self.tokens(work)
        counts = ['-p', str(tokens), '-n', '0'] if what == PREFILL else ['-p', '0', '-n', str(tokens)]
        return ['-m', s.model, '-t', str(s.threads), '-r', str(s.repeat), '-o', 'json', *counts, *self.at(depth, counts)]

    def at(self, depth, _counts):
        return ['-d', str(depth)] if depth else []

    def is_depth(self, test, depth):
        return test.get('n_depth', 0) == depth

    def parse(self, printed, work):
        what, tokens, depth = self.tokens(work)
        for test in printed:
            n = test['n_prompt'] if what == PREFILL else test['n_gen']
            if n == tokens and self.is_depth(test, depth):
                return {'tok_s': statistics.median(test['samples_ts'])}
        return None


class IkBench(LlamaBench):
    """ik_llama.cpp's llama-bench: another way to say the depth, and a run-time repacking that is best for decoding."""

    def arguments(self, work):
        s = self.settings
        what, tokens, depth = self.tokens(work)
        counts = {PREFILL: ['-p', str(tokens), '-n', '0'], DECODE: ['-p', '0', '-n', str(tokens), '-rtr', '1']}[what]
        if depth:
            counts = ['-p', '0', '-n', '0', '-gp', f'{depth},{tokens}', '-rtr', '1']
        return ['-m', s.model, '-t', str(s.threads), '-r', str(s.repeat), '-o', 'json', *counts]

    def is_depth(self, test, depth):
        return (test['n_prompt'] if test['n_gen'] else 0) == depth


class OpenVino(LlamaBench):
    """openvino_bench.py, which knows its own model: that engine does not read this file."""

    def arguments(self, work):
        arguments = super().arguments(work)
        return arguments[2:]


def read_once(path):
    """So that the first engine does not wait for the disk."""
    try:
        with open(path, 'rb', buffering=0) as file:
            while file.read(1 << 24):
                pass
    except OSError as reason:
        raise Problem(f'{path}: {reason.strerror}') from reason


def middle(values, digits):
    """The median, and between which the values lie."""
    if not values:
        return '-'
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})'


def summary(found, names):
    """{work: {engine: {'tok_s', 'share', 'ratio'}}}: lists with one value per round, the ratio being sprat's to it."""
    result = {}
    for work, rounds in found.items():
        result[work] = {name: {'tok_s': [r[name]['tok_s'] for r in rounds], 'share': [], 'ratio': []} for name in names}
        for r in rounds:
            if 'sprat' not in r:
                continue
            ours = r['sprat']
            for name in names:
                faster = ours['tok_s'] / r[name]['tok_s']
                result[work][name]['share'].append(ours['share'] / faster)
                if name != 'sprat':
                    result[work][name]['ratio'].append(faster)
    return result


def print_table(result, found, settings):
    title = {PREFILL: f'prefill {settings.prefill}', DECODE: f'decode {settings.decode}',
             DEEP: f'decode {settings.decode} at depth {settings.depth}'}
    print(f'{settings.model}: {settings.threads} threads, {settings.rounds} rounds')
    probes = [r['sprat'] for rounds in found.values() for r in rounds if 'sprat' in r]
    if probes:
        print(f'machine: read {middle([p["read_gbs"] for p in probes], 1)} GB/s, '
              f'int8 {middle([p["int8_tops"] for p in probes], 3)} Tops; kernels {probes[0]["cpu"]}')
    print(f'{"work":28}{"engine":16}{"tok/s":26}{"share of limit, %":24}sprat is faster by')
    for work, engines in result.items():
        for name, e in engines.items():
            line = f'{title[work]:28}{name:16}{middle(e["tok_s"], 2):26}'
            line += f'{middle([100 * share for share in e["share"]], 1):24}'
            print((line + (middle(e['ratio'], 2) if e['ratio'] else '')).rstrip())


def parse_arguments():
    parser = argparse.ArgumentParser(prog='compare-peers.sh', description=__doc__.split('\n\n', 1)[0])
    parser.add_argument('--model', required=True, metavar='FILE', help='the GGUF file that all of them run')
    parser.add_argument('--sprat', metavar='COMMAND', help='the program sprat')
    parser.add_argument('--llama', metavar='COMMAND', help='llama-bench of llama.cpp')
    parser.add_argument('--ik', metavar='COMMAND', help='llama-bench of ik_llama.cpp; decodes with -rtr 1')
    parser.add_argument('--openvino', metavar='COMMAND', help='a Python with OpenVINO GenAI, openvino_bench.py, its model')
    parser.add_argument('--threads', type=int, default=2, help='of each engine (2)')
    parser.add_argument('--cpu', metavar='SET', help="sprat's --cpu; give others that are built for the same set")
    parser.add_argument('--work', default='prefill,decode,deep', help='of prefill, decode, deep; all of them')
    parser.add_argument('--prefill', type=int, default=512, metavar='N', help='tokens (512)')
    parser.add_argument('--decode', type=int, default=64, metavar='N', help='tokens (64)')
    parser.add_argument('--depth', type=int, default=4096, metavar='N', help='tokens before those of deep (4096)')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='(5)')
    parser.add_argument('--repeat', type=int, default=1, metavar='N', help='measurements of one start of a program (1)')
    parser.add_argument('--timeout', type=int, default=900, metavar='S', help='seconds for one start of a program (900)')
    parser.add_argument('--json', action='store_true', help='every figure of every round instead of the table')
    settings = parser.parse_args()
    settings.work = settings.work.split(',')
    unknown = [work for work in settings.work if work not in WORKS]
    if unknown:
        parser.error(f'--work: {unknown[0]} is none of {", ".join(WORKS)}')
    for name in ('threads', 'prefill', 'decode', 'depth', 'rounds', 'repeat', 'timeout'):
        if getattr(settings, name) < 1:
            parser.error(f'--{name} is at least 1')
    return parser, settings


def main():
    parser, settings = parse_arguments()
    kinds = (('sprat', Sprat, settings.sprat), ('llama.cpp', LlamaBench, settings.llama),
             ('ik_llama.cpp', IkBench, settings.ik), ('OpenVINO', OpenVino, settings.openvino))
    engines = [kind(name, command, settings) for name, kind, command in kinds if command]
    if not engines:
        parser.error('no engine to measure: give --sprat, --llama, --ik or --openvino')
    read_once(settings.model)
    found = {work: [] for work in settings.work}
    for n in range(settings.rounds):
        for work in settings.work:
            found[work].append({engine.name: engine.measure(work) for engine in engines})
            speeds = ', '.join(f'{name} {r["tok_s"]:.2f}' for name, r in found[work][-1].items())
            print(f'round {n + 1} of {settings.rounds}, {work}: {speeds}', file=sys.stderr, flush=True)
    result = summary(found, [engine.name for engine in engines])
    if settings.json:
        json.dump({'model': settings.model, 'threads': settings.threads, 'cpu': settings.cpu, 'rounds': found,
                   'engines': result}, sys.stdout, indent=1)
        print()
    else:
        print_table(result, found, settings)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Problem as problem:
        sys.exit(f'compare-peers.sh: {problem}')
