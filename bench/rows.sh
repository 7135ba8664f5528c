# shellcheck shell=bash
# The rows, a function each; sourced by run.sh.
# shellcheck disable=SC2154 # run.sh's variables

# number N: with a comma between thousands.
number() {
    sed -e :again -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/; t again' <<<"$1"
}

# enough_memory MIB: whether so much is free; else says so.
enough_memory() {
    local free
    free=$(awk '/^MemAvailable/ { printf "%d", $2 / 1024 }' /proc/meminfo)
    [ "$free" -ge "$1" ] || {
        echo "it needs $1 MiB of memory, and $free are free"
        return 1
    }
}

# Memory for so many coroutines, or goroutines, and what they are asked for, in MiB: a page of stack
# each, or Go's 2 KiB and its records; and a dump that lies in memory.
crowd_needs() {
    echo $(($1 * (4096 + 512 + $2) / 1048576 + 512))
}

# run FILE PROGRAM …: adds the program's lines to FILE; its words are in FILE.err.
run() {
    local into=$1
    shift
    "$@" >>"$into" 2>"$into.err"
}

# facts PROFILE: what checkprofile says of the tasks that are blocked in level7, in words.
facts() {
    "$bin/checkprofile" "$1" level7 >"$1.facts" 2>&1 || {
        echo "$1 is no profile: $(tail -n 1 "$1.facts")"
        return 1
    }
}

fact() {
    awk -v key="$2" '$1 == key { print $2 }' "$1.facts"
}

# same_profile COUNT OURS GOS: nothing when both profiles show COUNT tasks on whole stacks; else how
# they differ. Ours may have more frames than Go's, never fewer.
same_profile() {
    local count=$1 file
    for file in "$2" "$3"; do
        facts "$file" || return 0
        if [ "$(fact "$file" in)" != "$count" ]; then
            echo "$(fact "$file" in) of $count tasks are in $(basename "$file")"
            return 0
        fi
    done
    if [ "$(fact "$2" depth)" -lt "$(fact "$3" depth)" ]; then
        echo "stacks of $(fact "$2" depth) frames against Go's $(fact "$3" depth)"
    fi
}

# profiles COUNT: measures what the rows first, next, stall and memory report, once. Leaves
# tasks-COUNT, tasks-COUNT.cold and go-COUNT, and in tasks-COUNT.refused why there are no ratios.
profiles() {
    local count=$1 i why=
    local ours=$work/tasks-$count gos=$work/go-$count
    [ ! -e "$ours" ] || return 0
    : >"$ours"
    : >"$gos"
    : >"$ours.refused"
    why=$(enough_memory "$(crowd_needs "$count" 0)") || {
        echo "$why" >"$ours.refused"
        return 0
    }
    for ((i = 1; i <= runs; i++)); do
        progress "profiles of $count tasks, run $i of $runs"
        run "$ours" "$bin/tasks" "$count" profile "$work/c" || why=$(last_words "$ours.err")
        TASKPROF_WARM_UP=off run "$ours.cold" "$bin/tasks" "$count" profile "$work/cold" ||
            why=$(last_words "$ours.cold.err")
        run "$gos" "$bin/goroutines" "$count" profile "$work/go" ||
            why="Go: $(last_words "$gos.err")"
        [ -n "$why" ] || why=$(same_profile "$count" "$work/cold.first" "$work/go.first")
        [ -n "$why" ] || why=$(same_profile "$count" "$work/c.first" "$work/go.first")
        [ -n "$why" ] || why=$(same_profile "$count" "$work/c.next" "$work/go.next")
        rm -f "$work"/c.* "$work"/cold.* "$work"/go.*
        if [ -n "$why" ]; then
            echo "$why" >"$ours.refused"
            return 0
        fi
    done
}

