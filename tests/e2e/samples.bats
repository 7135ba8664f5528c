#!/usr/bin/env bats
# What the samples say they leaked, and what the profiles say: as curl and `go tool pprof` see it.

load helpers

setup() {
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    out=$BATS_TEST_TMPDIR/out
    pid=
    # go tool pprof keeps copies of what it fetches: none in the home directory.
    export HOME=$BATS_TEST_TMPDIR PPROF_TMPDIR=$BATS_TEST_TMPDIR
    # With AddressSanitizer: what leaks here is meant to.
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
}

teardown() {
    kill_all ${pid:+"$pid"}
}

# start PROGRAM OPTION…: sets pid and url.
start() {
    local program=$1
    shift
    if [ "$program" = fibers ] && [ ! -x "$build/samples/fibers" ]; then
        skip "fibers is not built, because State Threads (libst-dev) is not installed"
    fi
    "$build/samples/$program" --http 127.0.0.1:0 "$@" >"$out" 2>&1 </dev/null 3>&- &
    pid=$!
    eventually grep -q '^ready ' "$out"
    url=$(sed -n 's/^ready //p' "$out")
}

# Ends it as a service manager would; it must agree.
stop() {
    kill -TERM "$pid"
    local status=0
    wait "$pid" || status=$?
    pid=
    [ "$status" -eq 0 ]
}

fetch() {
    curl -sS --fail-with-body --noproxy '*' --max-time 60 "$@"
}

# The line that the program printed when it had leaked all it was to leak.
reported() {
    grep -E "^(leaked|misused) $1 " "$out" | tail -n 1
}

has_reported() {
    grep -qE "^(leaked|misused) $1 " "$out"
}

# groups_waiting FUNCTION REASON CHANNEL: tasks that debug=1 shows there, on stdin.
groups_waiting() {
    awk -v function_="$1" -v reason="$2" -v channel="$3" '
        / @ 0x/ { count = $1; labels = "" }
        /^# created by/ { count = 0 }
        /^# labels:/ { labels = $0; gsub(/: "/, ":\"", labels) }
        $1 == "#" && $2 ~ /^0x/ && $3 ~ "^" function_ "\\+0x" && count {
            fits = index(labels, "\"state\":\"" reason "\"")
            if (channel == "-")
                fits = fits && !index(labels, "\"channel\":")
            else
                fits = fits && index(labels, "\"channel\":\"" channel "\"")
            if (fits)
                sum += count
            count = 0
        }
        END { print sum + 0 }'
}

# The same from debug=2, where every task has a paragraph of its own.
tasks_waiting() {
    awk -v RS= -v function_="$1" -v reason="$2" -v channel="$3" '
        {
            head = $0
            sub(/\n.*/, "", head)
            gsub(/: "/, ":\"", head)
            fits = index(head, " [" reason) && index("\n" $0, "\n" function_ "(")
            if (channel != "-")
                fits = fits && index(head, "\"channel\":\"" channel "\"")
            sum += fits != 0
        }
        END { print sum + 0 }'
}

# The same from `go tool pprof -traces`: samples between dashed lines, labels first, then the value
# with the leaf, then its callers.
traces_waiting() {
    awk -v function_="$1" -v reason="$2" -v channel="$3" '
        function finish() {
            if (found && state == reason && on == channel)
                sum += count
            found = 0; state = ""; on = "-"; count = 0
        }
        BEGIN { finish() }
        /^-+\+-+$/ { finish(); next }
        { line = $0; sub(/^ +/, "", line); sub(/ +$/, "", line) }
        $1 == "state:" || line ~ /^state:/ { state = line; sub(/^state: */, "", state); next }
        $1 == "channel:" || line ~ /^channel:/ { on = line; sub(/^channel: */, "", on); next }
        line ~ /^[0-9]+ +[^ ]/ { count = $1; sub(/^[0-9]+ +/, "", line) }
        line == function_ { found = 1 }
        END { finish(); print sum + 0 }'
}

debug1_shows() { # COUNT FUNCTION REASON CHANNEL
    [ "$(fetch "${url}goroutine?debug=1" | groups_waiting "${@:2}")" = "$1" ]
}

# is_found PROGRAM PATTERN TASKS FUNCTION REASON CHANNEL
is_found() {
    local program=$1 pattern=$2
    local truth=("${@:3}")
    start "$program" --leak "$pattern" --count 5 --rate 200
    eventually has_reported "$pattern"
    [ "$(reported "$pattern")" = "leaked $pattern $3 tasks in $4 [$5] on $6" ]
    eventually debug1_shows "${truth[@]}"
    # Nothing leaks any more, so every view from now on has to show the very same tasks.
    [ "$(fetch "${url}goroutine?debug=2" | tasks_waiting "${truth[@]:1}")" = "$3" ]
    go tool pprof -traces -sample_index=goroutine "${url}goroutine" \
        >"$BATS_TEST_TMPDIR/traces" 2>"$BATS_TEST_TMPDIR/traces.err"
    [ "$(traces_waiting "${truth[@]:1}" <"$BATS_TEST_TMPDIR/traces")" = "$3" ]
    debug1_shows "${truth[@]}"
    stop
}

