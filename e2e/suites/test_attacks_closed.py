"""Attacks on secrecy: whatever fails, pods' packets never cross the WAN in the clear. Packets with a remote
pod's source are accepted from the tunnel only.

Pods send 500 packets per second and family all the time, from the node of the gateway that carries their
traffic and from a worker. The WAN's sniffer (conftest) watches every scenario. Where a scenario sleeps, it
leaves a state under watch for that long.
"""

import contextlib
import time

import pytest

from fabric.attack import Catcher, forge, token, udp
from fabric.daemons import pair
from fabric.site import wait_until_reached
from fabric.traffic import PYTHON, WIRE, ping
from fabric.wait import stays_true, wait_until

HERTZ = 500
FAMILIES = (4, 6)


class Load:
    """Streams from east's pods to a pod of west, whether or not the packets arrive."""

    def __init__(self, east, west):
        self.carrier = east.carrier_to(west)
        pods = (east.gateway_pods[self.carrier or 0], east.worker_pods[0])
        self._senders = [
            pod.machine.spawn(f"load-{family}", PYTHON, WIRE / "stream.py", "send",
                              west.pod.address(family), 7999, HERTZ)
            for pod in pods for family in FAMILIES]

    def __enter__(self):
        wait_until(lambda: all("sending" in sender.output() for sender in self._senders), 15, "the pods send")
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        time.sleep(0.2)
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:  # otherwise the scenario proves nothing
            assert int(sender.output().split()[-1]) > HERTZ / 2, sender.output()


@pytest.fixture(autouse=True)
def whole(east, west):
    """Every scenario begins and ends with all daemons running and all pods reached."""
    heal(east, west)
    yield
    clear = east.world.watch.take_clear()
    heal(east, west)
    assert clear == []


def heal(east, west):
    for site in (east, west):
        for daemon in site.causeway.all:
            if not daemon.running():
                daemon.start()
    wait_until(lambda: all(not d.why_not_ready() and d.why_not_ready() is not None
                           for s in (east, west) for d in s.causeway.gateways + s.causeway.agents),
               40, "all gateways and route agents are ready")
    wait_until_reached(east, west)
    wait_until(lambda: east.all_carriers_known(west), 20, "all nodes have a carrier")


def no_pod_reaches(east, west):
    return not any(ping(pod.machine, west.pod.address(family), timeout=0.3)
                   for pod in east.pods for family in FAMILIES)


def stop_agents(site):
    for agent in site.causeway.agents:
        agent.kill()


def kill_gateways(site):
    for gateway in site.causeway.gateways:
        gateway.kill()


def test_the_carrying_gateway_is_killed(east, west):
    with Load(east, west) as load:
        east.causeway.gateways[load.carrier].kill()
        wait_until(lambda: east.carrier_to(west) not in (None, load.carrier), 10,
                   "the other gateway carries")
        time.sleep(0.5)


def test_both_gateways_are_killed(east, west):
    with Load(east, west):
        kill_gateways(east)
        wait_until(lambda: no_pod_reaches(east, west), 10, "nothing passes")
        time.sleep(1)


def test_the_agents_are_away_and_the_gateways_die(east, west):
    with Load(east, west):
        stop_agents(east)
        kill_gateways(east)
        time.sleep(3)
        assert no_pod_reaches(east, west)


LAYERS = {
    "the rules": "ip rule del priority 93; ip -6 rule del priority 93",
    "all rules": "ip rule flush; ip -6 rule flush; for f in -4 -6; do "
                 "ip $f rule add priority 32766 lookup main; done",
    "the nft table": "nft delete table inet causeway-closed",
}


@pytest.mark.parametrize("gone", LAYERS)
def test_each_layer_is_enough_alone(east, west, gone):
    """Agents and gateways are dead and one of the layers is removed: the other one stands."""
    with Load(east, west):
        stop_agents(east)
        for node in east.cluster.nodes:
            node.machine.sh(LAYERS[gone])
        kill_gateways(east)
        time.sleep(2)
        assert no_pod_reaches(east, west)


@contextlib.contextmanager
def rules_of_the_cni(site):
    """Puts the CNI's rules back at the end: a flush of the ruleset removes its masquerading, too."""
    yield
    for node in site.cluster.nodes:
        node.cni_rules("nft")


