"""Reads the public headers: functions, structs and constants. Shared by the tests of this folder."""
import os
import re

FUNCTION = re.compile(r'\bSPRAT_API\s+[^;{}]*?\b(sprat_\w+)\s*\(', re.S)
STRUCT = re.compile(r'typedef\s+struct\s+(\w+)\s*\{(.*?)\}\s*\1\s*;', re.S)
ENUM = re.compile(r'\benum\s*\{(.*?)\}', re.S)


def strip_comments(text):
    return re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)


def read(root, name):
    with open(os.path.join(root, 'include', 'sprat', name), encoding='utf-8') as file:
        return file.read()


def code(text):
    """The header without comments and preprocessor lines."""
    text = strip_comments(text).replace('\\\n', ' ')
    return '\n'.join(line for line in text.splitlines() if not line.lstrip().startswith('#'))


def functions(text):
    """Names of the functions that a header's text declares, in order."""
    return FUNCTION.findall(code(text))


def structs(text):
    """[(struct, [field, ...])] in order."""
    found = []
    for name, body in STRUCT.findall(code(text)):
        fields = []
        for declaration in body.split(';'):
            pointer = re.search(r'\(\s*\*\s*(\w+)\s*\)', declaration)
            if pointer:
                fields.append(pointer.group(1))
            elif declaration.strip():
                for part in declaration.split(','):
                    fields.append(re.search(r'(\w+)\s*(?:\[[^\]]*\]\s*)?$', part.strip()).group(1))
        found.append((name, fields))
    return found


def constants(text):
    """Names of all enumerators, the statuses of the X-macro included."""
    names = re.findall(r'\bX\(\s*(\w+)\s*,\s*-?\d+\s*,', strip_comments(text))
    names = ['SPRAT_' + name for name in names]
    for body in ENUM.findall(code(text)):
        for part in body.split(','):
            match = re.match(r'\s*(SPRAT_\w+)\s*=', part)
            if match and not match.group(1).endswith('_'):
                names.append(match.group(1))
    return names


def comments(text):
    """[(comment, [function, ...])]: each comment block with the functions declared right below it."""
    found = []
    for match in re.finditer(r'/\*((?:[^*]|\*(?!/))*)\*/\n((?:SPRAT_API\b[^;]*;\n)+)', text):
        found.append((re.sub(r'\n\s*\*', ' ', match.group(1)), functions(match.group(2))))
    return found
