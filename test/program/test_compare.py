"""test/tool/compare-peers.sh with programs that print what the engines print: figures, shares, ratios, refusals."""
import argparse
import json
import os
import stat
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import tap

# Each says what was asked of it in a file beside it, and its speed falls from one start to the next as if the machine
# slowed down: 1, 1/2, 1/3, ... of the first.
FAKE = '''#!/usr/bin/env python3
import json, os, sys
log = os.path.abspath(__file__) + '.log'
with open(log, 'a') as file:
    file.write(json.dumps(sys.argv[1:]) + '\\n')
with open(log) as file:
    speed = 1 / len(file.readlines())
def after(name, default='0'):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default
'''
SPRAT = FAKE + '''
prefill, decode, depth = int(after('--prefill')), int(after('--decode')), int(after('--depth'))
runs = [{'what': what, 'tokens': n, 'depth': depth, 'threads': int(after('--threads')), 'cpu': after('--cpu', 'best'),
         'tok_s': 100 * speed, 'share': 0.8, 'gbs': 1.0, 'tops': 1.0}
        for what, n in (('prefill', prefill), ('decode', decode)) if n]
print(json.dumps({'machine': {'read_gbs': 70.0, 'int8_tops': 1.5}, 'runs': runs}))
'''
LLAMA = FAKE + '''
print(json.dumps([{'n_prompt': int(after('-p')), 'n_gen': int(after('-n')), 'n_depth': int(after('-d')),
                   'samples_ts': [40 * speed, 50 * speed, 1000 * speed]}]))
'''
IK = FAKE + '''
depth, n = map(int, after('-gp', '0,0').split(','))
tests = [{'n_prompt': depth or int(after('-p')), 'n_gen': n or int(after('-n')), 'samples_ts': [80 * speed]}]
print(json.dumps(tests))
'''
OTHERS = {
    'fails': 'import sys\nsys.exit("no such model")\n',
    'silent': '',
    'other': 'print("[]")\n',
    'shape': 'print("{}")\n',
    'zero': 'print(\'[{"n_prompt": 512, "n_gen": 0, "n_depth": 0, "samples_ts": [0.0]}]\')\n',
}


