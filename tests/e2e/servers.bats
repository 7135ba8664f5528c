#!/usr/bin/env bats
# Unmodified servers, as Debian packages them, started through taskprof run: they serve their
# clients as they do without it, and every thread is in the profile with the stack that eu-stack has.
#
# shellcheck disable=SC2154,SC2034 # the helpers' variables

bats_require_minimum_version 1.5.0
load helpers

setup() {
  # shellcheck source=tests/e2e/servers/helpers.bash
  source "$BATS_TEST_DIRNAME/servers/helpers.bash"
  servers_setup
}

teardown() {
  servers_teardown
}

@test "the comparison finds what differs from eu-stack" {
  local ours='7|sleep|0x10 0x20 0x30|usleep work start_thread'
  [ -z "$(same_stack "$ours" '7|0x5 0x11 0x21 0x31|nanosleep usleep work start_thread')" ]
  [ -z "$(same_stack "$ours" '7|0x5 0x11 0x21 0x31|nanosleep usleep ? start_thread')" ]
  [[ "$(same_stack "$ours" '7|0x5 0x11 0x22 0x31|nanosleep usleep work start_thread')" == *'frame 1 is 0x20 work'* ]]
  [[ "$(same_stack "$ours" '7|0x5 0x11 0x21 0x31|nanosleep usleep play start_thread')" == *'frame 1 is called work'* ]]
  [[ "$(same_stack "$ours" '7|0x5 0x11 0x21 0x31 0x41|nanosleep usleep work start_thread __clone3')" == *'frame 1 is'* ]]
  [[ "$(same_stack "$ours" '7|0x5 0x11 0x21 0x31|nanosleep poll work start_thread')" == *'parked in usleep'* ]]
  [[ "$(same_stack "$ours" '7|0x21 0x31|work start_thread')" == *'3 frames'* ]]
  [[ "$(at_start "$ours")" == *'does not reach its start'* ]]
  [ -z "$(at_start '7|sleep|0x10|usleep work start_thread __clone3')" ]
}

# The user that a server changes to, where there is a choice.
as_user() {
  [ "$(id -u)" != 0 ] || echo "$@"
}

# speak PORT: what a server answers to standard input, until it closes the connection.
speak() {
  (
    exec 5<>"/dev/tcp/127.0.0.1/$1"
    cat >&5
    cat <&5
  )
}

memcached_battery() {
  # CRLF ends a line of this protocol.
  sed 's/$/\r/' <<'COMMANDS' | speak "$1"
version
set a 7 0 5
hello
get a
gets a b
add a 0 0 1
1
add b 0 0 2
10
incr b 32
decr b 100
append a 0 0 6
 world
prepend a 0 0 3
>> 
get a b
replace nothing 0 0 1
x
touch a 100
cas a 0 0 1 999999
y
delete b
delete b
mn
ms m 4 T100
meta
mg m t v f
mg nobody v
md m
nonsense
get
set a 0 0 notanumber
verbosity 1
flush_all
get a
quit
COMMANDS
  # libmemcached's own conformance test, of the other protocol.
  memccapable -h 127.0.0.1 -p "$1" -b 2>&1
  memcping --servers="127.0.0.1:$1" && echo alive
  memcslap --servers="127.0.0.1:$1" --concurrency=4 --execute-number=500 --test=set >/dev/null 2>&1 &&
    echo loaded
}

@test "memcached answers as without taskprof while it is scraped, and its threads are eu-stack's" {
  local port plain_port
  free_port plain_port
  # shellcheck disable=SC2046 # words
  start plain memcached $(as_user -u nobody) -l 127.0.0.1 -p "$plain_port" -U 0 -t 4
  eventually answers_on "$plain_port"
  memcached_battery "$plain_port" >plain.answers
  free_port port
  # shellcheck disable=SC2046
  start_profiled ours memcached $(as_user -u nobody) -l 127.0.0.1 -p "$port" -U 0 -t 4
  eventually answers_on "$port"
  while_scraped memcached_battery "$port" >ours.answers
  diff plain.answers ours.answers
  [ "$(wc -l <ours.answers)" -gt 60 ]
  only_address ours
  diff plain.err ours.rest
  profile_is_eu_stacks "$pid"
  has_thread 'IO wait' epoll_wait
  has_thread sync.Cond.Wait pthread_cond_wait
  [ "$(wc -l <ours.stacks)" -ge 9 ]
}

