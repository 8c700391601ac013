#!/usr/bin/env python3
"""Writes the small GGUF files that the fuzz target begins from: make_gguf_seeds.py test/fuzz/corpus/gguf"""
import pathlib
import struct
import sys

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = dict(zip((U8, I8, U16, I16, U32, I32, F32, BOOL, U64, I64, F64), 'BbHhIif?Qqd'))


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack('<Q', len(data)) + data


def scalar(kind, value):
    return text(value) if kind == STRING else struct.pack('<' + FORMATS[kind], value)


def key(name, kind, value):
    return text(name) + struct.pack('<I', kind) + scalar(kind, value)


def array(name, kind, values):
    return (text(name) + struct.pack('<IIQ', ARRAY, kind, len(values)) +
            b''.join(scalar(kind, value) for value in values))


def gguf(keys, tensors=(), alignment=32, version=3):
    """tensors: name, type id, shape, bytes."""
    lines, data = [], b''
    for name, kind, shape, n_bytes in tensors:
        data += bytes(-len(data) % alignment)
        lines.append(text(name) + struct.pack(f'<I{len(shape)}QIQ', len(shape), *shape, kind, len(data)))
        data += bytes((i * 37 + 11) & 255 for i in range(n_bytes))
    head = b'GGUF' + struct.pack('<IQQ', version, len(lines), len(keys)) + b''.join(keys) + b''.join(lines)
    return head + bytes(-len(head) % alignment if tensors else 0) + data


def main():
    folder = pathlib.Path(sys.argv[1])
    arch = key('general.architecture', STRING, 'llama')
    words = ['<s>', '', 'a', '\u0120the', '\u4e16', '<|end|>']
    every = [key(f'type.{kind}', kind, 1) for kind in FORMATS]
    arrays = [array(f'list.{kind}', kind, [0, 1, 1]) for kind in FORMATS]
    blocks = [(0, 1, 4), (1, 1, 2), (2, 32, 18), (8, 32, 34), (12, 256, 144), (14, 256, 210), (16, 256, 66),
              (24, 1, 1), (27, 1, 8), (30, 1, 2), (39, 32, 17), (42, 64, 18)]
    seeds = {
        'empty': gguf([]),
        'types': gguf([arch] + every),
        'arrays': gguf([arch] + arrays + [array('list.empty', STRING, [])]),
        'vocabulary': gguf([arch, key('tokenizer.ggml.model', STRING, 'gpt2'),
                            array('tokenizer.ggml.tokens', STRING, words),
                            array('tokenizer.ggml.token_type', I32, [3, 1, 1, 1, 1, 4]),
                            array('tokenizer.ggml.scores', F32, [0.0] * 6),
                            array('tokenizer.ggml.merges', STRING, ['a a', '\u0120t he'])]),
        'tensors': gguf([arch], [(f'blk.{kind}.weight', kind, (elements, 2), 2 * n_bytes)
                                 for kind, elements, n_bytes in blocks]),
        'aligned': gguf([arch, key('general.alignment', U32, 256)],
                        [('a', 0, (3, 2, 2, 1), 48), ('b', 0, (5,), 20), ('c', 1, (1, 1, 7), 14)], 256),
        'packed': gguf([arch, key('general.alignment', U32, 1)],
                       [(f't{i}', 24, (i + 1,), i + 1) for i in range(40)], 1),
        'version2': gguf([arch, key('llama.block_count', U32, 1)], [('output.weight', 8, (32, 2), 68)], version=2),
        'shard': gguf([arch, key('split.no', U16, 0), key('split.count', U16, 1),
                       key('split.tensors.count', I32, 1)], [('output.weight', 0, (8,), 32)]),
        'names': gguf([key(f'{i % 7}.' + 'n' * i, U8, i) for i in range(60)]),
    }
    for name, data in seeds.items():
        (folder / f'{name}.gguf').write_bytes(data)


main()
