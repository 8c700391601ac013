#!/usr/bin/env python3
"""The C program of README.md builds without a warning against the header and the static library, and answers;
links in the documents lead somewhere."""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import tap


def first_program(text):
    match = re.search(r'^```c\n(.*?)^```$', text, re.M | re.S)
    if not match:
        raise ValueError('README.md has no C program')
    return match.group(1)


def build(args, folder, text):
    source, binary = os.path.join(folder, 'app.c'), os.path.join(folder, 'app')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(text)
    return tap.command([*args.cc, '-std=c11', '-Wall', '-Wextra', '-Werror', '-I', os.path.join(args.root, 'include'),
                        '-o', binary, source, args.static, '-lpthread', '-lm'])


def answers(binary, model):
    """Runs the program. A real model is asked what it knows; a made one only has to end well."""
    result = subprocess.run([binary, model, 'What is the capital of Germany?'], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, timeout=120)
    if result.returncode != 0 or result.stderr:
        return [f'exit {result.returncode}: {result.stderr!r}']
    if os.environ.get('SPRAT_TEST_MODEL') and b'Berlin' not in result.stdout:
        return [f'the answer: {result.stdout!r}']
    return []


def links(root, path, text):
    """Relative links of a document that lead to no file."""
    text = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
    return [f'{path}: no {target}' for target in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', text)
            if not os.path.exists(os.path.join(root, os.path.dirname(path), target))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--static', required=True)
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()
    with open(os.path.join(args.root, 'README.md'), encoding='utf-8') as file:
        readme = file.read()
    program = first_program(readme)

    def documents():
        paths = ['README.md', 'SECURITY.md'] + sorted('doc/' + name for name in os.listdir(os.path.join(args.root, 'doc'))
                                                      if name.endswith('.md'))
        problems = [] if links(args.root, 'x', '[a](no/such/file)') else ['self-test: a dead link goes unseen']
        for path in paths:
            with open(os.path.join(args.root, path), encoding='utf-8') as file:
                problems += links(args.root, path, file.read())
        return problems

    with tempfile.TemporaryDirectory() as folder:
        def runs():
            model = os.environ.get('SPRAT_TEST_MODEL')
            if not model:
                model = os.path.join(folder, 'tiny.gguf')
                subprocess.run([sys.executable, os.path.join(args.root, 'test', 'tool', 'make_tiny_gguf.py'), model],
                               check=True, stdout=subprocess.DEVNULL)
            return answers(os.path.join(folder, 'app'), model)

        return tap.run([
            ('self-test', lambda: [] if build(args, folder, program.replace('sprat_session_next(session, &event)',
                                                                            'sprat_session_next(&event)')) else
             ['a wrong call compiles']),
            ('the program builds', lambda: build(args, folder, program)),
            ('the program answers', runs),
            ('links lead somewhere', documents),
        ])


if __name__ == '__main__':
    sys.exit(main())
