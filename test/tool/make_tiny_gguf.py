#!/usr/bin/env python3
"""Writes a tiny GGUF model with random weights: small enough to make in each test, complete enough to answer.

    make_tiny_gguf.py OUT [--arch llama|qwen2|qwen3] [--layers N] [--embd N] [--heads N] [--kv-heads N] [--ff N]
                          [--ctx N] [--type F32|F16] [--tied] [--endless] [--template NAME|FILE] [--vocab-only]
                          [--seed N]

The vocabulary is a real byte-level one: three control tokens, the 256 bytes, and a few merges (pre-tokeniser
"smollm"). The chat template is SmolLM2's; --template none leaves it out, a file's text replaces it. Equal arguments
give equal bytes on every machine: the weights come from random.Random(seed).random(), which Python promises not to
change. --endless: answers do not end, for the logits of the control tokens are 0 and others are well above.
Python's standard library only. Other scripts may import it: tiny_gguf(**arguments) gives the bytes.
"""
import argparse
import random
import struct
import sys
from array import array

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_TYPES = {"F32": (0, 4), "F16": (1, 2)}
ALIGNMENT = 32
CONTROL, NORMAL = 3, 1

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ t", "Ġ a", "h e", "i n", "r e", "o n", "Ġt he", "a t", "e n", "o r", "Ċ Ċ", "Ġ Ġ"]
SMOLLM2_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}")


