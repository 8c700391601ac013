#!/usr/bin/env python3
"""sprat bench in its smallest form: what it writes and what it refuses. No figure is held against another: only
that each is there, and that those which are counted, not timed, are right."""
import json
import math
import os
import sys
import xml.etree.ElementTree

import program
import tap

s = program.start()
refused = program.refused
SMALL = ['--prefill', '8', '--decode', '4', '--repeats', '2', '--buffer', '4M']
RUN_KEYS = {'what', 'tokens', 'depth', 'threads', 'cpu', 'tok_s', 'gbs', 'tops', 'share'}


def bench(*options, model=None):
    return json.loads(s.good('bench', model or s.model, *SMALL, '--json', *options))


def numbers(found, keys, name):
    return [f'{name}.{key}: {found.get(key)!r}' for key in keys
            if not isinstance(found.get(key), (int, float)) or not math.isfinite(found[key]) or found[key] <= 0]


def keys():
    found = bench()
    problems = numbers(found['machine'], ('read_gbs', 'int8_tops'), 'machine')
    if [run['what'] for run in found['runs']] != ['prefill', 'decode']:
        problems.append(f'runs: {found["runs"]}')
    for run in found['runs']:
        lost = RUN_KEYS - set(run)
        problems += [f'a run has no {key}' for key in lost]
        problems += numbers(run, ('tokens', 'threads', 'tok_s', 'gbs', 'tops', 'share', 'tok_s_low', 'tok_s_high',
                                 'busy'),
                            run['what'])
        if not run['tok_s_low'] <= run['tok_s'] <= run['tok_s_high']:
            problems.append(f'{run["what"]}: the median is not within the spread')
        limit = run['int8_tops'] if run['what'] == 'prefill' else run['read_gbs']
        rate = run['tops'] if run['what'] == 'prefill' else run['gbs']
        if abs(run['share'] / (rate / limit) - 1) > 0.01 and abs(run['share'] - rate / limit) > 1e-4:
            problems.append(f'{run["what"]}: the share is {run["share"]}, not {rate} of {limit}')
    return problems


def sweeps():
    """Every combination once, in order; depths ascending."""
    found = bench('--threads', '1,3', '--chunk', '3,8', '--depth', '70,0')['runs']
    expected = [(chunk, depth, what, threads) for chunk in (3, 8) for depth in (0, 70)
                for what in ('prefill', 'decode') for threads in (1, 3)]
    got = [(run['chunk'], run['depth'], run['what'], run['threads']) for run in found]
    problems = [] if got == expected else [f'{got}']
    only = bench('--prefill', '0')['runs']
    return problems + ([] if [run['what'] for run in only] == ['decode'] else [f'--prefill 0: {only}'])


def counted():
    """Bytes and operations of the tiny model, counted by hand: width 64, 4 heads of 16, 2 of keys and values, 128
    wide in the feed-forward part, 2 layers, all in binary32."""
    n_vocab = 3 + 256 + len(s.maker.MERGES)
    layer = 64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3
    weights, output, norms = 2 * layer, 64 * n_vocab, 64 * 5
    key_value = 2 * 2 * 32 * 2  # of a token: layers, heads, both widths, bytes
    attention = 2 * 4 * 32
    problems = []
    for depth in (0, 50):
        prefill, decode = bench('--depth', str(depth), '--kv', 'f16', '--chunk', '3')['runs']
        pairs = sum(depth + i for i in range(1, 9))
        expected = 2 * (8 * weights + output + pairs * attention)
        if abs(prefill['operations'] / expected - 1) > 1e-5:
            problems.append(f'prefill at {depth}: {prefill["operations"]} operations, not {expected}')
        expected = 4 * (3 * (weights + norms - 64) + output) + key_value * sum(depth + n for n in (3, 6, 8))
        if abs(prefill['bytes'] / expected - 1) > 1e-3:
            problems.append(f'prefill at {depth}: {prefill["bytes"]} bytes, not {expected}')
        pairs = sum(depth + i for i in range(1, 5))
        expected = 2 * (4 * (weights + output) + pairs * attention)
        if abs(decode['operations'] / expected - 1) > 1e-5:
            problems.append(f'decode at {depth}: {decode["operations"]} operations, not {expected}')
        expected = 4 * 4 * (weights + norms + output) + key_value * pairs
        if abs(decode['bytes'] / expected - 1) > 1e-3:
            problems.append(f'decode at {depth}: {decode["bytes"]} bytes, not {expected}')
    # Latent attention and experts, of which a token uses 3 of 8: counted from the file by another reader of it.
    mixed = os.path.join(s.root, 'test', 'golden', 'models', 'q256ds_Q4_K_M', 'model.gguf')
    run = bench('--prefill', '0', '--kv', 'f16', model=mixed)['runs'][0]
    if abs(run['bytes'] / 2124192 - 1) > 1e-5 or abs(run['operations'] / 6076928 - 1) > 1e-5:
        problems.append(f'experts: {run}')
    tied = bench(model=s.make('tied.gguf', tied=True))['runs'][1]
    free = bench()['runs'][1]
    return problems + ([] if tied['bytes'] == free['bytes'] else ['tied weights are counted otherwise'])


