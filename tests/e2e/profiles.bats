#!/usr/bin/env bats
# Profiles of a real process, read by everyone else's programs: protoc, go tool pprof, and the
# validator with the rules of Parca and Pyroscope.

bats_require_minimum_version 1.5.0

setup_file() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export root
    export build=${TASKPROF_BUILD_DIR:-$root/build/release}
    export dir=$BATS_FILE_TMPDIR/profiles
    mkdir -p "$dir"
    # go keeps caches and pprof copies: none in the home directory.
    export HOME=$BATS_FILE_TMPDIR PPROF_TMPDIR=$BATS_FILE_TMPDIR GOCACHE=$BATS_FILE_TMPDIR/go
    export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' GOTOOLCHAIN=local
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

    sanitize=$(sed -n 's/^TASKPROF_SANITIZE:STRING=\(..*\)$/-fsanitize=\1/p' "$build/CMakeCache.txt")
    export writer=$BATS_FILE_TMPDIR/profiles_writer
    # No tail calls: a caller that has left the stack is in no profile.
    # shellcheck disable=SC2046,SC2086
    cc -g -O2 -fno-omit-frame-pointer -fno-optimize-sibling-calls $sanitize -D_GNU_SOURCE -I"$root" \
        -I"$root/profiler/include" -o "$writer" "$BATS_TEST_DIRNAME/profiles_writer.c" \
        "$build/libtaskprof.a" -pthread \
        $(pkg-config --libs libprotobuf-c libmicrohttpd libdw libelf zlib)
    "$writer" "$dir"
    export validator=$BATS_FILE_TMPDIR/validator
    (cd "$root/tests/validator" && go build -o "$validator" .)
}

# pprof OPTION… PROFILE: of the profiles as they are, without looking anything up.
pprof() {
    go tool pprof -symbolize=none "${@:1:$#-1}" "$dir/${!#}.pb.gz" 2>"$BATS_TEST_TMPDIR/err"
}

# The line of the writer's source that is marked so.
line_of() {
    grep -n "// LINE $1\$" "$BATS_TEST_DIRNAME/profiles_writer.c" | cut -d: -f1
}

@test "the validator finds each rule broken" {
    cd "$root/tests/validator"
    go test .
}

@test "every profile obeys the rules of pprof, Parca and Pyroscope" {
    run "$validator" -pyroscope -main "$writer" "$dir"/*.pb.gz
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "protoc reads them alike with Google's schema and with ours" {
    local name theirs=/usr/share/gocode/src/github.com/google/pprof/proto
    for name in before goroutine delta tasks channel threadcreate; do
        gunzip <"$dir/$name.pb.gz" >"$BATS_TEST_TMPDIR/plain"
        protoc --decode=perftools.profiles.Profile -I"$theirs" profile.proto \
            <"$BATS_TEST_TMPDIR/plain" >"$BATS_TEST_TMPDIR/theirs"
        protoc --decode=perftools.profiles.Profile -I"$root/proto" profile.proto \
            <"$BATS_TEST_TMPDIR/plain" >"$BATS_TEST_TMPDIR/ours"
        cmp "$BATS_TEST_TMPDIR/theirs" "$BATS_TEST_TMPDIR/ours"
        # A field that the schema does not know is shown by its number.
        run ! grep -qE '^ *[0-9]+[: ]' "$BATS_TEST_TMPDIR/theirs"
    done
}

# The writer has 15 tasks; ThreadSanitizer brings one more.
@test "-raw shows types, period, and the main binary first" {
    run pprof -raw goroutine
    echo "$output"
    grep -q '^PeriodType: goroutine count$' <<<"$output"
    grep -q '^Period: 1$' <<<"$output"
    grep -q '^goroutine/count\[dflt\] wait/nanoseconds$' <<<"$output"
    grep -qE "^1: 0x[0-9a-f]+/0x[0-9a-f]+/0x[0-9a-f]+ $writer [0-9a-f]{40}" <<<"$output"
    grep -qE '^# ?taskprof|taskprof 0\.[0-9.]+: tasks=1[56] .* moved=0 ' <<<"$output"
}

@test "-top counts the leaked tasks, and -sample_index=wait their time" {
    run pprof -top -cum goroutine
    echo "$output"
    grep -q '^Type: goroutine$' <<<"$output"
    grep -qE ' 9 .* send_order$' <<<"$output"
    grep -qE ' 3 .* wait_for_refund$' <<<"$output"
    grep -qE ' 2 .* wait_for_condition$' <<<"$output"
    run pprof -top -cum -sample_index=wait goroutine
    echo "$output"
    grep -q '^Type: wait$' <<<"$output"
    grep -qE 's .* send_order$' <<<"$output"
}

@test "-traces names the line of each call" {
    local name
    run pprof -traces -lines goroutine
    echo "$output"
    for name in send_order wait_for_refund wait_for_condition; do
        grep -qE "$name .*/profiles_writer\.c:$(line_of $name)\$" <<<"$output"
    done
}

