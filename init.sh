#!/bin/sh
# Makes Ranvier's Python environment in .venv and hands over to `ranvier`. Needs git's clone, Python 3.11 and no root.
#
#   ./init.sh                          then the wizard asks the few questions that matter
#   ./init.sh --answers FILE           then the wizard takes the answers from a file
#   ./init.sh --demo [--once]          then a phantom study goes through the whole appliance
#   ./init.sh --environment-only [--dev]   only the environment; with --dev also what the tests need
#   ./init.sh --extra cluster          with the extra for a Dask cluster; kept from then on
#
# Every package comes from the site's own package index (pip's or uv's configuration) and must have the hash that uv.lock
# names. Run again at any time: what is there is kept, what a broken run left is finished. Exit 78: something must be
# installed first; the line that does it is printed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$here/.venv
stamp=$venv/.ranvier-environment
# Apart from the packages that it installs, so that it never removes itself.
installer=$venv/installer
uv=$installer/bin/uv

say() { printf '%s\n' "$*"; }
needs() {
    printf 'init.sh: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 78
}

# --- which Python ---------------------------------------------------------------------------------------------------

recent_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${RANVIER_PYTHON:+"$RANVIER_PYTHON"} python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && recent_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    needs 'Ranvier needs Python 3.11 or later.' 'sudo apt-get install python3 python3-venv'
}

can_make_environments() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

require_venv() {
    if can_make_environments "$1"; then return; fi
    package=python3-venv
    if [ "$("$1" -c 'import sys; print(sys.executable)')" != "$(command -v /usr/bin/python3 || true)" ]; then
        package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    fi
    command -v apt-get >/dev/null || needs "this Python cannot make environments: its module 'venv' is missing."
    as_root=''
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || needs "the package $package is missing; install it, then run this again:" \
            "sudo apt-get install $package"
        as_root='sudo -n'
    fi
    say "Installing $package ..."
    # shellcheck disable=SC2086  # as_root is empty or two words
    { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null; } ||
        needs "$package could not be installed; try it yourself:" "sudo apt-get install $package"
    can_make_environments "$1" || needs "$1 still cannot make environments." "sudo apt-get install $package"
}

# --- the site's package index: uv does not read pip's configuration -----------------------------------------------------

pip_says() {
    # The environment goes before the file, `install` before `global`, as in pip itself.
    for place in ':env:' 'install' 'global'; do
        found=$(printf '%s\n' "$pip_configuration" | sed -n "s/^$place\\.$1='\\(.*\\)'\$/\\1/p" | sed 's/\\n/ /g' | head -n 1)
        if [ -n "$found" ]; then
            # shellcheck disable=SC2086  # the words of a list, one space between them
            (set -f && set -- $found && printf '%s' "$*")
            return
        fi
    done
}

hand_on() { # hand_on UV_VARIABLE pip-key [separator]: sets the variable unless the user did
    eval "given=\${$1-}"
    if [ -n "$given" ]; then return; fi
    value=$(pip_says "$2")
    if [ -z "$value" ]; then return; fi
    if [ "${3-}" = ',' ]; then value=$(printf '%s' "$value" | tr ' ' ','); fi
    export "$1=$value"
}

use_pip_configuration() {
    pip_configuration=$("$venv/bin/python" -m pip config list 2>/dev/null || true)
    hand_on UV_DEFAULT_INDEX index-url
    hand_on UV_INDEX extra-index-url
    hand_on UV_FIND_LINKS find-links ,
    hand_on UV_INSECURE_HOST trusted-host
    hand_on UV_HTTP_TIMEOUT default-timeout
    hand_on SSL_CERT_FILE cert
    hand_on ALL_PROXY proxy
    if [ -n "$(pip_says no-index)" ]; then export UV_NO_INDEX=1; fi
    # Safe because every file must have the hash of the lock, whichever index gives it.
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
    export UV_PYTHON_DOWNLOADS=never
}

# --- the environment ------------------------------------------------------------------------------------------------

fingerprint() {
    {
        cat "$here/uv.lock" "$here/pyproject.toml" "$here/init.sh"
        "$1" -c 'import sys; print(sys.version, sys.base_prefix)'
        printf '%s\n' "$here"
    } | sha256sum | cut -d ' ' -f 1
}

