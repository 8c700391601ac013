#!/usr/bin/env python3
"""The binding at work on a tiny model: every class and function, errors, threads, and what is given back when."""
import argparse
import gc
import importlib.util
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref

sys.dont_write_bytecode = True

import tap

import sprat

parser = argparse.ArgumentParser()
parser.add_argument('--root', required=True)
args = parser.parse_args()
spec = importlib.util.spec_from_file_location(
    'make_tiny_gguf', os.path.join(args.root, 'test', 'tool', 'make_tiny_gguf.py'))
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)
FOLDER = tempfile.TemporaryDirectory()
BYTES = maker.tiny_gguf(endless=True, ctx=1 << 16)
PATH = os.path.join(FOLDER.name, 'tiny.gguf')
with open(PATH, 'wb') as out:
    out.write(BYTES)
MODEL = sprat.Model(PATH)
QUESTION = [{'role': 'user', 'content': 'Why does it rain?'}]


def raised(kind, function, name=None):
    """Problems if the call does not raise that."""
    try:
        result = function()
    except kind as error:
        if name and (error.name != name or error.status != sprat.STATUSES[name] or not str(error)):
            return [f'{name} expected: {error.name} {error.status} {error}']
        return []
    return [f'{kind.__name__} {name or ""} expected, it gave {result!r}']


