#!/bin/sh
# Installs the Debian packages that a purpose needs; asks nothing, and is silent when all are there.
#
#     scripts/deps.sh build tests
#
# The lists of packages are here and nowhere else.

set -eu

packages_of() {
    case $1 in
    build) # the library and the command
        echo build-essential cmake ninja-build pkg-config libmicrohttpd-dev libprotobuf-c-dev \
            protobuf-c-compiler protobuf-compiler zlib1g-dev libdw-dev libelf-dev
        ;;
    samples) # what samples/ needs besides
        echo libst-dev
        ;;
    demo) # samples/demo.sh
        echo curl golang-go
        ;;
    tests) # unit and end-to-end tests, with the programs that check the library's output
        echo bats libcmocka-dev elfutils binutils gdb g++ jq curl golang-go file \
            golang-github-google-pprof-dev protobuf-compiler libst-dev panicparse libglib2.0-dev \
            strace iproute2 procps memcached libmemcached-tools redis-server redis-tools varnish \
            mosquitto mosquitto-clients unbound ldnsutils libjemalloc2 libtcmalloc-minimal4 python3
        ;;
    bench) # bench/run.sh: what taskprof is compared with, and what reads its output
        echo golang-go golang-github-google-pprof-dev elfutils binutils gdb libglib2.0-dev curl \
            jq memcached libmemcached-tools redis-server redis-tools
        ;;
    ci) # checks of the source, sanitizers, the other architecture
        echo clang libclang-rt-14-dev clang-format clang-tidy shellcheck git gcc-aarch64-linux-gnu \
            libc6-dev-arm64-cross python3
        ;;
    *)
        return 1
        ;;
    esac
}

say() {
    echo "deps: $*" >&2
}

usage() {
    say "$1"
    say "usage: scripts/deps.sh LIST…, lists: build samples demo tests bench ci"
    exit 2
}

is_installed() {
    # A virtual or renamed package counts under the name that is asked for.
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ $# -gt 0 ] || usage "no list given"
wanted=
for list in "$@"; do
    packages=$(packages_of "$list") || usage "there is no list '$list'"
    wanted="$wanted $packages"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is no Debian: apt-get and dpkg-query are missing."
    say "Install what stands for these packages by other means:$wanted"
    exit 1
fi

missing=
for package in $wanted; do
    case " $missing " in *" $package "*) continue ;; esac
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "these packages are missing, and without sudo only root can install them:$missing"
        say "As root: apt-get install$missing"
        exit 1
    fi
    as_root=sudo
    sudo -n true 2>/dev/null || say "sudo may ask for your password"
fi

log=$(mktemp)
policy=
clean_up() {
    rm -f "$log"
    # shellcheck disable=SC2086 # empty for root
    [ -z "$policy" ] || $as_root rm -f "$policy"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Servers are for the tests to start, on ports of their own: installing them starts none. That is
# asked of this file, where there is none yet (see invoke-rc.d(8)).
start_no_service() {
    [ -e /usr/sbin/policy-rc.d ] && return
    policy=/usr/sbin/policy-rc.d
    # shellcheck disable=SC2086 # empty for root
    printf '#!/bin/sh\nexit 101\n' | $as_root install -m 755 /dev/stdin "$policy"
}
# Nor when the machine starts again; a server that was there before is left as it was.
enable_no_service() {
    command -v systemctl >/dev/null || return 0
    for package in $missing; do
        case $package in
        memcached | redis-server | mosquitto | unbound) services=$package ;;
        varnish) services="varnish varnishncsa" ;;
        *) continue ;;
        esac
        # shellcheck disable=SC2086 # words
        $as_root systemctl disable $services >"$log" 2>&1 || true
    done
}
run() {
    # No question from debconf or from a changed configuration file; waits for another apt to end.
    # shellcheck disable=SC2086 # empty for root
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold -q -y "$@" \
        >"$log" 2>&1 </dev/null
}
fail() {
    say "$1; apt-get said:"
    tail -n 20 "$log" >&2
    exit 1
}

say "installing$missing"
# Lists that are there may still do when there is no network.
update_failed=
run update || update_failed=" (and apt-get update had failed: is there a network?)"
start_no_service
# shellcheck disable=SC2086 # a list of words
run install --no-install-recommends $missing || fail "could not install$missing$update_failed"
enable_no_service
