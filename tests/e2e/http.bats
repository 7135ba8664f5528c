#!/usr/bin/env bats
# The endpoint as its clients see it: curl, go tool pprof, panicparse; slow ones, wrong ones, too
# many of them; and in a process that is half dead.

bats_require_minimum_version 1.5.0
load helpers

setup() {
    build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
    programs=$build/tests/e2e
    out=$BATS_TEST_TMPDIR/out
    body=$BATS_TEST_TMPDIR/body
    pids=()
    # go tool pprof keeps copies of what it fetches: none in the home directory.
    export HOME=$BATS_TEST_TMPDIR PPROF_TMPDIR=$BATS_TEST_TMPDIR
    export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
    # ThreadSanitizer brings a thread of its own.
    all=5
    [ "${TASKPROF_SANITIZE:-}" != thread ] || all=6
    export TASKPROF_HTTP=127.0.0.1:0
    unset TASKPROF_HOSTS TASKPROF_MAX_CONNECTIONS TASKPROF_CLIENT_TIMEOUT
}

teardown() {
    exec 7>&- || true
    kill_all "${pids[@]}"
}

# line_is NUMBER PATTERN: of the program's output.
line_is() {
    sed -n "$1p" "$out" | grep -qE "^$2\$"
}

# start PROGRAM ARGUMENT…: sets address and url; descriptor 7 is the program's standard input.
start() {
    local program=$programs/$1
    shift
    rm -f "$BATS_TEST_TMPDIR/in"
    mkfifo "$BATS_TEST_TMPDIR/in"
    "$program" "$@" <"$BATS_TEST_TMPDIR/in" >"$out" 2>&1 3>&- &
    server=$!
    pids+=("$server")
    exec 7>"$BATS_TEST_TMPDIR/in"
    eventually line_is 1 '.*:[0-9]+'
    address=$(head -n 1 "$out")
    url=http://$address/debug/pprof
}

# As curl, with its answer's head in $body.head and its body in $body; prints the status.
get() {
    curl -sS --noproxy '*' --max-time 30 -o "$body" -D "$body.head" -w '%{http_code}\n' "$@"
}

header() {
    tr -d '\r' <"$body.head" | grep -qix "$1"
}

# The senders and workers have reached their channels.
all_parked() {
    [ "$(get "$url/goroutine?debug=1")" = 200 ] && grep -qx '# channel: .* 3 receivers wait' "$body" &&
        grep -qx '# channel: .* 1 senders and 0 receivers wait' "$body"
}

go_pprof() {
    go tool pprof -symbolize=none "$@" 2>"$BATS_TEST_TMPDIR/err"
}

@test "goroutine debug=0 is gzip that go tool pprof reads" {
    start http_server
    eventually all_parked
    [ "$(get "$url/goroutine")" = 200 ]
    header 'Content-Type: application/octet-stream'
    header 'Content-Disposition: attachment; filename="goroutine"'
    header 'X-Content-Type-Options: nosniff'
    header 'Cache-Control: no-store'
    ! header 'Content-Encoding: .*'
    gzip -t <"$body"
    go_pprof -raw "$body" | grep -qF 'goroutine/count[dflt] wait/nanoseconds'
    go_pprof -raw "$body" | grep -qF 'channel:[orders]'
    [ "$(get "$url/task")" = 200 ]
    header 'Content-Disposition: attachment; filename="goroutine"'
}

@test "goroutine debug=1 is text that go tool pprof reads, from the server and from a file" {
    start http_server
    eventually all_parked
    [ "$(get "$url/goroutine?debug=1")" = 200 ]
    header 'Content-Type: text/plain; charset=utf-8'
    head -n 1 "$body" | grep -qxE "goroutine profile: total $all"
    # Every line is one that pprof's own expressions match, or one that it skips.
    ! tail -n +2 "$body" | grep -vE '^(#.*|[0-9]+ @( 0x[0-9a-f]+)+|)$'
    grep -qxE $'#\t0x[0-9a-f]+\twait_for_an_order\\+0x[0-9a-f]+\t.*/server\\.c:[0-9]+' "$body"
    go_pprof -raw "$body" | grep -qE '^ +3: '
    go tool pprof -top "$url/goroutine?debug=1" 2>"$BATS_TEST_TMPDIR/err" | grep -q wait_for_an_order
}