redis_battery() {
  redis-cli -p "$1" --no-raw <<'COMMANDS' 2>&1
PING
FLUSHALL
SET greeting "hello world" EX 1000
GET greeting
APPEND greeting "!"
INCR counter
INCRBYFLOAT counter 1.5
LPUSH list a b c d
LRANGE list 0 -1
LPOS list c
SADD set x y z
SCARD set
SINTER set set2
HSET hash one 1 two 2
HGETALL hash
ZADD scores 1 a 2 b 3 c
ZRANGEBYSCORE scores 2 +inf WITHSCORES
XADD stream 1-1 field value
XLEN stream
XREAD COUNT 1 STREAMS stream 0
SETBIT bits 7 1
BITCOUNT bits
PFADD log a b c a
PFCOUNT log
GEOADD places 13.361389 38.115556 Palermo
GEOHASH places Palermo
MULTI
INCR counter
SET inside 1
EXEC
EVAL "return {KEYS[1], ARGV[1], redis.call('GET', 'greeting')}" 1 key argument
BLPOP nobody_pushes 0.2
BRPOPLPUSH list other 1
WAIT 1 100
GET list
NONSENSE
OBJECT ENCODING counter
SORT list ALPHA
SCAN 0 COUNT 1000 MATCH gree*
BGREWRITEAOF
EXPIRE greeting 500
TYPE stream
DBSIZE
COMMANDS
  # A client that waits is served by one that comes later.
  redis-cli -p "$1" BLPOP queue 30 >popped &
  local waiter=$!
  eventually one_waits "$1"
  redis-cli -p "$1" RPUSH queue job
  wait "$waiter"
  cat popped
  # Four hundred kilobytes both ways, and many clients at once.
  head -c 300000 /dev/zero | tr '\0' x | redis-cli -p "$1" -x SET big
  redis-cli -p "$1" STRLEN big
  redis-cli -p "$1" GET big | cksum
  redis-benchmark -p "$1" -n 1000 -c 30 -t set,lpush -q >/dev/null && echo loaded
  # A child that is forked without exec writes the file.
  redis-cli -p "$1" SAVE
  redis-cli -p "$1" BGSAVE
  eventually saved "$1"
  redis-cli -p "$1" DEBUG SLEEP 0.05
}

one_waits() {
  redis-cli -p "$1" INFO clients | tr -d '\r' | grep -qx 'blocked_clients:1'
}

saved() {
  redis-cli -p "$1" INFO persistence | tr -d '\r' | grep -qx 'rdb_bgsave_in_progress:0' &&
    redis-cli -p "$1" INFO persistence | tr -d '\r' | grep -qx 'rdb_last_bgsave_status:ok'
}

# redis_of PORT FOLDER: its command line.
redis_of() {
  mkdir -p "$2"
  echo redis-server --port "$1" --bind 127.0.0.1 --dir "$2" --io-threads 2 --io-threads-do-reads yes \
    --enable-debug-command yes
}

@test "redis answers as without taskprof while it is scraped, and its threads are eu-stack's" {
  local port plain_port
  free_port plain_port
  # shellcheck disable=SC2046 # words
  start plain $(redis_of "$plain_port" "$work/plain")
  eventually answers_on "$plain_port"
  redis_battery "$plain_port" >plain.answers
  free_port port
  # shellcheck disable=SC2046
  start_profiled ours $(redis_of "$port" "$work/ours")
  eventually answers_on "$port"
  while_scraped redis_battery "$port" >ours.answers
  diff plain.answers ours.answers
  [ "$(wc -l <ours.answers)" -gt 70 ]
  only_address ours
  [ ! -s ours.rest ]
  profile_is_eu_stacks "$pid"
  has_thread 'IO wait' epoll_wait
  has_thread sync.Cond.Wait pthread_cond_wait
  has_thread sync.Mutex.Lock pthread_mutex_lock
  [ "$(wc -l <ours.stacks)" -ge 8 ]
  # What it says on its way out, and its exit code.
  redis-cli -p "$port" SHUTDOWN NOSAVE
  wait "$pid"
  grep -q 'ready to exit, bye bye' ours.out
}

# Answers about one name, without what differs from one question to the next.
ask() {
  drill "$@" 2>&1 | grep -vE '^;; (WHEN|Query time|->>HEADER)|^$' | sed 's/; port: [0-9]*//'
}

unbound_battery() {
  local name kind
  for name in a.test b.test deep.under.test nothing.test example.invalid 1.2.0.192.in-addr.arpa; do
    for kind in A MX TXT PTR; do
      ask -p "$1" @127.0.0.1 "$name" "$kind"
    done
  done
  ask -t -p "$1" @127.0.0.1 a.test A
  ask -D -p "$1" @127.0.0.1 a.test TXT
  ask -c /dev/null -p "$1" @127.0.0.1 b.test CNAME
  # Many at once.
  local asked=()
  for _ in {1..20}; do
    drill -p "$1" @127.0.0.1 a.test A >/dev/null &
    asked+=("$!")
  done
  wait "${asked[@]}" && echo all
}

