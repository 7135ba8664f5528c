#!/bin/bash
# Measures taskprof beside the programs it is compared with, and prints a table.
#
#     bench/run.sh                   every row, at full size: half an hour
#     bench/run.sh --quick           the same rows, small: a few minutes
#     bench/run.sh --rows first,next
#
#   --runs N      runs a row takes its medians of; 5 unless told, 3 with --quick
#   --rows LIST   these rows alone: park, preload, handoff, first, next, stall, dump, threads,
#                 channels, memory, symbols, encode, servers
#   --quick       smaller sizes; the numbers to reach are those of the full ones
#   --growth      instead of the rows, what a snapshot costs by number of tasks, of different
#                 stacks, and of tasks that changed
#   --json        JSON instead of the table
#   --help
#
# Both sides of a row run in turns. A row whose two sides did not do the same work gets no ratio,
# and says why. docs/performance.md tells what each row measures. Exits with 0 when all that was
# asked for was measured, with 1 when some of it could not be. Installs what it needs.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/bench
bin=$build/bench
all_rows="park preload handoff first next stall dump threads channels memory symbols encode servers"
rows=$all_rows
runs=
quick=false
growth=false
json=false
work=

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

refuse() {
    echo "bench: $1" >&2
    echo "bench: bench/run.sh --help lists the options" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=true ;;
    --growth) growth=true ;;
    --json) json=true ;;
    --runs | --rows)
        [ $# -gt 1 ] || refuse "$1 needs a value"
        if [ "$1" = --runs ]; then
            [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || refuse "--runs $2: must be a number from 1 to 9999"
            runs=$2
        else
            rows=${2//,/ }
        fi
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) refuse "'$1' is not an option" ;;
    esac
    shift
done
for row in $rows; do
    [[ " $all_rows " == *" $row "* ]] || refuse "there is no row '$row'; there are: $all_rows"
done
[ -n "${rows// /}" ] || refuse "--rows names none; there are: $all_rows"

if $quick; then
    runs=${runs:-3}
    crowds="10000"
    dump_tasks=10000
    thread_counts="100"
    messages=400000
    requests=5000
    addresses=1000
    groups=1000
    growth_tasks="1000 10000"
else
    runs=${runs:-5}
    crowds="100000 1000000"
    dump_tasks=1000000
    thread_counts="1000 10000"
    messages=4000000
    requests=50000
    addresses=10000
    groups=10000
    growth_tasks="1000 10000 100000 1000000"
fi

children=()
clean_up() {
    local pid
    for pid in "${children[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# In memory where that is possible, so that no disk is measured.
if [ -w /dev/shm ]; then
    work=$(mktemp -d /dev/shm/taskprof-bench.XXXXXX)
else
    work=$(mktemp -d "${TMPDIR:-/tmp}/taskprof-bench.XXXXXX")
fi

progress() {
    echo "bench: $*" >&2
}

quietly() {
    "$@" >"$work/build.log" 2>&1 || {
        tail -n 40 "$work/build.log" >&2
        echo "bench: '$*' failed" >&2
        exit 1
    }
}

"$root/scripts/deps.sh" build bench
progress "building build/bench"
cd "$root"
quietly cmake --preset bench -DTASKPROF_BUILD_SAMPLES=OFF -DTASKPROF_BUILD_TESTS=OFF
quietly cmake --build "$build"
# Go's own pprof packages from Debian, and nothing from the network or the user's settings.
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' GOTOOLCHAIN=local GOCACHE=$build/go
for program in goroutines checkprofile; do
    quietly go build -o "$bin/$program" "$root/bench/$program/main.go"
done
# Debuggers must not ask the network for debug information.
export DEBUGINFOD_URLS=

# shellcheck source=bench/report.sh
source "$root/bench/report.sh"
# shellcheck source=bench/rows.sh
source "$root/bench/rows.sh"
# shellcheck source=bench/servers.sh
source "$root/bench/servers.sh"

if $growth; then
    measure_growth
    exit 0
fi
# In the order of the table, whatever order they were asked for in.
for row in $all_rows; do
    if [[ " $rows " == *" $row "* ]]; then
        "row_$row"
    fi
done
if $json; then
    report_json
else
    report_table
fi
report_complete
