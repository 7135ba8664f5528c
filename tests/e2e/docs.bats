#!/usr/bin/env bats
# What README.md and docs/ show: the programs compile as a user compiles them, the commands say what
# is shown, and no link leads nowhere.
#
# A fenced block is tested when words stand behind its language:
#     c compile NAME        is NAME.c, built against the installed library
#     c unit NAME           is a unit test: built against the static library, and run
#     cmake compile NAME    is the CMakeLists.txt of a project with NAME.c
#     console run           lines with "$ " are typed, those below are what they print
# In what is printed, a line "…" stands for any lines and "…" in a line for anything; numbers,
# addresses and spans of time count as equal. A command that ends in "&" is a server: what follows
# may ask it, at whatever port it got.

bats_require_minimum_version 1.5.0
load helpers

setup_file() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    build=${TASKPROF_BUILD_DIR:-$root/build/release}
    build=$(cd "$build" && pwd)
    prefix=$BATS_FILE_TMPDIR/prefix
    cmake --install "$build" --prefix "$prefix" >"$BATS_FILE_TMPDIR/install.log"
    library=$(dirname "$(find "$prefix" -name libtaskprof.so)")
    export root build prefix library
}

setup() {
    # The stacks of a build with sanitizers are not those of the examples.
    [ -z "${TASKPROF_SANITIZE-}" ] || skip "examples are shown for a build without sanitizers"
    work=$BATS_TEST_TMPDIR/work
    mkdir "$work"
    cd "$work" || return
    servers=()
    address=
    export HOME=$BATS_TEST_TMPDIR PPROF_TMPDIR=$BATS_TEST_TMPDIR no_proxy='*' NO_PROXY='*'
    export TASKPROF_HTTP=127.0.0.1:0 LD_LIBRARY_PATH=$library CMAKE_PREFIX_PATH=$prefix
    export PKG_CONFIG_PATH=$library/pkgconfig PATH=$prefix/bin:$PATH
    unset TASKPROF_HOSTS TASKPROF_MAX_CONNECTIONS TASKPROF_CLIENT_TIMEOUT
}

teardown() {
    kill_all "${servers[@]}"
}

# Copies the fenced blocks of a file that are to be tested into blocks/NUMBER; their words are in
# blocks/NUMBER.words.
cut_out() {
    rm -rf blocks
    mkdir blocks
    awk '
        /^```/ && inside { inside = 0; file = ""; next }
        /^```/ {
            inside = 1
            if (split(substr($0, 4), words, " ") > 1) {
                file = sprintf("blocks/%03d", ++count)
                print substr($0, 4) >(file ".words")
                printf "" >file
            }
            next
        }
        file { print >file }
    ' "$1"
}

plain() {
    sed -E 's/0x[0-9a-f]+/X/g; s/([0-9]+(\.[0-9]+)?(h|ms|us|ns|m|s))+\b/D/g
        s/[0-9]+(\.[0-9]+)?/N/g; s/[[:space:]]+/ /g; s/^ //; s/ $//'
}

