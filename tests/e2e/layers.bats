#!/usr/bin/env bats
# scripts/layers.py sees who uses whom, as the linker does, and says so when somebody must not.

setup() {
  cd "$BATS_TEST_DIRNAME/../.."
}

# A copy of the source, to plant mistakes in.
copy_source() {
  cp -r --parents docs/architecture.md scripts profiler proto text answers http service preload cli \
    "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR"
  git init -q .
  run scripts/layers.py
  echo "$output"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

complains_of() {
  run scripts/layers.py
  echo "$output"
  [ "$status" -eq 1 ]
  [[ $output == *"$1"* ]]
}

@test "every use that the linker sees between two files, it sees" {
  scripts/layers.py --uses | cut -d' ' -f1,2 | sort -u >"$BATS_TEST_TMPDIR/seen"
  objects=$TASKPROF_BUILD_DIR/CMakeFiles/taskprof_objects.dir
  (cd "$objects" && find . -name '*.c.o' ! -name '*.pb-c.c.o' -printf '%P\n') |
    while read -r object; do
      [ -e "${object%.o}" ] || continue # of a source that is gone
      nm "$objects/$object" | awk -v file="${object%.o}" '
        NF == 2 && $1 ~ /^[Uw]$/ { print "uses", file, $2 }
        NF == 3 && $2 ~ /^[TDBRV]$/ { print "defines", file, $3 }'
    done >"$BATS_TEST_TMPDIR/symbols"
  awk '
    $1 == "defines" { home[$3] = $2 }
    $1 == "uses" { users[++count] = $2; used[count] = $3 }
    END {
      for (i = 1; i <= count; i++)
        if (used[i] in home && home[used[i]] != users[i])
          print users[i], home[used[i]]
    }' "$BATS_TEST_TMPDIR/symbols" | sort -u >"$BATS_TEST_TMPDIR/linked"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/linked")" -gt 300 ]
  run comm -13 "$BATS_TEST_TMPDIR/seen" "$BATS_TEST_TMPDIR/linked"
  echo "$output"
  [ -z "$output" ]
}

@test "a folder that includes one above it is told" {
  copy_source
  sed -i '1i #include "service/options.h"' text/words.c
  complains_of 'text/words.c:1: text uses service'
}

@test "a folder that calls one above it, by a prototype of its own, is told" {
  copy_source
  printf 'void index_set_note(void (*write)(void *));\nvoid f(void) { index_set_note(0); }\n' >>text/words.c
  complains_of 'text/words.c: index_set_note: text uses answers'
}

@test "files that use one another in a circle are told, with the names by which they do" {
  copy_source
  printf 'void f(void)\n{\n    recorder_stop();\n}\n' >>service/write.c
  complains_of 'files in a circle: service/recorder.c (taskprof_write) -> service/write.c (recorder_stop) -> service/recorder.c'
}

@test "a picture that says more than is true is told" {
  copy_source
  sed -i 's/^http .*/& proto/' docs/architecture.md
  complains_of 'says that http uses proto, which it does not'
}
