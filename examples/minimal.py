#!/usr/bin/env python3
"""The smallest Python program that asks a model a question: minimal.py MODEL.gguf QUESTION

Needs the module of bindings/python on the path, and libsprat installed or named in SPRAT_LIBRARY.
"""
import sys

import sprat

if len(sys.argv) != 3:
    sys.exit('usage: minimal.py MODEL QUESTION')
try:
    with sprat.Session(sprat.Model(sys.argv[1])) as session:
        for event in session.chat([('user', sys.argv[2])], max_tokens=200):
            print(event, end='', flush=True)
    print()
except sprat.SpratError as error:
    sys.exit(f'minimal.py: {error}')
