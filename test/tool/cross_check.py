#!/usr/bin/env python3
"""Holds sprat's forward pass against another one: random small models of llama, qwen2 and qwen3 with random options.

    python3 -m venv build/venv && build/venv/bin/pip install numpy==2.4.6 gguf==0.19.0
    build/venv/bin/python test/tool/cross_check.py build/gcc/examples/sprat/sprat [--first SEED] [--cases N] [--keep D]

The models are written by the package gguf, and its quantisers and unpackers give the weights. The forward pass below is
numpy in binary64, written from the papers' formulas and the file format, not from the library. A case is right when
every logit of every position is within 1e-4 of the position's largest, the argmax agrees where the two best are further
apart than twice that, other chunks and threads change no bit, and with keys and values in f16 all is within 3e-3 of the
same forward pass that rounds them. (A value that lies between two halves may go either way: hence not 1e-4.)

A case is its seed: --first SEED --cases 1 --keep D makes one again and leaves its files there. Ends with 1 if a case
is wrong. Not part of the test run, for it needs packages; 200 cases take about a minute and a half. Q1_0 and Q2_0 are
not among the types, for the package does not know them.
"""
import argparse
import collections
import math
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value

PLAIN = [Type.F32, Type.F16, Type.BF16]
QUANTISED = [Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.TQ1_0, Type.TQ2_0, Type.MXFP4]
# Types that the package only unpacks get bytes at random, but for binary16 scales at these offsets.
SCALES = {Type.Q2_K: (80, 82), Type.Q3_K: (108,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,),
          Type.IQ2_XXS: (0,), Type.IQ2_XS: (0,), Type.IQ2_S: (0,), Type.IQ3_XXS: (0,), Type.IQ3_S: (0,),
          Type.IQ1_S: (0,), Type.IQ4_NL: (0,), Type.IQ4_XS: (0,), Type.IQ1_M: (), Type.NVFP4: ()}
UNSIGNED = [(Value.UINT8, 8), (Value.UINT16, 16), (Value.UINT32, 32), (Value.UINT64, 64)]
SIGNED = [(Value.INT8, 7), (Value.INT16, 15), (Value.INT32, 31), (Value.INT64, 63)]


def random_blocks(rng, kind, rows, columns, size):
    """Bytes of a matrix whose type cannot be quantised here, with values of about the given size."""
    n_block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows * columns // n_block, n_bytes), dtype=np.uint8)

    def put(factor):
        for offset in SCALES[kind]:
            scale = (factor * rng.uniform(0.5, 1.5, len(data))).astype('<f2')
            data[:, offset:offset + 2] = scale.view(np.uint8).reshape(-1, 2)

    if kind == Type.IQ1_M:  # the scale's four nibbles are the upper ones of four words
        nibbles = (size * rng.uniform(0.05, 0.2, len(data))).astype('<f2').view('<u2')
        for i in range(4):
            data[:, 49 + 2 * i] = (data[:, 49 + 2 * i] & 15) | ((nibbles >> (4 * i) & 15) << 4).astype(np.uint8)
    elif kind == Type.NVFP4:  # one 8-bit float per 16 elements
        data[:, :4] = rng.integers(1, 24, (len(data), 4))
    else:
        put(1.0)
        put(size / np.std(gguf.dequantize(data.reshape(rows, -1), kind)))
    return data.reshape(rows, -1)