FLUSHES = {
    "nft": "nft flush ruleset",
    "rules": LAYERS["all rules"],
    "routes": "for t in 7485 7486 7487; do ip route flush table $t || true; "
              "ip -6 route flush table $t || true; done; ip nexthop flush proto 87 || true",
    "cw-vx": "ip link del cw-vx 2>/dev/null || true",
    "cw-wg": "ip link del cw-wg 2>/dev/null || true",
}


@pytest.mark.parametrize("what", FLUSHES)
def test_another_program_flushes(east, west, what):
    """The daemons run and repair it. Meanwhile parts are missing again and again."""
    with rules_of_the_cni(east) if what == "nft" else contextlib.nullcontext():
        with Load(east, west):
            for _ in range(5):
                for node in east.cluster.nodes:
                    node.machine.sh(FLUSHES[what])
                time.sleep(0.3)
            if what == "cw-wg":  # its process may end with the device
                kill_gateways(east)
            else:
                wait_until(lambda: all("93:" in node.machine.out("ip", "rule") and
                                       "causeway-closed" in node.machine.out("nft", "list", "tables")
                                       for node in east.cluster.nodes), 3, "the guard stands again")


def test_the_peer_announces_nothing(east, west):
    """The remote cluster's nodes vanish from its store, so it no longer claims a prefix."""
    with Load(east, west):
        for node in west.cluster.nodes:
            west.store.remove("Node", node.name)
        wait_until(lambda: not east.store.get("ClusterPeer", "west")["status"].get("cidrs"), 15,
                   "west claims nothing")
        wait_until(lambda: no_pod_reaches(east, west), 10, "nothing passes")
        time.sleep(1)
        west.cluster.write_objects()


def test_the_peer_is_removed_and_made_again(east, west):
    with Load(east, west):
        for _ in range(2):
            east.store.remove("ClusterPeer", "west")
            wait_until(lambda: no_pod_reaches(east, west), 10, "nothing passes")
            time.sleep(0.5)
            pair(east.causeway, west.causeway)


def test_a_status_is_emptied(east, west):
    with Load(east, west):
        for _ in range(20):
            body = east.store.get("ClusterPeer", "west")
            east.store.put({**body, "status": {}})
            time.sleep(0.05)
        wait_until(lambda: east.store.get("ClusterPeer", "west")["status"].get("cidrs"), 15,
                   "the gateways write it again")


@pytest.mark.parametrize("which", ("agents", "gateways", "all"))
def test_cleanup(east, west, which):
    with Load(east, west):
        for daemon in {"agents": east.causeway.agents, "gateways": east.causeway.gateways,
                       "all": east.causeway.gateways + east.causeway.agents}[which]:
            daemon.stop()
            daemon.cleanup()
        time.sleep(1)


def test_a_daemon_is_upgraded(east, west):
    with Load(east, west):
        for daemon in east.causeway.agents + east.causeway.gateways:
            daemon.restart()
        time.sleep(1)


def test_a_node_boots(east, west):
    """Everything that a boot loses is lost. Only `close` has run, by a unit before the network, when the
    first pods send."""
    node, agent = east.pod.node, east.causeway.agent_of(east.pod.node)
    agent.kill()
    node.machine.sh("""
        for f in -4 -6; do
          for p in 90 92 93; do while ip $f rule del priority $p 2>/dev/null; do :; done; done
          for t in 7485 7487; do ip $f route flush table $t || true; done
        done
        ip nexthop flush proto 87
        ip link del cw-vx
        nft delete table inet causeway
        nft delete table inet causeway-closed""")
    node.machine.run(east.world.program(agent.program), "close", "--config", agent.config_file)
    with Load(east, west):
        time.sleep(1)
        assert not ping(east.pod.machine, west.pod.ip) and not ping(east.pod.machine, west.pod.ip6)
        assert ping(east.pod.machine, east.gateway_pods[0].ip), "the cluster's own traffic passes"
        agent.start()
        wait_until(lambda: agent.why_not_ready() == "", 20, "the agent is ready")