class Folder:
    """The fake programs and a model, which is never looked into."""

    def __init__(self, tool):
        self.tool, self.folder = tool, tempfile.TemporaryDirectory()
        self.model = self.write('model file.gguf', 'nothing')
        self.programs = {}
        for name, text in (('sprat', SPRAT), ('llama', LLAMA), ('ik', IK),
                           *((name, '#!/usr/bin/env python3\n' + text) for name, text in OTHERS.items())):
            self.programs[name] = self.write(name, text)
            os.chmod(self.programs[name], stat.S_IRWXU)

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def run(self, *arguments):
        """(status, stdout, stderr); the logs start anew."""
        for name in os.listdir(self.folder.name):
            if name.endswith('.log'):
                os.unlink(os.path.join(self.folder.name, name))
        result = subprocess.run(['sh', self.tool, '--model', self.model, *arguments], capture_output=True, text=True,
                                check=False, stdin=subprocess.DEVNULL, timeout=100)
        return result.returncode, result.stdout, result.stderr

    def asked(self, name):
        with open(self.programs[name] + '.log', encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def all(self):
        p = self.programs
        return ['--sprat', p['sprat'], '--llama', p['llama'], '--ik', p['ik']]


def figures():
    """Speeds, shares and ratios of each round, by hand: sprat 100, llama.cpp's middle 50, ik's 80, all slowing down."""
    status, out, err = f.run(*f.all(), '--rounds', '2', '--json')
    if status:
        return [f'exit {status}: {err}']
    found = json.loads(out)
    problems = []
    speeds = {'sprat': 100, 'llama.cpp': 50, 'ik_llama.cpp': 80}
    for at, work in enumerate(('prefill', 'decode', 'deep')):
        for name, speed in speeds.items():
            engine = found['engines'][work][name]
            starts = [at + 1, at + 4]
            for key, expected in (('tok_s', [speed / start for start in starts]),
                                  ('share', [0.8 * speed / 100] * 2),
                                  ('ratio', [] if name == 'sprat' else [100 / speed] * 2)):
                if len(engine[key]) != len(expected) or any(
                        abs(a - b) > 1e-9 for a, b in zip(engine[key], expected)):
                    problems.append(f'{work}, {name}, {key}: {engine[key]}, not {expected}')
    if found['rounds']['deep'][1]['sprat']['read_gbs'] != 70:
        problems.append('the probes are not among the figures')
    return problems


def questions():
    """What each program is asked: the same work, each in its own words; --cpu is sprat's alone."""
    status, _, err = f.run(*f.all(), '--rounds', '1', '--threads', '1', '--cpu', 'avx2', '--repeat', '3')
    if status:
        return [f'exit {status}: {err}']
    own = [['bench', f.model, '--json', '--threads', '1', '--cpu', 'avx2', '--prefill', a, '--decode', b, '--depth', c,
            '--repeats', '3'] for a, b, c in (('512', '0', '0'), ('0', '64', '0'), ('0', '64', '4096'))]
    start = ['-m', f.model, '-t', '1', '-r', '3', '-o', 'json']
    llama = [[*start, *rest.split()] for rest in ('-p 512 -n 0', '-p 0 -n 64', '-p 0 -n 64 -d 4096')]
    ik = [[*start, *rest.split()] for rest in ('-p 512 -n 0', '-p 0 -n 64 -rtr 1', '-p 0 -n 0 -gp 4096,64 -rtr 1')]
    return [f'{name} was asked {f.asked(name)}, not {expected}'
            for name, expected in (('sprat', own), ('llama', llama), ('ik', ik)) if f.asked(name) != expected]


def table():
    """The table has a line for each engine and workload, with the median and the spread."""
    status, out, err = f.run(*f.all(), '--rounds', '3', '--work', 'decode')
    lines = [line.split() for line in out.splitlines()]
    wanted = [['decode', '64', 'sprat', '50.00', '(33.33-100.00)', '80.0', '(80.0-80.0)'],
              ['decode', '64', 'llama.cpp', '25.00', '(16.67-50.00)', '40.0', '(40.0-40.0)', '2.00', '(2.00-2.00)'],
              ['decode', '64', 'ik_llama.cpp', '40.00', '(26.67-80.00)', '64.0', '(64.0-64.0)', '1.25', '(1.25-1.25)']]
    problems = [] if status == 0 else [f'exit {status}: {err}']
    problems += [f'{line} is missing in {out}' for line in wanted if line not in lines]
    return problems if '70.0' in out else problems + ['the probe is missing']


def alone():
    """Without sprat there are speeds and no ratios; a command may have options of its own."""
    status, out, err = f.run('--llama', f'"{f.programs["llama"]}" -fa 1', '--rounds', '1', '--work', 'prefill', '--json')
    if status:
        return [f'exit {status}: {err}']
    problems = [] if f.asked('llama')[0][:2] == ['-fa', '1'] else ['the command lost its options']
    if json.loads(out)['engines'] != {'prefill': {'llama.cpp': {'tok_s': [50.0], 'share': [], 'ratio': []}}}:
        problems.append(f'figures: {out}')
    status, _, err = f.run('--sprat', f'{f.programs["sprat"]} --numerics f32', '--rounds', '1', '--work', 'prefill')
    asked = [] if status else f.asked('sprat')[0]
    return problems + ([] if asked[:1] + asked[-2:] == ['bench', '--numerics', 'f32'] else [f'{asked}: {err}'])


def refusals():
    """One line that names the program and what is wrong; nothing on stdout."""
    problems = []
    for name, word in (('fails', 'no such model'), ('silent', 'not understood'), ('other', 'no figure'),
                       ('shape', 'no figure'), ('zero', 'no figure'), ('missing', 'No such file')):
        program = f.programs.get(name, '/nowhere/missing')
        status, out, err = f.run('--llama', program, '--work', 'prefill')
        if status != 1 or out or word not in err or err.count('\n') != 1 or 'llama.cpp' not in err:
            problems.append(f'{name}: exit {status}, {out!r}, {err!r}')
    for arguments in ([], ['--llama', 'x', '--rounds', '0'], ['--llama', 'x', '--work', 'sleep']):
        status, out, err = f.run(*arguments)
        if status != 2 or out:
            problems.append(f'{arguments}: exit {status}, {out!r}, {err!r}')
    return problems


parser = argparse.ArgumentParser()
parser.add_argument('--root', required=True)
f = Folder(os.path.join(parser.parse_args().root, 'test', 'tool', 'compare-peers.sh'))
sys.exit(tap.run([('figures', figures), ('questions', questions), ('table', table), ('alone', alone),
                  ('refusals', refusals)]))
