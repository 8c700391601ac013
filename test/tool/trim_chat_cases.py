"""Trim chat cases to what test/golden/chat keeps: python3 trim_chat_cases.py FOLDER DIALECT...

FOLDER holds the full DIALECT.json and DIALECT.parse.json, whose form test/golden/chat/FORMAT.txt describes. Kept
are all renderings but those that differ only in a call's arguments, and all parses but the answers cut short,
which one dialect for each way of writing calls has. Written as ASCII, so that no character is
invisible."""
import json
import os
import sys

KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'chat')
ALL_PARSES = ('qwen3', 'deepseek-r1', 'deepseek-v3.1', 'llama3.1')
# Kept of the cases of arguments.
ARGUMENTS = ('argument_types', 'argument_numbers', 'argument_escaped_json', 'argument_not_json')


def has_tools(case):
    return bool(case.get('tools')) or any(m.get('tool_calls') or m['role'] == 'tool' for m in case['messages'])


def keeps(case):
    return not has_tools(case) or not case['name'].startswith('argument_') or case['name'].startswith(ARGUMENTS)


def write(path, head, cases):
    lines = ',\n'.join(json.dumps(case) for case in cases)
    with open(path, 'w', encoding='ascii') as file:
        file.write(json.dumps(head)[:-1] + ', "cases": [\n' + lines + '\n]}\n')


def main():
    folder, dialects = sys.argv[1], sys.argv[2:]
    for dialect in dialects:
        with open(os.path.join(folder, dialect + '.json'), encoding='utf-8') as file:
            data = json.load(file)
        keys = ('name', 'template', 'messages', 'tools', 'options', 'expected', 'segments', 'error', 'quirk')
        cases = [{k: c[k] for k in keys if k in c} for c in data['cases'] if keeps(c)]
        write(os.path.join(KEPT, dialect + '.json'), {'dialect': dialect, 'template': data['template']}, cases)
        with open(os.path.join(folder, dialect + '.parse.json'), encoding='utf-8') as file:
            data = json.load(file)
        keys = ('name', 'thinking', 'text', 'reasoning', 'content', 'tool_calls', 'partial', 'warning')
        cases = [{k: c[k] for k in keys} for c in data['cases']
                 if dialect in ALL_PARSES or not c['name'].startswith('cut_')]
        write(os.path.join(KEPT, dialect + '.parse.json'), {'dialect': dialect}, cases)


main()
