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
# A sanitizer's reports go to files: what a test starts has its standard error elsewhere, or none.
reports=$PWD/$build/reports
rm -rf "$reports"
mkdir -p "$reports"
export ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=0:detect_stack_use_after_return=0}:log_path=$reports/asan
export TSAN_OPTIONS=${TSAN_OPTIONS-halt_on_error=1:second_deadlock_stack=1}:log_path=$reports/tsan
export UBSAN_OPTIONS=${UBSAN_OPTIONS-print_stacktrace=1}:log_path=$reports/ubsan
results=$build/Testing/Temporary/LastTest.log
failures=$build/Testing/Temporary/LastTestsFailed.log
rm -f "$results" "$failures"
status=0
(cd "$build" && "${fixed[@]}" ctest --output-on-failure -j2 "$@") | tee "$said" || status=${PIPESTATUS[0]}
# Some only say what they don't fully support.
mapfile -t complaints < <(grep -rlE 'Sanitizer(:| CHECK)|runtime error: ' "$reports")
if [ ${#complaints[@]} -gt 0 ]; then
  tail -n +1 "${complaints[@]}"
fi

# A machine that others use can make a program of theirs miss its turn: up to FEW tests that failed
# get a second look, by themselves. Never where something is seen to have crashed or a sanitizer
# complained, and the last line tells of it: such a test waits to be mended.
FEW=3
TESTS_FAILED=8 # ctest's exit code for that alone
crashed='runtime error: |failed with exception|[*]{3}Exception|Segmentation fault|core dumped|Aborted'
crashed+='|Bus error|Illegal instruction|Assertion .* failed|FATAL: '
first=$build/tests.first.log
cp "$results" "$first"
again=()
if [ "$status" -eq "$TESTS_FAILED" ] && [ -s "$failures" ] &&
  [ ${#complaints[@]} -eq 0 ] && ! grep -qE "$crashed" "$first" "$said"; then
  mapfile -t again < <(cut -d: -f2- "$failures")
fi
doubtful=()
if [ ${#again[@]} -gt 0 ] && [ ${#again[@]} -le "$FEW" ]; then
  echo "run.sh: a second look at what failed: ${again[*]}" >&2
  rm -f "$results"
  status=0
  (cd "$build" && "${fixed[@]}" ctest --output-on-failure --rerun-failed) || status=$?
  cat "$results" >>"$first"
  for name in "${again[@]}"; do
    if [ "$status" -eq 0 ] || ! grep -qE ":$name\$" "$failures"; then
      doubtful+=("$name")
    fi
  done
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
if [ ${#doubtful[@]} -gt 0 ]; then
  line+="; ${#doubtful[@]} only at the second look: ${doubtful[*]}"
fi
echo "$line" | tee "$build/tests.count"
exit "$status"
