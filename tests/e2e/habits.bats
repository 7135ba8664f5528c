#!/usr/bin/env bats
# Programs of all kinds under taskprof run: C++, other allocators, thousands of threads on small
# stacks, a handler for every signal, libraries that come and go.

load helpers

setup() {
  # The sanitizers' runtimes want to come first among what is preloaded.
  [ -z "${TASKPROF_SANITIZE-}" ] || skip 'nothing can be preloaded in a sanitizer build'
  build=${TASKPROF_BUILD_DIR:-$BATS_TEST_DIRNAME/../../build/release}
  programs=$build/tests/e2e
  out=$BATS_TEST_TMPDIR/out
  err=$BATS_TEST_TMPDIR/err
  dump=$BATS_TEST_TMPDIR/dump
  mkfifo "$BATS_TEST_TMPDIR/in"
  program=
}

teardown() {
  exec 9>&-
  [ -z "$program" ] || { kill "$program" && wait "$program"; } 2>/dev/null || true
}

# Starts a program under taskprof; its input stays open until it is ended.
launch() {
  "$build/cli/taskprof" run -- "$@" <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$err" 3>&- &
  program=$!
  exec 9>"$BATS_TEST_TMPDIR/in"
  eventually grep -q '^ready$' "$out"
  url=$(sed -n 's/^taskprof: //p' "$err")
}

# ends STATUS: with it, having printed nothing but "ready" and the address.
ends() {
  local status=0
  exec 9>&-
  wait "$program" || status=$?
  program=
  cat "$out" "$err"
  [ "$status" = "$1" ]
  [ "$(cat "$out")" = ready ]
  [ "$(wc -l <"$err")" = 1 ]
}

# parked N: a dump says that N tasks wait, and that it knows all of each.
parked() {
  curl -sf "${url}goroutine?debug=2" >"$dump" &&
    tail -n 1 "$dump" | grep -q ": $1 parked, 0 moved, 0 truncated, 0 unreadable"
}

# Each task's reason, the C++ function that waits, and who created it.
cxx_tasks() {
  awk '
    /^goroutine / { reason = $0; sub(/^goroutine [0-9]+ \[/, "", reason); sub(/( labels:.*)?\]:$/, "", reason); function_name = "" }
    match($0, /^_ZL[0-9]+in_[a-z_]+v\(/) {
      function_name = substr($0, 1, RLENGTH - 2); sub(/^_ZL[0-9]+/, "", function_name)
    }
    /^created by / && function_name { print function_name "|" reason "|" $3 }' "$dump" | sort
}

@test "C++ threads, their waits against either clock, and who called std::thread" {
  launch "$programs/preload_cxx"
  eventually parked 12
  cxx_tasks >"$BATS_TEST_TMPDIR/tasks"
  diff - "$BATS_TEST_TMPDIR/tasks" <<'END'
in_future|semacquire|main
in_join|join|main
in_lock_exclusive|sync.RWMutex.Lock|main
in_lock_shared|sync.RWMutex.RLock|main
in_lock|sync.Mutex.Lock|main
in_sleep|sleep|_ZL7in_joinv
in_try_lock_for|sync.Mutex.Lock|main
in_try_lock_until|sync.Mutex.Lock|main
in_wait_for|sync.Cond.Wait|main
in_wait_until|sync.Cond.Wait|main
in_wait|sync.Cond.Wait|main
END
  ends 3
}

@test "the same with jemalloc or tcmalloc for malloc" {
  for library in libjemalloc.so.2 libtcmalloc_minimal.so.4; do
    ldconfig -p | grep -q "$library" || skip "$library is not installed"
    export LD_PRELOAD=$library
    launch "$programs/preload_cxx"
    unset LD_PRELOAD
    eventually parked 12
    grep -q "$library" "/proc/$program/maps"
    ends 3
  done
}

@test "ten thousand threads with stacks of 16 KiB" {
  launch "$programs/preload_odd" threads 10000
  eventually parked 10001
  [ "$(grep -c '^goroutine .*sync.Cond.Wait' "$dump")" = 10000 ]
  [ "$(grep -c '^wait_for_ever(' "$dump")" = 10000 ]
  ends 4
}

@test "a program with its own handler for every signal gets none, and the dump says what is missing" {
  launch "$programs/preload_odd" handlers
  for _ in $(seq 200); do
    curl -sf "${url}goroutine?debug=2&running=1" >"$dump"
  done
  grep -q '^# missing: stacks of running threads: the application uses every signal' "$dump"
  ends 4
}

@test "libraries that come and go while it is scraped" {
  launch "$programs/preload_odd" dlopen libz.so.1
  for _ in $(seq 200); do
    curl -sf -m 10 "${url}goroutine?debug=2" >"$dump"
    grep -q '^# 2 tasks' "$dump"
  done
  ends 4
}