# unbound_conf PORT [CHROOT]: a server that knows its own names and asks nobody.
unbound_conf() {
  cat <<CONF
server:
  interface: 127.0.0.1@$1
  do-daemonize: no
  use-syslog: no
  username: "$(as_user unbound)"
  chroot: "${2-}"
  directory: "$work"
  pidfile: ""
  num-threads: 4
  so-reuseport: yes
  module-config: "validator iterator"
  trust-anchor-file: ""
  root-hints: ""
  local-zone: "." refuse
  local-zone: "test." static
  local-data: "a.test. A 10.0.0.1"
  local-data: "a.test. TXT 'some text'"
  local-data: "b.test. CNAME a.test."
  local-data: "deep.under.test. MX 10 a.test."
  local-data-ptr: "192.0.2.1 a.test"
remote-control:
  control-enable: no
CONF
}

@test "unbound answers as without taskprof while it is scraped, and its threads are eu-stack's" {
  local port plain_port
  free_port plain_port
  unbound_conf "$plain_port" >plain.conf
  start plain unbound -d -c "$work/plain.conf"
  eventually answers_on "$plain_port"
  unbound_battery "$plain_port" >plain.answers
  free_port port
  unbound_conf "$port" >ours.conf
  start_profiled ours unbound -d -c "$work/ours.conf"
  eventually answers_on "$port"
  while_scraped unbound_battery "$port" >ours.answers
  diff <(sed "s/$plain_port/PORT/" plain.answers) <(sed "s/$port/PORT/" ours.answers)
  [ "$(wc -l <ours.answers)" -gt 100 ]
  only_address ours
  if [ "$(id -u)" = 0 ]; then
    [ "$(ps -o user:20= -p "$pid")" = unbound ]
  fi
  profile_is_eu_stacks "$pid"
  [ "$(wc -l <ours.stacks)" -ge 4 ]
  has_thread 'IO wait' epoll_wait
}

mosquitto_battery() {
  local ask=(-h 127.0.0.1 -p "$1") waiters=()
  mosquitto_pub "${ask[@]}" -t kept/one -m first -r -q 1
  mosquitto_pub "${ask[@]}" -t kept/two -m second -r -q 2
  mosquitto_sub "${ask[@]}" -t 'kept/#' -C 2 -v -q 2
  # Subscribers that wait, of each quality of service, and one with a session that is kept.
  for quality in 0 1 2; do
    mosquitto_sub "${ask[@]}" -t 'news/+' -C 3 -v -q $quality -i "reader$quality" -V mqttv5 -c -x 60 \
      >"heard.$quality" &
    waiters+=("$!")
  done
  eventually has_readers "$1" 3
  for number in 1 2 3; do
    mosquitto_pub "${ask[@]}" -t "news/$number" -m "item $number" -q 2
  done
  wait "${waiters[@]}"
  cat heard.0 heard.1 heard.2
  mosquitto_pub "${ask[@]}" -t news/4 -m 'while away' -q 1
  mosquitto_sub "${ask[@]}" -t 'news/+' -C 1 -v -q 1 -i reader1 -V mqttv5 -c -x 60
  # Hundreds of messages over one connection, in their order.
  mosquitto_sub "${ask[@]}" -t many -C 300 >many.heard &
  waiters=("$!")
  eventually has_readers "$1" 1
  seq 300 | mosquitto_pub "${ask[@]}" -t many -l -q 1
  wait "${waiters[@]}"
  cat many.heard
  mosquitto_rr "${ask[@]}" -t question -e answer -m hello -W 1 2>&1 || echo 'nobody answers'
  mosquitto_sub "${ask[@]}" -t nothing -W 1 2>&1 || echo 'nothing came'
}

# has_readers PORT NUMBER: so many clients are connected (two for the asking itself).
has_readers() {
  [ "$(ss -Htn state established "sport = :$1" | wc -l)" -ge "$2" ]
}

