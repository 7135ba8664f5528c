# shellcheck shell=bash
# The row of servers that were never changed; sourced by run.sh.
# shellcheck disable=SC2154 # run.sh's variables

# serve NAME PORT COMMAND …: a server in the background, once it listens; sets server.
serve() {
    local name=$1 port=$2 i
    shift 2
    "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    server=$!
    children+=("$server")
    for ((i = 0; i < 200; i++)); do
        if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return 0
        fi
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

# command_of NAME PORT: what is typed to start it.
command_of() {
    case $1 in
    memcached)
        echo memcached -l 127.0.0.1 -p "$2" -U 0 -t 2
        [ "$(id -u)" != 0 ] || echo -u nobody
        ;;
    redis)
        # Without a child that writes to the disk now and then.
        echo 'save ""' >"$work/redis.conf"
        echo redis-server "$work/redis.conf" --bind 127.0.0.1 --port "$2" --dir "$work"
        ;;
    esac
}

# load NAME PORT: requests a second under its own load tool.
load() {
    case $1 in
    memcached)
        memcaslap -s "127.0.0.1:$2" -T 1 -c 16 -x "$requests" | sed -n 's/.* TPS: \([0-9]*\) .*/\1/p'
        ;;
    redis)
        # Of its two tests the mean.
        redis-benchmark -h 127.0.0.1 -p "$2" -t set,get -c 16 -n "$((requests / 2))" --csv |
            tr -d '"' | awk -F, '$1 ~ /^[SG]ET$/ { sum += $2; n++ } END { if (n == 2) printf "%.6g", sum / 2 }'
        ;;
    esac
}

# sees_all PID URL: nothing when each thread of the process is in the profile. A thread that starts
# between the two looks makes another one.
sees_all() {
    local shown threads i
    for ((i = 0; i < 20; i++)); do
        shown=$(curl -sS --noproxy '*' "$2" | sed -n 's/^goroutine profile: total //p')
        # Without taskprof's own.
        threads=$(cat "/proc/$1/task/"*/comm | grep -cv '^taskprof-')
        [ "$shown" != "$threads" ] || return 0
        sleep 0.1
    done
    echo "${shown:-none} of $threads threads are in the profile"
}

# cpu_of PID: what its threads have used so far, in nanoseconds.
cpu_of() {
    cat "/proc/$1/task/"*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# rate_of KIND NAME: under load once; of the kind "scraped" while it is asked once a second for a
# profile as a scraper does and for the dump of all tasks.
rate_of() {
    local scraper=
    if [ "$1" = scraped ]; then
        (while sleep 1; do
            curl -sS --noproxy '*' "$url" "$url?debug=2"
        done) >"$work/scraped" 2>&1 &
        scraper=$!
        children+=("$scraper")
    fi
    load "$2" "${port[$1]}" 2>"$work/load.err" || true
    [ -z "$scraper" ] || kill "$scraper"
}

# server_row NAME: plain, under taskprof run, and that while it is scraped, in turns; what a turn
# gives is the ratio of loads that followed each other.
server_row() {
    local name=$1 into=$work/server-$1 why='' url='' i kind order
    local turns=$((runs > 5 ? 3 * runs : 15)) before base=$((20000 + RANDOM % 10000))
    ! $quick || turns=$runs
    declare -A port=([plain]=$base [profiled]=$((base + 1)) [scraped]=$((base + 1))) rate=() cpu=() pid=()
    : >"$into"
    # shellcheck disable=SC2046 # words
    serve "$name-plain" "${port[plain]}" $(command_of "$name" "${port[plain]}") ||
        why=$(last_words "$work/$name-plain.err")
    pid[plain]=$server
    # shellcheck disable=SC2046
    [ -n "$why" ] || serve "$name-profiled" "${port[profiled]}" "$build/cli/taskprof" run -- \
        $(command_of "$name" "${port[profiled]}") || why=$(last_words "$work/$name-profiled.err")
    pid[profiled]=$server
    pid[scraped]=$server
    url=$(sed -n 's/^taskprof: //p' "$work/$name-profiled.err" 2>/dev/null)goroutine
    [ -n "$why" ] || why=$(sees_all "${pid[profiled]}" "$url?debug=1")
    for ((i = 1; i <= turns && ${#why} == 0; i++)); do
        progress "$name, turn $i of $turns"
        order="plain profiled scraped"
        ((i % 2)) || order="scraped profiled plain"
        for kind in $order; do
            before=$(cpu_of "${pid[$kind]}")
            rate[$kind]=$(rate_of "$kind" "$name")
            cpu[$kind]=$(($(cpu_of "${pid[$kind]}") - before))
            [ -n "${rate[$kind]}" ] || why="its load tool gave no rate: $(last_words "$work/load.err")"
        done
        [ -n "$why" ] || for kind in plain profiled scraped; do
            echo "$kind ${rate[$kind]}"
            echo "slower_$kind $(compute "100 * (1 - ${rate[$kind]} / ${rate[plain]})")"
            echo "cpu_$kind $(compute "100 * (${cpu[$kind]} / ${cpu[plain]} - 1)")"
        done >>"$into"
    done
    [ -n "$why" ] || why=$(sees_all "${pid[profiled]}" "$url?debug=1")
    kill "${pid[plain]}" "${pid[profiled]}" 2>/dev/null || true
    wait "${pid[plain]}" "${pid[profiled]}" 2>/dev/null || true
    for kind in profiled scraped; do
        report row servers unit % need_max 3 refused "$why" \
            what "$name under taskprof run$([ $kind = profiled ] || echo ', scraped once a second'): slower by" \
            ours "$([ -n "$why" ] || median "$into" slower_$kind)" \
            note "$(printf '%.0f' "$(median "$into" $kind)") requests a second, plain \
$(printf '%.0f' "$(median "$into" plain)"); processor time a request: \
$(printf '%+.1f' "$(median "$into" cpu_$kind)") %"
    done
}

row_servers() {
    server_row memcached
    server_row redis
}
