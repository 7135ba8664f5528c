#!/bin/bash
# What taskprof is for, in one minute: builds it, starts a service that leaks, and finds the leaks
# with curl and `go tool pprof`.
#
#     samples/demo.sh          shows everything and stops the service
#     samples/demo.sh --keep   leaves it running for you to look around

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${TASKPROF_BUILD_DIR:-$root/build/demo}
leaks=early-return,timeout-abandons-sender,consumer-pool,stream-not-half-closed,close-twice
keep=false
service=
work=

usage() {
    echo "Usage: samples/demo.sh [--keep]"
    echo "  --keep   leave the service running at the end, and say how to stop it"
    echo "Environment: TASKPROF_BUILD_DIR, a directory in which it is built already, used as it is."
}

for argument in "$@"; do
    case $argument in
    --keep) keep=true ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        echo "demo: '$argument' is not an option" >&2
        usage >&2
        exit 2
        ;;
    esac
done

stop_service() {
    [ -n "$service" ] || return 0
    kill -TERM "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
    service=
}

clean_up() {
    stop_service
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'echo; echo "demo: stopped"; exit 130' INT
trap 'exit 143' TERM

work=$(mktemp -d "${TMPDIR:-/tmp}/taskprof-demo.XXXXXX")

die() {
    echo "demo: $1" >&2
    exit 1
}

# A step that takes a while: its name, then silence unless it fails.
step() {
    local name=$1
    shift
    printf '%s … ' "$name"
    if ! "$@" >"$work/step.log" 2>&1; then
        echo "failed:"
        tail -n 25 "$work/step.log" >&2
        die "$name failed; the lines above are the end of what '$1' said"
    fi
    echo "done"
}

heading() {
    printf '\n\033[1m== %s ==\033[0m\n' "$1"
}
[ -t 1 ] || heading() {
    printf '\n== %s ==\n' "$1"
}

# What is shown and what to see in it; then what a Go user would type.
explain() {
    fold -s -w 96 <<<"$1" | sed 's/ *$//'
    [ -z "${2-}" ] || printf 'With Go: %s\n' "$2"
}

# Shows a command as one would type it, then the first $1 lines of what it says; "all" for all.
show() {
    local lines=$1 typed all word
    shift
    case $1 in
    fetch) typed=curl ;;
    pprof) typed="go tool pprof" ;;
    esac
    for word in "${@:2}"; do
        word=${word//"$work/"/}
        [[ $word != *[^a-zA-Z0-9_./:=,-]* ]] || word="'$word'"
        typed="$typed $word"
    done
    printf '\n$ %s\n' "$typed"
    "$@" >"$work/shown" 2>"$work/step.log" || {
        tail -n 25 "$work/step.log" >&2
        die "'$typed' failed"
    }
    all=$(wc -l <"$work/shown")
    [ "$lines" != all ] || lines=$all
    head -n "$lines" "$work/shown"
    [ "$all" -le "$lines" ] || echo "… ($((all - lines)) more lines)"
}

# A proxy has no business between this machine and itself.
fetch() {
    curl -sS --fail-with-body --noproxy '*' --max-time 60 "$@"
}

# As the owner would run it, but nothing of it lands in the home directory.
pprof() {
    HOME=$work PPROF_TMPDIR=$work/pprof go tool pprof "$@"
}

build_service() {
    if [ ! -f "$build/CMakeCache.txt" ]; then
        cmake -S "$root" --preset release -B "$build" -DTASKPROF_BUILD_TESTS=OFF || return
    fi
    cmake --build "$build" --target orders
}

# Starts the service on the address given and waits until it serves. Fails if it ends instead.
start_service() {
    # In a session of its own, so that Ctrl-C reaches this script first, and --keep outlives it.
    setsid "$build/samples/orders" --leak "$leaks" --rate 5 --http "$1" \
        >"$work/orders.log" 2>&1 </dev/null 3>&- &
    service=$!
    for _ in {1..600}; do
        url=$(sed -n 's/^ready \(http.*\)$/\1/p' "$work/orders.log")
        [ -z "$url" ] || return 0
        kill -0 "$service" 2>/dev/null || break
        sleep 0.1
    done
    stop_service
    return 1
}

# How many tasks wait in a function now.
waiting_in() {
    fetch "${url}goroutine?debug=1" | awk -v name="$1" '
        / @ / { count = $1 }
        /^# created by/ { count = 0 }
        $1 == "#" && $3 ~ "^" name "\\+" && count { sum += count; count = 0 }
        END { print sum + 0 }'
}