# profile_row ROW KEY WHAT NEED_RATIO [NOTE]: behind NOTE stands the same without the warm-up.
profile_row() {
    local count note
    for count in $crowds; do
        profiles "$count"
        note=
        [ -z "${5-}" ] || [ ! -s "$work/tasks-$count.cold" ] ||
            note="$5 $(span "$(median "$work/tasks-$count.cold" "$2")")"
        report row "$1" what "$3, $(number "$count") coroutines" unit ns other_name Go \
            ours "$(median "$work/tasks-$count" "$2")" other "$(median "$work/go-$count" "$2")" \
            need_ratio "$4" note "$note" refused "$(<"$work/tasks-$count.refused")"
    done
}

row_first() {
    profile_row first first_ns "first goroutine profile" 20 "before any symbols were read:"
}

row_next() {
    profile_row next next_ns "the next one, nothing changed" 200
}

# excess FILE: the longest stall during a profile, beyond the longest without; a run at a time.
excess() {
    awk '$1 == "stall_during_ns" { during = $2 }
         $1 == "stall_without_ns" { print "excess_ns", (during > $2 ? during - $2 : 0) }' "$1" \
        >"$1.excess"
    median "$1.excess" excess_ns
}

row_stall() {
    local count
    for count in $crowds; do
        profiles "$count"
        local ours=$work/tasks-$count gos=$work/go-$count note=
        if [ -s "$ours" ] && [ -s "$gos" ]; then
            note="without a profile $(span "$(median "$ours" stall_without_ns)"), during it"
            note="$note $(span "$(median "$ours" stall_during_ns)"); Go: without"
            note="$note $(span "$(median "$gos" stall_without_ns)"), during"
            note="$note $(span "$(median "$gos" stall_during_ns)")"
        fi
        report row stall what "longest stall during the first, beyond that without it, \
$(number "$count") coroutines" unit ns ours "$(excess "$ours")" other "$(excess "$gos")" \
            other_name Go need_max 1000000 note "$note" refused "$(<"$ours.refused")"
    done
}

