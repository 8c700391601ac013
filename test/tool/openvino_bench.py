#!/usr/bin/env python3
"""Measures OpenVINO GenAI on a model folder and prints what llama-bench prints, as far as compare_peers.py reads it.

    python3 -m venv build/openvino && build/openvino/bin/pip install openvino-genai
    build/openvino/bin/python test/tool/openvino_bench.py FOLDER -p 512 -n 64 -t 2

The settings are those under which that engine computes as sprat does: activations in 8-bit integers of groups of 128,
everything else in binary32. A prompt is random token ids; one of its answers is thrown away to warm up.
"""
import argparse
import json
import random

import numpy
import openvino
import openvino_genai

SETTINGS = {'INFERENCE_PRECISION_HINT': 'f32', 'DYNAMIC_QUANTIZATION_GROUP_SIZE': '128'}


def generate(pipe, rng, n_prompt, n_new):
    """(seconds to the first token, milliseconds per token after it)."""
    ids = numpy.array([[rng.randrange(1000, 30000) for _ in range(n_prompt)]], dtype=numpy.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens, config.min_new_tokens, config.ignore_eos = n_new, n_new, True
    config.do_sample, config.apply_chat_template = False, False
    metrics = pipe.generate(inputs, config).perf_metrics
    return metrics.get_ttft().mean / 1e3, metrics.get_tpot().mean if n_new > 1 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', 1)[0])
    parser.add_argument('model', help='a folder with openvino_model.xml')
    parser.add_argument('-p', type=int, default=0, metavar='N', help='tokens of a prompt to measure')
    parser.add_argument('-n', type=int, default=0, metavar='N', help='tokens of an answer to measure')
    parser.add_argument('-d', type=int, default=0, metavar='N', help='tokens before the answer')
    parser.add_argument('-t', type=int, default=2, metavar='N', help='threads')
    parser.add_argument('-r', type=int, default=1, metavar='N', help='repetitions')
    parser.add_argument('-o', choices=['json'], default='json')
    args = parser.parse_args()
    settings = {**SETTINGS, 'INFERENCE_NUM_THREADS': str(args.t)}
    pipe = openvino_genai.LLMPipeline(args.model, 'CPU', **settings)
    rng = random.Random(1)
    generate(pipe, rng, 32, 2)
    speeds = []
    for _ in range(args.r):
        if args.p:
            seconds, _ = generate(pipe, rng, args.p, 1)
            speeds.append(args.p / seconds)
        else:
            _, step = generate(pipe, rng, max(args.d, 1), args.n + 1)
            speeds.append(1e3 / step)
    print(json.dumps([{'n_prompt': args.p, 'n_gen': args.n, 'n_depth': args.d, 'n_threads': args.t,
                       'samples_ts': speeds}]))


if __name__ == '__main__':
    main()
