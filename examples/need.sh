# Sourced by quickstart.sh and test/run.sh: collects what is missing, installs it where apt-get is to
# be had, and otherwise says what to install. Debian's package names.

missing=

# need COMMAND PACKAGE...: these packages are needed if there is no such command.
need() {
    need_command=$1
    shift
    command -v "$need_command" >/dev/null 2>&1 || missing="$missing $*"
}

# Installs what need has collected; ends the script if that cannot be done.
install_missing() {
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "These are missing (Debian's names):$missing" >&2
        echo "Install them with this system's package manager and start again." >&2
        exit 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        echo "These are missing:$missing" >&2
        echo "Install them as root: apt-get install$missing" >&2
        exit 1
    fi
    echo "Installing:$missing" >&2
    # shellcheck disable=SC2086 # $missing is a list of words
    if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing; } >&2; then
        echo "apt-get could not install:$missing" >&2
        exit 1
    fi
    missing=
}