# Of the largest crowd alone: what the library holds once a process is no task's.
row_memory() {
    local count=${crowds##* }
    profiles "$count"
    report row memory what "memory a task, $(number "$count") coroutines" unit bytes \
        ours "$(median "$work/tasks-$count" bytes_a_task)" need_max 256 \
        refused "$(<"$work/tasks-$count.refused")"
}

# dump_facts FILE: "TASKS FRAMES": tasks listed, and frames of the seven functions a task.
dump_facts() {
    awk '/^goroutine [0-9]+ \[/ { tasks++ }
         /^(main\.)?level[1-7]\(/ { frames++ }
         /^(main\.)?level7\(/ { blocked++ }
         END { printf "%d %.3f\n", blocked, blocked ? frames / blocked : 0 }' "$1"
}

row_dump() {
    local count=$dump_tasks i why='' listed frames go_listed=0 go_frames
    local ours=$work/dump gos=$work/dump-go
    : >"$ours"
    : >"$gos"
    why=$(enough_memory "$(crowd_needs "$count" 1100)") || true
    for ((i = 1; i <= runs && ${#why} == 0; i++)); do
        progress "full dump of $count tasks, run $i of $runs"
        run "$ours" "$bin/tasks" "$count" dump "$work/dump.txt" || why=$(last_words "$ours.err")
        [ -n "$why" ] || read -r listed frames < <(dump_facts "$work/dump.txt")
        rm -f "$work/dump.txt"
        run "$gos" "$bin/goroutines" "$count" dump "$work/dump.txt" ||
            why="Go: $(last_words "$gos.err")"
        [ -n "$why" ] || read -r go_listed go_frames < <(dump_facts "$work/dump.txt")
        rm -f "$work/dump.txt"
        if [ -z "$why" ] && [ "$listed" != "$count" ]; then
            why="$listed of $count tasks are in the dump"
        elif [ -z "$why" ] && { [ "$go_listed" -eq 0 ] || holds "$frames < 7 || $go_frames < 6.9"; }; then
            why="$frames frames a task against Go's $go_frames"
        fi
    done
    local time go_time note=
    time=$(median "$ours" dump_ns)
    go_time=$(median "$gos" dump_ns)
    if [ -z "$why" ]; then
        # Go stops at 64 MiB. What both did alike is a task: the ratio is of the time for one.
        note="whole: $(span "$time") for all $(number "$count"), Go $(span "$go_time") for"
        note="$note $(number "$go_listed")$([ "$go_listed" = "$count" ] || echo ' (cut at 64 MiB)')"
        time=$(compute "$time / $count")
        go_time=$(compute "$go_time / $go_listed")
    fi
    report row dump what "full text dump of $(number "$count") coroutines, a task listed" unit ns \
        ours "$time" other "$go_time" other_name Go need_ratio 20 note "$note" refused "$why"
    report row dump what "the same, extra memory at its peak" unit bytes need_max 33554432 \
        ours "$(median "$ours" dump_extra_bytes)" refused "$why" \
        note "the next dump: $(median "$ours" dump_again_extra_bytes) bytes, \
$(span "$(median "$ours" dump_again_ns)")"
}

# same_threads COUNT FILE NAME: nothing when FILE shows COUNT threads in each of the seven functions.
same_threads() {
    local level seen
    for level in 1 2 3 4 5 6 7; do
        seen=$(grep -cE "\blevel$level\b" "$2" || true)
        if [ "$seen" != "$1" ]; then
            echo "$3 shows $seen of $1 threads in level$level"
            return 0
        fi
    done
}

# timed FILE KEY COMMAND …: runs it for at most 5 minutes, its output to FILE.out; adds its time.
timed() {
    local into=$1 key=$2 start
    shift 2
    start=$(date +%s%N)
    timeout 300 "$@" >"$into.out" 2>"$into.err" </dev/null || [ $? -ne 124 ] || return 1
    echo "$key $(($(date +%s%N) - start))" >>"$into"
}

# asked FILE KEY URL: as timed, by curl: KEY_ns is its own time from the connection to the last byte,
# KEY_command_ns the whole command's, curl's start among it.
asked() {
    timed "$1" "$2_command_ns" curl -sS --noproxy '*' -o "$1.text" -w '%{time_total}\n' "$3" ||
        return 1
    awk -v key="$2_ns" '{ printf "%s %.0f\n", key, $1 * 1e9 }' "$1.out" >>"$1"
}

# threads_row COUNT KIND
threads_row() {
    local count=$1 kind=$2 i why='' pid address process tool key
    local into=$work/threads-$count-$kind
    declare -A different=()
    : >"$into"
    if [ "$(ulimit -u)" != unlimited ] && [ "$(ulimit -u)" -lt $((count + 200)) ]; then
        why="ulimit -u allows only $(ulimit -u) threads"
    fi
    for ((i = 1; i <= runs && ${#why} == 0; i++)); do
        progress "$count $kind threads, run $i of $runs"
        coproc process_of { exec "$bin/blocked" "$count" "$kind" 2>"$into.err"; }
        process=$process_of_PID
        children+=("$process")
        if ! read -r address pid <&"${process_of[0]}"; then
            why=$(last_words "$into.err")
            break
        fi
        sleep 1 # nobody looks at a process the moment that it has started
        for key in taskprof again; do
            asked "$into" $key "http://$address/debug/pprof/goroutine?debug=2" ||
                why="taskprof did not end in time"
            [ -n "$why" ] || why=$(same_threads "$count" "$into.text" taskprof)
        done
        # Of ten thousand threads once is enough: it takes minutes.
        for tool in eu-stack gdb; do
            if [ -n "$why${different[$tool]-}" ] || { [ "$i" -gt 1 ] && [ "$count" -ge 10000 ]; }; then
                continue
            fi
            if [ $tool = eu-stack ]; then
                timed "$into" eu-stack_ns eu-stack -p "$pid" || different[$tool]="it took over 5 minutes"
            else
                timed "$into" gdb_ns gdb -nx -p "$pid" -batch -ex 'thread apply all bt' ||
                    different[$tool]="it took over 5 minutes"
            fi
            [ -n "${different[$tool]-}" ] ||
                different[$tool]=$(same_threads "$count" "$into.out" $tool)
        done
        kill "$process"
        wait "$process" 2>/dev/null || true
    done
    for tool in eu-stack gdb; do
        report row threads what "$(number "$count") blocked threads ($kind), symbolised text" \
            unit ns ours "$(median "$into" taskprof_ns)" other "$(median "$into" ${tool}_ns)" \
            other_name $tool need_ratio 200 refused "${why:-${different[$tool]-}}" \
            note "the whole command $(span "$(median "$into" taskprof_command_ns)"); the next one \
$(span "$(median "$into" again_ns)"), whole $(span "$(median "$into" again_command_ns)")"
    done
}

row_threads() {
    local count
    for count in $thread_counts; do
        threads_row "$count" parked
    done
    threads_row "${thread_counts%% *}" stranger
}

row_park() {
    local into=$work/park why='' low high
    progress "parks"
    : >"$into"
    run "$into" "$bin/park" "$runs" || why=$(last_words "$into.err")
    report row park what "park + unpark, uncontended" unit ns ours "$(median "$into" park_ns)" \
        need_max 60 note "one reading of the clock: $(span "$(median "$into" clock_ns)")" \
        refused "$why"
    [ "$(nproc)" -gt 1 ] || return 0
    read -r low high < <(certainty "$into" beside_ratio) || true
    report row park what "the same while another task parks on another processor: times as long" \
        unit × ours "$(median "$into" beside_ratio)" need_max 1.2 refused "$why" \
        note "19 times of 20 between $low and $high; $(span "$(median "$into" beside_ns)") \
beside it, $(span "$(median "$into" alone_ns)") alone"
}

# What a call that doesn't block costs more with the library preloaded. The program is the same file,
# and has nothing of taskprof in it.
row_preload() {
    local into=$work/calls why='' i call with without
    local -A words=([lock]="pthread_mutex_lock + unlock, uncontended"
        [semaphore]="sem_post + sem_wait" [read]="read of a byte" [write]="write of a byte"
        [recv_dontwait]="recv with MSG_DONTWAIT" [poll_now]="poll with timeout 0"
        [epoll_now]="epoll_wait with timeout 0")
    : >"$into.without"
    : >"$into.with"
    for ((i = 1; i <= runs; i++)); do
        progress "calls with the library preloaded, run $i of $runs"
        run "$into.without" "$bin/calls" || why=$(last_words "$into.without.err")
        run "$into.with" env LD_PRELOAD="$build/preload/libtaskprof_preload.so" \
            TASKPROF_HTTP=127.0.0.1:0 "$bin/calls" || why=$(last_words "$into.with.err")
        grep -q '^taskprof: http://' "$into.with.err" || why="the library was not preloaded"
    done
    for call in lock semaphore read write recv_dontwait poll_now epoll_now; do
        # The lowest: what else the machine does only ever adds, and more than what is measured.
        without=$(lowest "$into.without" "${call}_ns")
        with=$(lowest "$into.with" "${call}_ns")
        report row preload what "${words[$call]}, preloaded: slower by" unit ns \
            ours "$(compute "${with:-0} - ${without:-0}")" need_max 10 refused "$why" \
            note "$(span "${with:-0}") with, $(span "${without:-0}") without"
    done
}

row_handoff() {
    local into=$work/handoffs why='' where plain parks low high
    progress "hand-offs"
    : >"$into"
    run "$into" "$bin/handoffs" "$runs" || why=$(last_words "$into.err")
    for where in one_cpu two_cpus; do
        [ $where = one_cpu ] || [ "$(nproc)" -gt 1 ] || continue
        plain=$(median "$into" ${where}_plain_ns)
        parks=$(median "$into" ${where}_parks_ns)
        low='' high=''
        read -r low high < <(certainty "$into" ${where}_slower_percent) || true
        report row handoff what "hand-off by mutex and condition variables, ${where/_/ }: slower by" \
            unit % ours "$(median "$into" ${where}_slower_percent)" need_max 3 refused "$why" \
            note "19 times of 20 between $low and $high %; $(span "$parks") with parks, \
$(span "$plain") without"
        report row handoff what "hand-off by unbuffered taskprof_chan, ${where/_/ }" unit ns \
            ours "$(median "$into" ${where}_chan_ns)" other "$plain" \
            other_name "mutex and condition variables" refused "$why"
    done
}

row_channels() {
    local threads why into
    for threads in 1 4; do
        progress "channels, $threads and $threads"
        into=$work/channels-$threads
        why=
        : >"$into"
        run "$into" "$bin/channels" $threads $threads "$messages" "$runs" ||
            why=$(last_words "$into.err")
        report row channels what "buffered channel, $threads to $threads" unit per_s better higher \
            ours "$(median "$into" chan_per_s)" other "$(median "$into" glib_per_s)" \
            other_name GAsyncQueue need_ratio 2 refused "$why"
    done
}

row_encode() {
    local into=$work/encode why='' frames=25
    progress "encoding"
    : >"$into"
    run "$into" "$bin/encode" "$groups" $frames "$runs" "$work/encoded" ||
        why=$(last_words "$into.err")
    if [ -z "$why" ]; then
        "$bin/checkprofile" "$work/encoded" '' >"$work/encoded.facts" 2>&1 || true
        if [ "$(fact "$work/encoded" samples)" != "$groups" ] ||
            [ "$(fact "$work/encoded" depth)" != $frames ] ||
            holds "$(fact "$work/encoded" tasks) != $(median "$into" tasks)"; then
            why="the profile holds $(tr '\n' ' ' <"$work/encoded.facts")"
        fi
    fi
    report row encode what "encoding and gzip of $(number "$groups") groups × $frames frames" \
        unit ns ours "$(median "$into" encode_ns)" need_max 60000000 refused "$why" \
        note "$(median "$into" bytes) bytes"
}

# The largest ELF files of this file system, one a line; not those with debug information alone.
large_elf_files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path '*/.debug' -o \
        -path /usr/lib/debug \) -prune -o -type f -size +1M -printf '%s %p\n' 2>/dev/null |
        sort -rn | head -n 200 | cut -d' ' -f2- | while IFS= read -r file; do
        [ "$(head -c 4 "$file" 2>/dev/null | tr -d '\0')" = $'\x7fELF' ] && echo "$file"
    done || true
}

# same_names ELF FILE: nothing when each name is that of a symbol that holds the address, by nm, and
# no address without a name lies in a function. DWARF has no names for a compiler's own clones
# (".part.1"): there the function's that was cloned will do.
same_names() {
    {
        nm -S -t d --defined-only "$1" 2>/dev/null || true
        nm -D -S -t d --defined-only "$1" 2>/dev/null || true
    } | awk '$(NF - 1) ~ /^[tTwWiu]$/ {
            sub(/@.*/, "", $NF)
            print $1 + 0, NF == 4 ? $2 + 0 : 0, $NF
        }' | sort -n >"$work/nm"
    # A symbol without a size reaches to the next one; that an address has its name is no duty.
    awk 'NR == FNR {
            start[++n] = $1; size[n] = $2; name[n] = $3
            if ($1 > start[n - 1]) last = n
            for (i = last - 1; i > 0 && start[i] == start[last - 1]; i--)
                if (!size[i] && !reach[i]) reach[i] = $1
            next
        }
        {
            sub(/@.*/, "", $2)
            while (at < n && start[at + 1] <= $1) at++
            held = same = 0
            for (i = at; i > 0 && i > at - 1000; i--)
                if ($1 < start[i] + size[i] || $1 < reach[i]) {
                    held = held || size[i]
                    if (name[i] == $2 || index(name[i], $2 ".") == 1) same = 1
                }
            if ($2 == "??") missing += held; else if (!same) wrong++
        }
        END {
            if (missing) printf "%d addresses in functions got no name", missing
            else if (wrong) printf "%d names are not those that nm has there", wrong
        }' "$work/nm" "$2"
}

# symbols_row WHAT ELF
symbols_row() {
    local what=$1 elf=$2 i why='' note
    local into=$work/symbols
    : >"$into"
    for ((i = 1; i <= runs && ${#why} == 0; i++)); do
        run "$into" "$bin/symbolise" "$elf" "$addresses" "$work/names" ||
            why=$(last_words "$into.err")
    done
    [ -n "$why" ] || why=$(same_names "$elf" "$work/names")
    note="$(basename "$elf"), $(($(stat -c %s "$elf") / 1048576)) MiB:"
    note="$note $(median "$into" named) named, $(median "$into" lines) with lines;"
    note="$note longest snapshot meanwhile $(span "$(median "$into" snapshot_longest_ns)")"
    report row symbols what "symbolising $(number "$addresses") addresses of $what" unit ns \
        ours "$(median "$into" symbolise_ns)" need_max 2000000000 note "$note" refused "$why"
}

row_symbols() {
    local file sections largest='' with_lines=''
    progress "looking for the largest ELF files"
    while IFS= read -r file; do
        "$bin/symbolise" "$file" 1 "$work/names" >/dev/null 2>&1 || [ $? -ne 2 ] || continue
        # Stripped ones have no names to find.
        sections=$(eu-readelf -S "$file" 2>/dev/null | grep -E '\.symtab|\.z?debug_info' || true)
        if [ -z "$largest" ] && [[ $sections == *.symtab* ]]; then
            largest=$file
        fi
        if [[ $sections == *debug_info* ]]; then
            with_lines=$file
            break
        fi
    done < <(large_elf_files)
    [ -n "$largest" ] || {
        report row symbols what "symbolising" unit ns refused "no ELF file was found"
        return 0
    }
    progress "symbols of $largest"
    symbols_row "the largest ELF file with a symbol table" "$largest"
    if [ -n "$with_lines" ] && [ "$with_lines" != "$largest" ]; then
        progress "symbols of $with_lines"
        symbols_row "the largest with DWARF" "$with_lines"
    fi
}

measure_growth() {
    local tasks distinct why into
    echo "$machine_at_start; $(date -u +%F); medians of $runs runs"
    echo
    echo "| tasks | different stacks | first | nothing changed | 1 % changed | 10 % | 100 % |"
    echo "| --- | --- | --- | --- | --- | --- | --- |"
    for tasks in $growth_tasks; do
        for distinct in 1 10 1000; do
            progress "growth: $tasks tasks, $distinct stacks"
            into=$work/growth
            : >"$into"
            why=$(enough_memory "$(crowd_needs "$tasks" 0)") || {
                echo "| $(number "$tasks") | $(number "$distinct") | not measured: $why |||||"
                continue
            }
            run "$into" "$bin/growth" "$tasks" "$distinct" "$runs" || {
                echo "| $(number "$tasks") | $(number "$distinct") | $(last_words "$into.err") |||||"
                continue
            }
            printf '| %s | %s |' "$(number "$tasks")" "$(number "$distinct")"
            for key in first changed_0 changed_1 changed_10 changed_100; do
                printf ' %s |' "$(span "$(median "$into" ${key}_ns)")"
            done
            echo
        done
    done
}
