#!/usr/bin/env python3
"""The program's failures: each is status 1, exactly one line on stderr, nothing on stdout and no file left behind."""
import os
import signal
import subprocess
import sys
import time

import program
import tap

s = program.start()
refused = program.refused
IDS = s.write('ids.txt', '5 6 7\n8\t9\r\n')
FORMS = {
    'run': lambda model: (['run', model, 'hello'], b''),
    'chat': lambda model: (['chat', model], b'hello\n'),
    'info': lambda model: (['info', model], b''),
    'tokenize': lambda model: (['tokenize', model], b'hello'),
    'detokenize': lambda model: (['detokenize', model], b'5 6'),
    'logits': lambda model: (['eval', 'logits', model, '--tokens', IDS, '--out', s.path('out.f32')], b''),
    'generate': lambda model: (['eval', 'generate', model, '--tokens', IDS, '-n', '3'], b''),
    'nll': lambda model: (['eval', 'nll', model, '--tokens', IDS], b''),
}


def leftovers():
    return [f'{name} was left behind' for name in os.listdir(s.folder.name) if '.part' in name or name == 'out.f32']


def usage():
    cases = [
        [], ['bogus'], ['Run'], ['--bogus'], ['run'], ['chat'], ['info'], ['tokenize'], ['detokenize'], ['eval'],
        ['eval', 'bogus'], ['eval', 'logits'], ['eval', 'logits', s.model],
        ['eval', 'logits', s.model, '--tokens', IDS],
        ['eval', 'generate', s.model, '--tokens', IDS], ['eval', 'nll', s.model], ['chat', s.model, 'extra'],
        ['run', s.model, 'a', 'b'], ['info', s.model, '--temp', '1'], ['run', s.model, 'a', '--temp'],
        ['run', s.model, 'a', '--temp', 'hot'], ['run', s.model, 'a', '--temp', '1e3'],
        ['run', s.model, 'a', '--temp', '-1'], ['run', s.model, 'a', '--temp', '101'],
        ['run', s.model, 'a', '--top-p=1.1'],
        ['run', s.model, 'a', '--top-k', '1.5'], ['run', s.model, 'a', '--seed', '18446744073709551616'],
        ['run', s.model, 'a', '--threads', '0'], ['run', s.model, 'a', '--threads', '257'],
        ['run', s.model, 'a', '--max-tokens', '0'], ['run', s.model, 'a', '--stop', ''],
        ['run', s.model, 'a', *['--stop=x'] * 17], ['run', s.model, 'a', '--kv', 'f64'],
        ['run', s.model, 'a', '--think', ''],
        ['run', s.model, 'a', '--raw=1'], ['run', s.model, 'a', '--raw', '--system', 'x'],
        ['run', s.model, 'a', '--raw', '--tools', 'x'], ['chat', s.model, '--tools', 'x'],
        ['run', s.model, 'a', '--budget', '12X'], ['run', s.model, 'a', '--budget', 'M'],
        ['run', s.model, 'a', '--cpu', 'abacus'], ['tokenize', s.model, '--special=yes'],
        ['eval', 'nll', s.model, '--tokens', IDS, '--window', '1'],
        ['eval', 'logits', s.model, '--out', 'x', '-n', '3'],
        ['eval', 'generate', s.model, '--tokens', IDS, '-n', '0'],
        ['eval', 'nll', s.model, '--tokens', IDS, '--chunk', '4097'],
    ]
    return [problem for case in cases for problem in refused(s.run(*case), ' '.join(case))]


def tools():
    path = s.write('tools.json', b'[{"type": "function", "function": {"name": "f"}}]')
    return refused(s.run('run', s.model, 'a', '--tools', path), 'tools for a model that knows none', 'chatml-smollm2') + \
        refused(s.run('run', s.model, 'a', '--tools', s.write('bad.json', b'[')), 'tools that are no JSON', 'JSON') + \
        refused(s.run('run', s.model, 'a', '--tools', s.path('nowhere.json')), 'tools that are not there', 'nowhere.json')