# match_from I J: whether the lines of `want` from I on describe those of `got` from J on.
match_from() {
    local i=$1 j=$2 k
    while [ "$i" -lt ${#want[@]} ] && [ "${want[i]}" != … ]; do
        [ "$j" -lt ${#got[@]} ] || return 1
        # shellcheck disable=SC2053 # a pattern
        [[ ${got[j]} == ${globs[i]} ]] || return 1
        i=$((i + 1)) j=$((j + 1))
    done
    [ "$i" -lt ${#want[@]} ] || [ "$j" -lt ${#got[@]} ] || return 0
    [ "$i" -lt ${#want[@]} ] || return 1
    for ((k = j; k <= ${#got[@]}; k++)); do
        ! match_from $((i + 1)) "$k" || return 0
    done
    return 1
}

# describes WANT GOT: whether what is shown (a file) describes what was printed.
describes() {
    local want got globs line
    mapfile -t want < <(plain <"$1")
    mapfile -t got < <(plain <"$2")
    globs=()
    for line in "${want[@]}"; do
        line=${line//\\/\\\\} line=${line//\*/\\*} line=${line//\?/\\?} line=${line//\[/\\[}
        globs+=("${line//…/*}")
    done
    match_from 0 0
}

says_what_is_shown() {
    (eval "$command") >printed 2>errors || return 1
    describes shown printed
}

# A port of its own for a server that is shown with its usual one.
choose_port() {
    command=${command// 6379 / $((20000 + RANDOM % 12000)) }
}

# One command, as shown, with `shown` below it.
type_command() {
    command=${1//build\/release/$build}
    [ -z "$address" ] || command=${command//localhost:6060/$address}
    # Ports that are free here.
    command=${command//127.0.0.1:6060/127.0.0.1:0}
    [[ $command != *'taskprof run '*'&' ]] || choose_port
    if [[ $command == *'&' ]]; then
        eval "exec ${command%&}" >server.out 2>&1 3>&- &
        servers+=($!)
        eventually grep -qE 'http://[^/]+/' server.out
        address=$(grep -oE 'http://[^/]+/' server.out | head -n 1 | cut -d/ -f3)
        describes shown server.out
    else
        eventually says_what_is_shown
    fi || {
        printf '%s\n' "this is not what is shown: $1"
        printf '%s\n' '--- shown' "$(<shown)" '--- printed' "$(cat printed errors server.out 2>&1)"
        return 1
    }
}

run_console() {
    local line command='' typed=''
    : >shown
    while IFS= read -r line; do
        if [[ $line == '$ '* ]]; then
            [ -z "$typed" ] || type_command "$typed"
            typed=${line#'$ '}
            : >shown
        else
            printf '%s\n' "$line" >>shown
        fi
    done <"$1"
    type_command "$typed"
}

# shellcheck disable=SC2046 # several words
compile() {
    gcc -Wall -Wextra -Werror -g -O2 "$1.c" -o "$1" $(pkg-config --cflags --libs taskprof)
}

compile_unit() {
    gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -g "$1.c" -o "$1" -I"$root" \
        -I"$root/profiler/include" "$library/libtaskprof.a" \
        $(pkg-config --static --libs libprotobuf-c libmicrohttpd libdw zlib cmocka | tr ' ' '\n' |
            grep -E '^-l(protobuf-c|microhttpd|dw|elf|z|cmocka)$')
    "./$1" >unit.log 2>&1
    grep -q 'PASSED' unit.log
}

compile_with_cmake() {
    mkdir -p "$1-project"
    cp "$1.c" "$1-project/"
    cp "$2" "$1-project/CMakeLists.txt"
    cmake -S "$1-project" -B "$1-project/build" >cmake.log && cmake --build "$1-project/build" \
        >>cmake.log || {
        cat cmake.log
        return 1
    }
}

# Tests every marked block of a file; there must be at least so many.
check() {
    local file=$1 least=$2 block language what name
    cut_out "$root/$file"
    for block in blocks/???; do
        read -r language what name <"$block.words"
        echo "$file: $language $what $name"
        case "$language $what" in
        "c compile")
            cp "$block" "$name.c"
            compile "$name"
            ;;
        "c unit")
            cp "$block" "$name.c"
            compile_unit "$name"
            ;;
        "cmake compile") compile_with_cmake "$name" "$block" ;;
        "console run") run_console "$block" ;;
        *)
            echo "nobody knows how to test '$language $what'"
            return 1
            ;;
        esac
        least=$((least - 1))
    done
    [ "$least" -le 0 ]
}

@test "README: its programs compile and its commands print what it shows" {
    check README.md 4
}

@test "docs: their programs compile and their commands print what they show" {
    local file
    for file in "$root"/docs/*.md; do
        grep -qE '^```(c|cmake|console) ' "$file" || continue
        check "docs/${file##*/}" 1
    done
}

@test "the shell commands of docs/http.md work" {
    local block command
    "$build/samples/orders" --leak early-return,consumer-pool >server.out 2>&1 3>&- &
    servers+=($!)
    eventually grep -q '^ready ' server.out
    address=$(grep -oE 'http://[^/]+/' server.out | cut -d/ -f3)
    awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on' "$root/docs/http.md" >commands
    [ "$(wc -l <commands)" -ge 10 ]
    while IFS= read -r command; do
        [[ $command != '#'* ]] || continue
        command=${command//seconds=30/seconds=1}
        echo "$command"
        # curl's -s hides the status, and an error would be an answer too.
        eval "${command//localhost:6060/$address}" </dev/null >printed
        if [[ $command != *' -o '* && $command != *-output* ]]; then
            [ -s printed ]
            ! grep -qE '^(debug|state|limit|channel|min_wait)= |Unknown profile' printed
        fi
    done <commands
}

@test "docs/http.md names every route, parameter and environment variable" {
    local word routes parameters variables
    routes=$(sed -n 's/^    {"\([a-z]*\)", profile_.*/\1/p' "$root/answers/routes.c")
    parameters=$(grep -ohE 'query_get\(query, "[a-z_]+"' "$root"/answers/*.c | grep -oE '"[a-z_]+"' | tr -d '"')
    variables=$(grep -ohE '"TASKPROF_[A-Z_]+"' "$root/service/options.c" | tr -d '"')
    [ -n "$routes" ]
    [ -n "$parameters" ]
    [ -n "$variables" ]
    for word in $routes $parameters $variables; do
        grep -qE "\b$word\b" "$root/docs/http.md" || {
            echo "$word is missing"
            return 1
        }
    done
}
