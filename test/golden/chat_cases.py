#!/usr/bin/env python3
"""Replays chat cases through the C interface: prompts byte for byte, control tokens in the format's text only,
answers fed whole, byte by byte and in random pieces.

The library is the file that SPRAT_LIBRARY names. Cases lie in the folder chat beside this file; if
SPRAT_TEST_DATA is set, its folder chat is replayed too, and its vocabularies show that templates are recognised and
that prompts turn into the right tokens. Standard library only.
"""
import ctypes
import json
import os
import random
import sys

sys.dont_write_bytecode = True

import tap

HERE = os.path.dirname(os.path.abspath(__file__))
DIALECTS = ('chatml-smollm2', 'qwen2.5', 'qwen3', 'llama3', 'llama3.1', 'r1-distill-qwen', 'r1-distill-llama', 'r1-0528')
# Templates of a case that another dialect writes.
VARIANTS = {'r1-distill-qwen': {'r1-distill-qwen': 'r1-distill-qwen-0125'}}
CONTROL = ('<|im_start|>', '<|im_end|>', '<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>',
           '<|eot_id|>', '<｜begin▁of▁sentence｜>', '<｜User｜>', '<｜Assistant｜>', '<｜end▁of▁sentence｜>',
           '<｜tool▁calls▁begin｜>', '<｜tool▁outputs▁end｜>', '<think>', '</think>')
CALL_TAGS = ('<tool_call>', '<｜tool▁calls▁begin｜>')
# Vocabularies, and the dialect as which the template of each is recognised; None: as none.
VOCABULARIES = (('smollm2', 'chatml-smollm2'), ('qwen3', 'qwen3'), ('llama3.1', 'llama3'),
                ('r1-qwen', 'r1-distill-qwen-0125'), ('deepseek-v3', None), ('gpt2', None))
OK, BUFFER_TOO_SMALL, NOT_FOUND, UNKNOWN_TEMPLATE, BAD_TEXT = 0, -8, -9, -32, -53
TEXT, DONE, REASONING, WARNING = 1, 3, 16, 17
USER, TEMPLATE = 0, 1


class Error(ctypes.Structure):
    _fields_ = [('size', ctypes.c_size_t), ('status', ctypes.c_int32), ('reserved', ctypes.c_uint32),
                ('message', ctypes.c_char * 240)]


class Message(ctypes.Structure):
    _fields_ = [('size', ctypes.c_size_t), ('role', ctypes.c_char_p), ('content', ctypes.c_char_p),
                ('content_len', ctypes.c_size_t), ('reasoning', ctypes.c_char_p), ('reasoning_len', ctypes.c_size_t)]


class Chat(ctypes.Structure):
    _fields_ = [('size', ctypes.c_size_t), ('dialect', ctypes.c_char_p),
                ('messages', ctypes.POINTER(ctypes.POINTER(Message))), ('n_messages', ctypes.c_size_t),
                ('thinking', ctypes.c_uint32), ('no_generation_prompt', ctypes.c_uint32),
                ('continue_final', ctypes.c_uint32), ('reserved', ctypes.c_uint32)]


class Segment(ctypes.Structure):
    _fields_ = [('text', ctypes.c_void_p), ('len', ctypes.c_size_t), ('kind', ctypes.c_uint32),
                ('reserved', ctypes.c_uint32)]


class Event(ctypes.Structure):
    _fields_ = [('size', ctypes.c_size_t), ('type', ctypes.c_int32), ('reason', ctypes.c_int32),
                ('text', ctypes.c_void_p), ('text_len', ctypes.c_size_t), ('n_prompt', ctypes.c_uint64),
                ('n_reused', ctypes.c_uint64), ('n_generated', ctypes.c_uint64)]


class Source(ctypes.Structure):
    _fields_ = [('size', ctypes.c_size_t), ('kind', ctypes.c_uint32), ('fd', ctypes.c_int32),
                ('path', ctypes.c_char_p), ('offset', ctypes.c_uint64), ('length', ctypes.c_uint64),
                ('data', ctypes.c_void_p), ('read', ctypes.c_void_p), ('read_user', ctypes.c_void_p)]


EMIT = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Segment))


