#!/usr/bin/env bats
# Who holds what: owners of locks, deadlocks, locks that nobody will unlock; and who must not be
# accused.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    body=$BATS_TEST_TMPDIR/body
    out=$BATS_TEST_TMPDIR/out
    export TASKPROF_HTTP=127.0.0.1:0
    # What is tested here are mistakes that the sanitizers would report.
    export TSAN_OPTIONS=detect_deadlocks=0:report_mutex_bugs=0:report_thread_leaks=0
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
    pids=()
}

teardown() {
    exec 7>&- || true
    kill_all "${pids[@]}"
}

# start SCENARIO…: descriptor 7 is the program's standard input.
start() {
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$build/tests/e2e/locks" "$@" <"$BATS_TEST_TMPDIR/in" >"$out" 3>&- &
    pids+=("$!")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually test -s "$out"
    url=http://$(head -n 1 "$out")/debug/pprof
}

get() {
    curl -sS --noproxy '*' --max-time 30 "$url/$1" >"$body"
}

# shows REQUEST PATTERN: what is asked for has such a line.
shows() {
    get "$1" && grep -qE "$2" "$body"
}

# all_wait COUNT: so many tasks sleep in their park, the kernel says so too.
all_wait() {
    get 'goroutine?debug=2' && [ "$(grep -cE '^goroutine .*"wait": ' "$body")" = "$1" ]
}

@test "two threads that take two mutexes in different order are a deadlock, named first thing" {
    start ab_ba
    eventually shows 'goroutine?debug=2' '^#   1 more task waits behind them$'
    head -n 1 "$body" | grep -qx '# DEADLOCK 1: 2 tasks, each of which waits for a lock that the next one holds'
    local a b
    a=$(sed -nE 's/^#   goroutine ([0-9]+) \("left-right", tid [0-9]+\) has waited .* for the mutex 0x[0-9a-f]+, held by goroutine [0-9]+ .*/\1/p' "$body")
    b=$(sed -nE 's/^#   goroutine ([0-9]+) \("right-left", tid [0-9]+\) has waited .* for the mutex 0x[0-9a-f]+, held by goroutine [0-9]+ .*/\1/p' "$body")
    [ -n "$a" ] && [ -n "$b" ] && [ "$a" != "$b" ]
    grep -qE "^#   goroutine $a .* held by goroutine $b \(" "$body"
    grep -qE "^#   goroutine $b .* held by goroutine $a \(" "$body"
    # And each one's stack is in the dump, under its number.
    grep -qE "^goroutine $a \[sync.Mutex.Lock labels:\{\"deadlock\": \"1\", .*\"owner\": \"goroutine $b \(tid [0-9]+\), sync.Mutex.Lock\"" "$body"
    grep -qE "^goroutine $b \[sync.Mutex.Lock labels:\{\"deadlock\": \"1\", .*\"owner\": \"goroutine $a \(tid [0-9]+\), sync.Mutex.Lock\"" "$body"
    [ "$(grep -c '"deadlock": ' "$body")" = 2 ]

    get 'goroutine?debug=1'
    sed -n 1p "$body" | grep -qE '^goroutine profile: total [0-9]+$'
    grep -qE '^# DEADLOCK 1: 2 tasks' "$body"
    awk '/^# DEADLOCK/ { seen = 1 } /^[0-9]+ @/ { exit !seen }' "$body"
    awk '/^[0-9]+ @/ { exit } /take_two/ { stacks++ } END { exit stacks != 2 }' "$body"
    go tool pprof -raw "$body" >/dev/null
    ! tail -n +2 "$body" | grep -vE '^(#.*|[0-9]+ @( 0x[0-9a-f]+)+|)$'

    shows '' '1 deadlock of 2 tasks'
    get 'goroutine?debug=3'
    go tool pprof -symbolize=none -raw "$body" >"$body.raw"
    [ "$(grep -cE 'deadlock:\[1 id\]' "$body.raw")" = 2 ]
    grep -E "id:\[$a id\]" "$body.raw" | grep -qE "owner:\[$b id\]"
}

@test "parsers of Go's dumps pass over what is said of deadlocks" {
    command -v panicparse >/dev/null || skip "panicparse is not installed"
    start ab_ba abandoned
    eventually shows 'goroutine?debug=2&files=go' '^# ABANDONED LOCK: '
    panicparse "$body" >"$body.parsed"
    grep -qF 'take_two(' "$body.parsed"
    # It took every goroutine for one.
    ! grep -E '^(goroutine|created by)' "$body.parsed"
}

@test "five threads in a ring are one deadlock of five" {
    start ring
    eventually shows 'goroutine?debug=2' '^# DEADLOCK 1: 5 tasks'
    [ "$(grep -cE '^#   goroutine [0-9]+ \("ring"' "$body")" = 5 ]
    [ "$(grep -c '^# DEADLOCK' "$body")" = 1 ]
    shows '' '1 deadlock of 5 tasks'
}

