"""Trim chat cases to what test/golden/chat keeps: python3 trim_chat_cases.py FOLDER DIALECT...

FOLDER holds the full DIALECT.json and DIALECT.parse.json, whose form test/golden/chat/FORMAT.txt describes. Kept
are the renderings without tools and the parses without a tool call. Written as ASCII, so that no
character is invisible."""
import json
import os
import sys

KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'chat')
CALL_TAGS = ('<tool_call>', '<｜tool▁calls▁begin｜>')


def needs_tools(case):
    return bool(case.get('tools')) or any(m.get('tool_calls') or m['role'] == 'tool' for m in case['messages'])


def has_call(case):
    return bool(case['tool_calls'] or case['partial']) or any(tag in case['text'] for tag in CALL_TAGS)


def write(path, head, cases):
    lines = ',\n'.join(json.dumps(case) for case in cases)
    with open(path, 'w', encoding='ascii') as file:
        file.write(json.dumps(head)[:-1] + ', "cases": [\n' + lines + '\n]}\n')


def main():
    folder, dialects = sys.argv[1], sys.argv[2:]
    for dialect in dialects:
        with open(os.path.join(folder, dialect + '.json'), encoding='utf-8') as file:
            data = json.load(file)
        keys = ('name', 'template', 'messages', 'options', 'expected', 'segments', 'error')
        cases = [{k: c[k] for k in keys if k in c} for c in data['cases'] if not needs_tools(c)]
        write(os.path.join(KEPT, dialect + '.json'), {'dialect': dialect, 'template': data['template']}, cases)
        with open(os.path.join(folder, dialect + '.parse.json'), encoding='utf-8') as file:
            data = json.load(file)
        keys = ('name', 'thinking', 'text', 'reasoning', 'content', 'warning')
        cases = [{k: c[k] for k in keys} for c in data['cases'] if not has_call(c)]
        write(os.path.join(KEPT, dialect + '.parse.json'), {'dialect': dialect}, cases)


main()