nobody_waits_in() {
    ! fetch "${url}goroutine?debug=2" | grep -qE "^$1[a-z_.0-9]*\("
}

# twin_is_not_accused PROGRAM PATTERN FUNCTION
twin_is_not_accused() {
    start "$1" --leak "$2" --fixed --count 5 --rate 200
    eventually has_reported "$2"
    [[ $(reported "$2") == "leaked $2 0 tasks in $3 "* ]]
    eventually nobody_waits_in "$3"
    # What is left are the service's own tasks: the twin's have ended, not gone elsewhere.
    eventually leak_tasks_have_ended
    stop
}

leak_tasks_have_ended() {
    ! fetch "${url}goroutine?debug=2" | grep -qE 'leak_at_a_rate|(leaky|fixed|ask|ship|pack)_?[a-z]*\(.*leaks/'
}

misuse_is_shown() { # PROGRAM PATTERN FUNCTION WHAT CHANNEL EARLIER
    start "$1" --leak "$2" --count 5 --rate 200
    eventually has_reported "$2"
    [ "$(reported "$2")" = "misused $2 5 times in $3 [$4] on $5 closed in $6" ]
    fetch "${url}channel?debug=1" >"$BATS_TEST_TMPDIR/channels"
    grep -q "$4" "$BATS_TEST_TMPDIR/channels"
    grep -qw "$5" "$BATS_TEST_TMPDIR/channels"
    grep -qw "$3" "$BATS_TEST_TMPDIR/channels"
    grep -qw "$6" "$BATS_TEST_TMPDIR/channels"
    stop
}

misuse_twin_is_not_accused() { # PROGRAM PATTERN WHAT
    start "$1" --leak "$2" --fixed --count 5 --rate 200
    eventually has_reported "$2"
    [[ $(reported "$2") == "misused $2 0 times "* ]]
    fetch "${url}channel?debug=1" >"$BATS_TEST_TMPDIR/channels"
    ! grep -q "$3" "$BATS_TEST_TMPDIR/channels"
    stop
}

# --- orders: threads

@test "orders: early-return is found as a receive that nobody will serve" {
    is_found orders early-return 5 wait_for_answer "chan receive" answers
}

@test "orders: the twin of early-return is not accused" {
    twin_is_not_accused orders early-return wait_for_answer
}

@test "orders: timeout-abandons-sender is found as a send that nobody will take" {
    is_found orders timeout-abandons-sender 5 send_price "chan send" prices
}

@test "orders: the twin of timeout-abandons-sender is not accused" {
    twin_is_not_accused orders timeout-abandons-sender send_price
}

@test "orders: range-without-close is found as a receive" {
    is_found orders range-without-close 5 ship_all "chan receive" parcels
}

@test "orders: the twin of range-without-close is not accused" {
    twin_is_not_accused orders range-without-close ship_all
}

@test "orders: consumer-pool is found with all workers of each pool" {
    is_found orders consumer-pool 20 pack_items "chan receive" items
}

@test "orders: the twin of consumer-pool is not accused" {
    twin_is_not_accused orders consumer-pool pack_items
}

@test "orders: stream-not-half-closed is found as a wait for input" {
    is_found orders stream-not-half-closed 5 read_replies "IO wait" -
}

@test "orders: the twin of stream-not-half-closed is not accused" {
    twin_is_not_accused orders stream-not-half-closed read_replies
}

@test "orders: cancel-not-heard is found as a receive" {
    is_found orders cancel-not-heard 5 watch_stock "chan receive" updates
}

@test "orders: the twin of cancel-not-heard is not accused" {
    twin_is_not_accused orders cancel-not-heard watch_stock
}

@test "orders: close-twice is shown with both places" {
    misuse_is_shown orders close-twice abandon_batch "close of closed channel" batch finish_batch
}

@test "orders: the twin of close-twice is not accused" {
    misuse_twin_is_not_accused orders close-twice "close of closed channel"
}

@test "orders: send-after-close is shown with both places" {
    misuse_is_shown orders send-after-close accept_order "send on closed channel" inbox stop_accepting
}

@test "orders: the twin of send-after-close is not accused" {
    misuse_twin_is_not_accused orders send-after-close "send on closed channel"
}

@test "orders: all leaks at once are told apart" {
    start orders --leak all --count 5 --rate 200
    eventually has_reported send-after-close
    eventually debug1_shows 5 wait_for_answer "chan receive" answers
    eventually debug1_shows 5 send_price "chan send" prices
    eventually debug1_shows 5 ship_all "chan receive" parcels
    eventually debug1_shows 20 pack_items "chan receive" items
    eventually debug1_shows 5 read_replies "IO wait" -
    eventually debug1_shows 5 watch_stock "chan receive" updates
    stop
}

