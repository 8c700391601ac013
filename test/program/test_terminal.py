#!/usr/bin/env python3
"""The program on a terminal: Ctrl-C stops an answer and not the program, colours and NO_COLOR, hostile output."""
import os
import pty
import re
import select
import signal
import sys
import time

import program
import tap

s = program.start()
PROMPT = b'> '


class Terminal:
    """The program with a terminal of its own as all three channels and as controlling terminal."""

    def __init__(self, *arguments, **env):
        self.seen = self.waiting = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({'TERM': 'xterm', 'NO_COLOR': '', **env})
            try:
                os.execv(s.sprat, [s.sprat, *arguments])
            finally:
                os._exit(99)

    def read(self, seconds):
        """What comes within that time; b'' if nothing does, None at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return b''
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # Linux: the other side is closed
            return None
        return data or None

    def wait_for(self, word, seconds=20):
        """Reads until word comes, and no further. Raises if it does not come."""
        deadline = time.monotonic() + seconds
        while word not in self.waiting:
            more = self.read(max(0.0, deadline - time.monotonic()))
            if not more:
                raise AssertionError(f'{word!r} did not come; there was {self.seen[-300:]!r}')
            self.seen += more
            self.waiting += more
        self.waiting = self.waiting[self.waiting.index(word) + len(word):]

    def wait_for_more(self, seconds=20):
        """Reads until anything comes. Raises if nothing does."""
        more = self.waiting or self.read(seconds)
        if not more:
            raise AssertionError(f'nothing came; there was {self.seen[-300:]!r}')
        self.seen += b'' if self.waiting else more
        self.waiting = b''

    def type(self, data):
        os.write(self.fd, data)

    def end(self, seconds=20):
        """Reads to the end; the exit status, negative for a signal."""
        deadline = time.monotonic() + seconds
        while True:
            more = self.read(max(0.0, deadline - time.monotonic()))
            if more is None:
                break
            if not more:
                os.kill(self.pid, signal.SIGKILL)
                break
            self.seen += more
        os.close(self.fd)
        status = os.waitpid(self.pid, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)


def long_model():
    return s.make('long.gguf', ctx=1 << 20, endless=True)


def ctrl_c():
    """While it answers: the answer stops, the program goes on, and answers again."""
    terminal = Terminal('chat', long_model())
    terminal.wait_for(PROMPT)
    for _ in range(2):
        terminal.type(b'Tell me everything.\n')
        terminal.wait_for(b'everything.\r\n')
        terminal.wait_for_more()
        time.sleep(0.2)
        terminal.type(b'\x03')
        terminal.wait_for(b'(stopped')
        terminal.wait_for(PROMPT)
    terminal.type(b'/stats\n')
    terminal.wait_for(b'RAM')
    terminal.wait_for(PROMPT)
    terminal.type(b'\x03')
    terminal.wait_for(b'Ctrl-C again')
    terminal.wait_for(PROMPT)
    terminal.type(b'\x03')
    status = terminal.end()
    return [] if status == 0 else [f'exit {status}']


def one_ctrl_c_is_forgotten():
    """A message between two Ctrl-C at the prompt keeps the program alive; Ctrl-D ends it."""
    terminal = Terminal('chat', s.model, '--max-tokens', '3')
    terminal.wait_for(PROMPT)
    for _ in range(2):
        terminal.type(b'\x03')
        terminal.wait_for(b'Ctrl-C again')
        terminal.wait_for(PROMPT)
        terminal.type(b'Hello\n')
        terminal.wait_for(b'RAM')
        terminal.wait_for(PROMPT)
    terminal.type(b'\x04')
    status = terminal.end()
    return [] if status == 0 else [f'exit {status}']


def terminate():
    """SIGTERM ends it, at the prompt and in an answer."""
    problems = []
    for asked in (False, True):
        terminal = Terminal('chat', long_model())
        terminal.wait_for(PROMPT)
        if asked:
            terminal.type(b'Tell me everything.\n')
            terminal.wait_for(b'everything.\r\n')
            terminal.wait_for_more()
        os.kill(terminal.pid, signal.SIGTERM)
        status = terminal.end()
        if status != 1 or b'interrupted' not in terminal.seen:
            problems.append(f'asked {asked}: exit {status}')
    return problems


def stopped_run():
    terminal = Terminal('run', long_model(), 'Tell me everything.')
    terminal.wait_for_more()
    terminal.type(b'\x03')
    status = terminal.end()
    return [] if status == 1 and b'interrupted' in terminal.seen else [f'exit {status}: {terminal.seen[-200:]!r}']


def refused_question():
    """A question that does not fit is told and forgotten; the next one is answered."""
    terminal = Terminal('chat', s.model, '--ctx', '200', '--max-tokens', '3')
    terminal.wait_for(PROMPT)
    terminal.type(b'word ' * 100 + b'\n')
    terminal.wait_for(b'sprat: ')
    terminal.wait_for(PROMPT)
    terminal.type(b'Hello\n')
    terminal.wait_for(b'RAM')
    terminal.wait_for(PROMPT)
    terminal.type(b'/quit\n')
    status = terminal.end()
    return [] if status == 0 else [f'exit {status}']


def colours():
    problems = []
    for env, wanted in (({}, True), ({'NO_COLOR': '1'}, False), ({'TERM': 'dumb'}, False)):
        terminal = Terminal('chat', s.model, '--max-tokens', '3', **env)
        terminal.wait_for(PROMPT)
        terminal.type(b'Hello\n')
        terminal.wait_for(b'RAM')
        terminal.wait_for(PROMPT)
        terminal.type(b'/quit\n')
        status = terminal.end()
        coloured = b'\x1b[' in terminal.seen
        if status or coloured != wanted:
            problems.append(f'{env}: exit {status}, colours {coloured}')
    return problems


def no_control_characters():
    """A model that writes every byte cannot steer the terminal."""
    terminal = Terminal('run', s.model, 'Hello', '--temp', '100', '--top-p', '1', '--quiet', '--ctx', '500')
    status = terminal.end()
    bad = re.findall(rb'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]', terminal.seen)
    piped = s.good('run', s.model, 'Hello', '--temp', '100', '--top-p', '1', '--quiet', '--ctx', '500')
    if not re.search(rb'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]', piped):
        return ['the answer holds no control character: nothing is shown']
    return [] if status == 0 and not bad else [f'exit {status}: {bad[:5]}']


def no_question():
    """Nothing to read and nothing asked is an error, not a wait."""
    terminal = Terminal('run', s.model)
    status = terminal.end()
    return [] if status == 1 and b'no question' in terminal.seen else [f'exit {status}: {terminal.seen!r}']


sys.exit(tap.run([
    ('Ctrl-C stops the answer, not the program', ctrl_c), ('one Ctrl-C is forgotten', one_ctrl_c_is_forgotten),
    ('SIGTERM', terminate), ('Ctrl-C stops run', stopped_run),
    ('a refused question', refused_question), ('colours', colours),
    ('no control characters', no_control_characters), ('no question', no_question)]))
