#!/bin/sh
# Builds sprat in every way it is tested and runs all tests: see --help and doc/testing.md.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
. examples/need.sh

usage() {
    cat <<'END'
usage: ./test/run.sh [--quick]

Installs what the tests need (apt-get, where it is to be had), builds and runs:
  gcc      all tests, -Werror
  clang    all tests but those of packages, of the real model and the long runs, -Werror
  asan     clang, AddressSanitizer and UndefinedBehaviorSanitizer, all but packages, the real
           model and the long runs
  tsan     clang, ThreadSanitizer, the tests of threads
  arm64    cross-compiled by gcc, on qemu's newest processor: unit, kernels, stored hashes
  arm64v8  the same by clang, on ARMv8.0
  example  examples/quickstart.sh from nothing to an answer
and ends with one line: N passed, N failed. Builds are kept in build/.

  --quick  gcc only

SPRAT_TEST_DATA   a folder with more cases; all of them are run too
SPRAT_TEST_MODEL  SmolLM2-135M-Instruct as GGUF; fetched and cached if not set
END
}

quick=no
case ${1-} in
'') ;;
--quick) quick=yes ;;
--help | -h)
    usage
    exit 0
    ;;
*)
    echo "run.sh: there is no option $1; --help lists them" >&2
    exit 1
    ;;
esac

need gcc gcc libc6-dev
need g++ g++
need clang clang
need python3 python3
need meson meson
need ninja ninja-build
need pkg-config pkg-config
need cmake cmake
need nm binutils
if [ "$(uname -m)" = x86_64 ]; then
    need qemu-x86_64 qemu-user
fi
need make make
if [ "$(uname -m)" = x86_64 ]; then
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    need qemu-aarch64 qemu-user
fi
need node nodejs
if ! pkg-config --exists check 2>/dev/null; then
    missing="$missing check"
fi
if ! python3 -c 'import pip' >/dev/null 2>&1; then
    missing="$missing python3-pip"
fi
# The sanitizers' run-time libraries are packages of their own.
if ! probe=$(mktemp -d); then exit 1; fi
trap 'rm -rf "$probe"' EXIT
echo 'int main(void) { return 0; }' >"$probe/probe.c"
if command -v clang >/dev/null 2>&1 &&
    ! clang -fsanitize=address,undefined -o "$probe/probe" "$probe/probe.c" 2>/dev/null; then
    version=$(clang -dumpversion | cut -d. -f1)
    missing="$missing libclang-rt-$version-dev"
fi
install_missing
if ! clang -fsanitize=thread -o "$probe/probe" "$probe/probe.c" 2>/dev/null; then
    missing="libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
    install_missing
fi

if [ -n "${SPRAT_TEST_DATA-}" ]; then
    [ -d "$SPRAT_TEST_DATA" ] || { echo "run.sh: SPRAT_TEST_DATA is no folder: $SPRAT_TEST_DATA" >&2; exit 1; }
    SPRAT_TEST_DATA=$(CDPATH= cd -- "$SPRAT_TEST_DATA" && pwd)
    export SPRAT_TEST_DATA
fi
if [ -z "${SPRAT_TEST_MODEL-}" ]; then
    SPRAT_TEST_MODEL=$(python3 examples/fetch_smollm2.py </dev/null)
fi
export SPRAT_TEST_MODEL

# zig, which compiles for WebAssembly, is a Python package: kept beside the test's model.
zig_version=0.17.1
zig_folder=${XDG_CACHE_HOME:-$HOME/.cache}/sprat/ziglang-$zig_version
if [ ! -x "$zig_folder/ziglang/zig" ]; then
    rm -rf "$zig_folder"
    python3 -m pip install -q --disable-pip-version-check --no-deps --target "$zig_folder" "ziglang==$zig_version" >&2
fi
PATH=$PATH:$zig_folder/ziglang
export PATH

passed=0
failed=0
skipped=0
report=

# add NAME PASSED FAILED SKIPPED: one line of the report.
add() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + $4))
    report="$report$(printf '%-8s %5d passed, %d failed, %d skipped' "$1" "$2" "$3" "$4")
"
}

# configure NAME COMPILER OPTION...: sets build/NAME up, anew if its options have changed.
configure() {
    name=$1
    compiler=$2
    shift 2
    if [ "$(cat "build/$name/sprat-options" 2>/dev/null)" != "$compiler $*" ]; then
        rm -rf "build/$name"
        CC=$compiler meson setup "build/$name" -Dtests=enabled -Dwerror=true "$@"
        echo "$compiler $*" >"build/$name/sprat-options"
    fi
}

# run NAME COMPILER TESTS OPTION...: builds and tests in build/NAME. TESTS: arguments of meson test.
run() {
    name=$1
    compiler=$2
    tests=$3
    shift 3
    echo "==== $name"
    if ! configure "$name" "$compiler" "$@" >"$probe/log" 2>&1 </dev/null ||
        ! ninja -C "build/$name" >"$probe/log" 2>&1 </dev/null; then
        tail -n 60 "$probe/log"
        add "$name" 0 1 0
        return
    fi
    rm -f "build/$name/meson-logs/testlog.json"
    status=0
    # shellcheck disable=SC2086 # $tests is a list of words
    meson test -C "build/$name" --no-rebuild --print-errorlogs $tests </dev/null || status=$?
    if counts=$(python3 test/count.py "build/$name"); then
        # shellcheck disable=SC2086 # three numbers
        set -- $counts
        # Meson sees failures that no line tells; none may get lost.
        if [ $status -ne 0 ] && [ "$2" -eq 0 ]; then
            set -- "$1" 1 "$3"
        fi
        add "$name" "$@"
    else
        add "$name" 0 1 0
    fi
}

run gcc gcc ''
if [ $quick = no ]; then
    run clang clang '--no-suite package --no-suite real --no-suite long'
    export CK_FORK=no
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
    export UBSAN_OPTIONS=print_stacktrace=1
    run asan clang '--no-suite package --no-suite real --no-suite long --timeout-multiplier 4' \
        -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fno-sanitize-recover=all
    run tsan clang '--suite threads --timeout-multiplier 4' -Db_sanitize=thread -Db_lundef=false
    unset CK_FORK
    if [ "$(uname -m)" = x86_64 ]; then
        run arm64 gcc '--no-suite real --no-suite long' -Dexamples=false --cross-file test/cross/arm64-gcc.ini
        run arm64v8 clang '--no-suite real --no-suite long' -Dexamples=false --cross-file test/cross/arm64-clang.ini
    fi

    echo "==== example"
    if answer=$(./examples/quickstart.sh --model "$SPRAT_TEST_MODEL" 'What is the capital of Germany?' </dev/null) &&
        case $answer in *Berlin*) ;; *) false ;; esac &&
        ! grep 'warning:' build/quickstart/quickstart.log; then
        add example 1 0 0
    else
        echo "quickstart.sh answered: ${answer-}"
        add example 0 1 0
    fi
fi

echo
printf '%s' "$report"
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ] && [ $passed -gt 0 ]