def byte_letters():
    """The code point that stands for each byte in a byte-level vocabulary."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(0x100 + extra)
            extra += 1
    return [letters[byte] for byte in range(256)]


def string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def value(kind, x):
    if kind == STRING:
        return string(x)
    if kind == ARRAY:
        element, items = x
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], x)


def metadata(arch, layers, embd, heads, kv_heads, ff, ctx, template):
    head = embd // heads
    tokens = SPECIALS + byte_letters() + [merge.replace(" ", "") for merge in MERGES]
    types = [CONTROL] * len(SPECIALS) + [NORMAL] * (len(tokens) - len(SPECIALS))
    keys = [
        ("general.architecture", STRING, arch),
        ("general.type", STRING, "model"),
        ("general.name", STRING, "tiny random " + arch),
        (arch + ".block_count", U32, layers),
        (arch + ".context_length", U32, ctx),
        (arch + ".embedding_length", U32, embd),
        (arch + ".feed_forward_length", U32, ff),
        (arch + ".attention.head_count", U32, heads),
        (arch + ".attention.head_count_kv", U32, kv_heads),
        (arch + ".attention.layer_norm_rms_epsilon", F32, 1e-5),
        (arch + ".attention.key_length", U32, head),
        (arch + ".attention.value_length", U32, head),
        (arch + ".rope.freq_base", F32, 10000.0),
        (arch + ".rope.dimension_count", U32, head),
        (arch + ".vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "smollm"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, MERGES)),
        ("tokenizer.ggml.bos_token_id", U32, 1),
        ("tokenizer.ggml.eos_token_id", U32, 2),
        ("tokenizer.ggml.padding_token_id", U32, 2),
        ("tokenizer.ggml.unknown_token_id", U32, 0),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
    ]
    if template is not None:
        keys.append(("tokenizer.chat_template", STRING, template))
    return keys, len(tokens)


def tensors(arch, layers, embd, heads, kv_heads, ff, n_vocab, tied):
    """(name, dimensions, what) with the fastest dimension first; what: "matrix", "norm" or "bias"."""
    head = embd // heads
    out = [("token_embd.weight", (embd, n_vocab), "matrix")]
    for n in range(layers):
        b = "blk.%d." % n
        out += [
            (b + "attn_norm.weight", (embd,), "norm"),
            (b + "attn_q.weight", (embd, heads * head), "matrix"),
            (b + "attn_k.weight", (embd, kv_heads * head), "matrix"),
            (b + "attn_v.weight", (embd, kv_heads * head), "matrix"),
            (b + "attn_output.weight", (heads * head, embd), "matrix"),
            (b + "ffn_norm.weight", (embd,), "norm"),
            (b + "ffn_gate.weight", (embd, ff), "matrix"),
            (b + "ffn_up.weight", (embd, ff), "matrix"),
            (b + "ffn_down.weight", (ff, embd), "matrix"),
        ]
        if arch == "qwen2":
            out += [(b + "attn_q.bias", (heads * head,), "bias"), (b + "attn_k.bias", (kv_heads * head,), "bias"),
                    (b + "attn_v.bias", (kv_heads * head,), "bias")]
        if arch == "qwen3":
            out += [(b + "attn_q_norm.weight", (head,), "norm"), (b + "attn_k_norm.weight", (head,), "norm")]
    out.append(("output_norm.weight", (embd,), "norm"))
    if not tied:
        out.append(("output.weight", (embd, n_vocab), "matrix"))
    return out


def weights(rng, shape, what, letter, n_zero_rows=0):
    """Little-endian values; a matrix keeps the size of what goes through it, so that nothing fades or explodes. The
    first rows may be zero."""
    n = 1
    for dimension in shape:
        n *= dimension
    middle, width = {"norm": (1.0, 0.2), "bias": (0.0, 0.2), "matrix": (0.0, 2.0 * (3.0 / shape[0]) ** 0.5)}[what]
    values = [middle + width * (rng.random() - 0.5) for _ in range(n)]
    values[:n_zero_rows * shape[0]] = [0.0] * (n_zero_rows * shape[0])
    if letter == "f":
        data = array("f", values)
        if sys.byteorder == "big":
            data.byteswap()
        return data.tobytes()
    return struct.pack("<%de" % n, *values)


def tiny_gguf(arch="llama", layers=2, embd=64, heads=4, kv_heads=2, ff=128, ctx=512, type="F32", tied=False,
              endless=False, template=SMOLLM2_TEMPLATE, vocab_only=False, seed=1):
    """The file's bytes. template: the text itself, or None."""
    if endless and tied:
        raise ValueError("endless needs an output matrix of its own")
    if embd % heads or (embd // heads) % 2 or heads % kv_heads:
        raise ValueError("embd must be heads times an even number, and heads a multiple of kv_heads")
    rng = random.Random(seed)
    keys, n_vocab = metadata(arch, layers, embd, heads, kv_heads, ff, ctx, template)
    listed = [] if vocab_only else tensors(arch, layers, embd, heads, kv_heads, ff, n_vocab, tied)
    head = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(listed), len(keys)))
    for name, kind, x in keys:
        head += string(name) + struct.pack("<I", kind) + value(kind, x)
    data = bytearray()
    for name, shape, what in listed:
        code, _ = TENSOR_TYPES[type if what == "matrix" else "F32"]
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape)
        head += struct.pack("<IQ", code, len(data))
        n_zero_rows = len(SPECIALS) if endless and name == "output.weight" else 0
        data += weights(rng, shape, what, "f" if code == 0 else "e", n_zero_rows)
        data += bytes(-len(data) % ALIGNMENT)
    head += bytes(-len(head) % ALIGNMENT)
    return bytes(head + data)


def main():
    parser = argparse.ArgumentParser(description="Writes a tiny GGUF model with random weights.")
    parser.add_argument("out")
    parser.add_argument("--arch", default="llama", choices=["llama", "qwen2", "qwen3"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--embd", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--ff", type=int, default=128)
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--type", default="F32", choices=sorted(TENSOR_TYPES))
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--endless", action="store_true")
    parser.add_argument("--template", default="smollm2", help='"smollm2", "none", or a file with the template')
    parser.add_argument("--vocab-only", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = vars(parser.parse_args())
    path, template = arguments.pop("out"), arguments.pop("template")
    if template == "smollm2":
        arguments["template"] = SMOLLM2_TEMPLATE
    elif template == "none":
        arguments["template"] = None
    else:
        with open(template, encoding="utf-8", newline="") as f:
            arguments["template"] = f.read()
    data = tiny_gguf(**arguments)
    with open(path, "wb") as f:
        f.write(data)


if __name__ == "__main__":
    main()
