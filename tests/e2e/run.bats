#!/usr/bin/env bats
#
# shellcheck disable=SC2016 # what is quoted is for the shells that are started
# taskprof run: the program that it starts is as it is without, but for one line on stderr; and what
# can't be started is refused with a text that helps.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    # The sanitizers' runtimes want to come first among what is preloaded.
    [ -z "${TASKPROF_SANITIZE-}" ] || skip 'nothing can be preloaded in a sanitizer build'
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    taskprof=$build/cli/taskprof
    out=$BATS_TEST_TMPDIR/out
    err=$BATS_TEST_TMPDIR/err
    pids=()
    cd "$BATS_TEST_TMPDIR" || return
    unset LD_PRELOAD TASKPROF_HTTP TASKPROF_SNAPSHOTS TASKPROF_CHANNELS TASKPROF_CHILDREN
}

teardown() {
    kill_all "${pids[@]}"
}

# is_address: stderr is the address and nothing else.
is_address() {
    [ "$(wc -l <"$err")" = 1 ] && grep -qxE 'taskprof: http://127\.0\.0\.1:[0-9]+/debug/pprof/' "$err"
}

# refuses STATUS TEXT ARGUMENT…: taskprof run says so on stderr, starts nothing and prints nothing.
refuses() {
    local status=0 wanted=$1 text=$2
    shift 2
    "$taskprof" run "$@" >"$out" 2>"$err" || status=$?
    cat "$err"
    [ "$status" = "$wanted" ]
    grep -q "^taskprof: .*$text" "$err"
    [ "$(wc -l <"$err")" = 1 ]
    [ ! -s "$out" ]
}

@test "the exit code is the program's" {
    local code status
    for code in 0 1 7 125 255; do
        status=0
        "$taskprof" run -- sh -c "exit $code" 2>"$err" || status=$?
        [ "$status" = "$code" ]
        is_address
    done
}

@test "a program that is killed is seen to be killed by that signal" {
    local signal status
    for signal in TERM KILL INT HUP SEGV; do
        status=0
        "$taskprof" run -- sh -c "kill -$signal \$\$" 2>"$err" || status=$?
        [ "$status" = $((128 + $(kill -l $signal))) ]
        is_address
    done
}

@test "the process is the program itself: same id, so signals need no forwarding" {
    "$taskprof" run -- sleep 1000 >"$out" 2>"$err" 3>&- &
    local pid=$! status=0
    pids+=("$pid")
    eventually is_address
    [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$(command -v sleep)")" ]
    kill -TERM "$pid"
    wait "$pid" || status=$?
    [ "$status" = 143 ]
}

@test "Ctrl-C at a terminal ends the program as it does without" {
    local how
    for how in "" "$taskprof run --"; do
        # A terminal of its own; what is typed there comes from the pipe. The
        # exit code is asked of the shell in it: script(1) of util-linux 2.38
        # may say 0 for a child whose terminal is closed but whose end can't be
        # waited for yet.
        mkfifo keys
        env --default-signal=INT script -qc "trap : INT
            $how sh -c 'trap \"echo heard; exit 9\" INT; echo ready; while :; do sleep 1; done'
            echo code=\$?" "$BATS_TEST_TMPDIR/typescript" <keys >"$out" 2>&1 3>&- &
        local pid=$!
        pids+=("$pid")
        exec 7>keys
        eventually grep -q ready "$out"
        printf '\003' >&7
        wait "$pid" || true
        exec 7>&-
        cat "$out"
        grep -q heard "$out"
        grep -q 'code=9' "$out"
        rm keys
    done
}

@test "standard input and output are byte for byte what they are without" {
    head -c 3000000 /dev/urandom >bytes
    "$taskprof" run -- cat <bytes >"$out" 2>"$err"
    cmp bytes "$out"
    is_address
    # Through pipes on both sides.
    # shellcheck disable=SC2002
    cat bytes | "$taskprof" run -- cat 2>"$err" | cmp bytes -
    is_address
}

@test "a program without standard streams gets none of taskprof's descriptors in their place" {
    "$taskprof" run --http 127.0.0.1:0 -- sh -c \
        'for fd in 0 1 2; do [ ! -e /proc/self/fd/$fd ] || readlink /proc/$$/fd/$fd; done >&9' \
        9>"$out" <&- >&- 2>&-
    ! grep -E 'socket|anon_inode|eventpoll' "$out"
}

@test "arguments, environment and working directory reach the program as they are" {
    local plain
    plain=$(VALUE=' a  b ' sh -c 'printf "%s|" "$@" "$VALUE" "$PWD"' name --http 'two  words' '' '*' --)
    [ "$(VALUE=' a  b ' "$taskprof" run sh -c 'printf "%s|" "$@" "$VALUE" "$PWD"' name --http \
        'two  words' '' '*' -- 2>"$err")" = "$plain" ]
    is_address
}

@test "what else is preloaded stays preloaded" {
    LD_PRELOAD=$(find /usr/lib -name 'libjemalloc.so.2' | head -n 1) \
        "$taskprof" run -- cat /proc/self/maps >"$out" 2>"$err"
    grep -q libjemalloc "$out"
    grep -q libtaskprof_preload "$out"
    is_address
}

@test "a program with functions of its own that are called as zlib's keeps them to itself" {
    cat >own_zlib.c <<'CODE'
#include <stdio.h>
#include <stdlib.h>
#define OWN(name) void name(void) { puts(#name); abort(); }
OWN(deflate) OWN(deflateInit2_) OWN(deflateEnd) OWN(inflate) OWN(inflateInit2_) OWN(inflateEnd)
OWN(crc32) OWN(adler32)
int main(void) { getchar(); }
CODE
    cc -rdynamic own_zlib.c -o own_zlib
    mkfifo in
    "$taskprof" run -- ./own_zlib <in >"$out" 2>"$err" 3>&- &
    pids+=("$!")
    exec 7>in
    eventually is_address
    curl -sSf --noproxy '*' "$(grep -oE 'http.*' "$err")goroutine" | gzip -t
    exec 7>&-
    wait "${pids[0]}"
    [ ! -s "$out" ]
}