@test "orders: the service's own queue and channels are in the channel profile" {
    start orders
    fetch "${url}channel?debug=1" >"$BATS_TEST_TMPDIR/channels"
    for name in intake validated priced; do
        grep -qw "$name" "$BATS_TEST_TMPDIR/channels"
    done
    stop
}

@test "orders: idle validators wait to receive from the home-made queue" {
    start orders
    idle() {
        [ "$(fetch "${url}goroutine?debug=1" | groups_waiting intake_take "chan receive" intake)" -ge 1 ]
    }
    eventually idle
    stop
}

@test "orders: ends by itself when its time is over, and ships what it took" {
    start orders --duration 1
    local status=0
    wait "$pid" || status=$?
    pid=
    [ "$status" -eq 0 ]
    grep -qE '^shipped [1-9][0-9]* orders$' "$out"
}

@test "orders: SIGINT ends it cleanly too, with leaked threads around" {
    start orders --leak early-return --count 3 --rate 200
    eventually has_reported early-return
    kill -INT "$pid"
    local status=0
    wait "$pid" || status=$?
    pid=
    [ "$status" -eq 0 ]
    grep -q '^shipped ' "$out"
}

# --- fibers: coroutines of State Threads

@test "fibers: early-return is found" {
    is_found fibers early-return 5 wait_for_answer "chan receive" answers
}

@test "fibers: the twin of early-return is not accused" {
    twin_is_not_accused fibers early-return wait_for_answer
}

@test "fibers: timeout-abandons-sender is found" {
    is_found fibers timeout-abandons-sender 5 send_price "chan send" prices
}

@test "fibers: the twin of timeout-abandons-sender is not accused" {
    twin_is_not_accused fibers timeout-abandons-sender send_price
}

@test "fibers: range-without-close is found" {
    is_found fibers range-without-close 5 ship_all "chan receive" parcels
}

@test "fibers: consumer-pool is found" {
    is_found fibers consumer-pool 20 pack_items "chan receive" items
}

@test "fibers: the twin of consumer-pool is not accused" {
    twin_is_not_accused fibers consumer-pool pack_items
}

@test "fibers: cancel-not-heard is found" {
    is_found fibers cancel-not-heard 5 watch_stock "chan receive" updates
}

@test "fibers: the twin of cancel-not-heard is not accused" {
    twin_is_not_accused fibers cancel-not-heard watch_stock
}

@test "fibers: a send on a closed channel is shown with both places" {
    misuse_is_shown fibers send-after-close accept_order "send on closed channel" inbox stop_accepting
}

@test "fibers: every idle fiber is in the profile" {
    start fibers --fibers 2500
    # One of them may be at work on a request at any instant, and is then not waiting.
    idle() {
        local waiting
        waiting=$(fetch "${url}goroutine?debug=1" | groups_waiting serve "chan receive" requests)
        [ "$waiting" -ge 2499 ] && [ "$waiting" -le 2500 ]
    }
    eventually idle
    stop
}

# --- command line

@test "orders and fibers: --list names every way to leak with a line of its story" {
    run "$build/samples/orders" --list
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 8 ]
    for name in early-return timeout-abandons-sender range-without-close consumer-pool \
        stream-not-half-closed cancel-not-heard close-twice send-after-close; do
        grep -qE "^$name +[^ ]" <<<"$output"
    done
}

@test "orders: --help exits with 0 and shows every option" {
    run "$build/samples/orders" --help
    [ "$status" -eq 0 ]
    for option in leak list fixed rate count http duration help; do
        grep -q -- "--$option" <<<"$output"
    done
}

@test "orders: a wrong argument is refused with what would be right" {
    run "$build/samples/orders" --leak early-return,nonsense
    [ "$status" -eq 2 ]
    [[ $output == *"'nonsense'"*"early-return, timeout-abandons-sender"*"send-after-close, or all"* ]]
    run "$build/samples/orders" --leak ""
    [ "$status" -eq 2 ]
    run "$build/samples/orders" --rate 0
    [ "$status" -eq 2 ]
    [[ $output == *"--rate: '0' is not a number from 0.01 to 1000"* ]]
    run "$build/samples/orders" --rate nan
    [ "$status" -eq 2 ]
    run "$build/samples/orders" --count -1
    [ "$status" -eq 2 ]
    [[ $output == *"--count: '-1' is not a whole number from 1 to "* ]]
    run "$build/samples/orders" --duration 99999999999999999999
    [ "$status" -eq 2 ]
    run "$build/samples/orders" --fibers 3
    [ "$status" -eq 2 ]
    [[ $output == *"see orders --help"* ]]
    run "$build/samples/orders" leak
    [ "$status" -eq 2 ]
    [[ $output == *"'leak' is not an option"* ]]
}

@test "orders: an address that can't be used is refused with the reason" {
    run "$build/samples/orders" --http nonsense:address
    [ "$status" -eq 1 ]
    [[ $output == "orders: no profiles: "?* ]]
}
