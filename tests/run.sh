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
trap 'rm -f "$log"' EXIT
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
(cd "$build" && "${fixed[@]}" ctest --output-on-failure -j2 "$@") || status=$?

# The cases inside: cmocka's lines, and TAP's of bats.
results=$build/Testing/Temporary/LastTest.log
read -r passed failed skipped < <(awk '
  /^\[ RUN      \]/ { run++ }
  /^\[       OK \]/ { ok++ }
  /^\[  SKIPPED \] [0-9]+ test/ { skip += $4 }
  /^ok [0-9]+ / { if (/# skip/) tap_skip++; else tap++ }
  /^not ok [0-9]+ / { bad++ }
  END { print ok + tap, run - ok - skip + bad, skip + tap_skip }' "$results")
# A test that could not even start has no case to count.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  failed=1
fi
grep -hE '^ok [0-9]+ .*# skip' "$results" | sed 's/^/skipped: /' || true
echo "$passed passed, $failed failed, $skipped skipped" | tee "$build/tests.count"
exit "$status"