@test "mosquitto answers as without taskprof while it is scraped, and its thread is eu-stack's" {
  local port plain_port
  free_port plain_port
  free_port port
  printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$plain_port" >plain.conf
  printf 'listener %s 127.0.0.1\nallow_anonymous true\nuser mosquitto\n' "$port" >ours.conf
  start plain mosquitto -c plain.conf
  eventually answers_on "$plain_port"
  mosquitto_battery "$plain_port" >plain.answers
  start_profiled ours mosquitto -c ours.conf
  eventually answers_on "$port"
  while_scraped mosquitto_battery "$port" >ours.answers
  diff plain.answers ours.answers
  [ "$(wc -l <ours.answers)" -gt 310 ]
  only_address ours
  [ "$(id -u)" != 0 ] || [ "$(ps -o user:20= -p "$pid")" = mosquitto ]
  profile_is_eu_stacks "$pid"
  has_thread 'IO wait' epoll_wait
}

# A cache in front of itself: what it fetches comes from its own /origin.
varnish_vcl() {
  cat <<VCL
vcl 4.1;
backend self { .host = "127.0.0.1"; .port = "$1"; }
sub vcl_recv {
  if (req.url ~ "^/origin/missing") { return (synth(404, "Missing")); }
  if (req.url ~ "^/origin/") { return (synth(200, "Origin")); }
  if (req.url ~ "^/refuse") { return (synth(403, "Refused")); }
  if (req.method == "PURGE") { return (purge); }
  if (req.url ~ "^/pipe") { return (pipe); }
}
sub vcl_backend_fetch { set bereq.url = "/origin" + bereq.url; }
sub vcl_pipe { set bereq.url = "/origin" + bereq.url; }
sub vcl_backend_response {
  set beresp.ttl = 1h;
  if (bereq.url ~ "short") { set beresp.ttl = 0s; set beresp.uncacheable = true; }
}
sub vcl_deliver { set resp.http.Seen = obj.hits > 0; }
sub vcl_synth {
  set resp.body = "" + resp.status + " for " + req.url + " " + req.http.If-None-Match;
  return (deliver);
}
VCL
}

varnish_battery() {
  local url=http://127.0.0.1:$1 path asked=()
  for path in / / /one /one?query=1 /short /short /missing /refuse /pipe /origin/direct; do
    curl -si "$url$path"
  done
  curl -si -X PURGE "$url/one"
  curl -si "$url/one"
  curl -si -I "$url/one"
  curl -si -r 0-3 "$url/one"
  curl -si -X POST -d body "$url/one"
  curl -si -H 'Host:' "$url/"
  # Over one connection, and over many at once.
  curl -si "$url/a[1-50]"
  for _ in {1..25}; do
    curl -s "$url/b" >/dev/null &
    asked+=("$!")
  done
  wait "${asked[@]}" && echo all
}

# What differs from one answer to the next is left out.
varnish_answers() {
  varnish_battery "$1" | tr -d '\r' |
    grep -vE '^(Date|X-Varnish|Age|Via|Last-Modified|ETag):' | sed "s/:$1/:PORT/g"
}

# varnish NAME PORT: in the foreground, its manager and the worker that it forks.
varnish_of() {
  varnish_vcl "$2" >"$1.vcl"
  mkdir -p "$1"
  chmod 777 "$1"
  echo varnishd -F -n "$work/$1" -f "$work/$1.vcl" -a "127.0.0.1:$2" -s malloc,8m \
    -p thread_pool_min=5 -p thread_pool_max=50
}

@test "varnish answers as without taskprof while it is scraped, and its worker's threads are eu-stack's" {
  local port plain_port worker
  free_port plain_port
  # shellcheck disable=SC2046 # words
  start plain $(varnish_of plain "$plain_port")
  eventually answers_on "$plain_port"
  varnish_answers "$plain_port" >plain.answers
  free_port port
  run_options=(--children)
  # shellcheck disable=SC2046
  start_profiled ours $(varnish_of ours "$port")
  eventually answers_on "$port"
  eventually worker_url
  while_scraped varnish_answers "$port" >ours.answers
  diff plain.answers ours.answers
  [ "$(wc -l <ours.answers)" -gt 400 ]
  worker=$(pgrep -P "$pid")
  [ "$(id -u)" != 0 ] || [ "$(ps -o user:20= -p "$worker")" = vcache ]
  profile_is_eu_stacks "$worker"
  [ "$(wc -l <ours.stacks)" -ge 15 ]
  has_thread 'IO wait' poll
  has_thread sync.Cond.Wait pthread_cond_wait
}

# The worker's endpoint: that of whose threads there are most.
worker_url() {
  local worker
  worker=$(pgrep -P "$pid") || return
  for url in $(grep -oE 'http://127[^ ]*/debug/pprof/' ours.err | tac); do
    curl -sf --max-time 20 "${url}goroutine?debug=2" | grep -qF "\"tid\": \"$worker\"" && return
  done
  return 1
}
