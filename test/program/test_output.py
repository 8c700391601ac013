#!/usr/bin/env python3
"""What the program prints when all is well: help, tokens, logits, likelihood, answers."""
import gzip
import math
import os
import random
import struct
import subprocess
import sys

import program
import tap

s = program.start()
N_VOCAB = 3 + 256 + len(s.maker.MERGES)
TEXT = 'The rain in Spain.\n\n  ünïcode 漢字 🙂\t\r\n'.encode()


def rows(data):
    """Rows of float32 as lists, from little-endian bytes."""
    values = struct.unpack(f'<{len(data) // 4}f', data)
    return [values[at:at + N_VOCAB] for at in range(0, len(values), N_VOCAB)]


def lines(data):
    return data.decode().splitlines()


def help_and_version():
    problems = []
    commands = ['run', 'chat', 'info', 'tokenize', 'detokenize', 'eval', 'eval logits', 'eval generate', 'eval nll',
                'bench']
    for arguments in (['--help'], ['-h'], ['help'], ['--version'], *([*c.split(), '--help'] for c in commands)):
        status, out, err = s.run(*arguments)
        if status or err or not out.endswith(b'\n'):
            problems.append(f'{arguments}: exit {status}, stdout {out!r}, stderr {err!r}')
    if s.good('--version').split()[0] != b'sprat':
        problems.append('--version does not begin with the name')
    listed = s.good('--help').decode()
    return problems + [f'--help does not list {c}' for c in commands if c.split()[0] not in listed]


def info():
    found = dict(line.split(': ', 1) for line in lines(s.good('info', s.model, '--ctx', '100', '--meta')))
    expected = {'architecture': 'llama', 'name': 'tiny random llama', 'file': f'{os.path.getsize(s.model)} (',
                'layers': '2', 'width': '64', 'vocabulary': str(N_VOCAB), 'context': '512', 'tokenizer': 'gpt2',
                'pre-tokenizer': 'smollm', 'bos': '1 <|im_start|>', 'eos': '2 <|im_end|>', 'add bos': 'no',
                'chat': 'chatml-smollm2', 'plan context': '100', 'meta llama.block_count': '2'}
    problems = [f'{key}: {found.get(key)!r}, not {value!r}' for key, value in expected.items()
                if not found.get(key, '').startswith(value)]
    hostile = s.make('hostile.gguf', template='\x1b[2J\n\x07' + s.maker.SMOLLM2_TEMPLATE)
    if b'\x1b' in s.good('info', hostile, '--meta'):
        problems.append('a control character of the file reaches the terminal')
    return problems


def round_trips():
    rng = random.Random(7)
    texts = [b'', b' ', b'\n\n', TEXT, bytes(range(256)), b'<|im_start|>user<|im_end|>', b'\xff\xfe\x80'] + [
        bytes(rng.randrange(256) for _ in range(n)) for n in (1, 2, 3, 100, 5000)]
    problems = []
    for text in texts:
        for option in ([], ['--special']):
            ids = s.good('tokenize', s.model, *option, stdin=text)
            if any(not line.isdigit() for line in lines(ids)):
                problems.append(f'{text[:40]!r}: not one id a line')
            back = s.good('detokenize', s.model, stdin=ids)
            if back != text:
                problems.append(f'{text[:40]!r} {option}: came back as {back[:40]!r}')
    plain = lines(s.good('tokenize', s.model, stdin=b'<|im_start|>'))
    special = lines(s.good('tokenize', s.model, '--special', stdin=b'<|im_start|>'))
    if special != ['1'] or len(plain) < 5 or '1' in plain:
        problems.append(f'control tokens: plain {plain}, special {special}')
    if lines(s.good('tokenize', s.model, stdin=b' the')) == lines(s.good('tokenize', s.model, stdin=b'the')):
        problems.append('merges have no effect')
    return problems


def real_vocabularies():
    """Paths of the real vocabularies: those of the clone, unpacked, or all that lie beside it."""
    data = os.environ.get('SPRAT_TEST_DATA')
    folder = os.path.join(data, 'tokenizer') if data else os.path.join(s.root, 'test', 'golden', 'tokenizer')
    for name in sorted(os.listdir(folder)):
        if name.endswith('.vocab.gguf'):
            yield os.path.join(folder, name)
        elif name.endswith('.vocab.gguf.gz'):
            with gzip.open(os.path.join(folder, name)) as packed:
                yield s.write(name[:-3], packed.read())