class Library:
    """The functions the cases need; statuses come back as they are."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        self.error = Error(size=ctypes.sizeof(Error))
        self.context = ctypes.c_void_p()
        self.call('sprat_context_create', ctypes.byref(self.context), None, ctypes.byref(self.error))

    def call(self, name, *arguments):
        status = getattr(self.c, name)(*arguments)
        if status != OK:
            raise RuntimeError(f'{name}: {status} {self.line()}')

    def line(self):
        return self.error.message.decode('utf-8', 'replace')

    def render(self, chat):
        """The status, and the segments as (kind, bytes)."""
        segments = []

        def emit(_, segment):
            piece = segment.contents
            segments.append((piece.kind, ctypes.string_at(piece.text, piece.len)))
            return 0

        status = self.c.sprat_chat_render(self.context, None, ctypes.byref(chat), EMIT(emit), None,
                                          ctypes.byref(self.error))
        return status, segments

    def parse(self, dialect, thinking, pieces):
        """The events of the pieces fed one after the other, joined by type; warnings as a list."""
        parser = ctypes.c_void_p()
        self.call('sprat_chat_parser_create', ctypes.byref(parser), self.context, dialect.encode(), int(thinking),
                  ctypes.byref(self.error))
        out, warnings, done = {TEXT: b'', REASONING: b''}, [], 0
        for number, piece in enumerate(pieces, 1):
            self.call('sprat_chat_parser_feed', parser, piece, ctypes.c_size_t(len(piece)),
                      int(number == len(pieces)))
            event = Event(size=ctypes.sizeof(Event))
            while True:
                status = self.c.sprat_chat_parser_next(parser, ctypes.byref(event))
                if status == NOT_FOUND:
                    break
                assert status == OK and not done, (status, done)
                text = ctypes.string_at(event.text, event.text_len) if event.text else b''
                if event.type == DONE:
                    done += 1
                elif event.type == WARNING:
                    warnings.append(text)
                else:
                    out[event.type] += text
        self.c.sprat_chat_parser_destroy(parser)
        assert done == 1
        return out[REASONING], out[TEXT], warnings


def chat_of(case, dialect):
    """The case's conversation; dialect None: the model's own."""
    options, messages = case['options'], case['messages']
    array = (ctypes.POINTER(Message) * max(1, len(messages)))()
    for i, message in enumerate(messages):
        struct = Message(size=ctypes.sizeof(Message), role=message['role'].encode())
        for field, key in (('content', 'content'), ('reasoning', 'reasoning_content')):
            if message.get(key) is not None:
                text = message[key].encode()
                setattr(struct, field, text)
                setattr(struct, field + '_len', len(text))
        array[i] = ctypes.pointer(struct)
    chat = Chat(size=ctypes.sizeof(Chat), dialect=dialect.encode() if dialect else None, n_messages=len(messages),
                messages=ctypes.cast(array, ctypes.POINTER(ctypes.POINTER(Message))),
                thinking={None: 0, True: 1, False: 2}[options.get('thinking')],
                no_generation_prompt=int(not options.get('add_generation_prompt', True)),
                continue_final=int(options.get('continue_final', False)))
    chat.kept = array
    return chat


def needs_tools(case):
    return bool(case.get('tools')) or any(m.get('tool_calls') or m['role'] == 'tool' for m in case['messages'])


def controls(segments):
    """Where control tokens lie wholly in the format's text: (position, token)."""
    found, position = [], 0
    for kind, text in segments:
        if kind == TEMPLATE:
            for token in CONTROL:
                at = text.find(token.encode())
                while at >= 0:
                    found.append((position + at, token))
                    at = text.find(token.encode(), at + 1)
        position += len(text)
    return sorted(found)


def render_case(library, dialect, case):
    dialect = VARIANTS.get(dialect, {}).get(case.get('template'), dialect)
    status, segments = library.render(chat_of(case, dialect))
    if case.get('error'):
        return [] if status == BAD_TEXT else [f'expected BAD_TEXT, found status {status}']
    if status != OK:
        return [f'status {status}: {library.line()}']
    got = b''.join(text for _, text in segments)
    if got != case['expected'].encode():
        return [f'expected {case["expected"]!r}', f'found    {got.decode()!r}']
    expected = controls([({'user': USER, 'template': TEMPLATE}[kind], text.encode())
                         for kind, text in case['segments']])
    if controls(segments) != expected:
        return [f'control tokens: expected {expected}, found {controls(segments)}']
    return []


def cuts(text, rng):
    """Ways to feed the text: whole, byte by byte, in random pieces."""
    yield [text]
    yield [text[i:i + 1] for i in range(len(text))] or [b'']
    for _ in range(6):
        ends = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(8)))
        yield [text[a:b] for a, b in zip([0] + ends, ends + [len(text)])]


def parse_case(library, dialect, case):
    text = case['text'].encode()
    rng = random.Random(dialect + case['name'])
    results = [library.parse(dialect, case['thinking'], pieces) for pieces in cuts(text, rng)]
    if any(result != results[0] for result in results):
        return ['the result depends on the cutting'] + [repr(result) for result in results]
    reasoning, content, warnings = results[0]
    if any(tag in case['text'] for tag in CALL_TAGS) or case.get('tool_calls'):
        # A call is given as text, with a warning; nothing but the format's newlines and tags may go.
        if not warnings:
            return ['expected a warning']
        kept = (reasoning + content).replace(b'\n', b'')
        whole = text.replace(b'\n', b'')
        for tag in (b'<think>', b'</think>', b'<|python_tag|>'):
            kept, whole = kept.replace(tag, b''), whole.replace(tag, b'')
        return [] if kept == whole else [f'lost: {text!r} gave {results[0]}']
    found = (reasoning.decode(), content.decode(), bool(warnings))
    expected = (case['reasoning'], case['content'], case['warning'])
    return [] if found == expected else [f'expected {expected}', f'found    {found} {warnings}']


