"""Runs the program for the tests of this folder: arguments in, status and both channels out."""
import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile

TIMEOUT = 60


def load_maker(root):
    """The module that makes tiny models."""
    path = os.path.join(root, 'test', 'tool', 'make_tiny_gguf.py')
    spec = importlib.util.spec_from_file_location('make_tiny_gguf', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Setup:
    """The program, a folder that goes at the end, and the models made in it."""

    def __init__(self, sprat, root, real):
        self.sprat, self.root, self.is_plain = sprat, root, real
        self.real = os.environ.get('SPRAT_TEST_MODEL') if real else None
        self.folder = tempfile.TemporaryDirectory()
        self.maker = load_maker(root)
        self.model = self.make('tiny.gguf', endless=True)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, data):
        with open(self.path(name), 'wb') as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def make(self, name, **arguments):
        return self.write(name, self.maker.tiny_gguf(**arguments))

    def run(self, *arguments, stdin=b'', env=None, timeout=TIMEOUT, **options):
        """(status, stdout, stderr), the channels as bytes."""
        if 'stdout' not in options:
            options['stdout'] = subprocess.PIPE
        result = subprocess.run([self.sprat, *arguments], input=stdin, stderr=subprocess.PIPE, check=False,
                                env={**os.environ, **(env or {})}, timeout=timeout, **options)
        return result.returncode, result.stdout or b'', result.stderr

    def good(self, *arguments, **options):
        """stdout of a run that must succeed."""
        status, out, err = self.run(*arguments, **options)
        if status != 0:
            raise AssertionError(f'{arguments}: exit {status}: {err.decode(errors="replace")}')
        return out


def refused(result, what, *words, output=False):
    """The problems of a run that had to fail: status 1, one line on stderr, nothing on stdout."""
    status, out, err = result
    problems = []
    if status != 1:
        problems.append(f'{what}: exit {status}, not 1; stderr {err!r}')
    if out and not output:
        problems.append(f'{what}: {len(out)} bytes on stdout: {out[:80]!r}')
    if not err.startswith(b'sprat: ') or not err.endswith(b'\n') or err.count(b'\n') != 1:
        problems.append(f'{what}: stderr is not one line: {err!r}')
    problems += [f'{what}: the line does not say {word!r}: {err!r}' for word in words if word.encode() not in err]
    return problems


def start():
    parser = argparse.ArgumentParser()
    parser.add_argument('--sprat', required=True)
    parser.add_argument('--root', required=True)
    parser.add_argument('--real', action='store_true', help='a build without sanitizers: use the model of SPRAT_TEST_MODEL too, if there is one')
    args = parser.parse_args()
    sys.dont_write_bytecode = True
    return Setup(os.path.abspath(args.sprat), args.root, args.real)
