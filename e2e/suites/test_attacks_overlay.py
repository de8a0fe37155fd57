"""Attacks on the hop between nodes and gateways: VXLAN packets that no node's kernel made.

Attackers outside of the cluster have everything but the overlay's secret: all addresses, the ports, the old
way to derive MACs without a secret. Attackers inside (pods, nodes) have the MACs and the VNI, too. Ordinary
traffic goes on beside every attack.
"""

import contextlib
import hashlib
import ipaddress
import itertools
import re

import pytest

from fabric.attack import Catcher, VxlanDevice, beside_the_nodes, forge, token, udp, vxlan
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import Stream, ping
from fabric.wait import wait_until

PORT = 4799
OLD_VNI = 17239
BROADCAST = "ff:ff:ff:ff:ff:ff"
FAMILIES = (4, 6)
_names = itertools.count(1)


@pytest.fixture(scope="module")
def sites(world, tell):
    tell("raising two clusters, east (two gateways, two workers) and west")
    east, west = Site(world, "east", workers=2), Site(world, "west")
    join(east, west)
    return east, west


@pytest.fixture(scope="module")
def stranger(world, sites):
    """A host on the WAN that may send with any source address."""
    host = world.machine("stranger")
    world.link(host, "eth0", world.wan, "stranger")
    world.wan.ip("link set stranger up\naddr add 198.51.100.1/24 dev stranger\n"
                 "addr add fd00:bad::1/64 dev stranger nodad")
    host.ip("link set eth0 up\naddr add 198.51.100.2/24 dev eth0\n"
            "addr add fd00:bad::2/64 dev eth0 nodad\nroute add default via 198.51.100.1\n"
            "route add default via fd00:bad::1")
    return host


@pytest.fixture(scope="module")
def neighbour(world, sites):
    """Its router to west is a worker."""
    east, _ = sites
    node = east.cluster.workers[0]
    return beside_the_nodes(world, east.cluster, f"10.42.0.0/16 via {node.ip}",
                            f"fd00:10:42::/48 via {node.ip6}")


class Guess:
    """A node's device as computed from the node's address without the secret."""

    def __init__(self, node):
        packed = ipaddress.ip_address(node.ip).packed
        digest = hashlib.sha256(b"causeway vxlan" + packed).digest()
        self.mac, self.vni = "02:" + digest[:5].hex(":"), OLD_VNI


@contextlib.contextmanager
def undisturbed(one, other):
    """Traffic between two pods in both directions and families loses no packet meanwhile."""
    folder = one.cluster.folder
    streams = [Stream(a.machine, b.machine, b.address(family), folder, hertz=200)
               for a, b in ((one.pod, other.pod), (other.pod, one.pod)) for family in FAMILIES]
    yield
    for stream in streams:
        report = stream.stop()
        assert report.lost == 0 and report.received > 20, str(report)


def not_delivered(attacker, packets_with, victim, source):
    """`packets_with(text)` are the attack's packets. None of them reaches the pod `victim`, but a packet that
    the pod `source` sends after them does."""
    text, ordinary = token(), token()
    with Catcher(victim.machine, text) as caught, Catcher(victim.machine, ordinary) as good:
        packets = packets_with(text)
        assert forge(attacker, packets) > 0, "the attack was not even sent"
        family = 4 if packets[0][0] >> 4 == 4 else 6
        forge(source.machine, [udp(source.address(family), victim.address(family), 4000, 4000,
                                   ordinary)])
        wait_until(lambda: good.count > 0, 10, "an ordinary packet arrives")
        assert caught.count == 0, "the attack was delivered"


def frames(outer_source, outer_target, inner, *pairs):
    """The inner packet in VXLAN from one node's address to another's. The MACs are those of each of `pairs`
    (sender's device, receiver's device), and the broadcast MAC."""
    return [udp(outer_source, outer_target, 40000, PORT,
                vxlan(inner, sender.mac, mac, receiver.vni))
            for sender, receiver in pairs for mac in (receiver.mac, BROADCAST)]


def dropped(node, chain):
    """The number of packets that the drop rules of a chain of the route agent's table have counted."""
    listed = node.machine.out("nft", "list", "chain", "inet", "causeway", chain)
    return sum(int(n) for n in re.findall(r"counter packets (\d+)", listed))


def carrier(site, other, node, family):
    return site.cluster.gateway_nodes[site.carrier_to(other, family, node)]


CHAINS = ("overlay-source", "overlay-forward", "vxlan")


