#!/usr/bin/env bats
# A queue of somebody else's, in a program that knows nothing of taskprof, described by one line of
# a file: what is shown as a channel, what must not be, and what is said of a wrong line.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    [ -z "${TASKPROF_SANITIZE:-}" ] || skip 'a sanitizer must be preloaded before all else'
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    program=$build/tests/e2e/third_party_chan
    file=$BATS_TEST_TMPDIR/channels.conf
    errors=$BATS_TEST_TMPDIR/errors
    out=$BATS_TEST_TMPDIR/out
    body=$BATS_TEST_TMPDIR/body
    pid=
    export HOME=$BATS_TEST_TMPDIR PPROF_TMPDIR=$BATS_TEST_TMPDIR
    unset TASKPROF_HOSTS TASKPROF_SNAPSHOTS
}

teardown() {
    exec 7>&- || true
    [ -z "$pid" ] || { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null || true
}

says() {
    grep -q "$2" "$1"
}

# start LINE…: of the file; none: there is no file. Sets url. All threads of the program are blocked when it returns.
start() {
    [ $# -eq 0 ] || printf '%s\n' "$@" >"$file"
    mkfifo "$BATS_TEST_TMPDIR/in"
    env LD_PRELOAD="$build/preload/libtaskprof_preload.so" TASKPROF_HTTP=127.0.0.1:0 \
        TASKPROF_CHANNELS="$file" "$program" <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$errors" 3>&- &
    pid=$!
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually says "$out" READY
    url=$(sed -n 's/^taskprof: //p' "$errors")
    [ -n "$url" ]
    eventually all_blocked
}

# As the kernel tells it: taskprof is not asked before the look that counts.
all_blocked() {
    local asleep
    asleep=$(grep -l '^202 ' "/proc/$pid/task/"*/syscall | wc -l)
    [ "$asleep" -ge 9 ]
}

# count STATE: tasks in it, by goroutine?debug=1.
count() {
    awk -v state="\"state\":\"$1\"" '/^[0-9]+ @/ { n = $1 } /^# labels:/ && index($0, state) { sum += n }
        END { print sum + 0 }' "$body"
}

fetch() {
    curl -fsS "$url$1" >"$body"
}

line='chan_t  len=queue->size cap=queue->capacity closed=closed recv=r_cond send=w_cond'

@test "the first look shows waits on a described queue as chan receive and chan send" {
    start '# the usual kind' '' "$line # behind it"
    fetch goroutine?debug=1
    [ "$(count 'chan receive')" -eq 3 ]
    [ "$(count 'chan send')" -eq 2 ]
    grep -q 'labels: {"channel":"chan_t", "state":"chan receive"}' "$body"
    grep -q 'chan_recv+0x.*third_party_chan.c:' "$body"
    # Nothing but the address was ever printed.
    [ "$(wc -l <"$errors")" -eq 1 ]
}

@test "the channel profile has each instance, with length, capacity and waiters" {
    start "$line"
    fetch channel?debug=1
    grep -qE '^channel profile: total 3$' "$body"
    [ "$(grep -cE '^chan_t 0x[0-9a-f]+ ' "$body")" -eq 3 ]
    grep -qE '^chan_t 0x[0-9a-f]+ +[0-9]+ +0/16 +no +0 +2 ' "$body"
    grep -qE '^chan_t 0x[0-9a-f]+ +[0-9]+ +4/4 +no +2 +0 ' "$body"
    grep -qE '^chan_t 0x[0-9a-f]+ +[0-9]+ +0/8 +no +0 +1 ' "$body"
    # No complaint about the file.
    run ! grep -q TASKPROF_CHANNELS "$body"
}

@test "other condition variables are not taken for a queue's, not even beside one" {
    start "$line"
    fetch goroutine?debug=1
    [ "$(count sync.Cond.Wait)" -eq 4 ]
    for function in on_heap_gate on_static_gate late_send same_function; do
        awk -v name="\t$function+" '
            /^[0-9]+ @/ { if (index(group, name)) print group; group = "" } { group = group $0 "\n" }
            END { if (index(group, name)) print group }' "$body" >"$BATS_TEST_TMPDIR/group"
        grep -q '"state":"sync.Cond.Wait"' "$BATS_TEST_TMPDIR/group"
        run ! grep -q '"channel"' "$BATS_TEST_TMPDIR/group"
    done
}

@test "go tool pprof reads both profiles" {
    start "${line} name=label"
    fetch goroutine
    go tool pprof -raw "$body" >"$BATS_TEST_TMPDIR/raw" 2>/dev/null
    [ "$(grep -c 'channel:\[chan_t\].*state:\[chan receive\]' "$BATS_TEST_TMPDIR/raw")" -ge 1 ]
    fetch channel
    go tool pprof -raw "$body" >"$BATS_TEST_TMPDIR/raw" 2>/dev/null
    # len, cap, senders, receivers; then the labels' line.
    grep -A1 -E '^ +0 +16 +0 +2 ' "$BATS_TEST_TMPDIR/raw" | grep -q 'channel:\[requests\]'
    grep -A1 -E '^ +4 +4 +2 +0 ' "$BATS_TEST_TMPDIR/raw" | grep -q 'channel:\[replies\]'
    grep -A1 -E '^ +0 +8 +0 +1 ' "$BATS_TEST_TMPDIR/raw" | grep -q 'channel:\[of static storage\]'
}

@test "a struct's own name, a number for cap, one side alone" {
    start 'struct chan  len=queue->size cap=99 send=w_cond'
    fetch goroutine?debug=1
    [ "$(count 'chan send')" -eq 2 ]
    [ "$(count 'chan receive')" -eq 0 ]
    fetch channel?debug=1
    grep -qE '^chan 0x[0-9a-f]+ +[0-9]+ +4/99 +no +2 +0 ' "$body"
}

# complains PATTERN: the channel profile and the index page do, naming file and line.
complains() {
    local page
    for page in channel?debug=1 ''; do
        fetch "$page"
        sed 's/&#34;/"/g; s/&gt;/>/g; s/&#39;/'"'"'/g' "$body" | grep -qE "$1" || return 1
    done
}

@test "a line that does not fit the program is named with its near misses, and the program runs" {
    start 'chant_t len=queue->size recv=r_cond' \
        'chan_t len=queu->size recv=r_cond' \
        'chan_t len=queue->sise recv=r_cond' \
        'chan_t len=queue.size recv=r_cond' \
        'chan_t len=closed->size recv=r_cond' \
        'chan_t len=queue->data recv=r_cond' \
        'chan_t len=queue->size rcev=r_cond' \
        'chan_t len=queue->size' \
        'chan_t len=queue>size recv=r_cond' \
        "$line"
    prefix="TASKPROF_CHANNELS $file"
    eventually complains "$prefix:1: chant_t: no type of this name .*\(did you mean .*chan_t"
    eventually complains "$prefix:2: chan_t: len=: chan_t has no field \"queu\" \(did you mean queue\?\); it has queue, mutex"
    eventually complains "$prefix:3: chan_t: len=: queue_t has no field \"sise\" \(did you mean size\?\)"
    eventually complains "$prefix:4: chan_t: len=: queue is a pointer: write \"->\""
    eventually complains "$prefix:5: chan_t: len=: closed is no pointer: write \"\.\""
    eventually complains "$prefix:6: chan_t: len=: queue->data is a pointer"
    eventually complains "$prefix:7: there is no key rcev= \(did you mean recv\?\)"
    eventually complains "$prefix:8: chan_t has neither recv= nor send="
    eventually complains "$prefix:9: len=queue>size is no path"
    # The right line works all the same.
    fetch goroutine?debug=1
    [ "$(count 'chan receive')" -eq 3 ]
    [ "$(wc -l <"$errors")" -eq 1 ]
    exec 7>&-
    wait "$pid"
    pid=
}

@test "a file that is not there is told, and the program runs" {
    file=$BATS_TEST_TMPDIR/nowhere/channels.conf
    start
    complains "TASKPROF_CHANNELS $file: can't be read: No such file or directory"
    fetch goroutine?debug=1
    [ "$(count sync.Cond.Wait)" -eq 9 ]
    [ "$(wc -l <"$errors")" -eq 1 ]
}

@test "a program without debug information is told so" {
    strip -o "$BATS_TEST_TMPDIR/stripped" "$program"
    program=$BATS_TEST_TMPDIR/stripped
    start "$line"
    eventually complains "$file:1: chan_t: .*(no type of this name|debug information)"
    fetch goroutine?debug=1
    [ "$(count sync.Cond.Wait)" -eq 9 ]
}
