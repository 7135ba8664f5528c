#!/usr/bin/env bats
# Where a process may not look at itself, less is shown, and the dump says what is missing and why.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    body=$BATS_TEST_TMPDIR/body
    out=$BATS_TEST_TMPDIR/out
    export TASKPROF_HTTP=127.0.0.1:0
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
    pids=()
    program=sandbox
}

teardown() {
    exec 7>&- || true
    kill_all "${pids[@]}"
}

started_or_ended() {
    [ -s "$out" ] || ! kill -0 "${pids[0]}" 2>/dev/null
}

# start HOW…: descriptor 7 is the program's standard input.
start() {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$build/tests/e2e/$program" "$@" <"$BATS_TEST_TMPDIR/in" >"$out" 3>&- &
    pids+=("$!")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually started_or_ended
    if [ ! -s "$out" ]; then
        run wait "${pids[0]}"
        [ "$status" -eq 3 ]
        skip "not allowed here: $1"
    fi
    url=http://$(head -n 1 "$out")/debug/pprof
}

get() {
    curl -sS --noproxy '*' --max-time 30 "$url/$1" >"$body"
}

shows() {
    get "$1" && grep -qE "$2" "$body"
}

# Says in every place what is missing; what the library knows by itself is there all the same.
says_missing() {
    eventually shows 'goroutine?debug=2' '^goroutine [0-9]+ \[chan receive'
    grep -qE "^# missing: $1" "$body"
    shows 'goroutine?debug=1' "^# missing: $1"
    head -n 1 "$body" | grep -qE '^goroutine profile: total [0-9]+$'
    ! tail -n +2 "$body" | grep -vE '^(#.*|[0-9]+ @( 0x[0-9a-f]+)+|)$'
    shows '' "<p>missing: $1"
}

@test "in a chroot without /proc" {
    start chroot "$BATS_TEST_TMPDIR"
    says_missing 'threads that never called taskprof, .*/proc/self/task: No such file or directory \(no /proc'
}

@test "behind a seccomp filter that forbids to open files" {
    start seccomp
    says_missing 'threads that never called taskprof, .*/proc/self/task: Permission denied \(a sandbox'
}

@test "after privileges were dropped" {
    start drop
    eventually shows 'goroutine?debug=2' '^goroutine [0-9]+ \[chan receive'
    # Which files a process may still read of itself is the kernel's business; what it can't is told.
    if grep -qE '^goroutine [0-9]+ \[unknown' "$body"; then
        grep -qE '^# missing: ' "$body"
    else
        run ! grep -q '^# missing: ' "$body"
    fi
}

@test "nothing is said where nothing is missing" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$build/tests/e2e/http_server" 1 <"$BATS_TEST_TMPDIR/in" >"$out" 3>&- &
    pids+=("$!")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually test -s "$out"
    url=http://$(head -n 1 "$out")/debug/pprof
    get 'goroutine?debug=2'
    run ! grep -qE 'missing|asked' "$body"
    get ''
    run ! grep -qE 'missing|asked' "$body"
}

resident_mib() {
    awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/${pids[0]}/status"
}

new_coroutine() {
    echo >&7
    eventually test "$(wc -l <"$out")" -eq "$1"
    tail -n 1 "$out"
}

@test "what had no room is told in every dump, and the next one finds room again" {
    program=crowded
    start
    lost='missing: stacks: no room [0-9]+ times, the last time [0-9.hmsu]+ ago: the 64 MiB for them were used up, '
    names='missing: channel names: no room [0-9]+ times, the last time [0-9.hmsu]+ ago: the 16 MiB for them '
    unlucky=$(new_coroutine 2)
    get 'goroutine?debug=2'
    grep -qE "^# $lost" "$body"
    grep -qE "^# $names" "$body"
    grep -A 3 -E "^goroutine $unlucky " "$body" | grep -q '^$' # with no creator
    for dump in 'goroutine?debug=1' 'channel?debug=1' 'threadcreate?debug=1'; do
        get "$dump"
        grep -qE "^# $lost" "$body"
    done
    get ''
    grep -qE "^<p>$lost" "$body"
    get goroutine
    go tool pprof -comments "$body" | grep -qE "^$lost"

    lucky=$(new_coroutine 3)
    get 'goroutine?debug=2'
    grep -A 4 -E "^goroutine $lucky " "$body" | grep -q '^created by begin'
    get 'goroutine?debug=1'
    # Neither what was there nor what is told grows with each look.
    before=$(resident_mib)
    for _ in {1..5}; do get 'goroutine?debug=1'; done
    [ "$(resident_mib)" -le $((before + 4)) ]
}
