#!/usr/bin/env bats
# Unmodified servers that turn into daemons, change their user, and shut themselves into a chroot,
# under taskprof run: the endpoint stays where it was announced, and shows the daemon.
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

shows_daemon() {
  daemon=$(cat daemon.pid 2>/dev/null) && [ -n "$daemon" ] &&
    curl -sf --max-time 20 "${url}goroutine?debug=2" | grep -qF "\"tid\": \"$daemon\""
}

# daemonise COMMAND …: through taskprof run, as from a shell; sets url and daemon, whose id the
# server writes to daemon.pid. The command ends by itself, and well.
daemonise() {
  start ours "$taskprof" run --http 127.0.0.1:0 -- "$@"
  wait "$pid"
  url=$(sed -n '/^taskprof: /{s///p;q}' ours.err)
  only_address ours
  eventually test -s daemon.pid
  daemons+=("$(<daemon.pid)")
  eventually shows_daemon
  [ "$daemon" != "$pid" ]
}

@test "memcached -d" {
  local port
  free_port port
  # shellcheck disable=SC2046 # words
  daemonise memcached -d -P "$work/daemon.pid" $([ "$(id -u)" != 0 ] || echo -u root) \
    -l 127.0.0.1 -p "$port" -U 0
  eventually answers_on "$port"
  profile_is_eu_stacks "$daemon"
  has_thread 'IO wait' epoll_wait
  has_thread sync.Cond.Wait pthread_cond_wait
}

@test "redis-server --daemonize yes" {
  local port
  free_port port
  daemonise redis-server --daemonize yes --pidfile "$work/daemon.pid" --port "$port" \
    --bind 127.0.0.1 --dir "$work" --save '' --io-threads 2
  eventually answers_on "$port"
  [ "$(redis-cli -p "$port" PING)" = PONG ]
  profile_is_eu_stacks "$daemon"
  has_thread sync.Cond.Wait pthread_cond_wait
  [ "$(redis-cli -p "$port" SHUTDOWN NOSAVE)" = '' ]
}

@test "mosquitto -d" {
  local port
  free_port port
  printf 'listener %s 127.0.0.1\nallow_anonymous true\npid_file %s\nuser %s\n' "$port" \
    "$work/daemon.pid" "$(id -un)" >mosquitto.conf
  daemonise mosquitto -d -c mosquitto.conf
  eventually answers_on "$port"
  profile_is_eu_stacks "$daemon"
  has_thread 'IO wait' epoll_wait
}

# unbound_conf PORT CHROOT
unbound_conf() {
  cat <<CONF
server:
  interface: 127.0.0.1@$1
  do-daemonize: yes
  use-syslog: no
  logfile: "$work/unbound.log"
  username: "$([ "$(id -u)" != 0 ] || echo unbound)"
  chroot: "$2"
  directory: "$work"
  pidfile: "$work/daemon.pid"
  num-threads: 3
  module-config: "iterator"
  local-zone: "." refuse
  local-data: "a.test. A 10.0.0.1"
remote-control:
  control-enable: no
CONF
}

@test "unbound as a daemon that changes its user" {
  local port
  free_port port
  chmod 777 .
  unbound_conf "$port" '' >unbound.conf
  daemonise unbound -c "$work/unbound.conf"
  eventually answers_on "$port"
  [ "$(id -u)" != 0 ] || [ "$(ps -o user:20= -p "$daemon")" = unbound ]
  profile_is_eu_stacks "$daemon"
  [ "$(wc -l <ours.stacks)" = 3 ]
}

@test "unbound as a daemon in a chroot: every thread is shown, and what is missing is told" {
  [ "$(id -u)" = 0 ] || skip 'only root may chroot'
  local port tid
  free_port port
  chmod 777 .
  unbound_conf "$port" "$work" >unbound.conf
  daemonise unbound -c "$work/unbound.conf"
  eventually answers_on "$port"
  [ "$(readlink "/proc/$daemon/root")" = "$work" ]
  drill -p "$port" @127.0.0.1 a.test | grep -q '10\.0\.0\.1'
  curl -sf "${url}goroutine?debug=2" >full.txt
  cat full.txt
  for tid in $(threads_of "$daemon"); do
    grep -F "\"tid\": \"$tid\"" full.txt | grep -qF '[IO wait'
  done
  [ "$(grep -c '^goroutine ' full.txt)" = 3 ]
  grep -qiE '^# .*(/proc|chroot)' full.txt
}

@test "varnishd as a daemon: its manager at the first address" {
  local port
  free_port port
  printf 'vcl 4.1;\nbackend default none;\nsub vcl_recv { return (synth(200)); }\n' >daemon.vcl
  mkdir state
  chmod 777 state
  daemonise varnishd -P "$work/daemon.pid" -n "$work/state" -f "$work/daemon.vcl" \
    -a "127.0.0.1:$port" -s malloc,8m
  eventually answers_on "$port"
  profile_is_eu_stacks "$daemon"
  has_thread 'IO wait' poll
  kill "$daemon"
}
