#!/usr/bin/env bats
# The installed library is found by CMake and by pkg-config, shared and static, and exports its public
# functions and nothing else.

setup_file() {
  export PREFIX=$BATS_FILE_TMPDIR/prefix
  cmake --install "$TASKPROF_BUILD_DIR" --prefix "$PREFIX" >/dev/null
  LIBRARY=$(find "$PREFIX" -name 'libtaskprof.so')
  export LIBRARY LIBDIR=${LIBRARY%/*}
  export SANITIZE_FLAGS=${TASKPROF_SANITIZE:+-fsanitize=$TASKPROF_SANITIZE}
  export CONSUMER=$BATS_TEST_DIRNAME/install
}

shows_main() {
  run env LD_LIBRARY_PATH="$LIBDIR" "$1"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *'goroutine profile: total 1'* ]]
  [[ $output == *'main+0x'* ]]
}

@test "find_package(taskprof) gives a shared and a static library" {
  cmake -S "$CONSUMER" -B "$BATS_TEST_TMPDIR/build" -DCMAKE_PREFIX_PATH="$PREFIX" \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS="$SANITIZE_FLAGS"
  cmake --build "$BATS_TEST_TMPDIR/build"
  shows_main "$BATS_TEST_TMPDIR/build/consumer_default"
  shows_main "$BATS_TEST_TMPDIR/build/consumer_static"
  readelf -d "$BATS_TEST_TMPDIR/build/consumer_default" | grep -q 'NEEDED.*libtaskprof\.so\.0'
  ! readelf -d "$BATS_TEST_TMPDIR/build/consumer_static" | grep -q libtaskprof
}

@test "pkg-config taskprof gives flags that compile and link" {
  export PKG_CONFIG_PATH=$LIBDIR/pkgconfig
  # shellcheck disable=SC2046,SC2086 # lists of words
  gcc -g $SANITIZE_FLAGS "$CONSUMER/consumer.c" -o "$BATS_TEST_TMPDIR/consumer" \
    $(pkg-config --cflags --libs taskprof)
  shows_main "$BATS_TEST_TMPDIR/consumer"
}

@test "the headers stand alone, in C11 and in C++" {
  for header in "$PREFIX"/include/taskprof/*.h; do
    echo "#include <taskprof/${header##*/}>" >"$BATS_TEST_TMPDIR/alone.c"
    gcc -std=c11 -pedantic -Wall -Wextra -Werror -I"$PREFIX/include" -fsyntax-only "$BATS_TEST_TMPDIR/alone.c"
    g++ -x c++ -Wall -Wextra -Werror -I"$PREFIX/include" -fsyntax-only "$BATS_TEST_TMPDIR/alone.c"
  done
}

@test "exactly the functions of the public headers are exported" {
  readelf --dyn-syms -W "$LIBRARY" | awk '$7 != "UND" && $4 ~ /FUNC|OBJECT/ { sub(/@.*/, "", $8); print $8 }' |
    sort -u >"$BATS_TEST_TMPDIR/exported"
  # Declarations, without what comments mention.
  sed 's|//.*||' "$PREFIX"/include/taskprof/*.h | grep -oE '\btaskprof_[a-z_]+\(' | tr -d '(' |
    sort -u >"$BATS_TEST_TMPDIR/declared"
  [ -s "$BATS_TEST_TMPDIR/declared" ]
  diff "$BATS_TEST_TMPDIR/declared" "$BATS_TEST_TMPDIR/exported"
}

@test "the library does not bring libunwind, and does not need an executable stack" {
  ! readelf -d "$LIBRARY" | grep -q 'libunwind'
  readelf -lW "$LIBRARY" | awk '/GNU_STACK/ { exit $7 ~ /E/ }'
  readelf -d "$LIBRARY" | grep -q 'SONAME.*libtaskprof\.so\.0'
}