def test_ordinary_traffic_and_its_errors_are_not_dropped(sites):
    """Packets of pods, hosts and probes, and ICMP errors for too big, expired or unreachable. Routers send
    the errors, so their source is no pod's."""
    nodes = [node for site in sites for node in site.cluster.nodes]
    before = {(node.name, chain): dropped(node, chain) for node in nodes for chain in CHAINS}
    for one, other in (sites, sites[::-1]):
        for family in FAMILIES:
            near, far = one.pod, other.pod.address(family)
            unused = far.rsplit("." if family == 4 else ":", 1)[0] + (
                ".77" if family == 4 else ":77")
            assert ping(near.machine, far) and ping(near.node.machine, far)
            for hops in (1, 2, 3, 4):
                near.machine.run("ping", "-c", 1, "-W", 1, "-t", hops, far, check=False)
            for size in (1300, 1400, 1440):
                ping(near.machine, far, size=size, df=True)
            near.machine.run("ping", "-c", 1, "-W", 4, unused, check=False)
    after = {(node.name, chain): dropped(node, chain) for node in nodes for chain in CHAINS}
    assert not {key: (before[key], count) for key, count in after.items() if count > before[key]}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stranger_that_forges_a_gateway_reaches_no_pod_of_a_worker(sites, stranger, family):
    east, west = sites
    worker, gateway = east.pod.node, carrier(east, west, east.pod.node, family)
    source, victim = west.pod.address(family), east.pod.address(family)
    with undisturbed(east, west):
        not_delivered(stranger, lambda text: frames(
            gateway.ip, worker.ip, udp(source, victim, 4000, 4000, text),
            (Guess(gateway), Guess(worker))), east.pod, west.pod)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stranger_that_forges_a_node_sends_nothing_through_a_gateway(sites, stranger, family):
    east, west = sites
    worker, gateway = east.pod.node, carrier(east, west, east.pod.node, family)
    source, victim = east.pod.address(family), west.pod.address(family)
    with undisturbed(east, west):
        not_delivered(stranger, lambda text: frames(
            worker.ip, gateway.ip, udp(source, victim, 4000, 4000, text),
            (Guess(worker), Guess(gateway))), west.pod, east.pod)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("forged", ("another gateway", "its own node", "itself"))
def test_a_pod_with_raw_sockets_sends_nothing_through_a_gateway(sites, forged, family):
    """The pod has the MACs and the VNI. If it used its own address as outer source, the node would masquerade
    the packet, and the packet would leave with the node's address."""
    east, west = sites
    pod = east.pod
    gateway = carrier(east, west, pod.node, family)
    other = next(g for g in east.cluster.gateway_nodes if g is not gateway)
    sender = other if forged == "another gateway" else pod.node
    outer = {"another gateway": other.ip, "its own node": pod.node.ip, "itself": pod.ip}[forged]
    spoofed = pod.address(family).rsplit("." if family == 4 else ":", 1)[0] + (
        ".99" if family == 4 else ":99")
    with undisturbed(east, west):
        not_delivered(pod.machine, lambda text: frames(
            outer, gateway.ip, udp(spoofed, west.pod.address(family), 4000, 4000, text),
            (VxlanDevice(sender), VxlanDevice(gateway))), west.pod, pod)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pod_reaches_no_pod_of_its_own_node_by_forging_a_gateway(sites, family):
    east, west = sites
    pod, gateway = east.pod, carrier(east, west, east.pod.node, family)
    attacker = pod.node.pod(f"raw-{next(_names)}")
    source = west.pod.address(family)
    for target in (pod.node.ip, pod.node.bridge_ip):
        not_delivered(attacker.machine, lambda text, target=target: frames(
            gateway.ip, target, udp(source, pod.address(family), 4000, 4000, text),
            (VxlanDevice(gateway), VxlanDevice(pod.node))), pod, west.pod)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pod_of_a_remote_cluster_reaches_no_pod_by_a_workers_own_address(sites, family):
    east, west = sites
    worker, gateway = east.pod.node, carrier(east, west, east.pod.node, family)
    source = west.pod.address(family)
    with undisturbed(east, west):
        for outer in (gateway.ip, west.pod.ip):
            not_delivered(west.pod.machine, lambda text, outer=outer: frames(
                outer, worker.ip, udp(source, east.pod.address(family), 4000, 4000, text),
                (Guess(gateway), Guess(worker))), east.pod, west.pod)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_host_beside_the_nodes_sends_nothing_into_the_overlay(sites, neighbour, family):
    east, west = sites
    worker, gateway = east.pod.node, carrier(east, west, east.pod.node, family)
    with undisturbed(east, west):
        not_delivered(neighbour, lambda text: frames(
            worker.ip, gateway.ip,
            udp(east.pod.address(family), west.pod.address(family), 4000, 4000, text),
            (Guess(worker), Guess(gateway))), west.pod, east.pod)
        not_delivered(neighbour, lambda text: frames(
            gateway.ip, worker.ip,
            udp(west.pod.address(family), east.pod.address(family), 4000, 4000, text),
            (Guess(gateway), Guess(worker))), east.pod, west.pod)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("whose", ("of the router", "of another node", "its own"))
