#!/bin/bash
# clang-tidy on every source of a build folder.
#
#     scripts/lint.sh BUILD [FILE…]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: scripts/lint.sh BUILD [FILE…]}
shift
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files 'profiler/*.c' 'proto/*.c' 'text/*.c' 'answers/*.c' 'http/*.c' \
    'service/*.c' 'preload/*.c' 'cli/*.c' 'samples/*.c')
fi
# -quiet still counts suppressed warnings on stderr: keep that for failures.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option \
    >"$log" 2>&1 || {
  grep -vE '^[0-9]+ warnings? generated' "$log"
  exit 1
}
echo "lint: ${#files[@]} files are clean"
