#!/usr/bin/env bats
# Being looked at ends no system call: ten thousand times, by strace's account and by the program's.

bats_require_minimum_version 1.5.0
load helpers

setup() {
  # The sanitizers' runtimes want to come first among what is preloaded.
  [ -z "${TASKPROF_SANITIZE-}" ] || skip 'nothing can be preloaded in a sanitizer build'
  build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
  out=$BATS_TEST_TMPDIR/out
  err=$BATS_TEST_TMPDIR/err
  trace=$BATS_TEST_TMPDIR/trace
  mkfifo "$BATS_TEST_TMPDIR/in"
}

teardown() {
  exec 7>&- || true
  [ -z "${program-}" ] || kill -KILL "$program" 2>/dev/null || true
}

answered() {
  [ "$(grep -cx end "$out")" = "$1" ]
}

# counts N: what the program says when it is asked for the Nth time, in $out.N.
counts() {
  echo again >&7
  eventually answered "$1"
  awk -v wanted="$1" '/^end$/ { n++; next } n == wanted - 1' "$out" >"$out.$1"
}

# Calls that were ended early, by strace's account.
interrupted() {
  grep -cE 'EINTR|ERESTART' "$trace" || true
}

# scrape NUMBER QUERY
scrape() {
  curl -sSf --noproxy '*' -o "$BATS_TEST_TMPDIR/body" "${url}goroutine?$2&number=[1-$1]"
}

@test "ten thousand scrapes interrupt no call that waits" {
  calls=poll,ppoll,select,pselect6,epoll_wait,nanosleep,clock_nanosleep,futex,recvfrom,rt_sigtimedwait
  # Only these calls stop for strace.
  strace -f --seccomp-bpf -qq -e trace=$calls -e signal=none -o "$trace" \
    "$build/cli/taskprof" run -- "$build/tests/e2e/preload_interrupted" \
    <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$err" 3>&- &
  exec 7>"$BATS_TEST_TMPDIR/in"
  eventually grep -q '^taskprof: ' "$err"
  url=$(sed -n 's/^taskprof: //p' "$err")
  program=$(pgrep -P $!)
  all_wait() { curl -sf --noproxy '*' "${url}goroutine?debug=2" | grep -c '"wait": "' | grep -qE '^(1[89]|2[0-9])$'; }
  eventually all_wait
  counts 1
  # Over one connection each.
  scrape 4900 'debug=1'
  scrape 4900 'debug=2'
  # A thread that runs is asked for its stack.
  echo run >&7
  scrape 100 'debug=2&running=1'
  scrape 100 'debug=0&running=1'
  counts 3
  cat "$out.3"
  # Long waits are what they were, short ones went on, and none ended before its time.
  [ "$(wc -l <"$out.3")" = 20 ]
  [ "$(awk '$2 > 1000 && $3 == 0' "$out.3" | wc -l)" = 10 ]
  [ "$(paste "$out.1" "$out.3" | awk '$2 < 1000 && $7 > $3 + 20' | wc -l)" = 10 ]
  [ "$(awk '$4 > 0' "$out.3" | wc -l)" = 0 ]
  [ "$(interrupted)" = 0 ]
  # What would have been seen: a stop interrupts most of them.
  kill -STOP "$program"
  kill -CONT "$program"
  counts 4
  [ "$(interrupted)" -gt 5 ]
}