@test "pprof itself finds the same lines at our addresses" {
    local name
    run go tool pprof -symbolize=force:local -traces -lines "$dir/goroutine.pb.gz"
    echo "$output"
    for name in send_order wait_for_refund wait_for_condition; do
        grep -qE "$name .*profiles_writer\.c:$(line_of $name)\$" <<<"$output"
    done
}

@test "-diff_base and the delta profile say the same" {
    run pprof -top -cum -diff_base "$dir/before.pb.gz" goroutine
    echo "$output"
    grep -qE ' 4 .* send_order$' <<<"$output"
    run ! grep -qE ' [1-9][0-9]* .* wait_for_refund$' <<<"$output"
    run pprof -top -cum delta
    echo "$output"
    grep -qE ' 4 .* send_order$' <<<"$output"
    grep -q '^Duration: ' <<<"$output"
    run ! grep -qE ' [1-9][0-9]* .* wait_for_refund$' <<<"$output"
}

@test "-tagroot=state,channel puts reason and channel at the root" {
    run pprof -traces -tagroot=state,channel goroutine
    echo "$output"
    # The root comes last in a trace, and the channel just before it.
    grep -B1 -E '^ +chan send( |$)' <<<"$output" | grep -qE '^ +orders( |$)'
    grep -B1 -E '^ +chan receive( |$)' <<<"$output" |
        grep -qE "^ +profiles_writer\.c:$(line_of refunds)( |\$)"
    grep -qE '^ +sync\.Cond\.Wait( |$)' <<<"$output"
}

@test "-tagfocus and -tags work on labels" {
    run pprof -top -tagfocus=channel=orders goroutine
    echo "$output"
    grep -qE 'of 1[56] total' <<<"$output"
    grep -qE 'for 9,|Showing nodes accounting for 9' <<<"$output"
    run pprof -tags goroutine
    echo "$output"
    grep -qE 'created_by: Total' <<<"$output"
    grep -qE ': start$' <<<"$output"
}

@test "each task has an id, its creator's and its wait" {
    run pprof -raw tasks
    echo "$output"
    [ "$(grep -cE '^ +.*id:\[[0-9]+ id\]|^ +id:\[[0-9]+' <<<"$output")" -ge 14 ]
    [ "$(grep -cE 'wait:\[[0-9]+ nanoseconds\]' <<<"$output")" -eq 14 ]
    [ "$(grep -cE 'creator:\[[0-9]+ id\]' <<<"$output")" -eq 14 ]
    run pprof -top -tagfocus=wait=0ns:1000s tasks
    echo "$output"
    grep -q 'accounting for 14' <<<"$output"
}

@test "channels show length, capacity and who waits" {
    run pprof -raw channel
    echo "$output"
    grep -q '^len/count cap/count senders/count receivers/count wait/nanoseconds\[dflt\]$' <<<"$output"
    grep -A1 -E '^ +0 +0 +9 +0 +[0-9]+: ' <<<"$output" | grep -q 'channel:\[orders\]'
    grep -A1 -E '^ +0 +8 +0 +3 +[0-9]+: ' <<<"$output" |
        grep -q "channel:\[profiles_writer\.c:$(line_of refunds)\]"
    grep -q 'closed:\[false\]' <<<"$output"
    # Without options, what has been waited on longest comes first, and it is not nothing.
    run pprof -top channel
    echo "$output"
    grep -q '^Type: wait$' <<<"$output"
    grep -qE '^Showing nodes accounting for .*[1-9].* total$' <<<"$output"
    run ! grep -q 'accounting for 0, ' <<<"$output"
}

@test "threads are counted where they were created" {
    run pprof -top -cum threadcreate
    echo "$output"
    grep -q '^Type: threadcreate$' <<<"$output"
    grep -qE ' 14 .* start$' <<<"$output"
    grep -qE ' 10 .* open_shop$' <<<"$output"
}