def vocabularies():
    """Round trips on the real vocabularies."""
    problems, n = [], 0
    for model in real_vocabularies():
        text = TEXT * 3 + b'def f(x):\n    return x ** 2  # 12345\n'
        back = s.good('detokenize', model, stdin=s.good('tokenize', model, stdin=text))
        problems += [] if back == text else [f'{model}: {back!r}']
        n += 1
    return problems + ([] if n > 4 else [f'{n} vocabularies only'])


def reasoning():
    """What a model thinks goes to stderr, what it answers to stdout; it ends when its turn ends."""
    vocabulary = next(path for path in real_vocabularies() if 'r1-qwen' in path)
    with open(vocabulary, 'rb') as file:
        data = file.read()
    at = data.index(b'tokenizer.chat_template') + 27
    length = int.from_bytes(data[at:at + 8], 'little')
    model = s.make('thinks.gguf', template=data[at + 8:at + 8 + length].decode(), after='>',
                   says=['<think>', 'Six times', ' seven.', '</think>', '\n\n\n', 'Forty', '-two'])
    status, out, err = s.run('run', model, 'How many?')
    problems = [] if (status, out) == (0, b'Forty-two\n') else [f'{status} {out!r} {err!r}']
    if not err.startswith(b'Six times seven.\n') or b'8 tokens' not in err:
        problems.append(f'stderr {err!r}')
    if s.run('run', model, 'How many?', '--quiet') != (0, b'Forty-two\n', b''):
        problems.append('--quiet')
    if s.good('run', model, 'How many?', '--stop', 'y-t') != b'Fort\n':
        problems.append('a stop text across tokens')
    if s.good('chat', model, stdin=b'How many?\nAre you sure?\n') != b'Forty-two\n' * 2:
        problems.append('chat')
    return problems


def logits():
    rng = random.Random(3)
    ids = [rng.randrange(N_VOCAB) for _ in range(150)]
    tokens, out = s.write('ids.txt', ' '.join(map(str, ids))), s.path('out.f32')
    reference, problems = None, []
    for option in ([], ['--threads', '1'], ['--threads', '2'], ['--threads', '3'], ['--chunk', '1'], ['--chunk', '7'],
                   ['--chunk', '64', '--threads', '2'], ['--chunk', '4096'], ['--numerics', 'f32'], ['--kv', 'f32']):
        s.good('eval', 'logits', s.model, '--tokens', tokens, '--out', out, *option)
        with open(out, 'rb') as file:
            data = file.read()
        os.unlink(out)
        if len(data) != 4 * len(ids) * N_VOCAB:
            problems.append(f'{option}: {len(data)} bytes')
        if '--numerics' in option or '--kv' in option:
            continue  # another cache type: other bits are right
        reference = reference or data
        if data != reference:
            problems.append(f'{option}: other bits')
    if any(not math.isfinite(value) for row in rows(reference) for value in row):
        problems.append('a value is not finite')
    with open(tokens, 'rb') as file:
        piped = s.run('eval', 'logits', s.model, '--tokens', '-', '--out', '/dev/stdout', stdin=file.read())
    if piped != (0, reference, b''):
        problems.append('--tokens - and --out /dev/stdout give something else')
    return problems + likelihood(ids, tokens, reference) + greedy(ids, tokens, reference)


def mean_nll(ids, table):
    total = 0.0
    for token, row in zip(ids[1:], table):
        high = max(row)
        total += high + math.log(math.fsum(math.exp(value - high) for value in row)) - row[token]
    return total


