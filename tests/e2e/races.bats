#!/usr/bin/env bats
# Tasks come and go by the ten thousand while four clients scrape without pause; the counts add up
# at the end, and no answer on the way was broken.

setup_file() {
  export CHURN=$TASKPROF_BUILD_DIR/tests/e2e/churn
  export PPROF_TMPDIR=$BATS_FILE_TMPDIR
}

setup() {
  rounds=2000
  [ -z "${TASKPROF_SANITIZE-}" ] || rounds=500
  "$CHURN" "$rounds" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
  churn=$!
  wait_for ready
  url=$(sed -n 's/^ready //p' "$BATS_TEST_TMPDIR/out")
}

teardown() {
  kill "$churn" 2>/dev/null || true
  wait "$churn" 2>/dev/null || true
}

# Until a line of the program's output begins with $1; for at most five minutes.
wait_for() {
  for _ in $(seq 3000); do
    grep -q "^$1" "$BATS_TEST_TMPDIR/out" && return
    kill -0 "$churn" || break
    read -rt 0.1 <> <(:) || true
  done
  cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err"
  return 1
}

# Scrapes what $1 says until the churning is over; each answer must be whole. Counts into a file.
scrape_until_done() {
  local count=0
  until grep -q '^done' "$BATS_TEST_TMPDIR/out"; do
    curl -sf --max-time 60 "$url$1" -o "$BATS_TEST_TMPDIR/answer.$2" || return 1
    case $1 in
    *debug=1) grep -qE '^(goroutine|channel) profile: total [0-9]+$' "$BATS_TEST_TMPDIR/answer.$2" || return 1 ;;
    *debug=2) grep -qE '^# [0-9]+ tasks' "$BATS_TEST_TMPDIR/answer.$2" || return 1 ;;
    *) gzip -t <"$BATS_TEST_TMPDIR/answer.$2" || return 1 ;;
    esac
    count=$((count + 1))
  done
  echo "$count" >"$BATS_TEST_TMPDIR/count.$2"
}

@test "four clients scrape without pause while tasks come and go, and the counts add up" {
  pids=()
  at=0
  for what in goroutine 'goroutine?debug=1' 'goroutine?debug=2' 'channel?debug=1'; do
    at=$((at + 1))
    scrape_until_done "$what" "$at" 3>&- &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid"
  done
  wait_for done
  for at in 1 2 3 4; do
    [ "$(cat "$BATS_TEST_TMPDIR/count.$at")" -ge 1 ]
  done

  # What is left is main and the seven, no more and no less, in every form; and the thread that
  # ThreadSanitizer brings.
  left=8
  [ "${TASKPROF_SANITIZE-}" != thread ] || left=9
  curl -sf "${url}goroutine?debug=1" >"$BATS_TEST_TMPDIR/text"
  grep -qx "goroutine profile: total $left" "$BATS_TEST_TMPDIR/text" || { cat "$BATS_TEST_TMPDIR/text"; false; }
  grep -q '^7 @ ' "$BATS_TEST_TMPDIR/text"
  [ "$(curl -sf "${url}goroutine?debug=2" | grep -c '^goroutine ')" -eq "$left" ]
  go tool pprof -traces "${url}goroutine" >"$BATS_TEST_TMPDIR/traces" 2>/dev/null
  grep -qE '^ +7 +taskprof_chan_receive' "$BATS_TEST_TMPDIR/traces"
  grep -q 'stay_behind' "$BATS_TEST_TMPDIR/traces"
  curl -sf "${url}channel?debug=1" | grep -q '^never .* 7 '

  kill "$churn"
  wait "$churn"
  # Nothing was printed into the host, by us or by a sanitizer.
  [ ! -s "$BATS_TEST_TMPDIR/err" ] || { cat "$BATS_TEST_TMPDIR/err"; false; }
}
