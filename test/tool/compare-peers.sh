#!/bin/sh
# Measures sprat beside other engines on the same file, interleaved, and prints ratios: see --help.
exec python3 "$(dirname -- "$0")/compare_peers.py" "$@"
