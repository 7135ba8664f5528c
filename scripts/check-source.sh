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

# Data flows one way: each layer includes only those before it.
layers=(base arch unwind tasks channels snapshot)
allowed=''
for layer in "${layers[@]}"; do
  allowed="$allowed|$layer"
  expect_none "profiler/$layer/ may include profiler/(${allowed#|}) only" "$(
    matches '#include "' -- "profiler/$layer" |
      grep -vE "#include \"(profiler/(${allowed#|})/|[a-z_]+\.h\")" || true)"
done
expect_none 'profiler/symbols/ may include profiler/(base|arch|unwind|tasks) only' "$(
  matches '#include "' -- profiler/symbols | grep -vE '#include "profiler/(base|arch|unwind|tasks|symbols)/' || true)"
expect_none 'profiler/described/ may include profiler/(base|arch|unwind|tasks|channels|symbols) only' "$(
  matches '#include "' -- profiler/described |
    grep -vE '#include "profiler/(base|arch|unwind|tasks|channels|symbols|described)/' || true)"
expect_none 'proto/ may not look at live registries' "$(
  matches '#include "(profiler/(tasks|channels/registry)|http)/' -- proto)"
expect_none 'samples and the preloaded library use the public headers alone' "$(
  matches '#include "(profiler|proto|http)/' -- samples preload)"

expect_none 'banned functions' "$(
  matches '\b(sprintf|strcpy|strcat|strtok|atoi|alloca|gets)\(' -- '*.c' '*.h')"
expect_none 'malloc belongs to the application (and to libdw)' "$(
  matches '[^_a-z](malloc|calloc|realloc|strdup|asprintf|fopen|opendir|qsort)\(' -- profiler proto http |
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
