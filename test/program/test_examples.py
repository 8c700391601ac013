#!/usr/bin/env python3
"""The small examples run: each answers, and fails with a line when there is no model."""
import argparse
import os
import subprocess
import sys
import tempfile

import program
import tap

parser = argparse.ArgumentParser()
parser.add_argument('--root', required=True)
parser.add_argument('--program', action='append', default=[])
parser.add_argument('--script', action='append', default=[])
parser.add_argument('--real', action='store_true', help='ask the model of SPRAT_TEST_MODEL too, if there is one')
args = parser.parse_args()
sys.dont_write_bytecode = True
FOLDER = tempfile.TemporaryDirectory()
# A short context ends the answer soon.
MODEL = os.path.join(FOLDER.name, 'tiny.gguf')
with open(MODEL, 'wb') as out:
    out.write(program.load_maker(args.root).tiny_gguf(ctx=160))


def run(command, *arguments, timeout=60):
    return subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=timeout)


def works(command):
    first, again = run(command, MODEL, 'Why?'), run(command, MODEL, 'Why?')
    problems = []
    if first.returncode or not first.stdout.strip() or first.stderr:
        problems.append(f'exit {first.returncode}: {first.stdout!r} {first.stderr!r}')
    if first.stdout != again.stdout:
        problems.append(f'two answers: {first.stdout!r} {again.stdout!r}')
    for arguments in ((os.path.join(FOLDER.name, 'nowhere.gguf'), 'Why?'), (MODEL,)):
        wrong = run(command, *arguments)
        if wrong.returncode != 1 or wrong.stdout or wrong.stderr.count(b'\n') != 1:
            problems.append(f'{arguments}: exit {wrong.returncode}: {wrong.stdout!r} {wrong.stderr!r}')
    return problems


def knows(command):
    """A model that knows something, where there is one; else the tiny one again."""
    real = os.environ.get('SPRAT_TEST_MODEL') if args.real else None
    result = run(command, real or MODEL, 'What is the capital of Germany?')
    good = result.returncode == 0 and (b'Berlin' in result.stdout if real else result.stdout.strip())
    return [] if good else [f'exit {result.returncode}: {result.stdout!r} {result.stderr!r}']


commands = [[path] for path in args.program] + [[sys.executable, path] for path in args.script]
sys.exit(tap.run([(f'{os.path.basename(command[-1])} {function.__name__}', lambda f=function, c=command: f(c))
                  for command in commands for function in (works, knows)]))