includes() { # includes "names that are there" "names that are wanted"
    for name in $2; do
        case " $1 " in *" $name "*) ;; *) return 1 ;; esac
    done
}

usable() { recent_enough "$venv/bin/python"; }
has_pip() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

make_environment() { # make_environment PYTHON "--dev or nothing" "names of extras"
    wanted=$(fingerprint "$1")
    if [ -f "$stamp" ] && usable; then
        read -r made kind extras <"$stamp" || true
        if [ "${made-}" = "$wanted" ] && { [ -z "$2" ] || [ "${kind-}" = dev ]; } && includes "${extras-}" "$3"; then return; fi
        if [ "${kind-}" = dev ]; then set -- "$1" --dev "$3"; fi
        # What is there stays: a cluster's site runs this again without the word.
        # shellcheck disable=SC2086  # lists of names
        set -- "$1" "$2" "$(printf '%s\n' $3 ${extras-} | sort -u | tr '\n' ' ')"
    fi
    rm -f "$stamp"
    require_venv "$1"
    say "[1/4] Python environment in .venv ($("$1" -V))"
    # An environment that another tool made may lack only pip.
    if usable && ! has_pip; then "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || true; fi
    if ! usable || ! has_pip; then
        rm -rf "$venv"
        "$1" -m venv "$venv"
    fi
    say '[2/4] Package installer (uv)'
    if ! "$uv" --version >/dev/null 2>&1; then
        rm -rf "$installer"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --target "$installer" 'uv>=0.13,<1'
    fi
    use_pip_configuration
    say '[3/4] Packages of uv.lock, each checked by its hash'
    groups='--no-dev --group build'
    if [ -n "$2" ]; then groups='--group dev --group build'; fi
    for name in $3; do groups="$groups --extra $name"; done
    # shellcheck disable=SC2086  # a list of options
    "$uv" export --quiet --frozen --no-emit-project $groups --project "$here" --output-file "$venv/requirements.txt" >/dev/null
    in_venv pip sync --require-hashes --compile-bytecode "$venv/requirements.txt"
    say '[4/4] Ranvier itself'
    in_venv pip install --quiet --no-deps --no-build-isolation --editable "$here"
    if [ -n "$2" ]; then kind=dev; else kind=plain; fi
    printf '%s %s %s\n' "$wanted" "$kind" "$3" >"$stamp"
    say 'The environment is ready.'
}

settings_need() { # the extras without which an appliance that is set up already would stand still
    for name in $("$venv/bin/ranvier" extras 2>/dev/null || true); do
        case $name in cluster) printf '%s ' "$name" ;; esac
    done
}

in_venv() {
    # The process's own folder must not matter: a pyproject.toml there would be read as uv's configuration.
    (cd "$here" && VIRTUAL_ENV="$venv" exec "$uv" "$@")
}

# --- words of the command line -----------------------------------------------------------------------------------------

demo='' environment_only='' dev='' extras_asked=''
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case $word in
        --demo) demo=1 ;;
        --environment-only) environment_only=1 ;;
        --dev) dev=--dev ;;
        --extra)
            case ${1-} in cluster) ;; *) needs 'the only extra is: cluster' './init.sh --extra cluster' ;; esac
            extras_asked="$extras_asked $1"
            shift
            count=$((count - 1))
            ;;
        -h | --help) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        *) set -- "$@" "$word" ;;
    esac
done

python=$(find_python)
# One at a time in one clone; the lock ends with this process, also when it is killed.
if command -v flock >/dev/null; then
    exec 9<"$here/uv.lock"
    flock -n 9 || { say 'Another init.sh is at work in this folder; waiting for it ...'; flock 9; }
fi
make_environment "$python" "$dev" "$extras_asked"
make_environment "$python" "$dev" "$(settings_need)"
exec 9<&-

if [ -n "$environment_only" ]; then exit 0; fi
if [ -n "$demo" ]; then exec "$venv/bin/ranvier" demo "$@"; fi
exec "$venv/bin/ranvier" init "$@"
