#!/bin/bash
# Builds and runs every test, and closes with a line that counts them.
#
#     tests/run.sh [PRESET] [CTEST ARGUMENT…]
#
# PRESET is one of CMakePresets.json: release (the default), debug, asan, tsan. What follows goes to
# ctest: `tests/run.sh release -R unit` runs the unit tests alone. Installs what it needs.

set -euo pipefail
cd "$(dirname "$0")/.."

preset=release
case ${1-} in
-h | --help)
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  exit 0
  ;;
-* | '') ;;
*)
  preset=$1
  shift
  ;;
esac
build=build/$preset

scripts/deps.sh build samples tests

log=$(mktemp)
said=$(mktemp)
trap 'rm -f "$log" "$said"' EXIT
quietly() {
  "$@" >"$log" 2>&1 || {
    tail -n 60 "$log" >&2
    echo "run.sh: '$*' failed" >&2
    exit 1
  }
}
echo "building $build" >&2
quietly cmake --preset "$preset"
quietly cmake --build "$build"

# ThreadSanitizer of Debian 12's compilers does not know address spaces as random as newer kernels
# make them.
fixed=()
if [ "$preset" = tsan ]; then
  fixed=(setarch --addr-no-randomize)
fi
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=0:detect_stack_use_after_return=0}
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1}
status=0
(cd "$build" && "${fixed[@]}" ctest --output-on-failure -j2 "$@") | tee "$said" || status=$?

# A machine that others use can make a program of theirs miss its turn: up to FEW tests that failed
# get a second look, by themselves. Never one that crashed or that a sanitizer complained of, and
# the last line tells of it: such a test waits to be mended.
FEW=3
results=$build/Testing/Temporary/LastTest.log
first=$build/tests.first.log
cp "$results" "$first"
doubtful=0
crashed='(ERROR|WARNING|SUMMARY): [A-Za-z]+Sanitizer|runtime error: |failed with exception|[*]{3}Exception'
crashed+='|Segmentation fault|core dumped|Aborted'
if [ "$status" -ne 0 ] && ! grep -qE "$crashed" "$first" "$said"; then
  mapfile -t again < <(cut -d: -f2- "$build/Testing/Temporary/LastTestsFailed.log")
  if [ ${#again[@]} -le "$FEW" ]; then
    echo "run.sh: a second look at what failed: ${again[*]}" >&2
    status=0
    (cd "$build" && "${fixed[@]}" ctest --output-on-failure --rerun-failed) || status=$?
    cat "$results" >>"$first"
    if [ "$status" -eq 0 ]; then
      doubtful=${#again[@]}
    fi
  fi
fi

# The cases inside: cmocka's lines, and TAP's of bats. Of one that was run twice the last counts.
read -r passed failed skipped < <(awk '
  /^[0-9]+\/[0-9]+ Test: / { test = $3 }
  /^\[ RUN      \]/ { result[test, $4] = "failed" }
  /^\[       OK \]/ { result[test, $4] = "passed" }
  /^\[  SKIPPED \] [^0-9]/ { result[test, $4] = "skipped" }
  /^ok [0-9]+ / { result[test, $2] = /# skip/ ? "skipped" : "passed" }
  /^not ok [0-9]+ / { result[test, $3] = "failed" }
  END {
    for (each in result)
      count[result[each]]++
    print count["passed"] + 0, count["failed"] + 0, count["skipped"] + 0
  }' "$first")
# A test that could not even start has no case to count.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  failed=1
fi
grep -hE '^ok [0-9]+ .*# skip' "$first" | sed 's/^/skipped: /' || true
line="$passed passed, $failed failed, $skipped skipped"
if [ "$doubtful" -gt 0 ]; then
  line+="; $doubtful only at the second look: ${again[*]}"
fi
echo "$line" | tee "$build/tests.count"
exit "$status"
