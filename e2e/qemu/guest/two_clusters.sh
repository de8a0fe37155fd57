#!/bin/sh
# Two clusters of one node each with the kernel driver, in network namespaces of the guest. causewayctl pairs them, and
# pods reach each other. A kill of both gateways loses no packet, because the device outlives them, and their next start
# keeps the session. Then attacks.sh runs. A gateway that moves to another node leaves no device behind. cleanup leaves
# the guard of closed prefixes. cleanup --open leaves the kernel as it was. A counter on the WAN bridge watches for clear
# packets.
set -eu
W=/tmp/w; mkdir -p $W

step() { echo "guest: $*"; }
die() { echo "two_clusters: $*"; tail -n 40 $W/*.log; exit 1; }
# until SECONDS WHAT COMMAND...
until_true() {
  limit=$1 what=$2; shift 2
  for _ in $(seq $((limit * 5))); do "$@" >/dev/null 2>&1 && return; usleep 200000; done
  die "not within $limit s: $what"
}

# node CLUSTER NAMESPACE NAME NUMBER: 192.0.2.NUMBER on the WAN, pod 10.NUMBER.0.5
node() {
  store=$W/$1 name=$3; mkdir -p "$store/nodes"; set -- "$2" "$4"
  ip netns add "$1"; ip netns add "$1-pod"
  ip -n "$1" link set lo up
  ip link add "$1" type veth peer name wan netns "$1"; ip link set "$1" master wan up
  ip -n "$1" addr add "192.0.2.$2/24" dev wan; ip -n "$1" link set wan up
  ip -n "$1" link add cni type veth peer name eth0 netns "$1-pod"
  ip -n "$1" addr add "10.$2.0.1/24" dev cni; ip -n "$1" link set cni up
  ip -n "$1-pod" addr add "10.$2.0.5/24" dev eth0; ip -n "$1-pod" link set eth0 up
  ip -n "$1-pod" link set lo up; ip -n "$1-pod" route add default via "10.$2.0.1"
  ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
  cat >"$store/nodes/$name.yaml" <<Y
apiVersion: v1
kind: Node
metadata: {name: $name}
spec: {podCIDR: 10.$2.0.0/24, podCIDRs: [10.$2.0.0/24]}
status:
  addresses: [{type: InternalIP, address: 192.0.2.$2}]
  conditions: [{type: Ready, status: "True"}]
Y
  printf 'store: dir:%s\nordinal: 0\nnode: %s\ntunnel: {driver: kernel}\nprobe: {interval: 500ms, lost: 5}\nstatus: 127.0.0.1:9701\n' \
    "$store" "$name" >"$W/$1.gateway.yaml"
  printf 'store: dir:%s\nnode: %s\nprobe: {interval: 500ms, lost: 5}\n' "$store" "$name" >"$W/$1.routeagent.yaml"
}
cluster() { # cluster NAME NUMBER: one node
  mkdir -p "$W/$1/clusterproperties"
  cat >"$W/$1/clusterproperties/cluster.clusterset.k8s.io.yaml" <<Y
apiVersion: about.k8s.io/v1beta1
kind: ClusterProperty
metadata: {name: cluster.clusterset.k8s.io}
spec: {value: $1}
Y
  node "$1" "$1" "$1-0" "$2"
}
start() { # start CLUSTER PROGRAM
  ip netns exec "$1" "causeway-$2" --config "$W/$1.$2.yaml" >>"$W/$1.$2.log" 2>&1 &
  echo $! >"$W/$1.$2.pid"
}
kernel_state() { # the state that cleanup must restore
  for n in east west; do
    ip -n $n -o link | cut -d: -f2 | sort; ip -n $n rule; ip -n $n route show table all; ip -n $n nexthop
    ip netns exec $n nft list ruleset
  done
}
handshake() { ip netns exec east wg show cw-wg latest-handshakes | cut -f2; }

ip link add wan type bridge; ip link set wan up
nft -f - <<N
table bridge watch {
  counter clear {}
  chain wan { type filter hook forward priority 0; ip saddr 10.0.0.0/8 counter name clear; ip daddr 10.0.0.0/8 counter name clear; }
}
N
clear_packets() { nft list counter bridge watch clear | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
cluster east 1; cluster west 2
usleep 2500000  # IPv6 addresses must leave their tentative state: it is part of the state to compare
kernel_state >$W/before

for c in east west; do start $c gateway; start $c routeagent; done
until_true 60 "both gateways announce themselves" sh -c "grep -q publicKey $W/east/tunnelgateways/*.yaml $W/west/tunnelgateways/*.yaml && ls $W/west/tunnelgateways/*.yaml"
until_true 30 "causewayctl pairs them" causewayctl pair dir:$W/east dir:$W/west
until_true 60 "a pod reaches a pod" ip netns exec east-pod ping -c 1 -W 1 10.2.0.5
ip netns exec east wg show cw-wg
ip -n east -d link show cw-wg | grep -q wireguard || die "the device is not the kernel's"
step "paired, pod to pod over the kernel's WireGuard"

before=$(handshake)
ip netns exec east-pod ping -i 0.1 -c 80 10.2.0.5 >$W/ping & ping=$!
usleep 1000000
kill -9 "$(cat $W/east.gateway.pid)" "$(cat $W/west.gateway.pid)"
usleep 3000000
for c in east west; do start $c gateway; done
wait $ping || true
grep -q ' 80 packets received' $W/ping || { tail -3 $W/ping; die "packets were lost while the gateways were gone or came back"; }
[ "$(handshake)" = "$before" ] || die "the session did not survive the restart"
step "both gateways killed and started again: 0 of 80 packets lost, session kept"

# shellcheck source=attacks.sh
. /causeway/attacks.sh

# kubectl drain: the gateway's pod goes to another node, and the kernel's device outlives its process.
node east east-b east-1 3
start east-b routeagent
stop() { kill "$(cat "$W/$1.$2.pid")"; wait "$(cat "$W/$1.$2.pid")" || true; }
gone() { ! ip -n "$1" link show cw-wg; }
stop east gateway
ip -n east link show cw-wg >/dev/null || die "the kernel's device went with the gateway: nothing to see here"
start east-b gateway
until_true 60 "the old node has no tunnel device with the gateway's key" gone east
until_true 60 "a pod reaches a pod through the moved gateway" ip netns exec east-pod ping -c 1 -W 1 10.2.0.5
step "a gateway moved to another node; its old device is gone"
stop east-b gateway
start east gateway
until_true 60 "the gateway is back" gone east-b
stop east-b routeagent
rm "$W/east/nodes/east-1.yaml"
ip netns del east-b; ip netns del east-b-pod
until_true 60 "a pod reaches a pod again" ip netns exec east-pod ping -c 1 -W 1 10.2.0.5

for c in east west; do
  for d in gateway routeagent; do kill "$(cat $W/$c.$d.pid)"; done
done
wait
cleanup() { # cleanup CLUSTER DAEMON [--open]
  of=$1 daemon=$2; shift 2
  ip netns exec "$of" "causeway-$daemon" cleanup "$@" --config "$W/$of.$daemon.yaml" || die "cleanup of $of/$daemon"
}
for c in east west; do cleanup $c gateway; cleanup $c routeagent; done
for c in east west; do
  ip -n $c rule | grep -q '^93:.*unreachable' || die "a cleanup opened the closed prefixes of $c"
done
ip netns exec east-pod ping -c 2 -W 1 10.2.0.5 >/dev/null 2>&1 && die "the pods reach each other after the cleanup"
[ "$(clear_packets)" = 0 ] || die "$(clear_packets) clear packets of pods on the WAN"
step "cleanup leaves the closed prefixes closed; no clear packet was on the WAN"
for c in east west; do cleanup $c routeagent --open; done
kernel_state >$W/after
diff $W/before $W/after || die "cleanup left something"
step "cleanup --open left nothing"
