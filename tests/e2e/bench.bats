#!/usr/bin/env bats
# bench/run.sh measures every row at its small sizes, prints what it says it prints, and gives no
# ratio where the two sides did not do the same work.

bats_require_minimum_version 1.5.0

setup() {
    [ -z "${TASKPROF_SANITIZE-}" ] || skip "sanitizers measure nothing"
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    bench=$root/bench/run.sh
}

# row TEXT: the table's rows with it.
row() {
    grep -F "$1" <<<"$output"
}

@test "the table has a line for each thing measured, with both sides" {
    run -0 --separate-stderr "$bench" --quick --runs 1 --rows park,first,next,stall,memory
    [[ $output == *"| row | measured | taskprof | the other | ratio | to reach | |"* ]]
    row "park + unpark, uncontended" | grep -qE '\| [0-9.]+ ns \| – \| – \| ≤ 60 ns \|'
    row "another task parks on another processor" |
        grep -qE '\| [0-9.]+ × \| – \| – \| ≤ 1.2 × \| 19 times of 20 between [0-9.]+ and [0-9.]+;'
    row "first goroutine profile, 10,000 coroutines" |
        grep -qE '\| [0-9.]+ (µs|ms|s) \| [0-9.]+ (µs|ms|s) \(Go\) \| [0-9.]+ × \| ≥ 20 × \|'
    row "the next one, nothing changed" | grep -qE '\| [0-9.]+ × \| ≥ 200 × \|'
    row "longest stall" | grep -qE 'without a profile [0-9.]+ .*; Go: without [0-9.]+ '
    row "memory a task" | grep -qE '\| [0-9.]+ bytes \|'
}

@test "the JSON has the numbers, and ratios that follow from them" {
    run -0 --separate-stderr "$bench" --quick --runs 1 --rows channels,encode,dump --json
    jq -e '.runs == 1 and .quick and ([.rows[].row] | unique) == ["channels", "dump", "encode"]' \
        <<<"$output"
    jq -e '.rows | all(.ours > 0 and .refused == null and .reached == null)' <<<"$output"
    jq -e '.rows[] | select(.row == "channels")
        | .other_name == "GAsyncQueue" and (.ratio - .ours / .other | fabs) < 0.001' <<<"$output"
    jq -e '.rows[] | select(.row == "dump" and .unit == "ns")
        | .other_name == "Go" and (.ratio - .other / .ours | fabs) < 0.001' <<<"$output"
}

@test "a ratio is refused when the other side showed fewer threads" {
    # An eu-stack that leaves some threads out, in front of the real one.
    mkdir "$BATS_TEST_TMPDIR/bin"
    cat >"$BATS_TEST_TMPDIR/bin/eu-stack" <<'SCRIPT'
#!/bin/bash
exec /usr/bin/eu-stack "$@" | tac | sed '0,/ level3$/s/level3/left_out/' | tac
SCRIPT
    chmod +x "$BATS_TEST_TMPDIR/bin/eu-stack"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 --separate-stderr "$bench" --quick --runs 1 \
        --rows threads --json
    jq -e '.rows[] | select(.other_name == "eu-stack" and (.what | contains("(parked)")))
        | .refused == "eu-stack shows 99 of 100 threads in level3" and .ratio == null' <<<"$output"
    # And is given where both were whole.
    jq -e '.rows[] | select(.other_name == "gdb" and (.what | contains("(parked)")))
        | .refused == null and .ratio > 0' <<<"$output"
}

@test "the growth table has a line for each number of tasks and of stacks" {
    run -0 --separate-stderr "$bench" --quick --runs 1 --growth
    [ "$(grep -cE '^\| [0-9,]+ \| (1|10|1,000) \|( [0-9.]+ (ns|µs|ms|s) \|){5}$' <<<"$output")" -eq 6 ]
}

@test "a wrong option is refused, and says what would be right" {
    run -2 --separate-stderr "$bench" --rows park,nonsense
    [[ $stderr == *"there is no row 'nonsense'; there are: park preload handoff first"* ]]
    run -2 --separate-stderr "$bench" --runs 0
    [[ $stderr == *"--runs 0: must be a number from 1"* ]]
    run -2 --separate-stderr "$bench" --nonsense
    [[ $stderr == *"'--nonsense' is not an option"*"--help"* ]]
    run -0 "$bench" --help
    [[ $output == *"--quick"*"--growth"*"--json"* ]]
}
