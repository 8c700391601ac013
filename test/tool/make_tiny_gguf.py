#!/usr/bin/env python3
"""Writes a tiny GGUF model with random weights: small enough to make in each test, complete enough to answer.

    make_tiny_gguf.py OUT [--arch llama|qwen2|qwen3|deepseek2] [--layers N] [--embd N] [--heads N] [--kv-heads N] [--ff N]
                          [--ctx N] [--type F32|F16] [--tied] [--endless] [--template NAME|FILE] [--vocab-only]
                          [--seed N] [--spm] [--says TEXT]... [--after CHARACTER]

The vocabulary is a real byte-level one: three control tokens, the 256 bytes, and a few merges (pre-tokeniser
"smollm"). The chat template is SmolLM2's; --template none leaves it out, a file's text replaces it. Equal arguments
give equal bytes on every machine: the weights come from random.Random(seed).random(), which Python promises not to
change. --spm: the vocabulary is SentencePiece's instead: control tokens and bytes. --endless: answers do not end, for
the logits of the control tokens are 0 and others are well above.

deepseek2 is V3's shape in small: queries with a rank of their own, two groups of two experts, of which one and two are
used, a shared expert, and a first layer without experts. --kv-heads does not matter there.

--says TEXT, repeated, makes a model that says these pieces, each as one token, and then ends its turn: after a token
that ends a prompt (--after, default the newline) comes the first piece, after each piece the next, whatever stood
before.

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
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6
END_OF_TURN = 2

LATENT = {"q_rank": 16, "kv_rank": 16, "nope": 8, "rope": 8, "value": 8}
EXPERTS = {"count": 4, "used": 2, "groups": 2, "groups_used": 1}

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


def vocabulary(says, spm):
    """Texts and types of all tokens; what the model says comes last."""
    letters = byte_letters()
    if spm:
        tokens = SPECIALS + ["<0x%02X>" % byte for byte in range(256)]
    else:
        tokens = SPECIALS + letters + [merge.replace(" ", "") for merge in MERGES]
    types = [CONTROL] * len(SPECIALS) + [BYTE if spm else NORMAL] * (len(tokens) - len(SPECIALS))
    for text in says:
        tag = text.startswith("<") and text.endswith(">")
        spelt = text.replace(" ", "\u2581") if spm else "".join(letters[byte] for byte in text.encode("utf-8"))
        tokens.append(text if tag else spelt)
        types.append(USER_DEFINED if tag else NORMAL)
    if len(set(tokens)) != len(tokens):
        raise ValueError("a piece is there already")
    return tokens, types


def latent_metadata(ff):
    """Keys of deepseek2 beside those of all, without the architecture."""
    return [
        ("attention.q_lora_rank", U32, LATENT["q_rank"]),
        ("attention.kv_lora_rank", U32, LATENT["kv_rank"]),
        ("attention.key_length", U32, LATENT["kv_rank"] + LATENT["rope"]),
        ("attention.value_length", U32, LATENT["kv_rank"]),
        ("attention.key_length_mla", U32, LATENT["nope"] + LATENT["rope"]),
        ("attention.value_length_mla", U32, LATENT["value"]),
        ("rope.dimension_count", U32, LATENT["rope"]),
        ("rope.scaling.type", STRING, "yarn"),
        ("rope.scaling.factor", F32, 4.0),
        ("rope.scaling.original_context_length", U32, 16),
        ("rope.scaling.yarn_log_multiplier", F32, 0.1),
        ("leading_dense_block_count", U32, 1),
        ("expert_count", U32, EXPERTS["count"]),
        ("expert_used_count", U32, EXPERTS["used"]),
        ("expert_group_count", U32, EXPERTS["groups"]),
        ("expert_group_used_count", U32, EXPERTS["groups_used"]),
        ("expert_shared_count", U32, 1),
        ("expert_feed_forward_length", U32, ff // 2),
        ("expert_gating_func", U32, 2),
        ("expert_weights_scale", F32, 2.5),
        ("expert_weights_norm", BOOL, True),
    ]


def head_metadata(head):
    """The same of the other architectures."""
    return [
        ("attention.key_length", U32, head),
        ("attention.value_length", U32, head),
        ("rope.dimension_count", U32, head),
    ]


def metadata(arch, layers, embd, heads, kv_heads, ff, ctx, template, tokens, types, spm):
    latent = arch == "deepseek2"
    of_arch = latent_metadata(ff) if latent else head_metadata(embd // heads)
    keys = [
        ("general.architecture", STRING, arch),
        ("general.type", STRING, "model"),
        ("general.name", STRING, "tiny random " + arch),
        (arch + ".block_count", U32, layers),
        (arch + ".context_length", U32, ctx),
        (arch + ".embedding_length", U32, embd),
        (arch + ".feed_forward_length", U32, ff),
        (arch + ".attention.head_count", U32, heads),
        (arch + ".attention.head_count_kv", U32, 1 if latent else kv_heads),
        (arch + ".attention.layer_norm_rms_epsilon", F32, 1e-5),
        (arch + ".rope.freq_base", F32, 10000.0),
        *((arch + "." + name, kind, x) for name, kind, x in of_arch),
        (arch + ".vocab_size", U32, len(tokens)),
        ("tokenizer.ggml.model", STRING, "llama" if spm else "gpt2"),
        *([] if spm else [("tokenizer.ggml.pre", STRING, "smollm")]),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, types)),
        ("tokenizer.ggml.scores", ARRAY, (F32, [0.0] * len(tokens))) if spm else
        ("tokenizer.ggml.merges", ARRAY, (STRING, MERGES)),
        ("tokenizer.ggml.bos_token_id", U32, 1),
        ("tokenizer.ggml.eos_token_id", U32, 2),
        ("tokenizer.ggml.padding_token_id", U32, 2),
        ("tokenizer.ggml.unknown_token_id", U32, 0),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
    ]
    if template is not None:
        keys.append(("tokenizer.chat_template", STRING, template))
    return keys


def latent_layer(b, n, embd, heads, ff):
    """The tensors of layer n of deepseek2, as tensors() has them."""
    q_rank, kv_rank, nope, rope, value = (LATENT[name] for name in ("q_rank", "kv_rank", "nope", "rope", "value"))
    count = EXPERTS["count"]
    out = [
        (b + "attn_norm.weight", (embd,), "norm"),
        (b + "attn_q_a.weight", (embd, q_rank), "matrix"),
        (b + "attn_q_a_norm.weight", (q_rank,), "norm"),
        (b + "attn_q_b.weight", (q_rank, heads * (nope + rope)), "matrix"),
        (b + "attn_kv_a_mqa.weight", (embd, kv_rank + rope), "matrix"),
        (b + "attn_kv_a_norm.weight", (kv_rank,), "norm"),
        (b + "attn_k_b.weight", (nope, kv_rank, heads), "matrix"),
        (b + "attn_v_b.weight", (kv_rank, value, heads), "matrix"),
        (b + "attn_output.weight", (heads * value, embd), "matrix"),
        (b + "ffn_norm.weight", (embd,), "norm"),
    ]
    if n == 0:
        return out + [(b + "ffn_gate.weight", (embd, ff), "matrix"), (b + "ffn_up.weight", (embd, ff), "matrix"),
                      (b + "ffn_down.weight", (ff, embd), "matrix")]
    out += [(b + "ffn_gate_inp.weight", (embd, count), "matrix"), (b + "exp_probs_b.bias", (count,), "bias")]
    for name, shape in (("ffn_gate", (embd, ff // 2)), ("ffn_up", (embd, ff // 2)), ("ffn_down", (ff // 2, embd))):
        out += [(b + name + "_exps.weight", (*shape, count), "matrix"), (b + name + "_shexp.weight", shape, "matrix")]
    return out


def tensors(arch, layers, embd, heads, kv_heads, ff, n_vocab, tied):
    """(name, dimensions, what) with the fastest dimension first; what: "matrix", "norm" or "bias"."""
    head = embd // heads
    out = [("token_embd.weight", (embd, n_vocab), "matrix")]
    for n in range(layers):
        b = "blk.%d." % n
        if arch == "deepseek2":
            out += latent_layer(b, n, embd, heads, ff)
            continue
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


def weights(rng, shape, what):
    """Values; a matrix keeps the size of what goes through it, so that nothing fades or explodes."""
    n = 1
    for dimension in shape:
        n *= dimension
    middle, width = {"norm": (1.0, 0.2), "bias": (0.0, 0.2), "matrix": (0.0, 2.0 * (3.0 / shape[0]) ** 0.5)}[what]
    return [middle + width * (rng.random() - 0.5) for _ in range(n)]


def packed(values, code):
    """Little-endian F32 or F16."""
    if code != 0:
        return struct.pack("<%de" % len(values), *values)
    data = array("f", values)
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


def scripted(values, name, embd, embedding, chain):
    """A matrix of a model that goes from token to token: nothing is added to the embedding, and the row of each next
    token points where its forerunner lies."""
    if name.endswith(("attn_output.weight", "ffn_down.weight", "ffn_down_exps.weight", "ffn_down_shexp.weight")):
        return [0.0] * len(values)
    if name != "output.weight":
        return values
    values = [0.0] * len(values)
    for token, following in chain:
        row = embedding[token * embd:(token + 1) * embd]
        length = sum(x * x for x in row) ** 0.5
        values[following * embd:(following + 1) * embd] = [5.0 * x / length for x in row]
    return values


def tiny_gguf(arch="llama", layers=2, embd=64, heads=4, kv_heads=2, ff=128, ctx=512, type="F32", tied=False,
              endless=False, template=SMOLLM2_TEMPLATE, vocab_only=False, seed=1, spm=False, says=(),
              after="\n"):
    """The file's bytes. template: the text itself, or None."""
    if embd % heads or (embd // heads) % 2 or heads % kv_heads:
        raise ValueError("embd must be heads times an even number, and heads a multiple of kv_heads")
    if (endless or says) and tied:
        raise ValueError("endless and says need an output matrix of its own")
    rng = random.Random(seed)
    tokens, types = vocabulary(says, spm)
    path = [len(SPECIALS) + ord(after), *range(len(tokens) - len(says), len(tokens)), END_OF_TURN]
    keys = metadata(arch, layers, embd, heads, kv_heads, ff, ctx, template, tokens, types, spm)
    listed = [] if vocab_only else tensors(arch, layers, embd, heads, kv_heads, ff, len(tokens), tied)
    head = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(listed), len(keys)))
    for name, kind, x in keys:
        head += string(name) + struct.pack("<I", kind) + value(kind, x)
    data, embedding = bytearray(), []
    for name, shape, what in listed:
        code, _ = TENSOR_TYPES[type if what == "matrix" and "ffn_gate_inp" not in name else "F32"]
        head += string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *shape)
        head += struct.pack("<IQ", code, len(data))
        values = weights(rng, shape, what)
        embedding = embedding or values
        if endless and name == "output.weight":
            values[:len(SPECIALS) * embd] = [0.0] * (len(SPECIALS) * embd)
        if says:
            values = scripted(values, name, embd, embedding, list(zip(path, path[1:])))
        data += packed(values, code)
        data += bytes(-len(data) % ALIGNMENT)
    head += bytes(-len(head) % ALIGNMENT)
    return bytes(head + data)


def main():
    parser = argparse.ArgumentParser(description="Writes a tiny GGUF model with random weights.")
    parser.add_argument("out")
    parser.add_argument("--arch", default="llama", choices=["llama", "qwen2", "qwen3", "deepseek2"])
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
    parser.add_argument("--spm", action="store_true")
    parser.add_argument("--says", action="append", default=[])
    parser.add_argument("--after", default="\n")
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