def one_line_whatever_the_bytes():
    problems = refused(s.run('info', 'a\nb\rc\x1b[31m'), 'a path with control characters', '\\x0a', '\\x1b')
    problems += refused(s.run('two\nlines'), 'a subcommand with a newline')
    problems += refused(s.run(b'info', b'\xff\xfe'), 'a path that is not UTF-8')
    return problems + refused(s.run('info', 'x' * 4000), 'a very long path')


def files():
    with open(s.model, 'rb') as file:
        data = file.read()
    bad = {
        'missing': s.path('nowhere.gguf'), 'a directory': s.folder.name, 'empty': s.write('empty.gguf', b''),
        'not a model': s.write('text.gguf', 'GGML is not it, and this is long enough to be read\n'),
        'version 77': s.write('version.gguf', data[:4] + b'\x4d\0\0\0' + data[8:]),
        **{f'cut at {n}': s.write(f'cut{n}.gguf', data[:n])
           for n in (1, 4, 11, 24, 300, 5000, len(data) // 2, len(data) - 9)},
    }
    problems = []
    for name, path in bad.items():
        for form in FORMS if name in ('missing', 'cut at 5000') else ('info', 'logits'):
            arguments, stdin = FORMS[form](path)
            problems += refused(s.run(*arguments, stdin=stdin), f'{form}: {name}')
    return problems + leftovers()


def unsuitable_models():
    vocabulary = s.make('vocabulary.gguf', vocab_only=True)
    silent = s.make('silent.gguf', template=None)
    problems = []
    for form in ('run', 'chat', 'logits', 'generate', 'nll'):
        arguments, stdin = FORMS[form](vocabulary)
        problems += refused(s.run(*arguments, stdin=stdin), f'{form}: a vocabulary only')
    for form in ('run', 'chat'):
        arguments, stdin = FORMS[form](silent)
        problems += refused(s.run(*arguments, stdin=stdin), f'{form}: no template', '--raw')
    odd = s.make('odd.gguf', template='{{ messages[0].content | upper }}')
    problems += refused(s.run('run', odd, 'hello'), 'run: an unknown template', '--raw')
    if not s.good('run', silent, 'hello', '--raw', '--max-tokens', '5', '--quiet'):
        problems.append('--raw gives nothing on a model without a template')
    s.good('info', vocabulary)
    return problems + leftovers()


def token_files():
    bad = {'12x': '1 2\n3 12x 4', '-1': '-1', '+1': '5 +1', '0x10': '0x10', '1e3': '1e3', '1.0': '1.0', '1,': '1, 2',
           '999999': '1 999999', '271': '271', '99999999999999999999': '99999999999999999999', '４': '４'}
    problems = []
    for word, text in bad.items():
        path = s.write('bad.txt', text)
        position = text.split().index(word) + 1 if word in text.split() else 1
        for arguments, stdin in (
                (['eval', 'logits', s.model, '--tokens', path, '--out', s.path('out.f32')], b''),
                (['eval', 'nll', s.model, '--tokens', path], b''),
                (['eval', 'generate', s.model, '--tokens', path, '-n', '2'], b''),
                (['detokenize', s.model], text.encode())):
            problems += refused(s.run(*arguments, stdin=stdin), f'{arguments[0]} {word}', f'word {position} ', word)
    nul = refused(s.run('detokenize', s.model, stdin=b'1 2\x003 4'), 'a NUL', 'word 2 ')
    empty = s.write('none.txt', ' \n')
    one = s.write('one.txt', '7')
    for form in ('logits', 'generate', 'nll'):
        arguments, _ = FORMS[form](s.model)
        at = arguments.index('--tokens') + 1
        for name, path in (('missing', s.path('nowhere.txt')), ('a directory', s.folder.name), ('empty', empty)):
            problems += refused(s.run(*arguments[:at], path, *arguments[at + 1:]), f'{form}: tokens {name}')
    problems += refused(s.run('eval', 'nll', s.model, '--tokens', one), 'one token')
    if s.good('detokenize', s.model, stdin=b'') != b'':
        problems.append('no ids give bytes')
    return problems + nul + leftovers()


def unwritable():
    problems = []
    for out in (s.folder.name, s.path('no/such/folder/out.f32'), '/dev/full', ''):
        arguments = ['eval', 'logits', s.model, '--tokens', IDS, '--out', out]
        problems += refused(s.run(*arguments), f'--out {out}')
    kept = s.write('kept.f32', 'as it was')
    problems += refused(s.run('eval', 'logits', s.model, '--tokens', IDS, '--ctx', '2', '--out', kept), 'too long')
    with open(kept, 'rb') as file:
        if file.read() != b'as it was':
            problems.append('a failed run changed the file that was there')
    for arguments in (['--help'], ['--version'], ['run', '--help'], ['info', s.model],
                      ['run', s.model, 'hello', '--max-tokens', '3', '--quiet'],
                      ['eval', 'generate', s.model, '--tokens', IDS, '-n', '3'],
                      ['eval', 'nll', s.model, '--tokens', IDS]):
        with open('/dev/full', 'wb') as full:
            problems += refused(s.run(*arguments, stdout=full), f'a full disk: {" ".join(arguments)}')
        read, write = os.pipe()
        os.close(read)
        problems += refused(s.run(*arguments, stdout=write), f'a closed pipe: {" ".join(arguments)}')
        os.close(write)
        shut = ['sh', '-c', 'exec "$0" "$@" >&-', s.sprat, *arguments]
        result = subprocess.run(shut, stderr=subprocess.PIPE, check=False, stdin=subprocess.DEVNULL, timeout=60)
        problems += refused((result.returncode, b'', result.stderr), f'no stdout: {" ".join(arguments)}')
    return problems + leftovers()


def closed_stdin():
    shut = ['sh', '-c', 'exec "$0" "$@" <&-', s.sprat, 'tokenize', s.model]
    result = subprocess.run(shut, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60)
    return refused((result.returncode, result.stdout, result.stderr), 'tokenize without stdin')


def library_refusals():
    problems = refused(s.run('eval', 'nll', s.model, '--tokens', IDS, '--chunk', '5000'), 'a chunk too long')
    problems += refused(s.run('run', s.model, 'word ' * 200, '--ctx', '64'), 'a prompt too long')
    problems += refused(s.run('chat', s.model, '--ctx', '64', stdin=b'word ' * 200 + b'\nhello\n'), 'chat: too long')
    problems += refused(s.run('run', s.model, ''), 'an empty question')
    problems += refused(s.run('run', s.model, stdin=b''), 'an empty stdin')
    problems += refused(s.run('run', s.model, 'hello', '--budget', '40K'), 'over budget')
    return problems + leftovers()


def interrupted():
    """A signal in a long run: one line, status 1, no file."""
    model = s.make('long.gguf', ctx=1 << 20, layers=4)
    ids = s.write('long.txt', '9 ' * 60000)
    problems = []
    for number in (signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen([s.sprat, 'eval', 'logits', model, '--tokens', ids, '--out', s.path('out.f32')],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not [name for name in os.listdir(s.folder.name) if '.part' in name] and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        problems += refused((process.returncode, out, err), f'signal {number}', 'interrupted')
    return problems + leftovers()


sys.exit(tap.run([
    ('usage', usage), ('tools', tools), ('one line whatever the bytes', one_line_whatever_the_bytes), ('model files', files),
    ('unsuitable models', unsuitable_models), ('token files', token_files), ('unwritable output', unwritable),
    ('closed stdin', closed_stdin), ('refusals of the library', library_refusals), ('interrupted', interrupted)]))
