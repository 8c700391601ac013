#!/usr/bin/env python3
"""Every chat case without tools, through the binding: prompts byte for byte, answers in whole and byte by byte.

Cases: the folder chat of SPRAT_TEST_DATA, else test/golden/chat.
"""
import argparse
import json
import os
import re
import sys

sys.dont_write_bytecode = True

import tap

import sprat

parser = argparse.ArgumentParser()
parser.add_argument('--root', required=True)
args = parser.parse_args()
DATA = os.environ.get('SPRAT_TEST_DATA')
FOLDER = os.path.join(DATA, 'chat') if DATA else os.path.join(args.root, 'test', 'golden', 'chat')
DIALECTS = ['chatml-smollm2', 'qwen2.5', 'qwen3', 'llama3', 'llama3.1', 'r1-distill-qwen', 'r1-distill-llama']
# The project's own cases, which need not lie in SPRAT_TEST_DATA.
DIALECTS += ['r1-0528'] if os.path.exists(os.path.join(FOLDER, 'r1-0528.json')) else []
CALL_TAGS = ('<tool_call>', '<｜tool▁calls▁begin｜>')
CONTROL = re.compile(r'<[|｜][^<>|｜]+[|｜]>|</?think>')


def cases(name):
    with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
        return json.load(file)['cases']


def needs_tools(case):
    return bool(case.get('tools')) or any(m.get('tool_calls') or m['role'] == 'tool' for m in case['messages'])


def controls(segments):
    """Where control tokens lie in the format's own text."""
    found, position = [], 0
    for kind, text in segments:
        if kind == 'template':
            found += [(position + match.start(), match.group()) for match in CONTROL.finditer(text)]
        position += len(text)
    return found


def write(dialect, case):
    # An older template of the same models: a dialect of its own.
    if case.get('template') == 'r1-distill-qwen' and dialect == 'r1-distill-qwen':
        dialect = 'r1-distill-qwen-0125'
    options = case['options']
    messages = [{key: message.get(key) for key in ('role', 'content', 'reasoning_content')}
                for message in case['messages']]
    try:
        segments = sprat.chat_render(dialect, messages, thinking=options.get('thinking'),
                                     generation_prompt=options.get('add_generation_prompt', True),
                                     continue_final=options.get('continue_final', False))
    except sprat.SpratError as error:
        return [] if case.get('error') and error.name == 'BAD_TEXT' else [f'{error.name}: {error}']
    if case.get('error'):
        return ['expected BAD_TEXT']
    found = ''.join(text for _, text in segments)
    if found != case['expected']:
        return [f'expected {case["expected"]!r}', f'found    {found!r}']
    if controls(segments) != controls(case['segments']):
        return [f'control tokens: expected {controls(case["segments"])}', f'found {controls(segments)}']
    return []


def read(dialect, case):
    text, results = case['text'].encode(), []
    for pieces in ([text], [text[n:n + 1] for n in range(len(text))] or [b'']):
        with sprat.ChatParser(dialect, in_reasoning=case['thinking']) as reader:
            events = [event for n, piece in enumerate(pieces, 1) for event in reader.feed(piece, last=n == len(pieces))]
        if [event.type for event in events].count('done') != 1 or events[-1].type != 'done':
            return [f'not one done at the end: {events}']
        joined = {kind: b''.join(event.data for event in events if event.type == kind).decode()
                  for kind in ('reasoning', 'text')}
        results.append((joined['reasoning'], joined['text'], any(event.type == 'warning' for event in events)))
    expected = (case['reasoning'], case['content'], case['warning'])
    return [f'expected {expected}, found {result}' for result in results if result != expected]


def all_of(function, dialect, chosen):
    return [f'{case["name"]}: {problem}' for case in chosen for problem in function(dialect, case)] + (
        [] if len(chosen) > 5 else [f'{len(chosen)} cases only'])


listed = []
for name in DIALECTS:
    prompts = [case for case in cases(name + '.json') if not needs_tools(case)]
    answers = [case for case in cases(name + '.parse.json')
               if not case.get('tool_calls') and not any(tag in case['text'] for tag in CALL_TAGS)]
    listed.append((f'{name}: {len(prompts)} prompts', lambda d=name, c=prompts: all_of(write, d, c)))
    listed.append((f'{name}: {len(answers)} answers', lambda d=name, c=answers: all_of(read, d, c)))
sys.exit(tap.run(listed))
