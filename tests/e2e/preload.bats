#!/usr/bin/env bats
# Programs that know nothing of taskprof, with the library preloaded by hand.

load helpers

setup() {
  # The sanitizers' runtimes want to come first among what is preloaded.
  [ -z "${TASKPROF_SANITIZE-}" ] || skip 'not in a sanitizer build'
  preload=$TASKPROF_BUILD_DIR/preload/libtaskprof_preload.so
  programs=$TASKPROF_BUILD_DIR/tests/e2e
  out=$BATS_TEST_TMPDIR/out
  err=$BATS_TEST_TMPDIR/err
  mkfifo "$BATS_TEST_TMPDIR/in"
  program=
}

teardown() {
  exec 9>&-
  [ -z "$program" ] || { kill "$program" && wait "$program"; } 2>/dev/null || true
}

# Starts a program with the library preloaded; its stdin stays open until fd 9 is closed.
launch() {
  env LD_PRELOAD="$preload" TASKPROF_HTTP=127.0.0.1:0 "$@" \
    <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$err" 3>&- &
  program=$!
  exec 9>"$BATS_TEST_TMPDIR/in"
  eventually grep -q '^taskprof: http://' "$err"
  url=$(sed -n 's/^taskprof: //p' "$err")
}

# Each task of a full dump as one line: "TID|REASON|FUNCTION FUNCTION …", the innermost first.
tasks_of() {
  awk '
    function done() { if (tid) print tid "|" reason "|" functions }
    /^goroutine / {
      reason = $0
      sub(/^goroutine [0-9]+ \[/, "", reason)
      sub(/(, [0-9]+ minutes)?( labels:.*)?\]:$/, "", reason)
      tid = $0
      if (!sub(/.*"tid": "/, "", tid)) tid = ""
      sub(/".*/, "", tid)
      functions = ""
      created = 0
    }
    /^created by / { created = 1 }
    /^[^\t].*\(\.\.\.\)$/ && !created {
      sub(/\(\.\.\.\)$/, "")
      functions = functions (functions ? " " : "") $0
    }
    /^$/ { done(); tid = "" }
    END { done() }'
}

@test "each call that blocks is a park with its reason, its own name first, and a stack to its thread's start" {
  launch "$programs/preload_blocked"
  eventually grep -q '^ready' "$out"
  # Each thread said so just before it blocked.
  all_parked() {
    curl -sf "${url}goroutine?debug=2" >"$BATS_TEST_TMPDIR/dump" &&
      tail -n 1 "$BATS_TEST_TMPDIR/dump" |
      grep -qE '^# ([0-9]+) tasks \(\1 threads, 0 coroutines\): \1 parked, 0 moved, 0 truncated'
  }
  eventually all_parked
  tasks_of <"$BATS_TEST_TMPDIR/dump" >"$BATS_TEST_TMPDIR/tasks"
  calls=0
  while read -r tid call reason; do
    [ "$tid" != ready ] || break
    calls=$((calls + 1))
    # What the program calls syscall() for is known by its futex.
    shown=$call
    [ "$call" != syscall ] || shown=syscall_futex
    echo "$tid|$reason|$shown blocked_in_$call thread_of_$call start_thread __clone3" >>"$BATS_TEST_TMPDIR/wanted"
  done <"$out"
  [ "$calls" -ge 70 ]
  diff <(sort "$BATS_TEST_TMPDIR/wanted") <(grep blocked_in_ "$BATS_TEST_TMPDIR/tasks" | sort)
  ! grep 'came back' "$out"
  # What a call on a file descriptor waits on is that.
  [ "$(grep -c '^goroutine .*"fd": "[0-9]*"' "$BATS_TEST_TMPDIR/dump")" -ge 25 ]
  grep -q '^goroutine 1 \[IO wait labels:{"fd": "0", ' "$BATS_TEST_TMPDIR/dump"
  # And each with the thread that created it.
  [ "$(grep -c '^created by launch in goroutine 1' "$BATS_TEST_TMPDIR/dump")" = "$calls" ]
}

@test "the stacks are those that eu-stack shows, from the wrapper on" {
  launch "$programs/preload_blocked"
  eventually grep -q '^ready' "$out"
  curl -sf "${url}goroutine?debug=2" | tasks_of | grep blocked_in_ | sort >"$BATS_TEST_TMPDIR/ours"
  eu-stack -p "$program" 2>"$BATS_TEST_TMPDIR/eu-err" >"$BATS_TEST_TMPDIR/eu" || [ $? = 1 ]
  awk '/^TID / { tid = $2; sub(/:$/, "", tid) }
    /^#/ {
      function_name = $3
      sub(/@.*/, "", function_name)
      stack[tid] = stack[tid] " " function_name
    }
    END { for (tid in stack) print tid stack[tid] }' "$BATS_TEST_TMPDIR/eu" >"$BATS_TEST_TMPDIR/eu-stacks"
  compared=0
  while IFS='|' read -r tid _ functions; do
    theirs=$(sed -n "s/^$tid / /p" "$BATS_TEST_TMPDIR/eu-stacks")
    wrapper=${functions%% *}
    # Ours begins with the wrapper; theirs has the C library's frames before it.
    [[ "$theirs" == *" $functions" ]] || { echo "$wrapper: $theirs, not $functions"; false; }
    compared=$((compared + 1))
  done <"$BATS_TEST_TMPDIR/ours"
  [ "$compared" -ge 70 ]
}

@test "without TASKPROF_HTTP nothing is printed and nothing listens" {
  env LD_PRELOAD="$preload" grep Threads /proc/self/status >"$out" 2>"$err"
  [ "$(tr -d '\t' <"$out")" = Threads:1 ]
  [ ! -s "$err" ]
}

@test "an address that can't be had is one line on stderr, and the program runs" {
  status=0
  env LD_PRELOAD="$preload" TASKPROF_HTTP=nonsense:1 sh -c 'echo fine; exit 7' >"$out" 2>"$err" ||
    status=$?
  [ "$status" = 7 ]
  [ "$(cat "$out")" = fine ]
  [ "$(grep -c '^taskprof: TASKPROF_HTTP="nonsense:1": ' "$err")" = 1 ]
  [ "$(wc -l <"$err")" = 1 ]
}

# The endpoint at the url $1 does.
answers() {
  curl -sf "${1}goroutine?debug=2" >"$BATS_TEST_TMPDIR/dump"
}

@test "a daemon's endpoint goes on at its address, whichever way it forked" {
  for way in daemon once twice; do
    rm -f "$BATS_TEST_TMPDIR/in"
    mkfifo "$BATS_TEST_TMPDIR/in"
    launch "$programs/preload_daemon" "$way"
    wait "$program"
    program=
    eventually grep -q '^here ' "$out"
    eventually answers "$url"
    # It is the daemon that answers.
    [ "$(curl -sf "${url}cmdline" | tr '\0' ' ')" = "$programs/preload_daemon $way" ]
    grep -q "\"tid\": \"$(sed -n 's/^here //p' "$out")\"" "$BATS_TEST_TMPDIR/dump"
    [ "$(wc -l <"$err")" = 1 ]
    exec 9>&-
    gone() { ! answers "$url"; }
    eventually gone
  done
}

@test "a forked child that is no daemon has no endpoint, and with --children one of its own" {
  launch "$programs/preload_daemon" worker
  eventually grep -q '^here ' "$out"
  eventually answers "$url"
  [ "$(wc -l <"$err")" = 1 ]
  waits_in_poll() { grep -qE '^(7|73|271) ' "/proc/$(pgrep -P "$program")/syscall"; }
  eventually waits_in_poll
  grep -qx 'Threads:.1' "/proc/$(pgrep -P "$program")/status"
  exec 9>&-
  wait "$program"

  rm -f "$BATS_TEST_TMPDIR/in"
  mkfifo "$BATS_TEST_TMPDIR/in"
  launch env TASKPROF_CHILDREN=1 "$programs/preload_daemon" worker
  three_lines() { [ "$(grep -c '^taskprof: http://' "$err")" = 3 ]; }
  eventually three_lines # env, what it executed, and the child
  answers "$(sed -n '2s/^taskprof: //p' "$err")"
  answers "$(sed -n '3s/^taskprof: //p' "$err")"
}

@test "a program that takes another one's place keeps the endpoint's address" {
  launch sh -c 'exec "$0" worker' "$programs/preload_daemon"
  eventually grep -q '^here ' "$out"
  [ "$(grep -c '^taskprof: http://' "$err")" = 2 ]
  answers "$(tail -n 1 "$err" | sed 's/^taskprof: //')"
  [ "$(curl -sf "$(tail -n 1 "$err" | sed 's/^taskprof: //')cmdline" | tr '\0' ' ')" = \
    "$programs/preload_daemon worker" ]
}

@test "a program that is executed by a child runs without any of it" {
  env LD_PRELOAD="$preload" TASKPROF_HTTP=127.0.0.1:0 \
    sh -c 'grep Threads /proc/self/status; echo "${LD_PRELOAD-none}"; exit 3' >"$out" 2>"$err" || [ $? = 3 ]
  [ "$(tr '\t\n' '  ' <"$out")" = 'Threads: 1 none ' ]
  [ "$(wc -l <"$err")" = 1 ]
  # What else was to be preloaded still is.
  env LD_PRELOAD="libm.so.6:$preload libdl.so.2" TASKPROF_HTTP=127.0.0.1:0 sh -c 'echo "$LD_PRELOAD"; exit' >"$out" 2>"$err"
  [ "$(cat "$out")" = libm.so.6:libdl.so.2 ]
}

@test "with --children a program that is executed by a child gets a port of its own" {
  launch env TASKPROF_CHILDREN=1 sh -c '"$0" worker; exit' "$programs/preload_daemon"
  eventually grep -q '^here ' "$out"
  four_lines() { [ "$(grep -c '^taskprof: http://' "$err")" = 4 ]; }
  eventually four_lines
  [ "$(sort -u "$err" | wc -l)" -ge 3 ]
  answers "$(tail -n 1 "$err" | sed 's/^taskprof: //')"
}

@test "calls return what they return without it, with the same errno, in the same time, scraped all the while" {
  "$programs/preload_same" >"$BATS_TEST_TMPDIR/without" 3>&-
  launch "$programs/preload_same"
  scrapes=0
  while kill -0 "$program" 2>/dev/null; do
    curl -sf "${url}goroutine?debug=2" -o "$BATS_TEST_TMPDIR/dump" || break
    scrapes=$((scrapes + 1))
  done
  wait "$program"
  program=
  diff "$BATS_TEST_TMPDIR/without" "$out"
  [ "$(wc -l <"$out")" -ge 550 ]
  [ "$scrapes" -ge 50 ]
  [ "$(wc -l <"$err")" = 1 ]
}