def test_a_host_that_takes_a_node_for_its_router_reaches_no_remote_pod(sites, neighbour, whose,
                                                                       family):
    """A plain packet without VXLAN, with a pod of this cluster as its source."""
    east, west = sites
    router, other = east.cluster.workers
    own = "172.20.1.200" if family == 4 else "fd00:20:1::200"
    source = {"of the router": router.pods[0].address(family),
              "of another node": other.pods[0].address(family), "its own": own}[whose]
    with undisturbed(east, west):
        not_delivered(neighbour, lambda text: [
            udp(source, west.pod.address(family), 4000, 4000, text)], west.pod, east.pod)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mac", ("its own", "the other node's"))
def test_a_node_does_not_speak_for_another_nodes_pods(sites, mac, family):
    """The node has the secret. With its own address it can send for its own pods only."""
    east, west = sites
    liar, other = east.cluster.workers
    gateway = carrier(east, west, liar, family)
    claimed = liar if mac == "its own" else other
    with undisturbed(east, west):
        not_delivered(liar.machine, lambda text: frames(
            liar.ip, gateway.ip,
            udp(other.pods[0].address(family), west.pod.address(family), 4000, 4000, text),
            (VxlanDevice(claimed), VxlanDevice(gateway))), west.pod, other.pods[0])
        not_delivered(liar.machine, lambda text: [  # through its own cw-vx
            udp(other.pods[0].address(family), west.pod.address(family), 4000, 4000, text)],
            west.pod, other.pods[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_worker_does_not_speak_for_a_remote_cluster(sites, family):
    east, west = sites
    liar, other = east.cluster.workers
    with undisturbed(east, west):
        not_delivered(liar.machine, lambda text: frames(
            liar.ip, other.ip,
            udp(west.pod.address(family), other.pods[0].address(family), 4000, 4000, text),
            (VxlanDevice(liar), VxlanDevice(other))), other.pods[0], west.pod)


def test_what_was_dropped_is_counted(sites):
    """The counters of the attacks above."""
    east, _ = sites
    for chain in CHAINS:
        assert any(dropped(node, chain) > 0 for node in east.cluster.nodes), chain


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_rules_the_same_packets_arrive(sites, family):
    """The control: without the rules the packets of the scenarios above arrive. The agents are stopped, so
    they repair nothing."""
    east, west = sites
    pod, gateway = east.pod, carrier(east, west, east.pod.node, family)
    forged = next(g for g in east.cluster.gateway_nodes if g is not gateway)
    source = pod.address(family).rsplit("." if family == 4 else ":", 1)[0] + (
        ".99" if family == 4 else ":99")
    for agent in east.causeway.agents:
        agent.kill()
    try:
        for node, chain in itertools.product(east.cluster.nodes, CHAINS):
            node.machine.run("nft", "flush", "chain", "inet", "causeway", chain)
        text = token()
        with Catcher(west.pod.machine, text) as caught:
            forge(pod.machine, frames(
                forged.ip, gateway.ip, udp(source, west.pod.address(family), 4000, 4000, text),
                (VxlanDevice(forged), VxlanDevice(gateway))))
            wait_until(lambda: caught.count > 0, 10, "without the rules the attack is delivered")
    finally:
        for agent in east.causeway.agents:
            agent.start()
    wait_until(lambda: all(agent.why_not_ready() == "" for agent in east.causeway.agents), 20,
               "the agents have put the rules back")
    wait_until_reached(east, west)


@pytest.mark.timing
def test_a_changed_secret_is_taken_over_without_a_restart(sites, tell):
    """One interruption, until the last node has changed. Afterwards every pod is reached and no device has
    the old MAC."""
    east, west = sites
    nodes = east.cluster.nodes
    before = {node.name: VxlanDevice(node) for node in nodes}
    secret = east.store.get("Secret", "causeway-overlay-key", "causeway-system")
    stream = Stream(east.pod.machine, west.pod.machine, west.pod.ip, east.cluster.folder)
    secret["data"]["key"] = "/" * 42 + "8="  # 32 bytes ff
    east.store.put(secret)
    wait_until(lambda: all(VxlanDevice(node).mac != before[node.name].mac for node in nodes), 10,
               "every node has made its device again")
    wait_until_reached(east, west)
    wait_until(lambda: ping(east.pod.machine, west.pod.ip), 5, "traffic goes on")
    report = stream.stop()
    tell(f"the secret changes: {report}")
    assert report.outage_ms < 10_000  # one pass of every node, even on a busy machine
    assert len({VxlanDevice(node).vni for node in nodes}) == 1
    assert VxlanDevice(nodes[0]).vni != before[nodes[0].name].vni
