# shellcheck shell=bash
# Debian's servers, plain and under taskprof run; and whether a profile's stacks are eu-stack's.
# Sourced by the tests; a test's servers are told by name.

# shellcheck disable=SC2034 # for the tests
servers_setup() {
  # The sanitizers' runtimes want to come first among what is preloaded.
  [ -z "${TASKPROF_SANITIZE-}" ] || skip 'nothing can be preloaded in a sanitizer build'
  root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
  build=${TASKPROF_BUILD_DIR:-$root/build/release}
  taskprof=$build/cli/taskprof
  pids=()
  daemons=()
  # Readable by users that servers change to.
  work=$(mktemp -d /tmp/taskprof-servers.XXXXXX)
  chmod 755 "$work"
  cd "$work" || return
  export HOME=$work PPROF_TMPDIR=$work DEBUGINFOD_URLS='' no_proxy='*' NO_PROXY='*'
  unset LD_PRELOAD TASKPROF_HTTP TASKPROF_SNAPSHOTS TASKPROF_CHANNELS TASKPROF_CHILDREN
}

servers_teardown() {
  local pid
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  done
  for pid in "${daemons[@]}"; do
    kill -KILL "$pid" 2>/dev/null
  done
  [ -z "${work-}" ] || rm -rf "$work"
  true
}

# free_port VARIABLE: below those that the kernel gives out itself.
free_port() {
  local number
  for _ in {1..100}; do
    number=$((20000 + RANDOM % 12000))
    if ! grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X $number) " /proc/net/{tcp,tcp6,udp,udp6}; then
      printf -v "$1" %d $number
      return
    fi
  done
  return 1
}

