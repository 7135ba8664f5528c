#!/usr/bin/env bats
# Profiles kept as files: TASKPROF_SNAPSHOTS.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    server=$build/tests/e2e/http_server
    out=$BATS_TEST_TMPDIR/out
    kept=$BATS_TEST_TMPDIR/kept
    pids=()
    mkdir "$kept"
    mkfifo "$BATS_TEST_TMPDIR/in"
    export HOME=$BATS_TEST_TMPDIR PPROF_TMPDIR=$BATS_TEST_TMPDIR
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
    export TASKPROF_HTTP=127.0.0.1:0 TASKPROF_SNAPSHOTS=$kept TASKPROF_SNAPSHOTS_EVERY=1s
}

teardown() {
    exec 7>&- || true
    kill_all "${pids[@]}"
}

# start ARGUMENT…: the server; descriptor 7 is its standard input.
start() {
    "$server" "$@" <"$BATS_TEST_TMPDIR/in" >"$out" 2>&1 3>&- &
    pids+=("$!")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually grep -q : "$out"
    url=http://$(head -n 1 "$out")/debug/pprof
}

profiles() {
    find "$kept" -name 'http_server-2*.goroutine.pb.gz' | sort
}

at_least() {
    [ "$(profiles | wc -l)" -ge "$1" ]
}

# first_is_not FILE: the oldest profile is another by now.
first_is_not() {
    [ "$(profiles | head -n 1)" != "$1" ]
}

index_says() {
    curl -sf "$url/" | grep -qE "$1"
}

@test "profiles are kept that go tool pprof compares" {
    start 4
    eventually at_least 2
    local first last
    first=$(profiles | head -n 1)
    last=$(profiles | tail -n 1)
    go tool pprof -raw "$last" >"$BATS_TEST_TMPDIR/raw" 2>"$BATS_TEST_TMPDIR/err"
    grep -q wait_for_an_order "$BATS_TEST_TMPDIR/raw"
    go tool pprof -top -diff_base "$first" "$last" >"$BATS_TEST_TMPDIR/diff" 2>"$BATS_TEST_TMPDIR/err"
    grep -q '^Type: goroutine' "$BATS_TEST_TMPDIR/diff"
    index_says "every 1 s is kept in .*, the newest 60 of them; [1-9]"
}

@test "the oldest are deleted, and nobody else's files" {
    touch "$kept/http_server-2-notes.txt" "$kept/other-20200101T000000.000Z-1.goroutine.pb.gz"
    touch "$kept/http_server-20200101T000000.000Z-1.goroutine.pb.gz"
    TASKPROF_SNAPSHOTS_KEEP=2 start 1
    eventually at_least 2
    eventually first_is_not "$kept/http_server-20200101T000000.000Z-1.goroutine.pb.gz"
    local first
    first=$(profiles | head -n 1)
    eventually first_is_not "$first"
    [ "$(profiles | wc -l)" -le 2 ]
    [ -e "$kept/http_server-2-notes.txt" ]
    [ -e "$kept/other-20200101T000000.000Z-1.goroutine.pb.gz" ]
    [ -z "$(find "$kept" -name '.http_server*' -mmin +1)" ]
}

@test "a folder that vanishes is an error on the index, and one that comes back is used" {
    start 1
    eventually at_least 1
    mv "$kept" "$kept.moved"
    # The folder is still the one that was opened, wherever it lies now.
    kept=$kept.moved eventually at_least 2
    rm -r "$kept.moved"
    eventually index_says "could not be written"
    mkdir "$kept"
    eventually at_least 1
}

@test "a folder that is not there is named at start" {
    TASKPROF_SNAPSHOTS=$kept/nowhere run -1 "$server" 1
    [[ "${lines[0]}" == "the folder for snapshots, $kept/nowhere: No such file or directory" ]]
}

@test "what can't be understood is refused with what would be right" {
    TASKPROF_SNAPSHOTS_EVERY=soon run -1 "$server" 1
    [[ "${lines[0]}" == 'TASKPROF_SNAPSHOTS_EVERY="soon": right would be a time of 1s to 24h'* ]]
    TASKPROF_SNAPSHOTS_EVERY=10ms run -1 "$server" 1
    TASKPROF_SNAPSHOTS_KEEP=0 run -1 "$server" 1
    [[ "${lines[0]}" == 'TASKPROF_SNAPSHOTS_KEEP="0": right would be a number of 1 to 999999' ]]
}
