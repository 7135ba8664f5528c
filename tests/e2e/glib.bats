#!/usr/bin/env bats
# GLib's queues and thread pools in a program that knows nothing of taskprof, without a description.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    [ -z "${TASKPROF_SANITIZE:-}" ] || skip 'a sanitizer must be preloaded before all else'
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    program=$build/tests/e2e/preload_glib_pool
    [ -x "$program" ] || skip 'built without GLib'
    out=$BATS_TEST_TMPDIR/out
    errors=$BATS_TEST_TMPDIR/errors
    body=$BATS_TEST_TMPDIR/body
    unset TASKPROF_CHANNELS TASKPROF_HOSTS TASKPROF_SNAPSHOTS
    mkfifo "$BATS_TEST_TMPDIR/in"
    env LD_PRELOAD="$build/preload/libtaskprof_preload.so" TASKPROF_HTTP=127.0.0.1:0 \
        "$program" <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$errors" 3>&- &
    pid=$!
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually grep -q READY "$out"
    # Eleven threads in a futex, as the kernel tells it: the first look at taskprof is the one that counts.
    eventually all_wait
    url=$(sed -n 's/^taskprof: //p' "$errors")
}

teardown() {
    exec 7>&- || true
    [ -z "${pid:-}" ] || { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null || true
}

all_wait() {
    [ "$(cut -d' ' -f1 /proc/"$pid"/task/*/syscall | grep -c '^202$')" -ge 11 ]
}

@test "every kind of pop, and idle pool threads, are chan receive on their queue" {
    curl -fsS "${url}channel?debug=1" >"$body"
    grep -qE '^channel profile: total 3$' "$body"
    # Length is what is in the queue: GLib's own count is less by those that wait, and negative here.
    grep -q 'READY -3 -2' "$out"
    grep -qE '^GAsyncQueue 0x[0-9a-f]+ +[0-9]+ +0/\? +no +0 +3 ' "$body"
    grep -qE '^GAsyncQueue 0x[0-9a-f]+ +[0-9]+ +0/\? +no +0 +2 ' "$body"
    grep -qE '^GThreadPool 0x[0-9a-f]+ +[0-9]+ +0/\? +no +0 +4 ' "$body"
    curl -fsS "${url}goroutine?debug=1" >"$body"
    awk '/^[0-9]+ @/ { n = $1 } /^# labels:.*"state":"chan receive"/ { sum[$3] += n }
        END { for (channel in sum) print channel, sum[channel] }' "$body" | sort >"$BATS_TEST_TMPDIR/sums"
    diff "$BATS_TEST_TMPDIR/sums" - <<<$'{"channel":"GAsyncQueue", 5\n{"channel":"GThreadPool", 4'
}

@test "other waits on a GCond are taken for no queue's, the program's own and GLib's" {
    curl -fsS "${url}goroutine?debug=1" >"$body"
    local function
    for function in wait_at_gate wait_for_once; do
        awk -v name="\t$function+" '
            /^[0-9]+ @/ { if (index(group, name)) print group; group = "" } { group = group $0 "\n" }
            END { if (index(group, name)) print group }' "$body" >"$BATS_TEST_TMPDIR/group"
        [ -s "$BATS_TEST_TMPDIR/group" ]
        run ! grep -q '"channel"\|chan receive' "$BATS_TEST_TMPDIR/group"
    done
}

@test "the program ends as it does without taskprof, and nothing but the address is printed" {
    curl -fsS "${url}channel?debug=1" >"$body"
    exec 7>&-
    wait "$pid"
    pid=
    grep -q 'DONE 4' "$out"
    [ "$(wc -l <"$errors")" -eq 1 ]
}
