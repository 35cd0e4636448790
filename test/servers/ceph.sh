#!/bin/bash
# A real S3 with Object Lock on this machine, for tests: Ceph's monitor, one OSD in memory and the RADOS Gateway, as
# plain processes on loopback. Takes about 2 s; wants root and the Debian packages that `install` fetches.
#   ceph.sh install        the packages (about 60 MB)
#   ceph.sh up             starts all, waits until it answers, prints NAME=value lines with endpoint and keys
#   ceph.sh user NAME      a second user, for tests of rights; prints its keys
#   ceph.sh down           stops what `up` started, deletes its data
# Settings: CEPH_DIR (/tmp/sysbackup-ceph), CEPH_PORT (7480), CEPH_MON_PORT (16789), CEPH_LC_DAY (seconds that a
# lifecycle day lasts; unset: a day).
set -euo pipefail

dir=${CEPH_DIR:-/tmp/sysbackup-ceph}
port=${CEPH_PORT:-7480}
mon_port=${CEPH_MON_PORT:-16789}

main() {
  case ${1:-} in
    install) install_packages ;;
    up) up ;;
    user) add_user "${2:?name of the user}" ;;
    down) down ;;
    *) sed -n '2,9p' "$0" | cut -c3- >&2; exit 2 ;;
  esac
}

install_packages() {
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    radosgw ceph-mon ceph-osd ceph-common curl >/dev/null
}

up() {
  rm -rf "$dir"
  mkdir -p "$dir"/{mon,osd,rgw,run,log}
  write_conf
  make_monitor_and_osd >>"$dir/log/up.out" 2>&1 || give_up monitor "$dir/log/up.out"
  # The OSD sometimes ends at its first start, the gateway while there is no OSD yet: whatever ended is begun again.
  await 100 osd osd_is_up
  await 240 gateway curl -s -o /dev/null "http://127.0.0.1:$port/"
  add_user test
}

down() {
  local name pid
  for name in gateway osd mon; do
    pid=$(cat "$dir/run/$name.started" 2>/dev/null) || continue
    kill -9 "$pid" 2>/dev/null || true # The gateway does not heed SIGTERM.
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  done
  rm -rf "$dir"
}

# The settings are one cluster's on one machine: no authentication, one copy, nothing kept, no waiting for votes.
write_conf() {
  {
    printf '[global]\n'
    printf '%s\n' "fsid = $(uuid)" "mon host = [v1:127.0.0.1:$mon_port]" 'mon initial members = a' \
      "monmap = $dir/monmap" 'no mon config = true' 'auth cluster required = none' 'auth service required = none' \
      'auth client required = none' 'ms bind ipv6 = false' 'public addr = 127.0.0.1' 'cluster addr = 127.0.0.1' \
      "run dir = $dir/run" "admin socket = $dir/run/\$name.\$pid.asok" "log file = $dir/log/\$name.log" \
      "pid file = $dir/run/\$name.pid" 'osd pool default size = 1' 'osd pool default min size = 1' \
      'osd pool default pg num = 1' 'osd pool default pgp num = 1' 'osd pool default pg autoscale mode = off' \
      'osd crush chooseleaf type = 0' 'mon allow pool size one = true' 'mon warn on pool no redundancy = false' \
      'mon max pg per osd = 1000' 'mon data avail crit = 1' 'paxos propose interval = 0.05' \
      'paxos min wait = 0.01' "crash dir = $dir/run" 'keyring = /dev/null'
    printf '[mon.a]\nmon data = %s\n' "$dir/mon"
    printf '[osd.0]\nosd data = %s\nosd objectstore = memstore\nmemstore device bytes = 8589934592\n' "$dir/osd"
    printf '[client.rgw.a]\nrgw data = %s\nrgw frontends = beast endpoint=127.0.0.1:%s tcp_nodelay=1\n' "$dir/rgw" "$port"
    # As behind a proxy that ends TLS, SSE-C is allowed on what looks like plain HTTP.
    printf 'rgw dns name = 127.0.0.1\nrgw thread pool size = 32\nrgw enable usage log = false\nrgw crypt require ssl = false\n'
    [ -z "${CEPH_LC_DAY:-}" ] || printf 'rgw lc debug interval = %s\n' "$CEPH_LC_DAY"
  } >"$dir/ceph.conf"
}

make_monitor_and_osd() {
  local osd_id
  osd_id=$(uuid)
  monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$dir/ceph.conf")" \
    --addv a "[v1:127.0.0.1:$mon_port]" "$dir/monmap" &&
    ceph-mon -c "$dir/ceph.conf" --mkfs -i a --monmap "$dir/monmap" &&
    start mon &&
    repeat cluster mon stat &&
    repeat cluster osd new "$osd_id" &&
    ceph-osd -c "$dir/ceph.conf" -i 0 --mkfs --osd-uuid "$osd_id" &&
    repeat cluster osd crush add osd.0 1 root=default host=localhost
}

start() {
  local command
  case $1 in
    mon) command=(ceph-mon -i a) ;;
    osd) command=(ceph-osd -i 0) ;;
    gateway) command=(radosgw -n client.rgw.a) ;;
  esac
  setsid "${command[@]}" -c "$dir/ceph.conf" -f >>"$dir/log/$1.out" 2>&1 </dev/null &
  echo $! >"$dir/run/$1.started"
}

runs() { kill -0 "$(cat "$dir/run/$1.started" 2>/dev/null)" 2>/dev/null; }
cluster() { timeout 20 ceph -c "$dir/ceph.conf" "$@"; }
admin() { timeout 20 radosgw-admin -c "$dir/ceph.conf" -n client.rgw.a "$@"; }
osd_is_up() { [[ $(cluster osd stat 2>/dev/null) == *'1 up'* ]]; }
uuid() { cat /proc/sys/kernel/random/uuid; }

# await TIMES NAME COMMAND…: starts NAME, and again where it ended, until COMMAND succeeds.
await() {
  local left=$1 name=$2
  shift 2
  while [ "$left" -gt 0 ]; do
    runs "$name" || start "$name"
    "$@" && return
    sleep 0.25
    left=$((left - 1))
  done
  give_up "$name" "$dir/log/$name.out"
}

# The first calls can race the monitor's first map; each is safe to repeat.
repeat() {
  local left
  for left in 4 3 2 1 0; do
    "$@" && return
    [ "$left" = 0 ] || sleep 0.2
  done
  return 1
}

add_user() {
  local access_key=$1-access-key secret_key=$1-secret-key-0123456789
  repeat make_or_find_user "$1" "$access_key" "$secret_key" >/dev/null 2>>"$dir/log/admin.out" ||
    give_up "user $1" "$dir/log/admin.out"
  printf '%s\n' "AWS_ENDPOINT_URL_S3=http://127.0.0.1:$port" AWS_REGION=us-east-1 \
    "AWS_ACCESS_KEY_ID=$access_key" "AWS_SECRET_ACCESS_KEY=$secret_key"
}

make_or_find_user() {
  admin user create --uid="$1" --display-name="$1" --access-key="$2" --secret-key="$3" || admin user info --uid="$1"
}

give_up() {
  echo "Ceph's $1 did not come up:" >&2
  tail -5 "$2" >&2 || true
  exit 1
}

main "$@"