answers_on() {
  (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# start NAME COMMAND …: output to NAME.out, NAME.err; sets pid.
start() {
  local name=$1
  shift
  "$@" </dev/null >"$name.out" 2>"$name.err" 3>&- &
  pid=$!
  pids+=("$pid")
}

# start_profiled NAME COMMAND …: the same under taskprof run; sets url as well.
start_profiled() {
  local name=$1
  shift
  start "$name" "$taskprof" run "${run_options[@]}" -- "$@"
  eventually has_address_or_ended "$name"
  url=$(sed -n '/^taskprof: /{s///p;q}' "$name.err")
}
run_options=()

has_address_or_ended() {
  grep -q '^taskprof: http://' "$1.err" || ! kill -0 "$pid" 2>/dev/null
}

# Asks for everything, once; for loops.
scrape() {
  local debug
  for debug in 0 1 2 3; do
    curl -sSf --max-time 20 -o "scraped.$debug" "${url}goroutine?debug=$debug" || return
  done
  curl -sSf --max-time 20 -o scraped.channel "${url}channel?debug=1" || return
  go tool pprof -symbolize=none -top scraped.0 >scraped.top 2>&1 || {
    cat scraped.top >&2
    return 1
  }
}

# while_scraped COMMAND …: runs it while everything is asked for again and again, at most 200 times
# and at least once. With a pause in between, for the server to be the one that is busy.
while_scraped() {
  local status=0 scraper
  rm -f "$work/enough"
  (
    for ((i = 0; i < 200; i++)); do
      scrape || exit
      [ ! -e "$work/enough" ] || exit 0
      sleep 0.2
    done
  ) 3>&- &
  scraper=$!
  "$@" || status=$?
  touch "$work/enough"
  wait "$scraper" || {
    echo "a scrape failed, see above" >&2
    return 1
  }
  return $status
}

# The threads of a process that are not taskprof's own.
threads_of() {
  local task name
  for task in "/proc/$1/task/"*; do
    name=$(cat "$task/comm" 2>/dev/null) || continue
    [[ $name == taskprof-* ]] || echo "${task##*/}"
  done
}

# What taskprof shows, a line a thread: "TID|STATE|ADDRESS …|FUNCTION …", the innermost first,
# addresses as the profile has them, "?" for a function without a name.
taskprof_stacks() {
  curl -sf --max-time 20 -o full.txt "${url}goroutine?debug=2" &&
    curl -sf --max-time 20 -o tasks.pb.gz "${url}goroutine?debug=3" &&
    go tool pprof -symbolize=none -raw tasks.pb.gz 2>/dev/null >tasks.raw || return
  awk '
    FILENAME == "full.txt" && /^goroutine / {
      tid = $0
      if (sub(/.*"tid": "/, "", tid)) { sub(/".*/, "", tid); tid_of[$2] = tid }
      next
    }
    FILENAME != "tasks.raw" { next }
    /^Locations/ { locations = 1; next }
    /^Mappings/ { exit }
    locations && /^ +[0-9]+: 0x/ {
      sub(/:$/, "", $1)
      address[$1] = $2
      name[$1] = NF > 4 ? $4 : "?"
    }
    locations { next }
    / [0-9]+: ([0-9]+ )+$/ { sub(/^[^:]*: /, ""); frames[++count] = $0 }
    / state:\[/ { state[count] = $0; sub(/.* state:\[/, "", state[count]); sub(/\].*/, "", state[count]) }
    / id:\[/ { id[count] = $0; sub(/.* id:\[/, "", id[count]); sub(/ id\].*/, "", id[count]) }
    END {
      for (i = 1; i <= count; i++) {
        n = split(frames[i], frame, " ")
        addresses = names = ""
        for (k = 1; k <= n; k++) {
          addresses = addresses (k > 1 ? " " : "") address[frame[k]]
          names = names (k > 1 ? " " : "") name[frame[k]]
        }
        print tid_of[id[i]] "|" state[i] "|" addresses "|" names
      }
    }' full.txt tasks.raw
}

# The same of eu-stack, without states: "TID|ADDRESS …|FUNCTION …".
eu_stacks() {
  # It ends with 1 where a stack's end surprised it.
  eu-stack -p "$1" >eu.txt 2>eu.err || [ $? = 1 ] || return
  awk '
    function done() { if (tid) print tid "|" addresses "|" names }
    /^TID / { done(); tid = $2; sub(/:/, "", tid); addresses = names = ""; next }
    /^#/ {
      sub(/^0x0*/, "0x", $2)
      sub(/@.*/, "", $3)
      addresses = addresses (addresses ? " " : "") $2
      names = names (names ? " " : "") ($3 ? $3 : "?")
    }
    END { done() }' eu.txt
}

# same_stack OURS THEIRS: nothing when a line of taskprof_stacks and one of eu_stacks are one stack;
# else what differs. taskprof's first frame is the wrapper that parked, or, of a system call that
# nobody wrapped, the same instruction as eu-stack's.
same_stack() {
  local tid state our_addresses our_names their_addresses their_names
  IFS='|' read -r tid state our_addresses our_names <<<"$1"
  IFS='|' read -r _ their_addresses their_names <<<"$2"
  local -a a n b m
  read -ra a <<<"$our_addresses"
  read -ra n <<<"$our_names"
  read -ra b <<<"$their_addresses"
  read -ra m <<<"$their_names"
  local first=$((${#b[@]} - ${#a[@]})) i
  if [ "$first" -lt 0 ]; then
    echo "$tid: ${#a[@]} frames, eu-stack has ${#b[@]}"
    return
  fi
  # Of a call the profile has the address of the calling instruction, eu-stack the one behind it.
  for ((i = 1; i < ${#a[@]}; i++)); do
    if [ $((a[i] + 1)) -ne $((b[first + i])) ]; then
      echo "$tid: frame $i is ${a[i]} ${n[i]}, eu-stack has ${b[first + i]} ${m[first + i]}"
      return
    fi
    # One function of the C library has two names.
    if [ "${n[i]/%__libc_start_main_impl/__libc_start_main}" != "${m[first + i]}" ] &&
      [ "${m[first + i]}" != '?' ]; then
      echo "$tid: frame $i is called ${n[i]}, by eu-stack ${m[first + i]}"
      return
    fi
  done
  if [ "$state" = syscall ]; then
    [ "$first" = 0 ] && [ $((a[0])) -eq $((b[0])) ] ||
      echo "$tid: the innermost frame is ${a[0]}, eu-stack has ${b[0]}"
  elif [ "${n[0]}" != "${m[first]}" ]; then
    echo "$tid: parked in ${n[0]}, by eu-stack in ${m[first]}"
  fi
}

# at_start OURS: whether a stack ends where threads start: in clone, or in _start, which calls
# __libc_start_main and has no name in a stripped binary.
at_start() {
  local names=${1##*|}
  case $names in
  *' __clone3' | *' __clone' | *' _start' | *' __libc_start_main_impl ?') ;;
  *)
    echo "${1%%|*}: its stack does not reach its start: $names"
    ;;
  esac
}

# differences PID: all that is wrong with the profile of a process whose threads are all blocked.
differences() {
  local tid line theirs
  taskprof_stacks >ours.stacks || echo "no profile"
  eu_stacks "$1" >eu.stacks || echo "no eu-stack"
  for tid in $(threads_of "$1"); do
    line=$(grep "^$tid|" ours.stacks) || {
      echo "$tid: not in the profile"
      continue
    }
    theirs=$(grep "^$tid|" eu.stacks) || echo "$tid: eu-stack does not have it"
    case $line in
    *'|running|'* | *'|unknown|'* | *'|runnable|'*) echo "$tid: not blocked: $line" ;;
    *)
      same_stack "$line" "$theirs"
      at_start "$line"
      ;;
    esac
  done
  [ "$(wc -l <ours.stacks)" = "$(threads_of "$1" | wc -l)" ] ||
    echo "$(wc -l <ours.stacks) tasks of $(threads_of "$1" | wc -l) threads"
}

no_differences() {
  differences "$1" >differences 2>&1
  [ ! -s differences ]
}

# profile_is_eu_stacks PID: every thread of the process is in its profile, blocked, with the stack
# that eu-stack has, to its start. A thread that went on between the two looks makes another try.
profile_is_eu_stacks() {
  eventually no_differences "$1" || {
    cat differences ours.stacks eu.stacks
    return 1
  }
  # For a reader of the test's output.
  sed 's/|0x[^|]*|/: /' ours.stacks
}

# has_thread STATE FUNCTION: one is in this state, in this wrapper, at the last look.
has_thread() {
  grep -qE "^[0-9]+\|$1\|[^|]*\|$2 " ours.stacks || {
    echo "no thread is in $1, $2"
    return 1
  }
}

# only_address NAME: taskprof printed its one line and nothing else; the rest of the server's stderr
# is in NAME.rest.
only_address() {
  grep -v '^taskprof: http://127\.0\.0\.1:[0-9]*/debug/pprof/$' "$1.err" >"$1.rest" || true
  [ "$(grep -c '^taskprof' "$1.err")" = "${2-1}" ]
  run ! grep -i taskprof "$1.rest"
}