def folder_cases(library, folder, label):
    for dialect in DIALECTS:
        if label and not os.path.exists(os.path.join(folder, dialect + '.json')):
            continue
        with open(os.path.join(folder, dialect + '.json'), encoding='utf-8') as file:
            for case in json.load(file)['cases']:
                if not needs_tools(case):
                    yield f'{label}{dialect} writes {case["name"]}', \
                        lambda d=dialect, c=case: render_case(library, d, c)
        with open(os.path.join(folder, dialect + '.parse.json'), encoding='utf-8') as file:
            for case in json.load(file)['cases']:
                yield f'{label}{dialect} reads {case["name"]}', \
                    lambda d=dialect, c=case: parse_case(library, d, c)


class Vocabulary:
    """A model opened for its vocabulary and template."""

    def __init__(self, library, path):
        self.library, self.model = library, ctypes.c_void_p()
        source = Source(size=ctypes.sizeof(Source), path=path.encode())
        library.call('sprat_model_open', ctypes.byref(self.model), library.context, ctypes.byref(source), None,
                     ctypes.byref(library.error))

    def close(self):
        self.library.c.sprat_model_close(self.model)

    def dialect(self):
        name = ctypes.c_char_p()
        status = self.library.c.sprat_chat_dialect(ctypes.byref(name), self.model, ctypes.byref(self.library.error))
        return status, name.value.decode() if name.value else None

    def collect(self, function, *arguments):
        n = ctypes.c_size_t()
        count = getattr(self.library.c, function)
        error = ctypes.byref(self.library.error)
        status = count(ctypes.byref(n), self.model, *arguments, None, ctypes.c_size_t(0), error)
        assert status == BUFFER_TOO_SMALL or (status == OK and n.value == 0), self.library.line()
        tokens = (ctypes.c_int32 * max(1, n.value))()
        status = count(ctypes.byref(n), self.model, *arguments, tokens, ctypes.c_size_t(n.value), error)
        assert status == OK, self.library.line()
        return tokens[:n.value]

    def chat_tokens(self, chat):
        return self.collect('sprat_chat_tokenize', ctypes.byref(chat))

    def tokens(self, segments):
        array = (Segment * max(1, len(segments)))()
        kept = [ctypes.create_string_buffer(text, len(text) + 1) for _, text in segments]
        for piece, text, (kind, data) in zip(array, kept, segments):
            piece.text, piece.len, piece.kind = ctypes.addressof(text), len(data), kind
        return self.collect('sprat_model_tokenize', array, ctypes.c_size_t(len(segments)), ctypes.c_uint32(0))


def vocabulary_case(library, path, dialect, folder):
    vocabulary = Vocabulary(library, path)
    try:
        found = vocabulary.dialect()
        if found != ((OK, dialect) if dialect else (UNKNOWN_TEMPLATE, None)):
            return [f'expected {dialect}, found {found} {library.line()}']
        return list(token_problems(library, vocabulary, dialect, folder)) if dialect else []
    finally:
        vocabulary.close()


def token_problems(library, vocabulary, dialect, folder):
    """Prompts as tokens: those of their segments; and, where the caller wrote no control token, those of the whole
    prompt with control tokens recognised."""
    stem = dialect.replace('-0125', '')
    with open(os.path.join(folder, stem + '.json'), encoding='utf-8') as file:
        cases = [c for c in json.load(file)['cases'] if not needs_tools(c) and not c.get('error')]
    for case in cases:
        chat = chat_of(case, None)
        status, segments = library.render(chat_of(case, dialect))
        if status != OK:
            continue
        tokens = vocabulary.chat_tokens(chat)
        if tokens != vocabulary.tokens(segments):
            yield f'{case["name"]}: not the tokens of its segments'
        users = b'\0'.join(text for kind, text in segments if kind == USER)
        if not any(token.encode() in users for token in CONTROL):
            if tokens != vocabulary.tokens([(TEMPLATE, b''.join(text for _, text in segments))]):
                yield f'{case["name"]}: not the tokens of the whole prompt'


def main():
    library = Library(os.environ['SPRAT_LIBRARY'])
    kept = os.path.join(HERE, 'chat')
    cases = list(folder_cases(library, kept, ''))
    data = os.environ.get('SPRAT_TEST_DATA')
    if data:
        cases += folder_cases(library, os.path.join(data, 'chat'), 'all: ')
        for name, dialect in VOCABULARIES:
            path = os.path.join(data, 'tokenizer', name + '.vocab.gguf')
            cases.append((f'vocabulary {name}', lambda p=path, d=dialect: vocabulary_case(library, p, d, kept)))
    return tap.run(cases)


sys.exit(main())
