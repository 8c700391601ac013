#!/usr/bin/env python3
"""Chat cases through the binding: prompts byte for byte, answers in whole and byte by byte; and what is written for a
model is read back the same.

Cases: the folder chat of SPRAT_TEST_DATA, else test/golden/chat.
"""
import argparse
import json
import os
import random
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
DIALECTS = ['chatml-smollm2', 'qwen2.5', 'qwen3', 'llama3', 'llama3.1', 'r1-distill-qwen', 'r1-distill-llama', 'r1-0528',
            'deepseek-v2', 'deepseek-v2.5', 'deepseek-coder', 'deepseek-v3', 'deepseek-v3-0324', 'deepseek-r1',
            'deepseek-v3.1']
# The project's own cases need not lie in SPRAT_TEST_DATA.
DIALECTS = [name for name in DIALECTS if os.path.exists(os.path.join(FOLDER, name + '.json'))]
CONTROL = re.compile(r'<[|｜][^<>|｜]+[|｜]>|</?think>')


def cases(name):
    with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
        return json.load(file)['cases']


def left_out(dialect, case):
    """Cases that chat_cases.py replays with more care: tools and calls where the dialect has no place for them."""
    if case.get('quirk') and 'call' in case['quirk'] or case['name'].startswith('only_closing_think'):
        return True
    if dialect in ('qwen2.5', 'qwen3', 'llama3.1') or case.get('template') == 'deepseek-v3.1-tools':
        return bool(case.get('error')) and any(m.get('tool_calls') for m in case['messages'])
    no_tools = dialect in ('chatml-smollm2', 'llama3', 'deepseek-v2', 'deepseek-coder')
    return bool(case.get('tools')) or no_tools and any(m.get('tool_calls') for m in case['messages'])


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
    if case.get('template') == 'r1-jan':
        dialect = 'deepseek-r1-0125'
    options, messages = case['options'], case['messages']
    try:
        segments = sprat.chat_render(dialect, messages, thinking=options.get('thinking'),
                                     generation_prompt=options.get('add_generation_prompt', True),
                                     continue_final=options.get('continue_final', False), tools=case.get('tools'))
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
        message = sprat.answer_message(events)
        cut = next((e.reason == 'cut' for e in reversed(events) if e.type == 'call_end'), False)
        results.append((message.get('reasoning_content', ''), message['content'],
                        [(call['function']['name'], json.loads(call['function']['arguments']))
                         for call in message.get('tool_calls', [])],
                        cut and dialect not in ('qwen2.5', 'qwen3'), any(event.type == 'warning' for event in events)))
    expected = (case['reasoning'], case['content'],
                [(call['name'], json.loads(call['arguments'])) for call in case.get('tool_calls', [])],
                case.get('partial') is not None, case['warning'])
    return [f'expected {expected}, found {result}' for result in results if result != expected]


# ---- what is written is read back ----

WORDS = ('a', 'é', '\n', ' ', '{', '"', '\\', '<', '`', '\u2028', '\U0001f680', 'tool', '</', '```', '1.50', 'null')
CALLING = {'qwen2.5': '<|im_end|>', 'qwen3': '<|im_end|>', 'llama3.1': '<|eot_id|>', 'deepseek-v3.1': '<｜end▁of▁sentence｜>',
           'r1-distill-qwen-0125': '<｜end▁of▁sentence｜>', 'r1-0528': '<｜end▁of▁sentence｜>',
           'deepseek-v2.5': '<｜end▁of▁sentence｜>', 'deepseek-v3': '<｜end▁of▁sentence｜>',
           'deepseek-v3-0324': '<｜end▁of▁sentence｜>', 'deepseek-r1': '<｜end▁of▁sentence｜>',
           'deepseek-r1-0125': '<｜end▁of▁sentence｜>', 'r1-distill-llama': '<｜end▁of▁sentence｜>',
           'r1-distill-llama-0125': '<｜end▁of▁sentence｜>', 'r1-distill-qwen': '<｜end▁of▁sentence｜>',
           'chatml-smollm2': '<|im_end|>', 'llama3': '<|eot_id|>', 'deepseek-v2': '<｜end▁of▁sentence｜>',
           'deepseek-coder': '\n<|EOT|>'}
NO_TOOLS = ('chatml-smollm2', 'llama3', 'deepseek-v2', 'deepseek-coder')