def test_an_agent_without_a_store_closes_the_prefixes_of_its_file(east, west):
    """The API server is away when the agent starts after a boot."""
    node, agent = east.pod.node, east.causeway.agent_of(east.pod.node)
    agent.kill()
    store = dict(agent.config)
    empty = east.cluster.folder / "empty-store"
    empty.mkdir(exist_ok=True)
    node.machine.sh("ip rule del priority 93; ip -6 rule del priority 93; "
                    "nft delete table inet causeway-closed")
    agent.config["store"] = f"dir:{empty}"
    try:
        agent.start()
        wait_until(lambda: "93:" in node.machine.out("ip", "-6", "rule") and
                   "10.42.0.0" in node.machine.out("nft", "list", "table", "inet", "causeway-closed"),
                   10, "it is closed")
    finally:
        agent.kill()
        agent.config.clear()
        agent.config.update(store)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rule_before_ours_sends_packets_past_them(east, west, family):
    """Pods' packets are looked up in the main table first. Rules of pod networks come later than ours."""
    ip, cidr = (("ip -4", east.cluster.pod_cidr), ("ip -6", east.cluster.pod_cidr6))[family == 6]
    with Load(east, west):
        for node in east.cluster.nodes:
            node.machine.sh(f"{ip} rule add from {cidr} priority 50 lookup main")
        try:
            wait_until(lambda: not ping(east.pod.machine, west.pod.address(family)), 10,
                       "packets leave by the main table, and the guard drops them")
        finally:
            for node in east.cluster.nodes:
                node.machine.sh(f"{ip} rule del priority 50")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_clusters_own_traffic_passes_while_all_is_closed(east, west, family):
    """A Service's address inside the remote prefix leads to a local pod, so its traffic is not remote."""
    node, pod = east.pod.node, east.gateway_pods[0]
    ip, virtual, real = ("ip", "ip6")[family == 6], west.pod.address(family), pod.address(family)
    stop_agents(east)
    chains = "".join(f" chain {hook} {{ type nat hook {hook} priority -100; {ip} daddr {virtual} dnat "
                     f"to {real}; }}\n" for hook in ("prerouting", "output"))
    node.machine.run("nft", "-f", "-", stdin=f"table {ip} virtual {{\n{chains}}}\n")
    try:
        assert ping(east.pod.machine, virtual), "from a pod"
        assert ping(node.machine, virtual), "from the host"
    finally:
        node.machine.sh(f"nft delete table {ip} virtual")


@pytest.fixture(scope="module")
def stranger(sites):
    """A host on the LAN of east's nodes that uses a node as its router."""
    cluster = sites[0].cluster
    host = cluster.world.machine("stranger")
    cluster.world.link(host, "eth0", cluster.edge, "lan9")
    cluster.edge.ip("link set lan9 master br0 up")
    host.ip("link set eth0 up\naddr add 172.20.1.200/24 dev eth0\n"
            "addr add fd00:20:1::200/64 dev eth0 nodad")
    host.sysctl(net__ipv6__conf__all__forwarding=1)
    return host


def arrives(sender, target, source, family):
    text = token()
    with Catcher(target.machine, text) as caught:
        assert forge(sender, [udp(source, target.address(family), 4000, 4000, text)]) == 4
        try:
            wait_until(lambda: caught.count == 4, 1, "it arrives")
        except AssertionError:
            pass
        return caught.count > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stranger_claims_to_be_a_remote_pod(east, west, stranger, family):
    target = east.pod
    way = (f"route replace {target.node.pod_cidr} via {target.node.ip}" if family == 4 else
           f"route replace {target.node.pod_cidr6} via {target.node.ip6}")
    stranger.ip(way)
    unused = "10.99.9.9" if family == 4 else "fd00:99::9"
    assert arrives(stranger, target, unused, family), "the way is open to others"
    assert not arrives(stranger, target, west.pod.address(family), family)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("agents", ("running", "dead"))
def test_a_local_pod_claims_to_be_a_remote_one(east, west, family, agents):
    if agents == "dead":
        stop_agents(east)
    sender, target = east.pod, east.gateway_pods[0]
    assert not arrives(sender.machine, target, west.pod.address(family), family)
    unused = "10.99.9.9" if family == 4 else "fd00:99::9"
    assert arrives(sender.machine, target, unused, family), "the way is open to others"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_remote_pods_packets_are_taken_from_the_tunnel(east, west, family):
    assert arrives(west.pod.machine, east.pod, west.pod.address(family), family)
    stays_true(lambda: ping(west.pod.machine, east.pod.address(family)), 0.5, "and answered")