class Case:
    """One random model: its keys, its tensors as bytes and as binary64, and the tokens."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.keys, self.tensors, self.weights, self.notes = {}, [], {}, []
        self.arch = arch = self.pick('llama', 'llama', 'qwen2', 'qwen3')
        self.block = block = self.pick(1, 32, 256)
        self.layers = self.pick(1, 2, 3)
        self.kv_heads = self.pick(1, 1, 2, 3, 4)
        self.heads = self.kv_heads * self.pick(1, 1, 2, 3, 4, 5, 7, 8)
        self.embd = {1: int(rng.integers(3, 90)), 32: 32 * self.pick(1, 2, 3, 4, 6), 256: 256}[block]
        self.ff = {1: int(rng.integers(1, 150)), 32: 32 * self.pick(1, 3, 5), 256: self.pick(256, 512)}[block]
        self.vocab = int(rng.integers(30, 700))
        self.tokens = rng.integers(0, self.vocab, self.pick(1, 2, 17, 64, 65, 100, 129, 200, 300))
        self.version = self.pick(3, 3, 2)
        self.alignment = self.pick(None, None, None, 1, 2, 8, 16, 64, 256, 4096)
        self.shard = 0 if self.alignment else self.pick(0, 0, 3, 8)  # the package tells only the first shard of it
        self.plain_width = self.flip(0.5)
        self.keys['general.architecture'] = (Value.STRING, arch)
        self.shape()
        self.rope()
        self.vocabulary()
        self.make_tensors()

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def flip(self, chance):
        return self.rng.random() < chance

    def put(self, key, number, integer=True, per_layer=False):
        """A key of this architecture, sometimes in another width; per_layer: sometimes as one value per layer."""
        key = f'{self.arch}.{key}'
        kinds = [Value.UINT32 if integer else Value.FLOAT32]
        if not self.plain_width:
            kinds = [] if integer else [Value.FLOAT32, Value.FLOAT64]
            if number == int(number):
                kinds += [kind for kind, bits in UNSIGNED + SIGNED if number < 1 << bits]
        kind = self.pick(*kinds)
        number = float(number) if kind in (Value.FLOAT32, Value.FLOAT64) else int(number)
        if per_layer and self.flip(0.2):
            self.keys[key] = (Value.ARRAY, [number] * self.layers, self.pick(Value.UINT32, Value.INT32))
        else:
            self.keys[key] = (kind, number)
        return float(np.float32(number)) if kind == Value.FLOAT32 else number

    def shape(self):
        divides = self.embd % self.heads == 0 and self.embd // self.heads % 2 == 0
        self.key_dim = self.value_dim = self.embd // self.heads
        if not divides or self.flip(0.6):
            self.key_dim = self.value_dim = self.pick(2, 4, 6, 10, 16, 20, 32, 34, 64, 66, 80, 128, 160, 256)
            if self.flip(0.3):
                self.value_dim = self.pick(1, 3, 5, 8, 16, 24, 40, 64, 96)
            self.put('attention.key_length', self.key_dim)
            self.put('attention.value_length', self.value_dim)
        self.put('block_count', self.layers)
        self.put('context_length', 512)
        self.put('embedding_length', self.embd)
        self.put('feed_forward_length', self.ff, per_layer=True)
        self.put('attention.head_count', self.heads, per_layer=True)
        if self.heads != self.kv_heads or self.flip(0.5):
            self.put('attention.head_count_kv', self.kv_heads, per_layer=True)
        self.eps = self.put('attention.layer_norm_rms_epsilon', self.pick(1e-5, 1e-6, 1e-3, 0.0625), False)

    def rope(self):
        """Sets the rotated dimensions, the frequency of each pair and the magnitude of cos and sin."""
        n = self.key_dim
        if self.flip(0.3):
            n = 2 * int(self.rng.integers(1, n // 2 + 1))
        if n != self.key_dim or self.flip(0.5):
            self.put('rope.dimension_count', n)
        base = 10000.0
        if self.flip(0.7):
            base = self.put('rope.freq_base', self.pick(100, 10000, 500000, 1e6, 12345.678), False)
        frequencies = base ** (-2.0 * np.arange(n // 2) / n)
        self.divisors = None
        if self.arch == 'llama' and self.flip(0.3):
            self.divisors = self.rng.uniform(0.5, 9, n // 2).astype(np.float32)
            frequencies = frequencies / self.divisors
        self.n_rot, self.magnitude = n, 1.0
        scaling = self.pick('', '', 'none', 'linear', 'untyped', 'old', 'yarn', 'yarn')
        self.notes.append(scaling or 'unscaled')
        key = 'rope.scaling.'
        if scaling in ('none', 'linear', 'yarn'):
            self.keys[f'{self.arch}.{key}type'] = (Value.STRING, scaling)
        if scaling:
            factor = self.put('rope.scale_linear' if scaling == 'old' else key + 'factor',
                              self.pick(1, 2, 4, 40, 2.5), False)
        if scaling in ('linear', 'untyped', 'old'):
            frequencies = frequencies / factor
        if scaling == 'yarn':
            frequencies = self.yarn(key, frequencies, base, factor)
        self.frequencies = frequencies
        if scaling != 'yarn' and self.flip(0.1):
            self.magnitude = self.put(key + 'attn_factor', self.pick(0.5, 1.25, 2), False)

    def yarn(self, key, frequencies, base, factor):
        original, fast, slow, mix = 512, 32.0, 1.0, 1.0
        if self.flip(0.7):
            original = self.put(key + 'original_context_length', self.pick(16, 64, 256, 4096, 32768))
        if self.flip(0.4):
            fast = self.put(key + 'yarn_beta_fast', self.pick(8, 16.5, 64), False)
        if self.flip(0.4):
            slow = self.put(key + 'yarn_beta_slow', self.pick(0.5, 1, 2, 3), False)
        if self.flip(0.3):
            mix = self.put(key + 'yarn_ext_factor', self.pick(0, 0.5, 1), False)
        if mix:
            self.magnitude = 1 + 0.1 * math.log(factor)
        for name in ('attn_factor', 'yarn_attn_factor'):
            if self.flip(0.4):
                self.magnitude *= self.put(key + name, self.pick(1, 0.8782488562869419, 1.25), False)

        def dimension(turns):
            return self.n_rot * math.log(original / (2 * math.pi * turns)) / (2 * math.log(base))

        low = max(0, math.floor(dimension(fast)))
        high = min(self.n_rot - 1, math.ceil(dimension(slow)))
        ramp = np.clip((np.arange(self.n_rot // 2) - low) / max(high - low, 0.001), 0, 1)
        keep = (1 - ramp) * mix
        return frequencies * keep + frequencies / factor * (1 - keep)

    def vocabulary(self):
        if self.flip(0.3):
            self.put('vocab_size', self.vocab)
        if self.flip(0.1):  # a model without a tokeniser still evaluates tokens
            self.keys['tokenizer.ggml.model'] = (Value.STRING, self.pick('none', 'no_vocab'))
            return
        letters = [chr(c) for c in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x144)]]
        texts = (letters + [f'Ġ{i}' for i in range(self.vocab)])[:self.vocab]
        self.keys['tokenizer.ggml.model'] = (Value.STRING, 'gpt2')
        self.keys['tokenizer.ggml.pre'] = (Value.STRING, {'llama': 'llama-bpe'}.get(self.arch, 'qwen2'))
        self.keys['tokenizer.ggml.tokens'] = (Value.ARRAY, texts, Value.STRING)
        self.keys['tokenizer.ggml.token_type'] = (Value.ARRAY, [1] * self.vocab, Value.INT32)
        self.keys['tokenizer.ggml.merges'] = (Value.ARRAY, ['t h'], Value.STRING)

    def tensor(self, name, values, kind):
        """values: rows × columns, or one row. What the file holds, unpacked, is the weight."""
        data = gguf.quantize(values.astype(np.float32), kind)
        self.tensors.append((name, data, kind))
        self.weights[name] = gguf.dequantize(data, kind).astype(np.float64).reshape(values.shape)

    def matrix(self, name, rows, columns):
        fits = [kind for kind in [*QUANTISED, *SCALES] if columns % gguf.GGML_QUANT_SIZES[kind][0] == 0]
        kind = self.pick(*fits) if fits and self.flip(0.8) else self.pick(*PLAIN)
        size = 1 / math.sqrt(columns)
        self.notes.append(kind.name)
        if kind in SCALES:
            data = random_blocks(self.rng, kind, rows, columns, size)
            self.tensors.append((name, data, kind))
            self.weights[name] = gguf.dequantize(data, kind).astype(np.float64)
        else:
            self.tensor(name, self.rng.normal(0, size, (rows, columns)), kind)

    def vector(self, name, n, middle=0.0):
        self.tensor(name, middle + self.rng.normal(0, 0.3, n), self.pick(Type.F32, Type.F32, *PLAIN))

    def make_tensors(self):
        q, k, v = self.heads * self.key_dim, self.kv_heads * self.key_dim, self.kv_heads * self.value_dim
        self.matrix('token_embd.weight', self.vocab, self.embd)
        self.vector('output_norm.weight', self.embd, 1)
        if self.flip(0.6):
            self.matrix('output.weight', self.vocab, self.embd)
        if self.divisors is not None:
            self.tensor('rope_freqs.weight', self.divisors, Type.F32)
        biased = self.arch == 'qwen2' or self.arch == 'llama' and self.flip(0.3)
        for layer in range(self.layers):
            b = f'blk.{layer}.'
            for name, rows, columns in (
                    ('attn_q', q, self.embd), ('attn_k', k, self.embd), ('attn_v', v, self.embd),
                    ('attn_output', self.embd, self.heads * self.value_dim), ('ffn_gate', self.ff, self.embd),
                    ('ffn_up', self.ff, self.embd), ('ffn_down', self.embd, self.ff)):
                self.matrix(f'{b}{name}.weight', rows, columns)
            self.vector(b + 'attn_norm.weight', self.embd, 1)
            self.vector(b + 'ffn_norm.weight', self.embd, 1)
            if biased:
                for name, n in (('attn_q', q), ('attn_k', k), ('attn_v', v)):
                    self.vector(f'{b}{name}.bias', n)
                if self.arch == 'llama' and self.flip(0.5):
                    self.vector(b + 'attn_output.bias', self.embd)
            if self.arch == 'qwen3':
                self.vector(b + 'attn_q_norm.weight', self.key_dim, 1)
                self.vector(b + 'attn_k_norm.weight', self.key_dim, 1)

    def write(self, path):
        writer = gguf.GGUFWriter(path, self.arch, split_max_tensors=self.shard)
        writer.kv_data[0].clear()  # the architecture comes with the other keys
        if self.alignment:
            writer.add_custom_alignment(self.alignment)
        names = list(self.keys)
        self.rng.shuffle(names)
        for name in names:
            kind, content, *element = self.keys[name]
            writer.add_key_value(name, content, kind, *element)
        order = list(range(len(self.tensors)))
        self.rng.shuffle(order)
        for name, data, kind in (self.tensors[i] for i in order):
            writer.add_tensor(name, data, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        for name in path.parent.glob('model*.gguf') if self.version == 2 else ():
            with open(name, 'r+b') as file:  # the same bytes but for the number
                file.seek(4)
                file.write(b'\2')

    def norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * self.weights[name]

    def linear(self, x, name):
        return x @ self.weights[name + '.weight'].T + self.weights.get(name + '.bias', 0.0)

    def rotate(self, x):
        """x: positions × heads × key_dim. llama turns neighbours, the others the two halves."""
        angle = np.arange(len(x))[:, None] * self.frequencies
        cos, sin = np.cos(angle)[:, None] * self.magnitude, np.sin(angle)[:, None] * self.magnitude
        half = self.n_rot // 2
        first = slice(0, self.n_rot, 2) if self.arch == 'llama' else slice(0, half)
        second = slice(1, self.n_rot, 2) if self.arch == 'llama' else slice(half, self.n_rot)
        out = x.copy()
        out[..., first] = x[..., first] * cos - x[..., second] * sin
        out[..., second] = x[..., first] * sin + x[..., second] * cos
        return out

    def attention(self, x, b, cache):
        n = len(x)
        q = self.linear(x, b + 'attn_q').reshape(n, self.heads, self.key_dim)
        k = self.linear(x, b + 'attn_k').reshape(n, self.kv_heads, self.key_dim)
        v = self.linear(x, b + 'attn_v').reshape(n, self.kv_heads, self.value_dim)
        if self.arch == 'qwen3':
            q, k = self.norm(q, b + 'attn_q_norm.weight'), self.norm(k, b + 'attn_k_norm.weight')
        q, k, v = self.rotate(q), self.rotate(k).astype(cache), v.astype(cache)
        group = self.heads // self.kv_heads
        k, v = (np.repeat(a.astype(float), group, axis=1) for a in (k, v))
        scores = np.einsum('qhd,khd->hqk', q, k) / math.sqrt(self.key_dim)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        return self.linear(np.einsum('hqk,khd->qhd', p, v).reshape(n, -1), b + 'attn_output')

    def forward(self, cache=float):
        """cache: what keys and values are rounded to."""
        x = self.weights['token_embd.weight'][self.tokens]
        for layer in range(self.layers):
            b = f'blk.{layer}.'
            x = x + self.attention(self.norm(x, b + 'attn_norm.weight'), b, cache)
            a = self.norm(x, b + 'ffn_norm.weight')
            gate, up = self.linear(a, b + 'ffn_gate'), self.linear(a, b + 'ffn_up')
            x = x + self.linear(gate / (1 + np.exp(-gate)) * up, b + 'ffn_down')
        x = self.norm(x, 'output_norm.weight')
        return self.linear(x, 'output' if 'output.weight' in self.weights else 'token_embd')

    def describe(self):
        keys = {name.removeprefix(self.arch + '.'): content[1] for name, content in self.keys.items()
                if name.startswith(self.arch)}
        return (f'{self.arch} v{self.version} align {self.alignment} shards of {self.shard} '
                f'{len(self.tokens)} tokens {self.vocab} words tied {"output.weight" not in self.weights} '
                f'divisors {self.divisors is not None} biases {[n for n in self.weights if n.endswith("bias")][:4]} {self.notes} {keys}')


def logits(program, folder, case, *options):
    """What the program says of a case, or its line of error."""
    out, model = folder / 'logits.f32', min(folder.glob('model*.gguf'))
    result = subprocess.run([program, 'eval', 'logits', model, '--tokens', folder / 'tokens',
                             '--out', out, '--numerics', 'f32', *options], stderr=subprocess.PIPE, check=False)
    if result.returncode:
        return result.stderr.decode(errors='replace').strip() or f'exit {result.returncode}'
    values = np.fromfile(out, '<f4')
    if values.size != len(case.tokens) * case.vocab:
        return f'{values.size} logits, expected {len(case.tokens)} x {case.vocab}'
    return values.reshape(-1, case.vocab)


def compare(got, reference, bound):
    """The largest difference relative to its position's largest logit, and what is wrong."""
    if isinstance(got, str):
        return math.inf, [got]
    largest = np.abs(reference).max(axis=1)
    error = np.abs(got - reference).max(axis=1) / largest
    problems = []
    if not (error <= bound).all():
        at = int(np.argmax(np.nan_to_num(error, nan=math.inf)))
        problems.append(f'position {at}: off by {error[at]:.3g} of the largest logit, at most {bound:g} expected')
    best = np.sort(reference, axis=1)[:, -2:]
    clear = best[:, 1] - best[:, 0] > 2 * bound * largest
    wrong = np.flatnonzero(clear & (got.argmax(axis=1) != reference.argmax(axis=1)))
    if wrong.size:
        problems.append(f'position {wrong[0]}: another argmax')
    return float(error.max()), problems