@test "programs that it executes are left alone" {
    "$taskprof" run -- sh -c 'grep Threads /proc/self/status; true' >"$out" 2>"$err"
    [ "$(tr -d '\t' <"$out")" = Threads:1 ]
    is_address
}

@test "programs that it executes get an endpoint each with --children" {
    "$taskprof" run --children -- sh -c 'grep Threads /proc/self/status; true' >"$out" 2>"$err"
    cat "$out" "$err"
    [ "$(tr -d '\t' <"$out")" != Threads:1 ]
    [ "$(grep -cE '^taskprof: .*http://127\.0\.0\.1:[0-9]+/debug/pprof/$' "$err")" = 2 ]
    [ "$(grep -oE 'http://.*' "$err" | sort -u | wc -l)" = 2 ]
}

@test "--http has the address that was asked for, and one that is taken is one line while the program runs" {
    "$taskprof" run --http 127.0.0.1:0 -- sleep 1000 2>"$err" 3>&- &
    pids+=("$!")
    eventually is_address
    local taken
    taken=$(grep -oE '127[^/]*' "$err")
    "$taskprof" run --http "$taken" -- echo fine >"$out" 2>"$err"
    cat "$err"
    [ "$(<"$out")" = fine ]
    [ "$(wc -l <"$err")" = 1 ]
    grep -qE "^taskprof: .*$taken" "$err"
}

@test "--snapshots keeps profiles in a folder that it makes" {
    "$taskprof" run --snapshots kept --every 1s --keep 2 -- sleep 1000 2>"$err" 3>&- &
    pids+=("$!")
    eventually is_address
    kept() { [ -n "$(find kept -name 'sleep-2*.goroutine.pb.gz')" ]; }
    eventually kept
}

@test "what is no program is refused as a shell would: 127 and 126" {
    refuses 127 'no-such-program: no such program in any folder of PATH' -- no-such-program
    refuses 127 '\./nothing: there is no such file' -- ./nothing
    echo 'not a program' >text
    refuses 126 '\./text: it may not be executed' -- ./text
    mkdir folder
    refuses 126 '\./folder: that is a folder' -- ./folder
}

@test "a statically linked program is refused with 125, and the text says what would work" {
    echo 'int main(void) { return 0; }' >static.c
    cc -static static.c -o static
    refuses 125 '\./static is statically linked: .*[Ll]ink it dynamically' -- ./static
}

@test "a program for another processor or another C library is refused with 125" {
    echo 'int main(void) { return 0; }' >other.c
    cc other.c -o other -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
    refuses 125 '\./other is loaded by /lib/ld-musl-x86_64.so.1, which is not glibc' -- ./other
    # Of its header alone: e_machine says aarch64.
    cc other.c -o foreign
    printf '\267' | dd of=foreign bs=1 seek=18 conv=notrunc status=none
    refuses 125 '\./foreign is for another processor' -- ./foreign
}

@test "a set-user-ID program of another user is refused with 125" {
    if [ "$(id -u)" = 0 ]; then
        cp "$(command -v sleep)" other_user
        chown nobody other_user
        chmod u+s other_user
        refuses 125 '\./other_user changes its user .*set-user-ID' -- ./other_user 0
    else
        refuses 125 'su changes its user .*set-user-ID' -- su
    fi
}

@test "a script is judged by its interpreter, and one without is sh's" {
    printf '#!/bin/sh\necho "$0 $1"; exit 3\n' >script
    printf 'echo plain; exit 4\n' >bare
    chmod +x script bare
    local status=0
    "$taskprof" run -- ./script argument >"$out" 2>"$err" || status=$?
    [ "$status" = 3 ]
    [ "$(<"$out")" = './script argument' ]
    is_address
    status=0
    "$taskprof" run -- ./bare >"$out" 2>"$err" || status=$?
    [ "$status" = 4 ]
    [ "$(<"$out")" = plain ]
    is_address
}

@test "wrong options are refused with 125, and say what would be right" {
    refuses 125 'which program?'
    refuses 125 'run has no option --nonsense' --nonsense -- true
    refuses 125 '--http needs a value' --http
    refuses 125 '--every 5x: right would be' --snapshots . --every 5x -- true
    refuses 125 '--keep 0: right would be' --snapshots . --keep 0 -- true
    refuses 125 'say nothing without --snapshots' --keep 3 -- true
    refuses 125 '--channels nowhere: No such file' --channels nowhere -- true
    : >file
    refuses 125 '--snapshots file: that is not a folder' --snapshots file -- true
    run -125 "$taskprof" rum
    [[ $output == *'there is no command "rum"'* ]]
    run -0 "$taskprof" help run
    [[ $output == *'--http ADDRESS:PORT'*'--children'*'125'* ]]
}

@test "by hand it is LD_PRELOAD and TASKPROF_HTTP, and without the latter nothing at all" {
    local preload=$build/preload/libtaskprof_preload.so
    TASKPROF_HTTP=127.0.0.1:0 LD_PRELOAD=$preload sh -c 'echo out; exit 5' >"$out" 2>"$err" ||
        [ $? = 5 ]
    [ "$(<"$out")" = out ]
    is_address
    LD_PRELOAD=$preload grep Threads /proc/self/status >"$out" 2>"$err"
    [ "$(tr -d '\t' <"$out")" = Threads:1 ]
    [ ! -s "$err" ]
}
