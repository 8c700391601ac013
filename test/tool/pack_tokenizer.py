#!/usr/bin/env python3
"""Makes test/golden/tokenizer out of a folder of tokeniser fixtures: the files the tests read, gzipped.

  python3 test/tool/pack_tokenizer.py FIXTURES        FIXTURES has a FORMAT.txt that tells what is what

Left out are the ids themselves (counts and hashes decide) and two vocabularies whose texts and merges another
one also has. The same input gives the same bytes.
"""
import gzip
import os
import sys

NAMES = ['smollm2', 'deepseek-coder', 'deepseek-llm', 'deepseek-v4', 'gpt2', 'llama2-spm', 'llama3.1', 'r1-qwen']


def pack(source, target):
    with open(source, 'rb') as f:
        data = f.read()
    with open(target + '.gz', 'wb') as raw, gzip.GzipFile('', 'wb', 9, raw, 0) as f:
        f.write(data)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    source = sys.argv[1]
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'tokenizer')
    os.makedirs(target, exist_ok=True)
    for name in NAMES:
        for part in ('vocab.gguf', 'expect.txt'):
            file = '%s.%s' % (name, part)
            pack(os.path.join(source, file), os.path.join(target, file))
    pack(os.path.join(source, 'corpus.txt'), os.path.join(target, 'corpus.txt'))
    with open(os.path.join(source, 'corpus.bin.gz'), 'rb') as f, \
            open(os.path.join(target, 'corpus.bin.gz'), 'wb') as out:
        out.write(f.read())


main()
