# shellcheck shell=bash
# Results: kept one JSON object a line in $results, printed as a table or as JSON. Sourced by run.sh.

# shellcheck disable=SC2154 # $work, $runs, $quick: run.sh's
results=$work/results.jsonl
: >"$results"

# median FILE KEY: of the values of all lines "KEY VALUE"; nothing when there are none.
median() {
    sort -g -k2,2 "$1" | awk -v key="$2" '$1 == key { value[++n] = $2 }
        END { if (n) printf "%.12g", (value[int((n + 1) / 2)] + value[int(n / 2) + 1]) / 2 }'
}

# lowest FILE KEY: of the values of all lines "KEY VALUE"; nothing when there are none.
lowest() {
    awk -v key="$2" '$1 == key && (!n++ || $2 < least) { least = $2 } END { if (n) print least }' "$1"
}

# certainty FILE KEY: "LOW HIGH", between which the true median of such values lies, 19 times of 20;
# for dozens of values at least.
certainty() {
    sort -g -k2,2 "$1" | awk -v key="$2" '$1 == key { value[++n] = $2 }
        END {
            if (!n) exit
            low = int((n - 1.96 * sqrt(n)) / 2)
            if (low < 1) low = 1
            printf "%.3g %.3g\n", value[low], value[n + 1 - low]
        }'
}

# compute EXPRESSION: with awk, to six digits.
compute() {
    awk "BEGIN { printf \"%.6g\", $1 }"
}

# holds CONDITION: of numbers, for if.
holds() {
    awk "BEGIN { exit !($1) }"
}

# span NS: with the unit that suits it.
span() {
    awk -v ns="$1" 'BEGIN {
        if (ns >= 1e9) printf "%.3g s", ns / 1e9
        else if (ns >= 1e6) printf "%.3g ms", ns / 1e6
        else if (ns >= 1e3) printf "%.3g µs", ns / 1e3
        else printf "%.3g ns", ns }'
}

# report KEY VALUE …: a result. Keys: row, what, unit, ours, other, other_name, better (lower,
# unless it is higher), need_ratio, need_max, note, and refused: why there is no ratio.
report() {
    local arguments=()
    while [ $# -gt 0 ]; do
        arguments+=(--arg "$1" "$2")
        shift 2
    done
    jq -cn --arg quick "$quick" "${arguments[@]}" '
        def number: if . == null or . == "" then null else tonumber end;
        $ARGS.named
        | .ours |= number | .other |= number | .need_ratio |= number | .need_max |= number
        | .refused |= (if . == "" then null else . end)
        | .ratio = (if .refused or .ours == null or .other == null or .ours == 0 or .other == 0
                    or .need_max != null then null
                    elif .better == "higher" then .ours / .other
                    else .other / .ours end)
        # The numbers to reach are those of the full sizes.
        | .reached = (if .refused or .ours == null or .quick == "true" then null
                      elif .need_max != null then .ours <= .need_max
                      elif .need_ratio != null and .ratio != null then .ratio >= .need_ratio
                      else null end)
        | del(.quick)' >>"$results"
}

# Why a program of ours, or Go's, gave no numbers: its last words.
last_words() {
    local words
    words=$(tail -n 1 "$1")
    echo "${words:-it ended without a word}"
}

machine() {
    local cpus model memory
    cpus=$(nproc)
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    memory=$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)
    echo "$cpus × ${model:-unknown processor}, $memory GiB, Linux $(uname -r | cut -d. -f1,2)," \
        "$(go version | cut -d' ' -f3), load $(cut -d' ' -f1 /proc/loadavg)"
}
machine_at_start=$(machine)

report_json() {
    jq -n --arg machine "$machine_at_start" --arg runs "$runs" --arg quick "$quick" \
        --arg date "$(date -u +%F)" --slurpfile rows "$results" \
        '{machine: $machine, date: $date, runs: ($runs | tonumber), quick: ($quick == "true"),
          rows: $rows}'
}

report_table() {
    echo "$machine_at_start; $(date -u +%F); medians of $runs runs"
    if $quick; then
        echo "--quick: small sizes, at which the numbers to reach prove nothing"
    fi
    echo
    echo "| row | measured | taskprof | the other | ratio | to reach | |"
    echo "| --- | --- | --- | --- | --- | --- | --- |"
    jq -r '
        def digits: if . >= 100 then round else (. * 100 | round / 100) end | tostring;
        def in_unit($unit):
            if . == null then "–"
            elif $unit == "ns" then
                if . >= 1e9 then "\(. / 1e9 | digits) s"
                elif . >= 1e6 then "\(. / 1e6 | digits) ms"
                elif . >= 1e3 then "\(. / 1e3 | digits) µs"
                else "\(digits) ns" end
            elif $unit == "bytes" then
                if . >= 1048576 then "\(. / 1048576 | digits) MiB" else "\(digits) bytes" end
            elif $unit == "per_s" then "\(. / 1e6 | digits) M/s"
            else "\(digits) \($unit)" end;
        . as $r
        | [.row, .what,
           (.ours | in_unit($r.unit)),
           (if .other == null then "–" else "\(.other | in_unit($r.unit)) (\(.other_name))" end),
           (if .refused then "refused" elif .ratio then "\(.ratio | digits) ×" else "–" end),
           (if .need_max != null then "≤ \(.need_max | in_unit($r.unit))"
            elif .need_ratio != null then "≥ \(.need_ratio) ×" else "–" end),
           ([(if .refused then "no ratio: " + .refused
              elif .reached == true then "reached"
              elif .reached == false then "MISSED" else empty end),
             (.note // empty | select(. != ""))] | join("; "))]
        | "| " + join(" | ") + " |"' "$results"
}

# Fails when something that was asked for has no number, or no ratio.
report_complete() {
    jq -es 'length > 0 and all(.refused == null and .ours != null)' "$results" >/dev/null
}