def check(program, folder, seed):
    case = Case(seed)
    for old in folder.glob('model*.gguf'):
        old.unlink()
    case.write(folder / 'model.gguf')
    (folder / 'tokens').write_text('\n'.join(map(str, case.tokens)))
    reference = case.forward()
    got = logits(program, folder, case, '--kv', 'f32')
    error, problems = compare(got, reference, 1e-4)
    if not problems:
        chunk, threads = case.pick(1, 2, 7, 64, 100, 4096), case.pick(1, 2, 3)
        options = ['--kv', 'f32', '--chunk', str(chunk), '--threads', str(threads)]
        again = logits(program, folder, case, *options)
        if isinstance(again, str) or again.tobytes() != got.tobytes():
            problems.append(f'{" ".join(options)}: {again if isinstance(again, str) else "other bits"}')
        _, wrong = compare(logits(program, folder, case, '--kv', 'f16'), case.forward(np.float16), 3e-3)
        problems += [f'--kv f16: {text}' for text in wrong]
    return case, error, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('program')
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--cases', type=int, default=200)
    parser.add_argument('--keep', type=pathlib.Path)
    options = parser.parse_args()
    failed, largest, seen = 0, 0.0, collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(options.first, options.first + options.cases):
            case, error, problems = check(options.program, folder, seed)
            seen.update({case.arch, *case.notes})
            failed += bool(problems)
            if problems:
                print(f'seed {seed}: ' + '; '.join(problems) + '\n    ' + case.describe(), flush=True)
            else:
                largest = max(largest, error)
    print('cases with: ' + ', '.join(f'{name} {count}' for name, count in sorted(seen.items())))
    print(f'{options.cases - failed} right, the largest difference {largest:.2g}; {failed} wrong')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