def table():
    found = s.good('bench', s.model, *SMALL, '--threads', '1,2', '--numerics', 'int8').decode()
    return [f'the table does not say {word!r}:\n{found}' for word in
            ('llama', 'numerics int8', '1 thread:', '2 threads:', 'prefill', 'decode', 'of int8', 'of read')
            if word not in found]


def caps():
    """--cpu holds for the probe as well."""
    found = bench('--cpu', 'scalar')
    problems = [] if found['machine']['int8_set'] == 'scalar' else [f'{found["machine"]}']
    return problems + [f'{run}' for run in found['runs'] if run['cpu'] != 'scalar']


def drawing():
    path = s.path('roof.svg')
    model = s.make('named.gguf', arch='qwen2')
    s.good('bench', model, *SMALL, '--threads', '1,2', '--depth', '0,9', '--svg', path)
    root = xml.etree.ElementTree.parse(path).getroot()
    space = '{http://www.w3.org/2000/svg}'
    texts = [text.text for text in root.iter(f'{space}text')]
    problems = [] if root.tag == f'{space}svg' else [f'the root is {root.tag}']
    if len(list(root.iter(f'{space}circle'))) != 8:
        problems.append('not one point a figure')
    wanted = ('operations per byte read', 'Tops', '2 threads: int8', 'decode 4 at depth 9, 2 thr.')
    problems += [f'no text {word!r}' for word in wanted if not any(word in text for text in texts)]
    for element in root.iter():
        for name in ('x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy'):
            value = element.get(name)
            if value is not None and not -1 <= float(value) <= 900:
                problems.append(f'{element.tag} lies at {name}={value}')
    return problems


def written(found, change):
    """The figures on disk, with each run changed."""
    for run in found['runs']:
        change(run)
    return s.write('then.json', json.dumps(found, indent=1))


def faster(times):
    def change(run):
        for key in ('tok_s', 'tok_s_low', 'tok_s_high', 'share'):
            run[key] *= times
    return change


def comparison():
    then = bench()
    path = written(then, lambda run: None)
    now = bench('--compare', path)
    problems = []
    for run, old in zip(now['runs'], then['runs']):
        if abs(run['ratio'] / (run['tok_s'] / old['tok_s']) - 1) > 0.01:
            problems.append(f'{run["what"]}: ratio {run["ratio"]}')
        if not run['ratio_low'] <= run['ratio'] <= run['ratio_high']:
            problems.append(f'{run["what"]}: the ratio is not within its spread')
    # Whatever the machine does meanwhile, a million times is beyond it.
    slow = written(bench(), faster(1e-6))
    if s.run('bench', s.model, *SMALL, '--compare', slow, '--tolerance', '5')[0] != 0:
        problems.append('faster than then is refused')
    fast = written(bench(), faster(1e6))
    problems += refused(s.run('bench', s.model, *SMALL, '--compare', fast, '--tolerance', '99'), 'slower than then',
                        'slower', '2 of 2', output=True)
    if s.run('bench', s.model, *SMALL, '--compare', fast)[0] != 0:
        problems.append('slower is refused without a tolerance')
    other = s.good('bench', s.model, *SMALL, '--depth', '7', '--compare', fast)
    if b'not measured then' not in other:
        problems.append(f'another depth is compared: {other!r}')
    return problems + refused(s.run('bench', s.model, *SMALL, '--depth', '7', '--compare', fast, '--tolerance', '5'),
                              'nothing in common', 'nothing', output=True)