@test "goroutine debug=2 is read by panicparse" {
    command -v panicparse >/dev/null || skip "panicparse is not installed"
    start http_server
    eventually all_parked
    # It gives up at a file whose name does not end in .c, .go or .s; files=go is for it.
    [ "$(get "$url/goroutine?debug=2&files=go")" = 200 ]
    head -n 1 "$body" | grep -qE '^goroutine [0-9]+ \[.*\]:$'
    panicparse "$body" >"$out.parsed"
    grep -qE '^3: chan receive' "$out.parsed"
    grep -qF 'wait_for_an_order(' "$out.parsed"
    # What it did not understand it passes on: only our own closing lines.
    ! grep -E '^(goroutine|created by)' "$out.parsed"
    grep -c '^goroutine ' "$body" | grep -qx "$all"
}

@test "goroutine debug=3 has a sample for every task" {
    start http_server
    eventually all_parked
    [ "$(get "$url/goroutine?debug=3")" = 200 ]
    header 'Content-Type: application/octet-stream'
    [ "$(go_pprof -raw "$body" | grep -cE '[[:space:]]id:\[')" = "$all" ]
    [ "$(get "$url/goroutine?debug=3&channel=orders")" = 200 ]
    [ "$(go_pprof -raw "$body" | grep -cE '[[:space:]]id:\[')" = 3 ]
}

@test "filters choose tasks, and what they leave out is counted" {
    start http_server
    eventually all_parked
    get "$url/goroutine?debug=2&state=chan+receive&limit=2"
    [ "$(grep -c '^goroutine ' "$body")" = 2 ]
    grep -qx '# ... 1 more tasks left out by limit=2' "$body"
    grep -qx "# $((all - 3)) tasks not shown: the filters exclude them" "$body"
    get "$url/goroutine?debug=2&min_wait=1h"
    [ "$(grep -c '^goroutine ' "$body")" = 0 ]
    get "$url/goroutine?debug=1&channel=full"
    head -n 1 "$body" | grep -qx 'goroutine profile: total 1'
}

@test "goroutine seconds=N is a delta, and the connection waits for it" {
    start http_server
    eventually all_parked
    [ "$(get "$url/goroutine?seconds=1&seconds=7")" = 200 ]
    header 'Content-Disposition: attachment; filename="goroutine-delta"'
    go_pprof -raw "$body" | grep -qE '^Duration: 1\.'
}