wait_for_leaked() {
    local wanted=$1 have
    for _ in {1..600}; do
        have=$(waiting_in wait_for_answer)
        [ "$have" -lt "$wanted" ] || return 0
        kill -0 "$service" 2>/dev/null || die "the service has ended: $(tail -n 3 "$work/orders.log")"
        sleep 0.1
    done
    die "after a minute only $have of $wanted leaked tasks are in the profile"
}

snapshot() {
    pprof -proto -output="$work/$1" "${url}goroutine"
}

echo "taskprof demo: a C service that leaks threads, and how its leaks are found."
mkdir -p "$work/pprof"
if [ -n "${TASKPROF_BUILD_DIR-}" ]; then
    "$root/scripts/deps.sh" demo || die "packages are missing (see above)"
    [ -x "$build/samples/orders" ] || die "TASKPROF_BUILD_DIR: there is no $build/samples/orders"
else
    "$root/scripts/deps.sh" build demo || die "packages are missing (see above)"
    step "building taskprof and the sample service (the first time takes a minute)" build_service
fi

url=
if ! start_service 127.0.0.1:6060; then
    start_service 127.0.0.1:0 || die "the service did not start: $(tail -n 3 "$work/orders.log")"
    echo "(port 6060 is taken, so this run uses another one)"
fi

heading "A service under load, and leaking"
explain "orders is a small pipeline of threads. It was told to leak in five ways, 5 times a second \
each: ${leaks//,/, }. It serves profiles at the address that Go services use."
printf '\n  endpoint: %s\n\n' "$url"

wait_for_leaked 10
step "first snapshot" snapshot before.pb.gz

heading "1. How many tasks, blocked where?"
explain "Tasks with the same stack are one group, largest first. A healthy service has small groups; \
a leak is one that is large, and waits on a channel that nobody serves. Below each group: how long \
it has waited, how many of it were here at the last snapshot, and who created it." \
    "curl …/debug/pprof/goroutine?debug=1"
show 34 fetch "${url}goroutine?debug=1"

heading "2. One task at a time"
explain "Every task: why it waits, on which channel and for how long, where it stands, who created \
it." "curl …/debug/pprof/goroutine?debug=2"
show 26 fetch "${url}goroutine?debug=2"

# Hides the frames that all tasks have in common, so that a wait counts for the function that waits.
hide='-hide=^(taskprof_|start_thread$|__clone)'

heading "3. The top of the leak"
explain "A snapshot in Go's own tool. The functions in which most tasks wait come first: pack_items, \
wait_for_answer, send_price, read_replies are the leaks. (-hide leaves out the frames that all tasks \
have in common.)" "go tool pprof -top …/debug/pprof/goroutine"
show 20 pprof -top "$hide" "$work/before.pb.gz"

wait_for_leaked $(($(waiting_in wait_for_answer) + 15))
heading "4. What grew?"
step "second snapshot, some seconds later" snapshot after.pb.gz
explain "The second snapshot minus the first: whatever is stable cancels out, and what remains is \
the leak." "go tool pprof -top -diff_base before.pb.gz after.pb.gz"
show 20 pprof -top "$hide" -diff_base="$work/before.pb.gz" "$work/after.pb.gz"

heading "5. By reason and channel"
explain "The same tasks under why they wait, and on which channel: so many wait to receive from \
\"items\", so many from \"answers\". Every task has these labels; nobody had to set them. (<unknown>: a wait that \
is on no channel.)" \
    "go tool pprof -tagroot=…, for labels that the program sets itself"
show all pprof -peek='^(chan receive|chan send|IO wait)$' -tagroot=state,channel "$work/after.pb.gz"

heading "6. The channels themselves"
explain "Each queue with its length, capacity, who waits on which side, the last operation and who \
did it. The service's own ring buffer, \"intake\", is among them: ten lines described it to \
taskprof. Below: operations for which Go would have panicked, each with both places." \
    "nothing like it"
show 12 fetch "${url}channel?debug=1"
grep -wE '^(intake|validated|priced)' "$work/shown" || die "its own queues are not shown"
echo …
awk '/^# misuse/ { on = 1 } on && / closed channel, / && seen++ { exit } on' "$work/shown"

heading "What the service says that it leaked"
if $keep; then
    pid=$service
    service=
    trap - EXIT INT TERM
    explain "It keeps running, and leaking:"
    printf '\n  endpoint: %s\n  its log:  %s\n  stop it:  kill %s\n' "$url" "$work/orders.log" "$pid"
    exit 0
fi
explain "The truth to compare with, printed at its end:"
echo
stop_service
grep -E '^(leaked|misused|shipped)' "$work/orders.log" || die "it did not end as it should"
printf '\nThe endpoint was %s; samples/demo.sh --keep leaves it open for you.\n' "$url"
