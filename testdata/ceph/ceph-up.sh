#!/usr/bin/env bash
# Starts a one-node Ceph on loopback (one monitor, one object store in memory,
# one RADOS gateway), for tests, and prints what they need:
#
#   ceph-up.sh DIR [PORT]     start it in DIR (new or empty), the gateway on PORT
#   ceph-up.sh --down DIR     stop what was started in DIR
#
# Without PORT a free one is taken; the other daemons always take free ports.
# Standard output is lines of the form NAME=value, fit for `export`:
#
#   export $(testdata/ceph/ceph-up.sh /tmp/ceph)
#   go test ./cdnsource/s3store -tags ceph
#   testdata/ceph/ceph-up.sh --down /tmp/ceph
#
# Debian packages: apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd
set -euo pipefail

die() { echo "ceph-up: $*" >&2; exit 1; }

# stop_all ends the daemons of a directory by the ids in its pid files, and
# only when such an id still is that daemon.
stop_all() {
  local dir=$1 name pid
  for name in rgw osd mon; do
    [ -s "$dir/$name.pid" ] || continue
    pid=$(cat "$dir/$name.pid")
    if grep -qs -- "$dir/ceph.conf" "/proc/$pid/cmdline"; then
      kill "$pid" 2>/dev/null || true
      for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
      done
      kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$dir/$name.pid"
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports prints N different ports of 127.0.0.1 that nobody listens on. They
# lie below the ports that the kernel gives to outgoing connections.
free_ports() {
  local want=$1 port
  local -A taken=()
  while [ "${#taken[@]}" -lt "$want" ]; do
    port=$((20000 + RANDOM % 12000))
    [ -z "${taken[$port]:-}" ] || continue
    if ! listens "$port"; then
      taken[$port]=1
      echo "$port"
    fi
  done
}

write_conf() {
  cat > "$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon2,v1:127.0.0.1:$mon1]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind port min = $osd_first
ms bind port max = $((osd_first + 60))
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = true
keyring = $dir/keyring
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/\$name.log
mon data = $dir/mon
mon allow pool size one = true
mon max pg per osd = 1000
mon warn on pool no redundancy = false
mon osd crush smoke test = false
mon data avail crit = 1
mon data avail warn = 1
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd class load list = *
osd class default list = *
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
rgw data = $dir/rgw
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 64
rgw enable ops log = false
rgw enable usage log = false
debug rgw = 0
CONF
}

# launch starts a daemon in the background in a session of its own, so that an
# interrupt of the caller's terminal does not reach it.
launch() {
  local name=$1
  shift
  setsid "$@" -c "$dir/ceph.conf" -f >"$dir/$name.out" 2>&1 </dev/null 3>&- 4>&- &
  echo $! > "$dir/$name.pid"
}

# await repeats a command until it succeeds, as long as a daemon lives.
await() {
  local name=$1
  shift
  for _ in $(seq 600); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    kill -0 "$(cat "$dir/$name.pid")" 2>/dev/null || { tail -n 20 "$dir/$name.out"; die "$name died"; }
    sleep 0.1
  done
  die "$name is not ready after a minute"
}

admin() { ceph -c "$dir/ceph.conf" --connect-timeout 20 "$@"; }
mon_answers() { admin mon stat; }
osd_is_up() { admin osd stat | grep -q '1 up'; }
rgw_answers() { listens "$port"; }

start_mon() {
  ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon2,v1:127.0.0.1:$mon1]" "$dir/monmap"
  ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring" -c "$dir/ceph.conf"
  launch mon ceph-mon -i a
  await mon mon_answers
}

start_osd() {
  local uuid
  uuid=$(cat /proc/sys/kernel/random/uuid)
  admin osd new "$uuid"
  admin auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' mgr 'allow profile osd' >> "$dir/keyring"
  ceph-osd -i 0 -c "$dir/ceph.conf" --mkfs --osd-uuid "$uuid"
  launch osd ceph-osd -i 0
  await osd osd_is_up
}

start_rgw() {
  launch rgw radosgw -n client.admin
  await rgw rgw_answers
  radosgw-admin -c "$dir/ceph.conf" user create --uid=planwarm --display-name=planwarm \
    --access-key="$access" --secret-key="$secret"
}

if [ "${1:-}" = --down ]; then
  [ $# -eq 2 ] || die "usage: ceph-up.sh --down DIR"
  stop_all "$(realpath "$2")"
  exit 0
fi

[ $# -ge 1 ] && [ $# -le 2 ] || die "usage: ceph-up.sh DIR [PORT]"
for tool in ceph ceph-mon ceph-osd ceph-authtool monmaptool radosgw radosgw-admin; do
  command -v "$tool" >/dev/null || die "$tool is missing: apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd"
done
mkdir -p "$1"
dir=$(realpath "$1")
[ -z "$(ls -A "$dir")" ] || die "$dir is not empty"
mkdir -p "$dir"/{mon,osd,rgw,run}
fsid=$(cat /proc/sys/kernel/random/uuid)
access=planwarm
secret=$(tr -d - < /proc/sys/kernel/random/uuid)
mapfile -t ports < <(free_ports 4)
port=${2:-${ports[0]}} mon1=${ports[1]} mon2=${ports[2]} osd_first=${ports[3]}

! listens "$port" || die "port $port is taken"

# Whatever ends this script early takes the daemons with it.
on_exit() {
  local code=$?
  [ "$code" -eq 0 ] && return
  stop_all "$dir"
  { tail -n 20 "$dir/setup.log" || true; echo "ceph-up: not started, the logs are in $dir"; } >&3
  exit "$code"
}
exec 3>&2 4>&1 >"$dir/setup.log" 2>&1
trap on_exit EXIT
write_conf
start_mon
start_osd
start_rgw
exec >&4 2>&3

echo "PLANWARM_CEPH_ENDPOINT=http://127.0.0.1:$port"
echo "PLANWARM_CEPH_ACCESS_KEY=$access"
echo "PLANWARM_CEPH_SECRET_KEY=$secret"
