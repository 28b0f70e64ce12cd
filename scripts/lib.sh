# shellcheck shell=sh
# What the doors in scripts/ share. Sourced, never run: the caller has `set -eu` and stands in the project's root.
# It reaches the network through apt-get and pip only, both with this machine's own settings.

VENV=.venv
PYTHONS=${PYTHON:-python3 python3.13 python3.12 python3.11}
trap 'exit 130' INT TERM # so that EXIT traps run

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 69 # EX_UNAVAILABLE, sysexits.h
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# --- Debian packages ---------------------------------------------------------------------------------------------

packages_to_run() { need_packages nftables iproute2; }

packages_to_test() {
    need_packages nftables iproute2 kamailio sip-tester sipsak tcpdump tshark iptables ipset conntrack procps \
        util-linux systemd systemd-container debootstrap shellcheck gcc libc6-dev
}

# Installs what is missing of the named packages; no service that comes with one is started or enabled. Where it cannot,
# it says what is missing and goes on: the caller fails or skips in its own words.
need_packages() {
    if ! command -v apt-get >/dev/null; then
        say "There is no apt-get here; these must come from elsewhere: $*"
        return 0
    fi
    wanted=$(missing_packages "$@")
    if [ -z "$wanted" ]; then return 0; fi
    if ! is_root; then
        say "Not installed (only root can): $wanted"
        return 0
    fi
    say "Installing $wanted"
    hold_services
    apt_get update || say "apt-get update complained; going on with what it has."
    # shellcheck disable=SC2086 # a list of words
    apt_get install --yes --no-install-recommends $wanted || install_singly $wanted
    release_services
    for package in $wanted; do
        if [ "$package" = kamailio ]; then disable_service kamailio; fi
    done
}

missing_packages() {
    for package; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            printf '%s ' "$package"
        fi
    done
}

# One package that this release does not have shall not cost the others.
install_singly() {
    for package; do
        apt_get install --yes --no-install-recommends "$package" || say "Could not install $package."
    done
}

apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" >/dev/null; }

# While packages are installed nothing of theirs may start: policy-rc.d says no. One that is there already is left alone.
hold_services() {
    if [ -e /usr/sbin/policy-rc.d ]; then return 0; fi
    trap release_services EXIT
    printf '#!/bin/sh\n# from sipguard scripts/lib.sh, while packages are installed\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

release_services() {
    if grep -qs 'from sipguard scripts/lib.sh' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

# The next boot must not start it either; each of these does it on some kind of system and is idle on the others.
disable_service() {
    deb-systemd-helper disable "$1.service" >/dev/null 2>&1 || true
    update-rc.d "$1" disable >/dev/null 2>&1 || true
}

# --- Python ------------------------------------------------------------------------------------------------------

# Prints the interpreter to use: $PYTHON if it is set, else the first that is new enough.
find_python() {
    for candidate in $PYTHONS; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    die "No Python 3.11 or newer among: $PYTHONS. Name one: PYTHON=/path/to/python3 $0"
}

# Makes .venv with the project in it, for `run` or (with the tools of the tests) for `dev`; does nothing if it is there
# already, made from the present pyproject.toml, in this place and, where $PYTHON is set, by the same Python.
need_environment() {
    exec 9<pyproject.toml
    flock 9
    if ! fresh_environment "$1"; then
        python=$(find_python)
        need_venv "$python"
        say "Creating $VENV with $("$python" -V)"
        case $1 in dev) project='.[dev]' ;; *) project=. ;; esac
        "$python" -m venv --clear "$VENV"
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$project"
        fingerprint | tee "$VENV/run.stamp" >"$VENV/$1.stamp"
    fi
    exec 9<&-
}

fresh_environment() {
    if [ -n "${PYTHON:-}" ] && [ "$("$VENV/bin/python" -V 2>&1)" != "$("$PYTHON" -V)" ]; then return 1; fi
    [ "$(cat "$VENV/$1.stamp" 2>/dev/null)" = "$(fingerprint)" ]
}

fingerprint() { printf '%s %s %s\n' "$("$VENV/bin/python" -V 2>&1)" "$(cksum <pyproject.toml)" "$PWD"; }

# Debian keeps venv in a package of its own.
need_venv() {
    if "$1" -c 'import venv, ensurepip' 2>/dev/null; then return 0; fi
    need_packages "$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    "$1" -c 'import venv, ensurepip' || die "$1 cannot make virtual environments; on Debian: apt install python3-venv"
}

# After work under sudo, what was made in the checkout belongs to whoever called sudo.
give_back() {
    if ! is_root || [ "${SUDO_UID:-0}" = 0 ]; then return 0; fi
    find . -path ./.git -prune -o -user root -exec chown -h "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" {} +
}

# --- The compiled packet path ------------------------------------------------------------------------------------

need_compiler() {
    need_packages gcc libc6-dev
    headers='import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
    "$1" -c "$headers" || need_packages "$("$1" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
    if ! command -v "${CC:-gcc}" >/dev/null || ! "$1" -c "$headers"; then
        die "A C compiler or Python's headers are missing; on Debian: apt install gcc libc6-dev python3-dev"
    fi
}

# Makes a copy of the project in $2 and compiles it there for the Python $1; what was compiled from the same sources stays.
# With `trained` as $3 gcc compiles it twice, the second time by what the recordings went through; other compilers know other options.
compile_into() {
    mkdir -p "$2"
    stamp=$(
        "$1" -VV
        echo "${3:-}"
        cat pyproject.toml scripts/mypyc_setup.py scripts/mypyc_training.py
        find sipguard -name '*.py' -exec cksum {} + | sort
    )
    if [ "$(cat "$2/compiled.stamp" 2>/dev/null)" != "$stamp" ]; then
        find "$2" -mindepth 1 -delete
        copy_into "$2"
        : >"$2.log"
        (cd "$2" && if [ "${3:-}" = trained ] && is_gcc; then build_trained "$1"; else build_compiled "$1"; fi) || {
            tail -n 20 "$2.log" >&2
            die "It could not be compiled; all that was said is in $2.log"
        }
        printf '%s\n' "$stamp" >"$2/compiled.stamp"
    else
        copy_into "$2" --exclude=sipguard
    fi
}

# Builds in the copy that is the working directory, and puts what was made beside its sources. `set -e` does not reach here.
build_compiled() {
    say "Compiling (some three minutes on two processors)"
    "$1" scripts/mypyc_setup.py --quiet build_ext --force --parallel "$(nproc)" bdist_wheel >>"$PWD.log" 2>&1 &&
        cp -a build/lib.*/. .
}

is_gcc() { "${CC:-gcc}" -v 2>&1 | grep -q '^gcc version'; }

build_trained() {
    export CFLAGS="-fvisibility=hidden -fprofile-generate" LDFLAGS=-fprofile-generate
    build_compiled "$1" && PYTHONPATH="$PWD" "$1" scripts/mypyc_training.py >>"$PWD.log" 2>&1 || return 1
    rm -rf dist
    export CFLAGS="-w -fvisibility=hidden -flto=auto -fprofile-use -fprofile-partial-training" LDFLAGS=-flto=auto
    build_compiled "$1"
}

copy_into() {
    tar -cf - --exclude=__pycache__ ${2:+"$2"} pyproject.toml README.md CHANGELOG.md LICENSE sipguard conf geoip pcaps systemd \
        tests scripts docs | tar -xf - -C "$1"
}