@test "the index, its links, and the redirects to it" {
    start http_server
    eventually all_parked
    [ "$(get "$url/")" = 200 ]
    header 'Content-Type: text/html; charset=utf-8'
    grep -qF "<tr><td>$all</td><td><a href=\"goroutine?debug=1\">goroutine</a></td></tr>" "$body"
    grep -qF '<tr><td>3</td><td><a href="channel?debug=1">channel</a></td></tr>' "$body"
    grep -qF 'href="goroutine?debug=2"' "$body"
    ! grep -qiE '<script|http:|https:' "$body"
    local link
    for link in $(grep -oE 'href="[^"]+"' "$body" | cut -d'"' -f2); do
        [ "$(get "$url/$link")" = 200 ]
    done
    local path
    for path in / /debug/pprof; do
        [ "$(get "http://$address$path")" = 301 ]
        header 'Location: /debug/pprof/'
    done
}

@test "channel and threadcreate, both ways" {
    start http_server
    eventually all_parked
    get "$url/channel?debug=1"
    grep -qE '^orders +[0-9]+ +0/10 +no +0 +3 ' "$body"
    grep -qE '^full +[0-9]+ +1/1 +no +1 +0 ' "$body"
    grep -qE '^closed +[0-9]+ +0/2 +yes ' "$body"
    grep -qE 'close of closed channel, channel [0-9]+ "closed", by goroutine [0-9]+:$' "$body"
    get "$url/channel?debug=1&channel=orders&limit=0"
    grep -qE '^orders +1 +in all +0 +3 ' "$body"
    grep -qE '^# 1 channels have no row .* limit=0' "$body"
    grep -qx '# 2 channels not shown: channel= excludes them' "$body"
    [ "$(get "$url/channel")" = 200 ]
    header 'Content-Disposition: attachment; filename="channel"'
    go_pprof -raw "$body" | grep -qF 'len/count'
    get "$url/threadcreate?debug=1"
    grep -qE '^threadcreate profile: total [0-9]+$' "$body"
    go_pprof -raw "$body" | grep -qE '^ +3: '
    [ "$(get "$url/threadcreate?seconds=x")" = 200 ]
    go_pprof -raw "$body" | grep -qF 'threadcreate/count'
}

@test "cmdline and symbol, as go tool pprof uses them" {
    start http_server 3
    eventually all_parked
    [ "$(get "$url/cmdline")" = 200 ]
    [ "$(tr '\0' '|' <"$body")" = "$programs/http_server|3" ]
    [ "$(get "$url/symbol")" = 200 ]
    [ "$(cat "$body")" = "num_symbols: 1" ]
    get "$url/goroutine?debug=1"
    local at
    at=$(grep -oE $'0x[0-9a-f]+\twait_for_an_order' "$body" | head -n 1 | cut -f1)
    [ "$(get -d "$at+0x1+nonsense+$at" "$url/symbol?dropped")" = 200 ]
    [ "$(grep -cx "$at wait_for_an_order" "$body")" = 2 ]
    [ "$(wc -l <"$body")" = 3 ]
}

@test "HEAD has the head of GET and no body" {
    start http_server
    curl -sS --noproxy '*' -I "$url/" "$url/goroutine?debug=2" >"$body"
    [ "$(grep -c '^HTTP/1.1 200' "$body")" = 2 ]
}

# refused STATUS PATTERN CURL_ARGUMENT…
refused() {
    local status=$1 pattern=$2
    shift 2
    local got
    got=$(get "$@")
    [ "$got" = "$status" ] || {
        echo "$got, not $status: $*"
        cat "$body"
        return 1
    }
    header 'X-Go-Pprof: 1'
    header 'X-Content-Type-Options: nosniff'
    header 'Content-Type: text/plain; charset=utf-8'
    grep -qE "$pattern" "$body" || {
        cat "$body"
        return 1
    }
}

@test "errors say what was wrong and what would be right" {
    start http_server
    refused 404 '^Unknown profile$' "$url/nonsense"
    refused 404 '^Unknown profile$' "$url/..%2f..%2fetc%2fpasswd"
    refused 404 '^Unknown profile$' --path-as-is "$url/../../../etc/passwd"
    local absent
    for absent in heap allocs block mutex profile trace; do
        refused 404 "^Unknown profile: taskprof.* $absent .*goroutine" "$url/$absent?seconds=5"
    done
    refused 404 'profiles are at /debug/pprof/' "http://$address/metrics-of-somebody-else"
    refused 400 'must be a positive integer' "$url/goroutine?seconds=-1"
    refused 400 'must be a positive integer' "$url/goroutine?seconds=0"
    refused 400 'must be a positive integer' "$url/goroutine?seconds=5x"
    refused 400 'can be 3600 at most' "$url/goroutine?seconds=3601"
    refused 400 'can be 3600 at most' "$url/goroutine?seconds=18446744073709551615"
    refused 400 'incompatible' "$url/goroutine?seconds=1&debug=1"
    refused 400 'debug= must be a number of 0 to 3' "$url/goroutine?debug=4"
    refused 400 'debug= must be a number of 0 to 1' "$url/channel?debug=2"
    refused 400 'right would be min_wait=90s' "$url/goroutine?debug=2&min_wait=soon"
    refused 400 'positive integer' "$url/goroutine?debug=2&limit=0"
    refused 400 'state= .*chan\+receive' "$url/goroutine?debug=2&state=%zz"
    refused 400 'files= .*files=go' "$url/goroutine?debug=2&files=c"
    refused 400 'channel= .*badly encoded' "$url/goroutine?debug=2&channel=%00"
    refused 400 'state= needs debug=1, 2 or 3' "$url/goroutine?state=running"
    refused 400 'limit= needs debug=1' "$url/channel?limit=7"
    refused 400 'or 0 for sums alone' "$url/channel?debug=1&limit=x"
    refused 400 'badly encoded' "$url/gorout%ine"
    # Go ignores names that it doesn't know, and scrapers send some.
    [ "$(get "$url/goroutine?gc=1&unknown=5&debug=")" = 200 ]
}

@test "methods and bodies that are not expected are refused" {
    start http_server
    refused 405 'GET or HEAD' -X POST "$url/goroutine"
    header 'Allow: GET, HEAD'
    refused 405 'GET, HEAD or POST' -X PUT "$url/symbol"
    header 'Allow: GET, HEAD, POST'
    refused 405 'GET or HEAD' -X DELETE "$url/"
    refused 400 'no body' -X GET -d body "$url/goroutine"
    refused 400 'no body' -X GET -H 'Transfer-Encoding: chunked' -d body "$url/goroutine"
    head -c 1048577 /dev/zero >"$BATS_TEST_TMPDIR/big"
    # A client that does not read while it sends may meet the reset before the answer.
    eventually refused 413 '1048576 bytes' -H 'Expect:' --data-binary "@$BATS_TEST_TMPDIR/big" "$url/symbol"
    eventually refused 413 '1048576 bytes' -H 'Expect:' -H 'Transfer-Encoding: chunked' \
        --data-binary "@$BATS_TEST_TMPDIR/big" "$url/symbol"
    # For ever is not read.
    run curl -sS --noproxy '*' --max-time 30 -o "$body" -H 'Expect:' -X POST -T - "$url/symbol" \
        < <(head -c 100000000 /dev/zero)
    # The connection was reset while it sent, or while it waited.
    [ "$status" = 55 ] || [ "$status" = 56 ]
    [ "$(get "$url/cmdline")" = 200 ]
}

@test "a URL of ten kilobytes is refused with 414" {
    start http_server
    local long
    long=$(head -c 10000 /dev/zero | tr '\0' a)
    refused 414 '8192 bytes' "$url/goroutine?$long"
    [ "$(get "$url/goroutine?${long:0:8000}")" = 200 ]
    # What libmicrohttpd itself refuses.
    local status
    status=$(get -H "X-Long: $long$long$long$long" "$url/goroutine")
    [ "$status" = 431 ] || [ "$status" = 413 ]
}

@test "hosts that are not loopback are refused, unless they are allowed" {
    start http_server
    local host
    for host in evil.example 'localhost.evil.example:80' '' '10.1.2.3'; do
        refused 403 TASKPROF_HOSTS -H "Host;" -H "Host: $host" "$url/"
    done
    refused 403 TASKPROF_HOSTS -H 'Host:' "$url/"
    refused 403 TASKPROF_HOSTS --request-target 'http://evil.example/debug/pprof/' "$url/"
    for host in localhost "localhost:1" 127.0.0.7 '[::1]:80'; do
        [ "$(get -H "Host: $host" "$url/")" = 200 ]
    done
    # HTTP/1.0 knows no Host header; browsers don't speak it.
    [ "$(get --http1.0 -H 'Host:' "$url/")" = 200 ]
    refused 403 TASKPROF_HOSTS --http1.0 -H 'Host: evil.example' "$url/"
    [ "$(get --request-target "http://$address/debug/pprof/" "$url/")" = 200 ]

    TASKPROF_HOSTS=a.example,b.example start http_server
    [ "$(get -H 'Host: b.example:6060' "$url/")" = 200 ]
    refused 403 TASKPROF_HOSTS -H 'Host: c.example' "$url/"
    TASKPROF_HOSTS='*' start http_server
    [ "$(get -H 'Host: c.example' "$url/")" = 200 ]
}

@test "a connection is used again, and HTTP/1.0 gets a whole dump" {
    start http_server
    eventually all_parked
    curl -sS --noproxy '*' -o "$body" -o "$body" -o "$body" -w '%{num_connects} %{http_code}\n' \
        "$url/cmdline" "$url/goroutine?debug=2" "$url/nonsense" >"$body.used"
    [ "$(tr '\n' ' ' <"$body.used")" = "1 200 0 200 0 404 " ]
    [ "$(get --http1.0 "$url/goroutine?debug=2")" = 200 ]
    [ "$(grep -c '^goroutine ' "$body")" = "$all" ]
    ! header 'Transfer-Encoding: .*'
}

@test "a slow client gets everything, and keeps nobody waiting" {
    start http_server 3 coroutines 20000
    eventually all_parked
    # Slow enough to be at it for some seconds: the dump does not fit into the kernel's buffers.
    curl -sS --noproxy '*' --limit-rate 3M -o "$body.slow" "$url/goroutine?debug=2" 3>&- 7>&- &
    local slow=$!
    local i
    for i in 1 2 3 4 5; do
        [ "$(get --max-time 3 "$url/goroutine?debug=1")" = 200 ]
    done
    wait "$slow"
    [ "$(grep -c '^goroutine ' "$body.slow")" = $((20000 + all)) ]
    tail -n 1 "$body.slow" | grep -q "^# $((20000 + all)) tasks ($all threads, 20000 coroutines)"
}

# Resident memory of the server, in bytes.
resident() {
    awk '$1 == "VmRSS:" { print $2 * 1024 }' "/proc/$server/status"
}

@test "a slow client holds its snapshot and one piece, never the answer" {
    [ -z "${TASKPROF_SANITIZE-}" ] || skip "sanitizers have memory of their own"
    local tasks=100000 clients=8 bound dump before fd line fds=() i
    start http_server 3 coroutines $tasks
    eventually all_parked
    # What the first dump reads is kept for all that follow.
    [ "$(get "$url/goroutine?debug=2")" = 200 ]
    dump=$(stat -c %s "$body")
    before=$(resident)
    for ((i = 0; i < clients; i++)); do
        exec {fd}<>"/dev/tcp/${address%:*}/${address##*:}"
        fds+=("$fd")
        printf 'GET /debug/pprof/goroutine?debug=2 HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$fd"
        # The answer has begun; the rest stays where it is.
        read -r -t 30 line <&"$fd"
        [[ $line == "HTTP/1.1 200 "* ]]
    done
    bound=$((28 * tasks + 1048576))
    echo "$(($(resident) - before)) bytes for $clients clients, a dump is $dump"
    [ $((($(resident) - before) / clients)) -le $bound ]
    # So it is not the answer that they hold, nor do they keep others from theirs.
    [ $((2 * bound)) -lt "$dump" ]
    [ "$(get --max-time 10 "$url/goroutine?debug=1")" = 200 ]
    for fd in "${fds[@]}"; do
        exec {fd}>&-
    done
    # And gone, they hold nothing.
    given_back() { [ $(($(resident) - before)) -lt 2097152 ]; }
    eventually given_back
}

# As many connections are open in the server, besides the listener.
connections() {
    [ "$(find "/proc/$server/fd" -lname 'socket:*' | wc -l)" = $(($1 + 1)) ]
}

@test "a client that stops reading is cut off" {
    TASKPROF_CLIENT_TIMEOUT=1 start http_server 3 coroutines 50000
    eventually all_parked
    # Asks, reads the first line, and nothing more.
    exec 8<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET /debug/pprof/goroutine?debug=2 HTTP/1.1\r\nHost: localhost\r\n\r\n' >&8
    read -r -t 10 <&8
    eventually connections 0
    exec 8>&-
}

# Sends one byte more on descriptor 8; true when the server has closed that connection.
trickle() {
    (printf '%s' "$1" >&8) 2>/dev/null || true
    connections 0
}

@test "a client that sends a byte now and then is cut off, in head and body" {
    TASKPROF_CLIENT_TIMEOUT=1 start http_server
    local begin
    for begin in 'GET /debug/pprof/?' \
        $'GET /debug/pprof/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ' \
        $'POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n' \
        $'POST /debug/pprof/symbol HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n'; do
        exec 8<>"/dev/tcp/${address%:*}/${address##*:}"
        printf '%s' "$begin" >&8
        eventually connections 1
        eventually trickle a
        exec 8>&-
    done
    [ "$(get "$url/cmdline")" = 200 ]
}

@test "a connection may be used for longer than one request may take" {
    TASKPROF_CLIENT_TIMEOUT=2 start http_server
    exec 8<>"/dev/tcp/${address%:*}/${address##*:}"
    local line end=$((SECONDS + 6))
    while [ "$SECONDS" -lt "$end" ]; do
        printf 'HEAD /debug/pprof/cmdline HTTP/1.1\r\nHost: localhost\r\n\r\n' >&8
        read -r -t 10 line <&8
        [ "$line" = $'HTTP/1.1 200 OK\r' ]
        until [ "$line" = $'\r' ]; do
            read -r -t 10 line <&8
        done
    done
    exec 8>&-
}

@test "one client too many gets 503, and a place when there is one" {
    TASKPROF_MAX_CONNECTIONS=2 start http_server
    exec 8<>"/dev/tcp/${address%:*}/${address##*:}" 9<>"/dev/tcp/${address%:*}/${address##*:}"
    full() {
        [ "$(get "$url/")" = 503 ]
    }
    eventually full
    refused 503 'TASKPROF_MAX_CONNECTIONS' "$url/goroutine"
    header 'Retry-After: 1'
    exec 8>&-
    served() {
        [ "$(get "$url/cmdline")" = 200 ]
    }
    eventually served
    exec 9>&-
}

@test "clients that wait for a delta and go away free their place" {
    TASKPROF_MAX_CONNECTIONS=2 start http_server
    local i
    for i in 1 2 3 4 5 6; do
        run -28 curl -sS --noproxy '*' --max-time 0.2 "$url/goroutine?seconds=3600"
    done
    served() {
        [ "$(get "$url/cmdline")" = 200 ]
    }
    eventually served
    # A server with such clients stops all the same.
    curl -sS --noproxy '*' "$url/goroutine?seconds=3600" >/dev/null 2>&1 3>&- 7>&- &
    pids+=("$!")
    exec 7>&-
    local status=0
    wait "$server" || status=$?
    [ "$status" = 0 ]
}

@test "hundreds of clients that come, break off and come again" {
    start http_server
    local i
    for i in $(seq 100); do
        curl -sS --noproxy '*' --max-time 0.01 "$url/goroutine?debug=2" >/dev/null 2>&1 || true
        printf 'GET / HT' >"/dev/tcp/${address%:*}/${address##*:}" || true
    done
    seq 200 | xargs -P 8 -I{} curl -sS --noproxy '*' --max-time 30 -o /dev/null -w '%{http_code}\n' \
        "$url/goroutine?debug={}" >"$body"
    [ "$(grep -c 200 "$body") $(grep -c 400 "$body")" = "3 197" ]
    # None of them is left: not even of those who closed in the middle of a request.
    eventually connections 0
}

@test "a port that is taken is named" {
    start http_server
    run -1 env "TASKPROF_HTTP=$address" "$programs/http_server"
    [[ "${lines[0]}" == "TASKPROF_HTTP=$address: the port is taken."* ]]
    [ "${lines[1]}" = "the port is taken" ]
}

@test "an address that can not be listened on is named" {
    run -1 env TASKPROF_HTTP=server.example:1 "$programs/http_server"
    [[ "${lines[0]}" == 'TASKPROF_HTTP="server.example:1": the address must be given in numbers'* ]]
    run -1 env TASKPROF_HTTP=203.0.113.7:6060 "$programs/http_server"
    [[ "${lines[0]}" == "TASKPROF_HTTP=203.0.113.7:6060: no interface"* ]]
}

@test "a privileged port without permission is named" {
    [ "$(id -u)" = 0 ] || skip "only root can give up permissions"
    [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 80 ] || skip "no port is privileged"
    run -1 env TASKPROF_HTTP=127.0.0.1:80 setpriv --inh-caps -all --bounding-set -all \
        "$programs/http_server"
    [[ "${lines[0]}" == "TASKPROF_HTTP=127.0.0.1:80: no permission"* ]]
}

@test "off starts no endpoint" {
    TASKPROF_HTTP=off run -0 "$programs/http_server" 3 </dev/null
    [ "${lines[0]:-}" = "" ]
}

@test "IPv6 is served" {
    [ -e /proc/net/if_inet6 ] && grep -q '^00000000000000000000000000000001' /proc/net/if_inet6 ||
        skip "no IPv6 here"
    TASKPROF_HTTP='[::1]:0' start http_server
    [ "$(get -g "$url/cmdline")" = 200 ]
}

@test "stopped, it can be started again on the same port" {
    start http_server
    local first=$address
    exec 7>&-
    wait "$server"
    TASKPROF_HTTP=$first start http_server 3 restart
    [ "$address" = "$first" ]
    [ "$(get "$url/cmdline")" = 200 ]
}

@test "the child of a fork has no endpoint until it starts one" {
    [ "${TASKPROF_SANITIZE:-}" != thread ] || skip "ThreadSanitizer allows no new threads there"
    start http_server 3 fork
    eventually line_is 3 '.*:[0-9]+'
    local other
    for other in $(sort -u "$out"); do
        [ "$(get "http://$other/debug/pprof/goroutine?debug=2")" = 200 ]
    done
    [ "$(sort -u "$out" | wc -l)" = 2 ]
    exec 7>&-
    local status=0
    wait "$server" || status=$?
    [ "$status" = 0 ]
}

@test "with no file descriptor left in the process, dumps are still served" {
    start http_server 3 descriptors
    eventually all_parked
    [ "$(get "$url/goroutine?debug=2")" = 200 ]
    [ "$(grep -c '^goroutine ' "$body")" = "$all" ]
    [ "$(get "$url/goroutine")" = 200 ]
    go_pprof -raw "$body" | grep -qF 'channel:[orders]'
}

@test "with malloc locked for ever, everything is still served" {
    [ -z "${TASKPROF_SANITIZE:-}" ] || skip "sanitizers have a malloc of their own"
    start http_stuck_malloc
    eventually all_stuck_parked
    echo stuck >&7
    eventually line_is 2 stuck
    local began=$SECONDS
    [ "$(get --max-time 10 "$url/goroutine?debug=2")" = 200 ]
    [ "$(grep -c '^goroutine ' "$body")" = 4 ]
    [ "$(get --max-time 10 "$url/goroutine")" = 200 ]
    header 'Content-Type: application/octet-stream'
    go_pprof -raw "$body" | grep -qF 'channel:[orders]'
    [ "$(get --max-time 10 "$url/goroutine?debug=1")" = 200 ]
    go_pprof -raw "$body" | grep -qE '^ +3: '
    [ $((SECONDS - began)) -le 8 ]
    [ "$(get "$url/")" = 200 ]
    [ "$(get "$url/cmdline")" = 200 ]
    [ "$(get "$url/channel?debug=1")" = 200 ]
    refused 503 'malloc is stuck' "$url/goroutine?seconds=1"
    refused 503 'malloc is stuck' -d 0x1 "$url/symbol"
    refused 403 TASKPROF_HOSTS -H 'Host: evil.example' "$url/"
    refused 404 'Unknown profile' "$url/nonsense"
    refused 414 '8192 bytes' "$url/goroutine?$(head -c 9000 /dev/zero | tr '\0' a)"
    refused 431 '16384 bytes' -H "X-Long: $(head -c 17000 /dev/zero | tr '\0' a)" "$url/"
    echo free >&7
    eventually line_is 3 free
    whole_again() {
        [ "$(get "$url/goroutine?seconds=1")" = 200 ]
    }
    eventually whole_again
}

all_stuck_parked() {
    [ "$(get "$url/goroutine?debug=1")" = 200 ] && grep -qx '# channel: .* 3 receivers wait' "$body"
}

@test "with malloc locked for ever, the endpoint can be stopped" {
    [ -z "${TASKPROF_SANITIZE:-}" ] || skip "sanitizers have a malloc of their own"
    start http_stuck_malloc
    # DWARF is open now, in memory that can't be given back later.
    [ "$(get "$url/goroutine?debug=2")" = 200 ]
    echo stuck >&7
    eventually line_is 2 stuck
    [ "$(get --max-time 10 "$url/cmdline")" = 200 ]
    echo end >&7
    eventually line_is 3 stopped
    run -7 curl -sS --noproxy '*' "$url/cmdline"
}

@test "with a thread stuck in dlopen, everything is still served" {
    start http_server 3 library "$programs/libhttp_stuck_library.so"
    eventually all_parked
    in_dlopen() {
        [ "$(get "$url/goroutine?debug=2")" = 200 ] && grep -q '^never_ready(' "$body"
    }
    eventually in_dlopen
    [ "$(get --max-time 10 "$url/goroutine")" = 200 ]
    go_pprof -raw "$body" | grep -qF 'channel:[orders]'
    [ "$(get --max-time 10 "$url/channel?debug=1")" = 200 ]
}
