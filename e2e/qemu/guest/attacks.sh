# shellcheck shell=sh
# Attacks on the two clusters, with Linux's own WireGuard as the tunnel; two_clusters.sh reads this file. Each counter
# is at the receiver. Each attack has a control, which shows that the counter would count the packet.

watch() { # watch NAMESPACE RULE: counts packets before any filter of ours
  ip netns exec "$1" nft -f - <<N
table inet attack {
  counter seen {}
  chain received { type filter hook prerouting priority -400; $2 counter name seen; }
}
N
}
seen() { ip netns exec "$1" nft list counter inet attack seen | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
forget() { ip netns exec "$1" nft delete table inet attack; }
probe_address() { ip -n "$1" -4 addr show cw-wg | sed -n 's/.*inet \([0-9.]*\)\/32.*/\1/p' | head -1; }

# A stranger on the WAN sends to a pod of west with the address of a pod of east.
watch west-pod "ip saddr 10.1.0.5"
ip netns exec east-pod ping -c 1 -W 2 10.2.0.5 >/dev/null || die "control: the pods do not reach each other"
[ "$(seen west-pod)" -ge 1 ] || die "control: a real packet was not counted"
forget west-pod; watch west-pod "ip saddr 10.1.0.5"
nft delete table bridge watch  # these packets are clear on purpose
ip addr add 192.0.2.66/24 dev wan; ip addr add 10.1.0.5/32 dev wan; ip route add 10.2.0.0/24 via 192.0.2.2
ping -I 10.1.0.5 -c 5 -W 1 10.2.0.5 >/dev/null 2>&1 && die "a stranger got an answer as a pod"
[ "$(seen west-pod)" = 0 ] || die "a pod received $(seen west-pod) packets of a stranger with a remote pod's address"
ip route del 10.2.0.0/24; ip addr del 10.1.0.5/32 dev wan; ip addr del 192.0.2.66/24 dev wan
forget west-pod
nft -f - <<N
table bridge watch {
  counter clear {}
  chain wan { type filter hook forward priority 0; ip saddr 10.0.0.0/8 counter name clear; ip daddr 10.0.0.0/8 counter name clear; }
}
N
step "attack: a stranger's packets with a remote pod's address reach no pod"

# A pod sends to the remote gateway with the probe address of its own cluster's gateway.
us=$(probe_address east); them=$(probe_address west)
if [ -z "$us" ] || [ -z "$them" ]; then die "no probe addresses on cw-wg"; fi
watch west "ip saddr $us icmp type echo-request"
ip netns exec east ping -I "$us" -c 1 -W 2 "$them" >/dev/null 2>&1 || true
[ "$(seen west)" -ge 1 ] || die "control: a packet of the gateway itself was not counted"
forget west; watch west "ip saddr $us icmp type echo-request"
ip -n east-pod addr add "$us/32" dev eth0
ip netns exec east-pod ping -I "$us" -c 5 -W 1 "$them" >/dev/null 2>&1 || true
ip netns exec east-pod ping -I "$us" -c 5 -W 1 10.2.0.5 >/dev/null 2>&1 || true
[ "$(seen west)" = 0 ] || die "$(seen west) packets of a pod crossed the tunnel with a gateway's probe address"
ip -n east-pod addr del "$us/32" dev eth0
forget west
step "attack: a pod's packets with a gateway's probe address do not enter the tunnel"

# A remote pod calls a service of the node itself.
ip netns exec west nc -l -p 7777 </dev/null >/dev/null 2>&1 & listener=$!
until_true 5 "the node's service listens" sh -c "ip netns exec west netstat -ltn | grep -q ':7777 '"
ip netns exec east-pod nc -w 3 10.2.0.1 7777 </dev/null >/dev/null 2>&1 && die "a remote pod reached a service of the node"
ip netns exec west-pod nc -w 3 10.2.0.1 7777 </dev/null >/dev/null 2>&1 || die "control: the node's own pod did not reach the service"
kill $listener 2>/dev/null || true
step "attack: a remote pod does not reach the node's own services"

# Another program removes the device, the rules and the routes, again and again.
ip netns exec east-pod ping -i 0.05 -c 200 10.2.0.5 >/dev/null 2>&1 & ping=$!
for _ in 1 2 3; do
  ip -n east link del cw-wg 2>/dev/null || true
  ip -n east rule flush; ip -n east rule add pref 32766 lookup main; ip -n east rule add pref 32767 lookup default
  usleep 2000000
done
wait $ping || true
[ "$(clear_packets)" = 0 ] || die "$(clear_packets) clear packets of pods on the WAN"
until_true 60 "the pods reach each other again" ip netns exec east-pod ping -c 1 -W 1 10.2.0.5
step "attack: device and rules deleted three times: no clear packet, and it heals"
