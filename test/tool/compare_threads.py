#!/usr/bin/env python3
"""How much slower decoding is with more threads than processors: the ratio of each round, and their median.

    test/tool/compare_threads.py --sprat build/gcc/examples/sprat/sprat --model FILE --few 2 --many 8

Each round is one start of "sprat bench", which measures both numbers of threads in turn. Ends with 1 if the median of
the ratios is above --most (1.1: with many threads at most a tenth slower). For a quiet machine: not a test.
"""
import argparse
import json
import statistics
import subprocess
import sys


def measure(args):
    """Tokens a second with few and with many threads, of one start."""
    command = [args.sprat, 'bench', args.model, '--json', '--threads', f'{args.few},{args.many}', '--prefill', '0',
               '--decode', str(args.decode), '--repeats', '1']
    found = json.loads(subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout)
    speeds = {run['threads']: run['tok_s'] for run in found['runs']}
    return speeds[args.few], speeds[args.many]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', 1)[0])
    parser.add_argument('--sprat', required=True, metavar='PROGRAM')
    parser.add_argument('--model', required=True, metavar='FILE')
    parser.add_argument('--few', type=int, default=2, metavar='N', help='as many as there are processors (2)')
    parser.add_argument('--many', type=int, default=8, metavar='N', help='more (8)')
    parser.add_argument('--decode', type=int, default=64, metavar='N', help='tokens (64)')
    parser.add_argument('--rounds', type=int, default=5, metavar='N', help='(5)')
    parser.add_argument('--most', type=float, default=1.1, help='the largest ratio that is right (1.1)')
    args = parser.parse_args()
    ratios = []
    for _ in range(args.rounds):
        few, many = measure(args)
        ratios.append(few / many)
        print(f'{few:8.2f} tok/s with {args.few} threads, {many:8.2f} with {args.many}: {ratios[-1]:.3f} times faster')
    middle = statistics.median(ratios)
    print(f'median {middle:.3f} ({min(ratios):.3f}-{max(ratios):.3f}), at most {args.most}')
    return 0 if middle <= args.most else 1


if __name__ == '__main__':
    sys.exit(main())
