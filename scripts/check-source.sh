#!/bin/bash
# The source's form (clang-format, shellcheck) and the rules of the house that a command can check.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
  echo "check-source: $1" >&2
  sed 's/^/    /' >&2
  failed=1
}
# grep that is content to find nothing
matches() {
  git grep -nIE "$@" || true
}
expect_none() {
  local what=$1 found=$2
  [ -z "$found" ] || complain "$what" <<<"$found"
}

mapfile -t c_files < <(git ls-files '*.c' '*.h')
clang-format --dry-run -Werror "${c_files[@]}" || failed=1

mapfile -t scripts < <(git ls-files '*.sh' '.ci/run')
shellcheck "${scripts[@]}" || failed=1

# Data flows one way: who may use whom, by folders and by files.
scripts/layers.py || failed=1
expect_none 'encoders may not look at live registries' "$(
  matches '\b(task_slab|task_pin|channel_slab|channel_pin|slab_at|misuse_read|inquiry_[a-z]+)\(?' -- proto text)"
expect_none 'samples, the preloaded library and the command use the public headers alone' "$(
  matches '#include "(profiler|proto|text|answers|http|service)/' -- samples preload cli)"

expect_none 'banned functions' "$(
  matches '\b(sprintf|strcpy|strcat|strtok|atoi|alloca|gets)\(' -- '*.c' '*.h')"
expect_none 'malloc belongs to the application (and to libdw)' "$(
  matches '[^_a-z](malloc|calloc|realloc|strdup|asprintf|fopen|opendir|qsort)\(' -- profiler proto text answers http service |
    grep -vE '^(profiler/symbols/dwarf|profiler/described/binar|profiler/channels/chan_make|http/mhd)' | grep -vE ':[0-9]+: *(//|\*)' || true)"
expect_none 'marks left in the code' "$(
  matches '\b(TODO|FIXME|XXX|HACK)\b' -- '*.c' '*.h' '*.S' '*.cmake' 'CMakeLists.txt')"
expect_none 'files past 600 lines want two rooms' "$(
  git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 600 { print $1, $2 }')"
expect_none 'links of the documents that lead nowhere' "$(
  git ls-files '*.md' | while read -r page; do
    { grep -oE '\]\([^)# ]+' "$page" || true; } | cut -c3- | while read -r link; do
      [[ $link == http* ]] || [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
    done
  done)"
exit "$failed"
