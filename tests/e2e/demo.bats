#!/usr/bin/env bats
# The owner's first command: it shows what it promises, stops what it started, and works again.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export TASKPROF_BUILD_DIR=${TASKPROF_BUILD_DIR:-$root/build/release}
    # A home of its own, to see that nothing is left there; and a place for temporary files, likewise.
    export HOME=$BATS_TEST_TMPDIR/home TMPDIR=$BATS_TEST_TMPDIR/tmp
    mkdir "$HOME" "$TMPDIR"
    kept=
}

teardown() {
    kill_all ${kept:+"$kept"}
}

# The endpoint that the demo's output names.
endpoint() {
    sed -n 's/^ *endpoint: \(http.*\)$/\1/p' <<<"$output" | head -n 1
}

# Whether the demo's service, and not somebody else's, answers there.
is_served() {
    local options=${2-"--leak early-return,"}
    curl -sS --noproxy '*' --max-time 5 -o "$BATS_TEST_TMPDIR/page" "${1}cmdline" \
        2>"$BATS_TEST_TMPDIR/err" || return 1
    tr '\0' ' ' <"$BATS_TEST_TMPDIR/page" | grep -qF -- "$options"
}

shows_everything() {
    local heading
    for heading in "A service under load" "1. How many tasks" "2. One task at a time" \
        "3. The top of the leak" "4. What grew?" "5. By reason and channel" "6. The channels" \
        "What the service says"; do
        grep -qF "== $heading" <<<"$output" || {
            echo "no heading: $heading"
            return 1
        }
    done
    grep -qE '^goroutine profile: total [0-9]+$' <<<"$output"
    grep -qE '^goroutine [0-9]+ \[' <<<"$output"
    grep -qE '^Type: goroutine$' <<<"$output"
    grep -q 'wait_for_answer' <<<"$output"
    grep -qw 'intake' <<<"$output"
}

# section NUMBER: the text under one of the numbered headings.
section() {
    awk -v start="== $1. " 'index($0, "== ") == 1 { on = index($0, start) == 1 } on' <<<"$output"
}

@test "the demo shows every view, from any directory, twice in a row" {
    cd /
    for _ in 1 2; do
        run -0 "$root/samples/demo.sh"
        shows_everything
        # The leak is in the top, in the difference, and under its reason and channel.
        section 3 | grep -qE ' wait_for_answer$'
        section 4 | grep -qE ' wait_for_answer$'
        section 5 | grep -qE ' answers$'
        section 6 | grep -q 'close of closed channel'
        [[ $output == *"leaked early-return "*" tasks in wait_for_answer [chan receive] on answers"* ]]
        # It is over when it says so.
        run ! is_served "$(endpoint)"
        [ -z "$(ls -A "$HOME")" ]
        [ -z "$(ls -A "$TMPDIR")" ]
    done
}

# is_stopped_by SIGNAL STATUS
is_stopped_by() {
    # What a shell starts in the background ignores SIGINT, unlike what is started at a terminal.
    env --default-signal=INT "$root/samples/demo.sh" >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    local demo=$! url status=0
    until grep -q '== 1\. ' "$BATS_TEST_TMPDIR/out"; do
        kill -0 "$demo"
        sleep 0.05
    done
    output=$(<"$BATS_TEST_TMPDIR/out")
    url=$(endpoint)
    kill "-$1" "$demo"
    wait "$demo" || status=$?
    [ "$status" -eq "$2" ]
    run ! is_served "$url"
    [ -z "$(ls -A "$TMPDIR")" ]
}

@test "the demo stops everything on Ctrl-C" {
    is_stopped_by INT 130
}

@test "the demo stops everything on SIGTERM" {
    is_stopped_by TERM 143
}

@test "demo --keep leaves the service running and says how to stop it" {
    run -0 "$root/samples/demo.sh" --keep 3>&-
    kept=$(sed -n 's/^ *stop it: *kill \([0-9]*\)$/\1/p' <<<"$output")
    [ -n "$kept" ]
    is_served "$(endpoint)"
    kill "$kept"
    for _ in {1..600}; do
        kill -0 "$kept" 2>/dev/null || break
        sleep 0.1
    done
    run ! is_served "$(endpoint)"
    kept=
}

@test "the demo takes another port when 6060 is taken" {
    # Held by the demo's own service, unless somebody else has it already.
    "$TASKPROF_BUILD_DIR/samples/orders" --http 127.0.0.1:6060 --duration 600 \
        >"$BATS_TEST_TMPDIR/holder" 2>&1 </dev/null 3>&- &
    kept=$!
    for _ in {1..600}; do
        is_served http://127.0.0.1:6060/debug/pprof/ "" && break
        sleep 0.1
    done
    run -0 "$root/samples/demo.sh"
    [[ $output == *"port 6060 is taken"* ]]
    [[ $(endpoint) != *":6060/"* ]]
    shows_everything
}

@test "a wrong option of the demo is refused with its usage" {
    run -2 "$root/samples/demo.sh" --nonsense
    [[ $output == *"'--nonsense' is not an option"*"Usage: samples/demo.sh [--keep]"* ]]
}
