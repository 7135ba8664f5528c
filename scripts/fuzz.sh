#!/bin/bash
# Runs every fuzz target for some seconds each (libFuzzer, with clang).
#
#     scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1-60}
build=build/fuzz
cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DTASKPROF_BUILD_FUZZERS=ON \
  -DTASKPROF_BUILD_TESTS=ON -DTASKPROF_BUILD_SAMPLES=OFF >"$build.log" 2>&1 || {
  cat "$build.log"
  exit 1
}
cmake --build "$build" --target fuzzers >"$build.log" 2>&1 || {
  tail -n 40 "$build.log"
  exit 1
}
for target in "$build"/tests/fuzz/*_fuzz; do
  name=$(basename "$target")
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  seeds=tests/fuzz/seeds/$name
  [ -d "$seeds" ] || seeds=
  # shellcheck disable=SC2086 # may be empty
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=0 \
    -artifact_prefix="$build/" "$corpus" $seeds >"$build/$name.log" 2>&1 || {
    tail -n 40 "$build/$name.log"
    exit 1
  }
  echo "fuzz: $name: $(grep -c NEW "$build/$name.log" || true) new inputs in $seconds s, no finding"
done