def no_figures():
    good = json.dumps(bench())
    bad = {'empty': '', 'a word': 'hello', 'no runs': '{}', 'empty runs': '{"runs": []}', 'a list': '[1, 2]',
           'runs of numbers': '{"runs": [1]}', 'no rate': '{"runs": [{"what": "decode"}]}',
           'zero': '{"runs": [{"what": "decode", "tok_s": 0, "tok_s_low": 0, "tok_s_high": 0}]}',
           'deep': '[' * 5000 + ']' * 5000, 'deep objects': '{"a":' * 5000, 'cut': good[:-9], 'more': good + '}',
           'a number': '{"runs": [{"tok_s": 1e, "tok_s_low": 1, "tok_s_high": 1}]}', 'an end': '{"a": "\\',
           'huge': good.replace('"tok_s":', '"tok_s": 1e999, "x":')}
    problems = []
    for name, text in bad.items():
        result = s.run('bench', s.model, *SMALL, '--compare', s.write('bad.json', text))
        problems += refused(result, f'--compare: {name}', 'bad.json')
    for path in (s.path('nowhere.json'), s.folder.name):
        problems += refused(s.run('bench', s.model, *SMALL, '--compare', path), f'--compare {path}')
    return problems


def usage():
    cases = [
        [], [s.model, 'more'], [s.path('nowhere.gguf')], [s.model, '--threads', '0'], [s.model, '--threads', '257'],
        [s.model, '--threads', '1,'], [s.model, '--threads', ',1'], [s.model, '--threads', '1,1'],
        [s.model, '--threads', '1 2'], [s.model, '--threads', ''], [s.model, '--chunk', '0'],
        [s.model, '--chunk', '4097'], [s.model, '--depth', '-1'],
        [s.model, '--depth', ','.join(str(i) for i in range(17))], [s.model, '--depth', '600'],
        [s.model, '--prefill', '513'], [s.model, '--prefill', 'x'], [s.model, '--repeats', '0'],
        [s.model, '--prefill', '0', '--decode', '0'], [s.model, '--tolerance', '5'], [s.model, '--json=1'],
        [s.model, '--buffer', '3x'], [s.model, '--cpu', 'abacus'],
        [s.model, '--tokens', 'x'], [s.model, '--ctx', '9'], ['--kernels', '--cpu', 'abacus', '--buffer', '4M'],
        ['--kernels', '--svg', 'x'], [s.make('words.gguf', vocab_only=True), *SMALL],
        [s.model, *SMALL, '--svg', s.path('no/such/roof.svg')], [s.model, *SMALL, '--svg', '/dev/full'],
    ]
    problems = [problem for case in cases for problem in refused(s.run('bench', *case), ' '.join(case))]
    with open('/dev/full', 'wb') as full:
        for case in ([s.model, *SMALL], [s.model, *SMALL, '--json']):
            problems += refused(s.run('bench', *case, stdout=full), f'a full disk: {" ".join(case)}')
    return problems + (['a drawing was left'] if os.path.exists('x') else [])


def kernels():
    """The scalar set alone: every row once, a product of each type twice, each with a rate."""
    found = json.loads(s.good('bench', '--kernels', '--cpu', 'scalar', '--buffer', '4M', '--repeats', '1', '--json'))
    problems = numbers(found['machine'], ('read_gbs', 'int8_tops'), 'machine')
    rows = [(row['kernel'], row['what']) for row in found['kernels']]
    if len(set(rows)) != len(rows) or len(rows) < 70 or ('matmul_i8_q4_k', 'memory') not in rows:
        problems.append(f'rows: {rows}')
    for row in found['kernels']:
        if row['set'] != 'scalar' or row['unit'] not in ('GB/s', 'Gop/s') or not 0 <= row['share']:
            problems.append(f'{row}')
        if row['what'] != '-' and row['rate'] <= 0:
            problems.append(f'{row["kernel"]}: no rate')
    return problems


if __name__ == '__main__':
    sys.exit(tap.run([
        ('--json has the keys', keys), ('sweeps', sweeps), ('bytes and operations', counted), ('the table', table),
        ('--cpu caps the probe', caps), ('--svg', drawing), ('--compare', comparison),
        ('--compare with no figures', no_figures), ('bad arguments', usage), ('--kernels', kernels)]))