def likelihood(ids, tokens, reference):
    """nll agrees with the logits, whole and in windows."""
    problems = []
    for window in (None, 64, 7):
        option = ['--window', str(window)] if window else []
        found = s.good('eval', 'nll', s.model, '--tokens', tokens, *option)
        words = found.split()
        if len(words) != 4 or words[0] != b'nll' or words[2] != b'perplexity' or found.count(b'\n') != 2:
            return [f'nll prints {found!r}']
        total, n = 0.0, 0
        for at in range(0, len(ids), window or len(ids)):
            part = ids[at:at + (window or len(ids))]
            if window:
                path, out = s.write('part.txt', ' '.join(map(str, part))), s.path('part.f32')
                s.good('eval', 'logits', s.model, '--tokens', path, '--out', out)
                with open(out, 'rb') as file:
                    table = rows(file.read())
            else:
                table = rows(reference)
            total += mean_nll(part, table)
            n += len(part) - 1
            if window == 7 and at > 40:
                break
        if window == 7:
            continue  # only that it runs: the last window has one token more or less
        if abs(float(words[1]) - total / n) > 2e-6 or abs(float(words[3]) / math.exp(total / n) - 1) > 1e-4:
            problems.append(f'window {window}: {found!r}, not {total / n}')
    return problems


def greedy(ids, tokens, reference):
    """generate is the argmax of the logits, step by step, whatever threads and chunks."""
    problems, n = [], 12
    found = [int(line) for line in lines(s.good('eval', 'generate', s.model, '--tokens', tokens, '-n', str(n)))]
    last = rows(reference)[-1]
    if len(found) != n or found[0] != max(range(N_VOCAB), key=lambda token: (last[token], -token)):
        problems.append(f'generate gives {found}')
    path, out = s.write('more.txt', ' '.join(map(str, ids + found))), s.path('more.f32')
    s.good('eval', 'logits', s.model, '--tokens', path, '--out', out)
    with open(out, 'rb') as file:
        table = rows(file.read())[len(ids) - 1:]
    for step, token in enumerate(found):
        if token != max(range(N_VOCAB), key=lambda other, row=table[step]: (row[other], -other)):
            problems.append(f'step {step}: {token} is not the likeliest')
    again = lines(s.good('eval', 'generate', s.model, '--tokens', tokens, '-n', str(n), '--threads', '3',
                         '--chunk', '5'))
    return problems + ([] if [int(line) for line in again] == found else ['threads or chunks change the tokens'])


def answers():
    ask = ['run', s.model, 'Tell me about the rain.', '--max-tokens', '30']
    status, out, err = s.run(*ask)
    problems = [] if status == 0 and out.endswith(b'\n') and b'tok' in err else [f'run: {status} {out!r} {err!r}']
    if s.run(*ask, '--quiet', '--seed=0')[1] != out or s.run(*ask, '--threads', '1', '--chunk', '3')[1] != out:
        problems.append('the same question has another answer')
    hot = [s.good(*ask, '--temp', '5', '--top-p', '1', '--seed', str(seed)) for seed in (1, 2, 1)]
    if hot[0] == hot[1] or hot[0] != hot[2]:
        problems.append('--seed does not decide')
    if s.good(*ask, '--temp', '0') != s.good(*ask, '--temp', '5', '--top-k', '1'):
        problems.append('--top-k 1 is not greedy')
    if s.good(*ask, '--system', 'Be brief.', '--temp', '0') == s.good(*ask, '--temp', '0'):
        problems.append('--system has no effect')
    quiet = s.run(*ask[:-2], '--ctx', '200', '--quiet')
    if quiet[0] != 0 or b'context is full' not in quiet[2]:
        problems.append(f'a full context is not told: {quiet[2]!r}')
    return problems