@test "a mutex locked twice is a deadlock of one" {
    start self
    eventually shows 'goroutine?debug=2' '^# DEADLOCK 1: 1 task, which waits for a lock that it holds itself$'
    grep -qE '^#   goroutine [0-9]+ \("twice", .*, held by this task itself$' "$body"
    grep -qE '^goroutine [0-9]+ .*"owner": "this task itself"' "$body"
}

@test "a mutex left locked by a finished thread is named, with who waits for it" {
    start abandoned
    eventually shows 'goroutine?debug=2' '^# ABANDONED LOCK: the mutex 0x[0-9a-f]+ is locked by thread [0-9]+, which has ended; 2 tasks wait for it$'
    grep -qE '^#   goroutine [0-9]+ \("heir-1", tid [0-9]+\) has waited ' "$body"
    grep -qE '^#   goroutine [0-9]+ \("heir-2", tid [0-9]+\) has waited ' "$body"
    [ "$(grep -cE '"owner": "thread [0-9]+, which has ended"' "$body")" = 2 ]
    run ! grep -q DEADLOCK "$body"
    shows '' '1 abandoned lock'
}

@test "a mutex left locked by a main thread that has ended is named, too" {
    start main_left
    eventually shows 'goroutine?debug=2' '^# ABANDONED LOCK: the mutex 0x[0-9a-f]+ is locked by thread [0-9]+, which has ended; 1 task waits for it$'
    grep -qE '^#   goroutine [0-9]+ \("heir", tid [0-9]+\) has waited ' "$body"
}

@test "who waits with a time limit is in no deadlock, but the owners are named" {
    start timed
    eventually all_wait 2
    [ "$(grep -cE '"owner": "goroutine [0-9]+ \(tid [0-9]+\), sync.Mutex.Lock"' "$body")" = 2 ]
    run ! grep -q DEADLOCK "$body"
}

@test "an owner that is busy elsewhere is named, and its stack shown though the filter is for others" {
    start held c11
    eventually all_wait 2
    [ "$(grep -cE '"owner": "goroutine [0-9]+ \(tid [0-9]+\), syscall"' "$body")" = 2 ]
    run ! grep -qE 'DEADLOCK|ABANDONED' "$body"
    get 'goroutine?debug=2&state=sync.Mutex.Lock'
    [ "$(grep -c '^goroutine ' "$body")" = 4 ]
    grep -qF 'take_and_stay(' "$body"
    grep -qxE '# 2 tasks shown besides: others wait for what they hold' "$body"
    get 'goroutine?debug=1'
    [ "$(grep -cE '^# waits on: 0x[0-9a-f]+, held by ' "$body")" = 2 ]
}

@test "a reader-writer lock names its writer, and counts its readers" {
    start rwlocks
    eventually all_wait 2
    grep -qE '^goroutine [0-9]+ \[sync.RWMutex.RLock .*"owner": "goroutine [0-9]+ \(tid [0-9]+\), syscall"' "$body"
    grep -qE '^goroutine [0-9]+ \[sync.RWMutex.Lock .*"owner": "2 readers; who is not known"' "$body"
}

@test "a lock that is none of libc's has no owner" {
    start own
    eventually all_wait 2
    run ! grep -qE '"owner"|DEADLOCK|ABANDONED' "$body"
}

@test "a lock taken before a fork is not abandoned in the child" {
    start fork
    eventually all_wait 1
    run ! grep -qE 'DEADLOCK|ABANDONED|has ended' "$body"
}

@test "all of it in a program that knows nothing of taskprof" {
    [ -z "${TASKPROF_SANITIZE:-}" ] || skip "sanitizers have to be the first library"
    mkfifo "$BATS_TEST_TMPDIR/in"
    LD_PRELOAD=$build/preload/libtaskprof_preload.so "$build/tests/e2e/preload_deadlocks" \
        <"$BATS_TEST_TMPDIR/in" 2>"$out" 3>&- &
    pids+=("$!")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually grep -q 'http://' "$out"
    url=$(grep -oE 'http://[^ ]*/debug/pprof' "$out")
    eventually shows 'goroutine?debug=2' '^# ABANDONED LOCK: '
    eventually shows 'goroutine?debug=2' '^# DEADLOCK 2: '
    grep -qE '^# DEADLOCK [12]: 2 tasks, ' "$body"
    grep -qE '^# DEADLOCK [12]: 1 task, ' "$body"
    run ! grep -qF 'busy(' "$body"
    eventually shows 'goroutine?debug=2&running=1' '^busy\('
    grep -qE '^# asked [0-9]+ running threads? for their stacks, ' "$body"
    [ "$(curl -sS --noproxy '*' -o "$body" -w '%{http_code}' "$url/goroutine?running=maybe")" = 400 ]
    [ "$(curl -sS --noproxy '*' -o "$body" -w '%{http_code}' "$url/goroutine?running=1&seconds=1")" = 400 ]
}
