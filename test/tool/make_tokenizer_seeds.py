#!/usr/bin/env python3
"""Writes the seeds of test/fuzz/fuzz_tokenizer: vocabularies of a few hundred tokens, one per kind, into
test/fuzz/corpus/tokenizer. The same script gives the same bytes."""
import os
import struct

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


def text(value):
    data = value.encode('utf-8')
    return struct.pack('<Q', len(data)) + data


def array(kind, items):
    return struct.pack('<IQ', kind, len(items)) + b''.join(items)


def write(name, keys):
    out = [b'GGUF', struct.pack('<IQQ', 3, 0, len(keys))]
    for key, kind, value in keys:
        out += [text(key), struct.pack('<I', kind), value]
    data = b''.join(out)
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fuzz', 'corpus', 'tokenizer')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + '.gguf'), 'wb') as f:
        f.write(data + bytes(-len(data) % 32))


def vocabulary(model, pre, tokens, types, more):
    keys = [('tokenizer.ggml.model', STRING, text(model))]
    if pre:
        keys.append(('tokenizer.ggml.pre', STRING, text(pre)))
    keys.append(('tokenizer.ggml.tokens', ARRAY, array(STRING, [text(t) for t in tokens])))
    keys.append(('tokenizer.ggml.token_type', ARRAY, array(I32, [struct.pack('<i', t) for t in types])))
    return keys + more + [('tokenizer.ggml.bos_token_id', U32, struct.pack('<I', len(tokens) - 1)),
                          ('tokenizer.ggml.eos_token_id', U32, struct.pack('<I', 2)),
                          ('tokenizer.ggml.add_bos_token', BOOL, b'\1')]


def byte_points():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(0x100 + others.index(b)) for b in range(256)]


def bpe(name, pre, added):
    merges = ['h e', 'l l', 'he ll', 'hell o', 'a a', 'aa aa', '\u0120 \u0120', '\u0120 a', 'e r', 'hell x',
              '< |', '\u0120\u0120 \u0120', '1 2']
    tokens = byte_points() + ['he', 'll', 'hell', 'hello', 'aa', 'aaaa', '\u0120\u0120', '\u0120a', 'er', '12']
    types = [NORMAL] * len(tokens)
    for token, kind in added:
        tokens.append(token)
        types.append(kind)
    write(name, vocabulary('gpt2', pre, tokens, types,
                           [('tokenizer.ggml.merges', ARRAY, array(STRING, [text(m) for m in merges]))]))


def main():
    chat = [('<|im_start|>', CONTROL), ('<|im_end|>', CONTROL), ('<|im_end|>\n', CONTROL), ('<think>', USER_DEFINED),
            ('[PAD270]', USER_DEFINED), ('<|x|>', USER_DEFINED), ('', NORMAL), ('he', CONTROL), ('<s>', CONTROL)]
    letters = [('\u00e6', USER_DEFINED), ('\uff5cDSML\uff5c', USER_DEFINED), ('<\uff5cUser\uff5c>', CONTROL)]
    bpe('qwen2', 'qwen2', chat)
    bpe('deepseek-llm', 'deepseek-llm', letters + chat)
    bpe('llama-bpe', 'llama-bpe', chat)
    bpe('default', None, [('<s>', CONTROL)])
    space = '\u2581'
    tokens = ['<unk>', '<s>', '</s>'] + ['<0x%02X>' % b for b in range(256)]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    pieces = [space, 'h', 'e', 'l', 'o', 'he', 'll', 'hell', 'hello', space + 'h', space + 'hello', space * 2, 'a', 'aa']
    tokens += pieces
    types += [NORMAL] * len(pieces)
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces))]
    write('spm', vocabulary('llama', None, tokens, types,
                            [('tokenizer.ggml.scores', ARRAY, array(F32, [struct.pack('<f', s) for s in scores]))]))


main()