def pipes():
    ask = ['run', s.model, '--max-tokens', '24', '--temp', '3', '--quiet']
    given = s.good(*ask, 'Why?\n\nBecause of the rain.')
    problems = []
    for arguments, stdin in ((['Why?', '-'], b'Because of the rain.\n'), ([], b'Why?\n\nBecause of the rain.\n'),
                             (['-'], b'Why?\n\nBecause of the rain.')):
        if s.good(*ask, *arguments, stdin=stdin) != given:
            problems.append(f'{arguments} with stdin {stdin!r} is another question')
    if s.good(*ask, 'Why?', stdin=b'Because of the rain.') == given:
        problems.append('stdin is read though there is a question')
    whole = s.good(*ask, 'Why?').decode('utf-8', 'replace').rstrip('\n')
    stop = next(c for c in whole[len(whole) // 2:] if c != '\ufffd')
    cut = s.good(*ask, 'Why?', '--stop', stop).decode('utf-8', 'replace')
    if cut.rstrip('\n') != whole[:whole.index(stop)].rstrip('\n'):
        problems.append(f'--stop {stop!r}: {cut!r} of {whole!r}')
    return problems


def real_model():
    """A model that knows something, where there is one; else the tiny one."""
    out = s.good('run', s.real or s.model, 'What is the capital of Germany?', '--max-tokens', '12', '--quiet',
                 '--temp', '0')
    return [] if out.strip() and (b'Berlin' in out or not s.real) else [f'{out!r}']


def public_headers_only():
    """The program can do nothing that a host cannot."""
    folder = os.path.join(s.root, 'examples', 'sprat')
    problems = []
    for name in os.listdir(folder):
        if not name.endswith(('.c', '.h')):
            continue
        with open(os.path.join(folder, name), encoding='utf-8') as file:
            text = file.read()
        for line in text.splitlines():
            if line.startswith('#include "') and not os.path.exists(os.path.join(folder, line.split('"')[1])):
                problems.append(f'{name}: {line}')
        if text.count('\n') >= 400 or 'sprat__' in text:
            problems.append(f'{name}: too long, or it names something internal')
    return problems


def conversation():
    """Messages through a pipe: one answer each, stderr apart, /commands not answered."""
    chat = ['chat', s.model, '--max-tokens', '24', '--temp', '3']
    one = s.run(*chat, stdin=b'Hello\n')
    two = s.run(*chat, stdin=b'Hello\n/stats\n/nonsense\nHow are you?\n')
    problems = [f'exit {status}: {err!r}' for status, _, err in (one, two) if status]
    if not two[1].startswith(one[1]) or len(two[1]) <= len(one[1]):
        problems.append(f'two questions: {two[1]!r}, the first alone: {one[1]!r}')
    forgot = s.run(*chat, stdin=b'Hello\n/clear\nHello\n')
    if forgot[1] != one[1] * 2:
        problems.append(f'/clear: {forgot[1]!r}')
    system = s.run(*chat, stdin=b'/system Be brief.\nHello\n')
    if system[1] == one[1] or system[1] != s.run(*chat, '--system', 'Be brief.', stdin=b'Hello\n')[1]:
        problems.append('/system is not --system')
    joined = s.run(*chat, stdin=b'Hel\\\nlo\n')
    if joined[1] == one[1] or joined[0]:
        problems.append('a line that ends with a backslash does not go on')
    slash = s.run(*chat, stdin=b'//clear\n')
    if slash[1] == b'' or s.run(*chat, stdin=b'/quit\nHello\n')[1] != b'':
        problems.append('// or /quit')
    if s.run(*chat, stdin=b'Hello')[1] != one[1]:
        problems.append('a last line without its end is lost')
    think = s.run(*chat, stdin=b'/think on\n/think maybe\nHello\n')
    if think[1] != one[1] or b'reasoning' not in think[2]:
        problems.append(f'/think on on a dialect that knows no reasoning: {think}')
    quiet = s.run(*chat, '--quiet', stdin=b'Hello\n')
    return problems + ([] if b'tok' in one[2] and b'RAM' not in quiet[2] else ['figures'])


def two_at_once():
    """Two runs that write the same file leave one whole file."""
    tokens, out = s.write('ids.txt', '9 ' * 100), s.path('both.f32')
    runs = [subprocess.Popen([s.sprat, 'eval', 'logits', s.model, '--tokens', tokens, '--out', out],
                             stdin=subprocess.DEVNULL) for _ in range(2)]
    status = [run.wait(timeout=60) for run in runs]
    size = os.path.getsize(out)
    left = [name for name in os.listdir(s.folder.name) if '.part' in name]
    return [] if status == [0, 0] and size == 400 * N_VOCAB and not left else [f'{status}, {size} bytes, {left}']


sys.exit(tap.run([
    ('help and version', help_and_version), ('info', info), ('round trips', round_trips),
    ('real vocabularies', vocabularies), ('reasoning', reasoning), ('eval', logits), ('answers', answers),
    ('pipes', pipes), ('conversation', conversation), ('a real model', real_model), ('two at once', two_at_once),
    ('public headers only', public_headers_only)]))