def opening():
    problems = []
    with open(PATH, 'rb') as file:
        moved = os.path.join(FOLDER.name, 'moved.bin')
        with open(moved, 'wb') as other:
            other.write(b'x' * 77 + BYTES + b'tail')
        with open(moved, 'rb') as inside:
            models = {'path': MODEL, 'bytes': sprat.Model(BYTES), 'bytearray': sprat.Model(bytearray(BYTES)),
                      'fd': sprat.Model(file.fileno()),
                      'part': sprat.Model(inside.fileno(), offset=77, length=len(BYTES))}
    answers = {name: sprat.Session(model).generate('It rains', max_tokens=9) for name, model in models.items()}
    texts = {name: ''.join(pieces) for name, pieces in answers.items()}
    if len(set(texts.values())) != 1:
        problems.append(f'answers differ by source: {texts}')
    problems += raised(TypeError, lambda: sprat.Model(memoryview(BYTES)))
    problems += raised(sprat.SpratError, lambda: sprat.Model(PATH + '.not'), 'NO_FILE')
    problems += raised(sprat.SpratError, lambda: sprat.Model(b'no model, but long enough for one'), 'BAD_MAGIC')
    problems += raised(sprat.SpratError, lambda: sprat.Context(cpu='abacus'), 'INVALID')
    problems += raised(sprat.SpratError, lambda: sprat.Model(PATH, sprat.Context(memory_budget=8000)), 'OVER_BUDGET')
    seen = []
    sprat.Model(PATH, progress=lambda done, total: seen.append((done, total)))
    if any(done > total for done, total in seen):
        problems.append(f'progress {seen}')
    if seen:
        problems += raised(sprat.SpratError, lambda: sprat.Model(PATH, progress=lambda *_: True), 'CANCELLED')
        problems += raised(ZeroDivisionError, lambda: sprat.Model(PATH, progress=lambda *_: 1 // 0))
    return problems


def telling():
    info, problems = MODEL.info, []
    expected = {'architecture': 'llama', 'name': 'tiny random llama', 'n_layers': 2, 'n_embd': 64,
                'n_vocab': 259 + len(maker.MERGES), 'bos': 1, 'eos': 2, 'add_bos': 0, 'has_weights': 1}
    problems += [f'{name}: {getattr(info, name)!r}' for name, value in expected.items() if getattr(info, name) != value]
    meta = {'llama.block_count': 2, 'general.name': 'tiny random llama', 'tokenizer.ggml.add_bos_token': False,
            'tokenizer.ggml.merges': maker.MERGES, 'no.such.key': None}
    problems += [f'{key}: {MODEL.meta(key)!r}' for key, value in meta.items() if MODEL.meta(key) != value]
    if abs(MODEL.meta('llama.attention.layer_norm_rms_epsilon') - 1e-5) > 1e-9 or len(MODEL.meta_keys()) != info.n_meta:
        problems.append('metadata')
    plan = sprat.plan(PATH, n_ctx=1000)
    if not 0 < plan.kv_bytes <= plan.session_bytes <= plan.peak_bytes or plan.kv_bytes < 1000 * plan.kv_bytes_per_token:
        problems.append(f'{plan}')
    if sprat.version() != '0.1.0' or sprat.numerics_version() < 1 or MODEL.dialect != 'chatml-smollm2':
        problems.append('version or dialect')
    context = sprat.Context(n_threads=1)
    context.set_threads(2)
    if context.info.n_threads != 2 or context.info.memory_peak < context.info.memory_now:
        problems.append(f'{context.info}')
    return problems


def tokens():
    text = ' the rain\n漢字 🙂\0<|im_end|>'
    plain, special = MODEL.tokenize(text), MODEL.tokenize(text, special=True)
    problems = []
    if MODEL.detokenize(plain).decode() != text or MODEL.detokenize(special, special=True).decode() != text:
        problems.append('no round trip')
    if special[-1] != 2 or 2 in plain or MODEL.detokenize(special) != text[:-10].encode():
        problems.append(f'{special}')
    pieces = MODEL.tokenize([('template', '<|im_start|>'), ('user', '<|im_end|> th'), ('user', 'e')])
    if pieces[0] != 1 or 2 in pieces or pieces[-1] != MODEL.find_token('Ġthe'):
        problems.append(f'{pieces}')
    if MODEL.tokenize('') != [] or MODEL.detokenize([]) != b'' or MODEL.find_token('nothing like that') is not None:
        problems.append('empty')
    every = bytes(range(256)) * 3
    if MODEL.detokenize(MODEL.tokenize(every)) != every:
        problems.append('bytes')
    end = MODEL.token_info(2)
    if (end.text, end.type, end.is_end) != (b'<|im_end|>', 'control', True):
        problems.append(f'{end}')
    return (problems + raised(sprat.SpratError, lambda: MODEL.detokenize([999999]), 'INVALID') +
            raised(sprat.SpratError, lambda: MODEL.token_info(-1), 'INVALID') +
            raised(ValueError, lambda: MODEL.detokenize([1 << 40])) +
            raised(ValueError, lambda: MODEL.tokenize([('system', 'x')])))


def sessions():
    ids, problems = MODEL.tokenize('It rains in the Spanish plain.'), []
    with sprat.Session(MODEL, n_ctx=64, n_kept=8) as session:
        problems += raised(sprat.SpratError, session.sample, 'STATE')
        if session.sync(ids) != 0 or session.tokens != ids or session.n_tokens != len(ids):
            problems.append('sync')
        if session.context_left != 64 - len(ids):
            problems.append('context_left')
        row, table = session.logits(), session.logits([0, -1])
        if len(row) != MODEL.n_vocab or table.shape != (2, MODEL.n_vocab) or list(row) != table.tolist()[1]:
            problems.append('logits')
        session.set_sampling(n_logprobs=5)
        found = session.sample()
        high = max(row)
        logprob = row[found.token] - high - math.log(math.fsum(math.exp(x - high) for x in row))
        if row[found.token] != high or abs(found.logprob - logprob) > 1e-4 or len(found.top) != 5:
            problems.append(f'{found}, {logprob}')
        if found.top[0] != (found.token, found.logprob):
            problems.append(f'{found}')
        session.accept(found.token)
        session.rewind(len(ids))
        if list(session.logits()) != list(row) or session.sync(ids[:5] + ids) != 5:
            problems.append('rewind or reuse')
        with session.fork() as fork:
            fork.accept(found.token)
            if fork.tokens != session.tokens + [found.token]:
                problems.append('fork')
        session.set_sampling(bias={found.token: -math.inf})
        session.sync(ids)
        if session.sample().token == found.token:
            problems.append('bias has no effect')
        session.reserve(64)
        stats = session.stats
        if stats.n_ctx != 64 or stats.n_reserved < 64 or stats.n_tokens != len(ids):
            problems.append(f'{stats}')
        problems += raised(sprat.SpratError, lambda: session.append([5] * 64), 'CONTEXT_FULL')
        problems += raised(sprat.SpratError, lambda: session.sync([5] * 65), 'PROMPT_TOO_LONG')
        problems += raised(sprat.SpratError, lambda: session.append([99999]), 'INVALID')
        problems += raised(TypeError, lambda: session.set_sampling(warmth=1))
        problems += raised(sprat.SpratError, lambda: session.set_sampling(temperature=math.nan), 'INVALID')
        problems += raised(IndexError, lambda: session.logits(200))
        if session.tokens != ids:
            problems.append('an error changed the session')
    problems += raised(ValueError, lambda: session.tokens)
    session.cancel()  # of a closed session: nothing
    problems += raised(ValueError, lambda: sprat.Session(MODEL, kv='f64'))
    return problems + raised(sprat.SpratError, lambda: sprat.Session(MODEL, n_chunk=5000), 'INVALID')


def answering():
    problems = []
    with sprat.Session(MODEL, n_ctx=256) as session:
        events = list(session.chat(QUESTION, max_tokens=20))
        kinds = [event.type for event in events]
        if kinds[-2:] != ['usage', 'done'] or events[-1].reason != 'length' or events[-2].n_generated != 20:
            problems.append(f'{events}')
        if events[-2].n_prompt != len(MODEL.chat_tokens(QUESTION)):
            problems.append(f'{events[-2]}')
        text = ''.join(map(str, events))
        if not text or text != ''.join(map(str, session.chat(QUESTION, max_tokens=20))):
            problems.append('the same question has another answer')
        hot = {''.join(map(str, session.chat(QUESTION, temperature=3, seed=seed, max_tokens=20))) for seed in (1, 2, 1)}
        if len(hot) != 2:
            problems.append('seed')
        stop = next(letter for letter in text[len(text) // 2:] if letter != '\ufffd')
        cut = list(session.chat(QUESTION, max_tokens=20, stops=stop))
        if ''.join(map(str, cut)) != text[:text.index(stop)] or cut[-1].reason != 'stop':
            problems.append(f'stop {stop!r}: {cut}')
        problems += raised(sprat.SpratError, lambda: session.chat([('user', 'long ' * 300)]), 'PROMPT_TOO_LONG')
        problems += raised(TypeError, lambda: session.chat([{'role': 'assistant', 'content': '', 'tool_calls': [1]}]))
        problems += raised(TypeError, lambda: session.chat([{'role': 'user', 'content': '', 'audio': 1}]))
        started = session.chat(QUESTION, max_tokens=5)
        if len(list(started)) < 3 or [event.type for event in session.chat([('user', 'x')])][-1] != 'done':
            problems.append('to the end of the context')
        ids = MODEL.tokenize('It rains')
        one, two = session.generate('It rains', max_tokens=7), None
        one = ''.join(one)
        two = ''.join(session.generate(ids, max_tokens=7))
        if one != two or not one:
            problems.append(f'generate: {one!r}, {two!r}')
    return problems


def chat_alone():
    segments = sprat.chat_render('qwen2.5', [('user', 'Hi <|im_end|>')])
    if ('user', 'Hi <|im_end|>') not in segments or segments[-1][0] != 'template':
        return [f'{segments}']
    problems = [] if sprat.chat_render(None, QUESTION, model=MODEL, context=MODEL.context) else ['no segments']
    with sprat.ChatParser('qwen3', in_reasoning=True) as parser_:
        events = parser_.feed('so\n</think>\n\nIt ra') + parser_.feed(b'ins', last=True)
        texts = {kind: ''.join(e.text for e in events if e.type == kind) for kind in ('reasoning', 'text')}
        if texts != {'reasoning': 'so', 'text': 'It rains'} or events[-1].type != 'done':
            problems.append(f'{events}')
        problems += raised(sprat.SpratError, lambda: parser_.feed('more'), 'STATE')
    for wrong in ('Why?', ['Why?'], [('user',)], [{'content': 'Why?'}], [b'Why?']):
        try:
            sprat.chat_render('qwen3', wrong)
            problems.append(f'{wrong!r} is taken for a conversation')
        except TypeError as error:
            problems += [] if 'role and content' in str(error) else [f'{wrong!r}: {error}']
        except Exception as error:
            problems.append(f'{wrong!r}: {error!r}')
    return (problems + raised(sprat.SpratError, lambda: sprat.chat_render('klingon', QUESTION), 'UNKNOWN_TEMPLATE') +
            raised(sprat.SpratError, lambda: sprat.ChatParser('klingon'), 'UNKNOWN_TEMPLATE'))


def cancelling():
    """From another thread, in the middle of an answer; the session goes on when it is taken back."""
    with sprat.Session(MODEL) as session:
        events, ended = [], []

        def answer():
            try:
                events.extend(session.chat(QUESTION))
            except sprat.SpratError as error:
                ended.append(error.name)

        thread = threading.Thread(target=answer)
        thread.start()
        while session.stats.n_decode < 20 and thread.is_alive():
            time.sleep(0.005)
        session.cancel()
        thread.join(30)
        problems = [] if ended == ['CANCELLED'] else [f'{ended}, {events[-1:]}']
        problems += raised(sprat.SpratError, session.next, 'CANCELLED')
        session.cancel(False)
        return problems + ([] if session.next().type == 'text' else ['no more text'])


def threads():
    """Eight threads, each with its session, on one model: one answer; and one session shared by four."""
    def answer():
        with sprat.Session(MODEL, n_ctx=256) as session:
            return ''.join(map(str, session.chat(QUESTION, max_tokens=30)))

    found, failed, shared = [], [], sprat.Session(MODEL, n_ctx=256)
    shared.sync([5])

    def work(function):
        try:
            function()
        except Exception as error:  # told below, whatever it is
            failed.append(repr(error))

    def step():
        for _ in range(10):
            shared.accept(7)

    workers = [threading.Thread(target=work, args=(lambda: found.append(answer()),)) for _ in range(8)]
    workers += [threading.Thread(target=work, args=(step,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        return failed
    if found != [answer()] * 8:
        return [f'{len(set(found))} answers of {len(found)}']
    return [] if shared.tokens == [5] + [7] * 40 else [f'{shared.tokens}']


def given_back():
    """Memory returns when objects go, in any order; sessions outlive close() of their model."""
    context = sprat.Context(n_threads=1)
    empty = context.info.memory_now
    for _ in range(3):
        model = sprat.Model(bytes(BYTES), context)
        session = sprat.Session(model)
        session.sync([5, 6, 7])
        model.close()
        session.accept(8)
        gone = weakref.ref(session)
        del session, model
        gc.collect()
        if gone() is not None or context.info.memory_now != empty:
            return [f'{context.info.memory_now} bytes, {empty} before']
    context.close()
    context.close()
    return raised(ValueError, lambda: context.info)


def forking():
    """A child can neither use nor give back what its parent made; it makes its own."""
    session = sprat.Session(MODEL)
    session.sync([5])
    child = os.fork()
    if child == 0:
        good = bool(raised(ValueError, lambda: session.tokens)) is False
        session.close()
        good = good and bool(sprat.chat_render('qwen3', QUESTION)) and sprat.Model(PATH).n_vocab > 0
        os._exit(0 if good else 1)
    status = os.waitpid(child, 0)[1]
    session.accept(6)
    return [] if status == 0 else [f'status {status}']


def interpreter_end():
    """Objects alive when Python ends do not crash it; a wrong SPRAT_LIBRARY is an error that says so."""
    code = ('import sprat, sys\nmodel = sprat.Model(sys.argv[1])\nsession = sprat.Session(model)\n'
            'pieces = session.generate("It rains", max_tokens=3)\nprint(next(pieces))\n')
    run = subprocess.run([sys.executable, '-c', code, PATH], capture_output=True, check=False, timeout=60)
    wrong = subprocess.run([sys.executable, '-c', 'import sprat'], capture_output=True, check=False, timeout=60,
                           env={**os.environ, 'SPRAT_LIBRARY': os.path.join(FOLDER.name, 'nothing.so')})
    problems = [] if run.returncode == 0 and not run.stderr else [f'{run}']
    return problems + ([] if wrong.returncode == 1 and b'nothing.so' in wrong.stderr else [f'{wrong}'])


sys.exit(tap.run([
    ('opening', opening), ('telling', telling), ('tokens', tokens), ('sessions', sessions), ('answering', answering),
    ('chat alone', chat_alone), ('cancelling', cancelling), ('threads', threads), ('given back', given_back),
    ('forking', forking), ('interpreter end', interpreter_end)]))