def made_value(rng, depth=0):
    kind = rng.randrange(5 if depth < 3 else 3)
    if kind < 2:
        return ''.join(rng.choice(WORDS) for _ in range(rng.randrange(4)))
    if kind == 2:
        return rng.choice((0, -7, 2.5, 1e30, 1e-7, True, None, 12345678901234567890))
    if kind == 3:
        return [made_value(rng, depth + 1) for _ in range(rng.randrange(3))]
    return {rng.choice(WORDS) + str(n): made_value(rng, depth + 1) for n in range(rng.randrange(3))}


def made_call(rng):
    arguments = {f'k{n}' + rng.choice(WORDS): made_value(rng) for n in range(rng.randrange(4))}
    text = json.dumps(arguments, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, None, 2)))
    return {'function': {'name': rng.choice(('f', 'get_weather', 'a.b-c', 'über')), 'arguments': text}}


def made_answer(rng, dialect):
    """An assistant's message that the dialect can express: no text that its own tags or newlines would eat."""
    answer = {'role': 'assistant', 'content': ' '.join(rng.choice(WORDS) for _ in range(rng.randrange(6))).strip()}
    if dialect not in NO_TOOLS and rng.random() < 0.7:
        answer['tool_calls'] = [made_call(rng) for _ in range(1 if dialect == 'llama3.1' else rng.randrange(1, 4))]
    if dialect == 'llama3.1' and ('tool_calls' in answer or answer['content'].startswith('{')):
        answer['content'] = ''
    if dialect == 'qwen3' and rng.random() < 0.5:
        answer['reasoning'] = ' '.join(rng.choice(WORDS) for _ in range(rng.randrange(1, 6))).strip() or 'r'
    return answer


def read_back(dialect, end):
    """Writes a made conversation up to the answer and with it; what stands between is what the model would say."""
    rng, problems = random.Random(dialect), []
    for number in range(120):
        question, answer = [{'role': 'user', 'content': 'q'}], made_answer(rng, dialect)
        options = {'thinking': False} if dialect == 'deepseek-v3.1' else {}
        before = ''.join(text for _, text in sprat.chat_render(dialect, question, **options))
        whole = ''.join(text for _, text in sprat.chat_render(dialect, question + [answer], generation_prompt=False,
                                                              **options))
        if before.endswith('<think>\n'):  # earlier turns are written without their reasoning
            before = before[:-len('<think>\n')]
        if before.endswith('Assistant:'):
            before += ' '
        said = whole[len(before):].rstrip('\n') if end == '<|im_end|>' or 'EOT' in end else whole[len(before):]
        if not whole.startswith(before) or not said.endswith(end):
            return [f'{whole!r} does not go on from {before!r}']
        said = said[:-len(end)]
        with sprat.ChatParser(dialect) as reader:
            cut = rng.randrange(len(said) + 1)
            events = reader.feed(said[:cut]) + reader.feed(said[cut:], last=True)
        found = sprat.answer_message(events)
        calls = [(c['function']['name'], json.loads(c['function']['arguments'])) for c in found.get('tool_calls', [])]
        wanted = [(c['function']['name'], json.loads(c['function']['arguments'])) for c in answer.get('tool_calls', [])]
        if (found['content'], found.get('reasoning_content', ''), calls) != \
                (answer['content'], answer.get('reasoning', ''), wanted):
            problems.append(f'{number}: {answer} came back as {found}: {said!r}')
        if any(event.type == 'warning' for event in events):
            problems.append(f'{number}: {said!r}: {[e for e in events if e.type == "warning"]}')
    return problems[:3]


def all_of(function, dialect, chosen):
    return [f'{case["name"]}: {problem}' for case in chosen for problem in function(dialect, case)] + (
        [] if len(chosen) > 5 else [f'{len(chosen)} cases only'])


listed = []
for name in DIALECTS:
    prompts = [case for case in cases(name + '.json') if not left_out(name, case)]
    answers = cases(name + '.parse.json')
    listed.append((f'{name}: {len(prompts)} prompts', lambda d=name, c=prompts: all_of(write, d, c)))
    listed.append((f'{name}: {len(answers)} answers', lambda d=name, c=answers: all_of(read, d, c)))
for name, end in CALLING.items():
    listed.append((f'{name}: what is written is read back', lambda d=name, e=end: read_back(d, e)))
sys.exit(tap.run(listed))
