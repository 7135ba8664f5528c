# shellcheck shell=bash
# What most end-to-end tests need.

# eventually COMMAND …: runs it until it succeeds, for at most a minute; then says what never came
# true, and what the test's program had said, where the test keeps that in $out, $err or $errors.
eventually() {
  local deadline=$((SECONDS + 60)) said
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "never came true: $*" >&2
      for said in "${out-}" "${err-}" "${errors-}"; do
        [ ! -f "$said" ] || cat "$said" >&2
      done
      return 1
    fi
    sleep 0.05
  done
}

# kill_all PID …: the programs that a test has started, and waits for their ends.
kill_all() {
  local pid
  for pid in "$@"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
