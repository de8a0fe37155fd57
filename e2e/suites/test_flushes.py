"""Other programs remove what they did not make: firewalls, network managers, an administrator's flush. Causeway's
objects are there again within a second, on workers and gateway nodes, and that is said."""

import time

import pytest

from fabric.site import Site, join, wait_until_reached, wait_until_settled
from fabric.traffic import Stream, let_flow
from fabric.wait import wait_until

TABLES = (7485, 7486, 7487)
PRIORITIES = range(89, 95)
NFT = ("causeway", "causeway-closed", "causeway-gateway")
# What a busy machine may take, looking included. The measured outages are told.
DEADLINE = 15


@pytest.fixture(scope="module")
def pair_of_sites(world, tell):
    tell("raising two clusters, east and west")
    # As the chart configures it: other programs need forwarding, too.
    sites = [Site(world, name, agent_options={"forwarding": "all"}) for name in ("east", "west")]
    join(*sites)
    return sites


RULES = "ip rule flush; ip rule add priority 32766 lookup main; " \
        "ip -6 rule flush; ip -6 rule add priority 32766 lookup main"
ROUTES = "for t in 7485 7486 7487; do for f in -4 -6; do ip $f route show table $t | while read a b rest; do " \
         "case $a in unreachable|throw) ip $f route del $a $b table $t;; *) ip $f route del $a table $t;; esac; " \
         "done; done; done"
NEXT_HOPS = "ip nexthop flush proto 87 || true"

FLUSHES = {
    "nft flush ruleset": "nft flush ruleset",
    "ip rule flush": RULES,
    "all routes of our tables": ROUTES,
    "systemd-networkd, which manages foreign routes, rules and next hops": f"{RULES}; {ROUTES}; {NEXT_HOPS}",
    "NetworkManager, which takes a device over":
        "for d in cw-vx cw-wg; do [ ! -e /sys/class/net/$d ] || "
        "{ ip addr flush dev $d; ip -6 addr flush dev $d; }; done",
    "forwarding off": "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
    "a strict reverse path check": "for d in cw-vx cw-wg; do [ ! -e /sys/class/net/$d ] || "
                                   "sysctl -qw net.ipv4.conf.$d.rp_filter=1; done",
}


def ours(node):
    """Causeway's objects on the node, as text."""
    parts = ["for f in -4 -6; do ip $f rule | grep -E '^(" + "|".join(map(str, PRIORITIES)) + "):'",
             *[f"ip $f route show table {table} | sort" for table in TABLES], "done",
             "ip nexthop show proto 87 | cut -d' ' -f2",  # the carrier may change meanwhile
             # Word by word: nft lists the elements of some sets in another order after each write.
             *[f"nft -s list table inet {name} | sed 's/packets .*//' | tr -s ' \t,' '\n' | sort" for name in NFT],
             "sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv4.conf.cw-vx.rp_filter "
             "net.ipv4.conf.cw-wg.rp_filter",
             # The link-local address of a tunnel is the kernel's own.
             "for d in cw-vx cw-wg; do ip -o addr show dev $d | tr -s ' ' | cut -d' ' -f2-4 | "
             "grep -v 'cw-wg inet6 fe80' | sort; done"]
    return node.machine.run("sh", "-c", "\n".join(parts), check=False).stdout


def restored(before, node):
    """Causeway's objects are as `before`."""
    now = ours(node).splitlines()
    changed = [f"- {line}" for line in before.splitlines() if line not in now]
    changed += [f"+ {line}" for line in now if line not in before.splitlines()]
    assert not changed, changed
    return True


def repairs(site, node):
    """What the node's daemons count."""
    agent = site.causeway.agent_of(node)
    count = agent.metric("causeway_routeagent_repairs_total")
    count += agent.metric("causeway_routeagent_closed_steps_total")
    for gateway in site.causeway.gateways:
        if gateway.machine is node.machine:
            count += gateway.metric("causeway_gateway_repairs_total")
    return count


@pytest.mark.parametrize("where", ("a worker", "the gateway that carries"))
@pytest.mark.parametrize("what", FLUSHES)
def test_a_flush_is_repaired_and_said(pair_of_sites, what, where, tell):
    east, west = pair_of_sites
    wait_until_settled(east, west)
    node = east.pod.node if where == "a worker" else east.cluster.gateway_nodes[east.carrier_to(west)]
    before, counted = ours(node), repairs(east, node)
    streams = [Stream(east.pod.machine, west.pod.machine, west.pod.ip, east.world.folder),
               Stream(west.pod.machine, east.pod.machine, east.pod.ip, east.world.folder)]
    let_flow(*streams, packets=300)
    begun = time.monotonic()
    node.machine.sh(FLUSHES[what])
    wait_until(lambda: restored(before, node), DEADLINE, f"what {what} removed is there again", every=0.02)
    took = time.monotonic() - begun
    let_flow(*streams)
    out, back = [stream.stop() for stream in streams]
    tell(f"{what}, on {where}: there again {took * 1000:.0f} ms after the command began; out: {out}; in: {back}")
    if what == "nft flush ruleset":
        node.cni_rules("nft")
    assert max(out.outage_ms, back.outage_ms) < DEADLINE * 1000
    wait_until(lambda: repairs(east, node) > counted, 10, "it is counted")
    wait_until_reached(east, west)


def test_the_log_names_what_was_removed(pair_of_sites):
    """One line at once, and at most one in ten seconds while a program flushes in a loop."""
    east, _ = pair_of_sites
    node = east.pod.node
    agent = east.causeway.agent_of(node)
    before = agent.process.output().count("they are there again")
    for _ in range(10):
        node.machine.sh("ip rule del priority 92")
        wait_until(lambda: "\n92:" in node.machine.out("ip", "rule"), DEADLINE, "the rule is there again")
    wait_until(lambda: agent.process.output().count("they are there again") > before, 15, "it is said")
    lines = [line for line in agent.process.output().splitlines() if "they are there again" in line]
    assert "rule" in lines[-1], lines[-1]
    assert len(lines) - before <= 5, "a loop fills no log"
